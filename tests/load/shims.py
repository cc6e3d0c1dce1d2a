"""Small libraries that are loaded before the system's own, to make the machine misbehave.

They are compiled when they are needed, which takes a tenth of a second; without a compiler the
tests that need them are skipped.
"""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class NoCompiler(Exception):
    """This machine cannot make them. The text says why."""


def make(source: str, folder: Path) -> Path:
    """Compiles a source of this folder."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NoCompiler("no C compiler on this machine")
    library = folder / Path(source).with_suffix(".so").name
    words = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library),
             str(HERE / source), "-ldl"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoCompiler(f"{source} does not compile: {done.stderr.strip()[:300]}")
    return library


def preloading(library: Path, **variables: object) -> tuple[str, ...]:
    """The command to be put before one that is to run with the library."""
    words = {"LD_PRELOAD": library} | variables
    return ("env", *(f"{name}={value}" for name, value in words.items()))
