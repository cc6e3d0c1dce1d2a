"""Python and Node packages for the demo, the clients and the frameworks, in folders git ignores.

One environment for each lock file, under `.cache/environments/NAME-KEY`, where KEY is a hash of
everything that decides its content. An unchanged lock file means an unchanged key, so a later run
finds the environment and installs nothing. A folder counts only once its `complete` mark is
written: an installation that was cut off is thrown away and made again. The caches of pip and npm
are used as the user has set them up.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from workspace import CACHE, ROOT, SetupError, say

ENVIRONMENTS = CACHE / "environments"
PYTHON_LOCKS = ROOT / "tests" / "clients" / "python"
NODE_LOCKS = ROOT / "tests" / "clients" / "typescript"
FRAMEWORKS = ROOT / "tests" / "frameworks"
OPENAPI = ROOT / "tests" / "openapi"
NODE_FILES = ("package.json", "package-lock.json", ".npmrc")

PYTHON_CLIENTS = ("7.3.0", "8.1.2", "9.0.1", "10.2.0")
NODE_CLIENTS = ("6.1.3", "8.2.0", "9.0.0")
# Each has a lock file, and a test program of the same name.
PYTHON_FRAMEWORKS = ("langchain", "llama-index", "haystack", "semantic-router")
NODE_FRAMEWORKS = ("langchain", "mastra", "mcp")


def python_client(version: str) -> Path:
    """The interpreter of an environment with that version of the official Python client."""
    return _python(f"python-{version}", [PYTHON_LOCKS / f"pinecone-{version}.lock"])


def demo() -> Path:
    """The interpreter for the demo: the newest Python client, and the data it loads."""
    newest = PYTHON_LOCKS / f"pinecone-{PYTHON_CLIENTS[-1]}.lock"
    return _python("demo", [newest, ROOT / "demo" / "digits.lock"])


def openapi() -> Path:
    """The interpreter of an environment with the generator of requests."""
    return _python("openapi", [OPENAPI / "openapi.lock"])


def node_client(version: str) -> Path:
    """A folder whose `node_modules` holds that version of the official TypeScript client."""
    return _node(f"typescript-{version}", NODE_LOCKS / version)


def python_framework(name: str) -> Path:
    """The interpreter of an environment with that framework and the client that it pulls in."""
    return _python(f"framework-python-{name}", [FRAMEWORKS / "python" / f"{name}.lock"])


def node_framework(name: str) -> Path:
    """A folder whose `node_modules` holds that framework and the client that it pulls in."""
    return _node(f"framework-typescript-{name}", FRAMEWORKS / "typescript" / name)


def _node(name: str, source: Path) -> Path:
    files = [source / name for name in NODE_FILES]

    def install(folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise SetupError("npm is not on the PATH. Install Node.js 20 or later first.")
        for file in files:
            shutil.copy(file, folder / file.name)
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--engine-strict=false"]
        _install([npm, "ci", "--loglevel=error", *quiet], folder)

    return _ensure(name, files, [platform.machine()], install)


def _python(name: str, locks: list[Path]) -> Path:
    def install(folder: Path) -> None:
        _make_venv(folder)
        requirements = [part for lock in locks for part in ("--requirement", str(lock))]
        exact = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--no-compile"]
        quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install"]
        _install([*pip, *exact, *quiet, *requirements], folder)

    marks = [sys.version, platform.machine(), sys.executable]
    return _ensure(name, locks, marks, install) / "bin" / "python"


def _ensure(name: str, files: list[Path], marks: list[str], install) -> Path:
    key = hashlib.sha256()
    for file in files:
        key.update(file.read_bytes())
    for mark in marks:
        key.update(mark.encode())
    folder = ENVIRONMENTS / f"{name}-{key.hexdigest()[:16]}"
    complete = folder / "complete"
    if complete.exists():
        return folder
    with _one_at_a_time(name):
        if not complete.exists():
            say(f"Installing {name}")
            for stale in ENVIRONMENTS.glob(f"{name}-*"):
                shutil.rmtree(stale)
            folder.mkdir(parents=True)
            install(folder)
            complete.touch()
    return folder


@contextmanager
def _one_at_a_time(name: str):
    """Two runs of ./check or ./run beside each other must not install into one folder."""
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with open(ENVIRONMENTS / f".lock.{name}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_venv(folder: Path) -> None:
    command = [sys.executable, "-m", "venv", str(folder)]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return
    # Debian splits the module that puts pip into a new environment off into a package.
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"python cannot make a virtual environment; install the package {package}")
    say(f"Installing the system package {package}")
    for step in (["update"], ["install", "--yes", package]):
        subprocess.run(["apt-get", "--quiet", *step], stdout=subprocess.DEVNULL, check=True)
    subprocess.run(command, check=True)


def _install(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(command[:4])} … failed:\n{done.stdout[-4000:]}")
