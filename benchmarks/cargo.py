"""Where cargo puts what ./bench has built."""

import functools
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def target() -> Path:
    """The folder of the profile that is measured; CARGO_TARGET_DIR is honoured."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    found = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    profile = os.environ.get("LODGEPOLE_BENCH_PROFILE", "debug")
    return Path(json.loads(found.stdout)["target_directory"]) / profile
