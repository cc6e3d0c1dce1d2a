"""A memory limit for a server: a control group of the kernel, version 1.

Pages of files that a process reads count there too, if it is the first to read them: the limit is
for all that keeps data out of the way of the disk. So a server is started on files that nobody has
in memory (`forget_files`). The kernel ends a process that needs more without files.
"""

import os
import time
from pathlib import Path

MOUNTS = Path("/proc/mounts")
REMOVE_TIMEOUT_S = 10


def root() -> Path | None:
    """Where memory groups are kept, when this user may make one."""
    for line in MOUNTS.read_text().splitlines():
        _, place, kind, options = line.split()[:4]
        if kind == "cgroup" and "memory" in options.split(",") and os.access(place, os.W_OK):
            return Path(place)
    return None


class MemoryGroup:
    """A group with a limit; it is empty until a command of `wrapped` runs."""

    def __init__(self, parent: Path, limit_bytes: int):
        self.folder = parent / f"lodgepole-bench-{os.getpid()}"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        self.limit_bytes = self._number("memory.limit_in_bytes")

    def wrapped(self, command: list[str]) -> list[str]:
        """The command, run inside: a shell enters the group and then becomes it."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", enter, str(self.folder / "cgroup.procs"), *command]

    def figures(self) -> dict:
        """What is used of it now."""
        fields = dict(line.split() for line in
                      (self.folder / "memory.stat").read_text().splitlines())
        return {"limit_bytes": self.limit_bytes, "anonymous": int(fields["rss"]),
                "files": int(fields["cache"]), "times_full": self._number("memory.failcnt")}

    def remove(self) -> None:
        """Removes the group once its processes are gone."""
        until = time.monotonic() + REMOVE_TIMEOUT_S
        while self.folder.exists():
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _number(self, name: str) -> int:
        return int((self.folder / name).read_text())


def forget_files(folder: Path) -> None:
    """Has the kernel drop the pages of all files below: they are read from the disk again."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)
