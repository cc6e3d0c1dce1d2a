"""Where things are in the checkout, and how its binary is built.

Used by ./run and ./check. Only the standard library: these files run before anything is installed.
"""

import functools
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"

# Clients must reach the servers started here directly, whatever proxy the machine uses.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(
    [os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "localhost", "127.0.0.1"])


class SetupError(Exception):
    """Something the machine lacks. The text tells the user what to do."""


def stop_on_signals() -> None:
    """Makes SIGTERM and SIGINT a KeyboardInterrupt, so that servers we started are stopped.

    SIGINT too: a shell that starts a program in the background has it ignored.
    """
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def say(text: str) -> None:
    """Progress for people. Standard output is kept for results."""
    print(text, file=sys.stderr, flush=True)


def cargo(*arguments: str) -> list[str]:
    """A cargo command. In CI the committed Cargo.lock must be complete."""
    unlocked = not os.environ.get("CI") or arguments[0] in ("fmt", "xtask")
    return ["cargo", *arguments, *([] if unlocked else ["--locked"])]


@functools.cache
def target_dir() -> Path:
    """Cargo's target folder: CARGO_TARGET_DIR and cargo's own settings are honoured."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    try:
        found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    except FileNotFoundError:
        problem = "cargo is not on the PATH. Install Rust first: https://rustup.rs"
        raise SetupError(problem) from None
    return Path(json.loads(found.stdout)["target_directory"])


def binary() -> Path:
    """Where cargo puts the server."""
    name = "lodgepole.exe" if platform.system() == "Windows" else "lodgepole"
    return target_dir() / "debug" / name


def build() -> Path:
    """Builds the server with the one profile that tests use too, and returns its path."""
    target_dir()
    if not binary().exists():
        say("Building Lodgepole. The first time takes some minutes.")
    done = subprocess.run(cargo("build", "--package", "lodgepole"), cwd=ROOT)
    if done.returncode != 0:
        raise SetupError("the build failed; cargo's message is above")
    return binary()
