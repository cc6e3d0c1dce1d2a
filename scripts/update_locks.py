"""Writes the lock files again: `python3 scripts/update_locks.py`.

Edit the versions in the `.in` and `package.json` files first. Locks hold versions and hashes for
every platform, and no addresses: where packages come from is a matter of the machine.
"""

import subprocess
import sys

from environments import NODE_CLIENTS, NODE_LOCKS, PYTHON_LOCKS
from workspace import CACHE, ROOT

UV = "uv==0.13.9"


def main() -> None:
    tool = CACHE / "lock-tool"
    subprocess.run([sys.executable, "-m", "venv", str(tool)], check=True)
    subprocess.run([str(tool / "bin" / "pip"), "install", "--quiet", UV], check=True)
    for wanted in sorted(PYTHON_LOCKS.glob("*.in")):
        _lock(tool, wanted)
    # Of scikit-learn only a data file is read, so its own dependencies are not wanted.
    _lock(tool, ROOT / "demo" / "digits.in", "--no-deps")
    for version in NODE_CLIENTS:
        command = ["npm", "install", "--package-lock-only", "--engine-strict=false"]
        subprocess.run(command, cwd=NODE_LOCKS / version, check=True)


def _lock(tool, wanted, *more: str) -> None:
    options = ["--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    bare = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    output = ["--output-file", str(wanted.with_suffix(".lock"))]
    uv = [str(tool / "bin" / "uv"), "pip", "compile"]
    subprocess.run([*uv, *options, *bare, *more, str(wanted), *output], check=True)


if __name__ == "__main__":
    main()
