"""Python environments for the peers, in `.cache/bench/venv-NAME-KEY`.

KEY is a hash of what decides the content, so an unchanged environment is found again. A folder
counts once its mark `complete` is written. Only the standard library is used here.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_TIMEOUT_S = 1_800


class InstallError(Exception):
    """Packages could not be installed; the text says what pip said."""


def python(cache: Path, name: str, packages: tuple[str, ...], say) -> Path:
    """The interpreter of an environment that holds these packages."""
    marks = [*packages, sys.version, platform.machine()]
    key = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:12]
    folder = cache / f"venv-{name}-{key}"
    interpreter = folder / "bin" / "python"
    if (folder / "complete").exists():
        return interpreter
    say(f"Installing {', '.join(packages)}")
    for stale in cache.glob(f"venv-{name}-*"):
        shutil.rmtree(stale)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
          "--no-input", "--prefer-binary", *packages])
    frozen = _run([str(interpreter), "-m", "pip", "freeze", "--disable-pip-version-check"])
    (folder / "complete").write_text(frozen)
    return interpreter


def _run(command: list[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=INSTALL_TIMEOUT_S)
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command[:5])} … failed:\n{done.stdout[-3000:]}")
    return done.stdout
