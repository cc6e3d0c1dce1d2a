"""A line about the machine for figures that are quoted, and how processes we started are ended."""

import os
import platform
import signal
import subprocess
from pathlib import Path

STOP_TIMEOUT_S = 90


def describe(root: Path) -> str:
    """Processor, cores, memory, kernel, and the commit that is measured: kept with each result."""
    cpu = _field(Path("/proc/cpuinfo"), "model name")
    memory = int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / (1 << 20)
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, text=True,
                         capture_output=True)
    return (f"Machine: {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, "
            f"{platform.system()} {platform.release()}, Python {platform.python_version()}. "
            f"Lodgepole at commit {git.stdout.strip() or 'unknown'}.")


def signal_stop() -> None:
    """Makes SIGTERM and SIGINT a KeyboardInterrupt, so that what was started is stopped."""
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def stopped(process: subprocess.Popen) -> None:
    """Ends a worker: it gets the time to stop the server that it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.split(":", 1)[1].strip()
    return "unknown"
