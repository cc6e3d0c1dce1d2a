"""Writes the lock files again: `python3 scripts/update_locks.py`.

Edit the versions in the `.in` and `package.json` files first. Locks hold versions and hashes for
every platform, and no addresses: where packages come from is a matter of the machine.
"""

import json
import subprocess
import sys

from environments import (FRAMEWORKS, NODE_CLIENTS, NODE_FRAMEWORKS, NODE_LOCKS, OPENAPI,
                          PYTHON_LOCKS)
from workspace import CACHE, ROOT

UV = "uv==0.13.9"


def main() -> None:
    tool = CACHE / "lock-tool"
    subprocess.run([sys.executable, "-m", "venv", str(tool)], check=True)
    subprocess.run([str(tool / "bin" / "pip"), "install", "--quiet", UV], check=True)
    for wanted in sorted([*PYTHON_LOCKS.glob("*.in"), *FRAMEWORKS.glob("python/*.in"),
                          OPENAPI / "openapi.in"]):
        _lock(tool, wanted)
    # Of scikit-learn only a data file is read, so its own dependencies are not wanted.
    _lock(tool, ROOT / "demo" / "digits.in", "--no-deps")
    node = [*(NODE_LOCKS / version for version in NODE_CLIENTS),
            *(FRAMEWORKS / "typescript" / name for name in NODE_FRAMEWORKS)]
    for folder in node:
        command = ["npm", "install", "--package-lock-only", "--engine-strict=false"]
        subprocess.run(command, cwd=folder, check=True)
        _leave_out_funding(folder / "package-lock.json")


def _lock(tool, wanted, *more: str) -> None:
    options = ["--quiet", "--universal", "--python-version=3.11", "--generate-hashes"]
    bare = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    output = ["--output-file", str(wanted.with_suffix(".lock"))]
    uv = [str(tool / "bin" / "uv"), "pip", "compile"]
    subprocess.run([*uv, *options, *bare, *more, str(wanted), *output], check=True)


def _leave_out_funding(lock) -> None:
    """npm notes down where authors take donations. These are addresses, and say nothing of what
    is installed."""
    content = json.loads(lock.read_text())
    for package in content["packages"].values():
        package.pop("funding", None)
    lock.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
