"""What the programs of this folder share: counted checks, and a server whose numbers can be read.

Each program is a suite of ./check: it takes `--binary PATH` and `--long`, prints its seed and its
figures, and ends with `N passed, N failed[, N skipped]`. The server and the smallest client are
those of the crash suites, in the folder next to this one.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "crash"))

from client import Connection, Control, Data, Refused, Reply, Unanswered, port_of  # noqa: E402
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary  # noqa: E402

__all__ = ["Connection", "Control", "Data", "Numbers", "Refused", "Reply", "Report", "Server",
           "ServerGone", "Unanswered", "Watched", "begin", "find_binary", "make_index",
           "percentile", "port_of", "wait_until"]

# What a log must never hold.
PANIC = "panicked"
MIB = 1 << 20


class Report:
    """Counts checks, and prints those that fail."""

    def __init__(self, name: str, seed: int):
        self.name, self.seed = name, seed
        self.passed = self.failed = 0
        self.skips: list[str] = []
        self._began = time.monotonic()
        print(f"{name}: seed {seed}", flush=True)

    def check(self, what: str, good: bool, seen: object = "") -> bool:
        """One test. `seen` is shown when it fails."""
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        if not good:
            print(f"  FAILED: {what}; seen: {str(seen)[:1500]}", flush=True)
        return bool(good)

    def skip(self, why: str) -> None:
        """A test that this machine does not allow."""
        self.skips.append(why)

    def figures(self, part: str, **values: object) -> None:
        """One line to be quoted."""
        words = [f"{key}={_figure(value)}" for key, value in values.items()]
        print(f"name={self.name} part={part} {' '.join(words)} seed={self.seed}", flush=True)

    def log(self, server: "Watched", allowed_errors: tuple[str, ...] = ()) -> None:
        """The log holds no panic, and no error but those that the test brought about."""
        panics = [line for line in server.lines() if PANIC in line]
        self.check("no panic in the log", not panics, panics[:3])
        errors = [line for line in server.lines() if " ERROR " in line
                  and not any(words in line for words in allowed_errors)]
        self.check("no unexpected error in the log", not errors, errors[:3])

    def end(self) -> int:
        """Prints the closing lines. Returns the exit code."""
        self.figures("all", seconds=time.monotonic() - self._began)
        if self.skips:
            print(f"SKIPPED: {'; '.join(self.skips)}")
        skipped = f", {len(self.skips)} skipped" if self.skips else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0


def _figure(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value).replace(" ", "_")


@dataclass(frozen=True)
class Numbers:
    """What the system knows about a process."""

    rss_bytes: int
    anonymous_bytes: int
    files: int
    threads: int


class Watched(Server):
    """The server, started by way of another command and with another level of logging if wanted."""

    def __init__(self, binary: Path, home: Path, options: tuple[str, ...] = (), level: str = "warn",
                 before: tuple[str, ...] = ()):
        super().__init__(binary, home / "data", home / "server.log", options)
        # A command that ends by becoming the one that follows, such as `env NAME=VALUE`.
        self.level, self.before = level, before

    def command(self, port: int) -> list[str]:
        words = super().command(port)
        words[words.index("--log-level") + 1] = self.level
        return [*self.before, *words]

    def begin(self) -> None:
        """Starts it, and waits until it is ready."""
        self.start()
        self.wait_ready()

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM, and waits. Returns the exit code."""
        self.terminate()
        return self.process.wait(timeout_s)

    def numbers(self) -> Numbers:
        """Its memory, files and threads now."""
        folder = Path("/proc", str(self.process.pid))
        try:
            status = dict(line.split(":", 1) for line in
                          (folder / "status").read_text().splitlines())
            return Numbers(int(status["VmRSS"].split()[0]) << 10,
                           int(status["RssAnon"].split()[0]) << 10,
                           len(os.listdir(folder / "fd")), int(status["Threads"]))
        except (OSError, KeyError):
            raise ServerGone(f"it is gone\n{self.tail()}") from None

    def lines(self) -> list[str]:
        """Its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text.splitlines()

    def verify(self) -> tuple[int, str]:
        """`lodgepole verify --deep` on its data: the exit code and what it says."""
        command = [str(self.binary), "verify", "--deep", "--data-dir", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        return done.returncode, done.stdout + done.stderr


def begin(name: str, text: str, more: Callable[[argparse.ArgumentParser], object] = lambda _: None,
          ) -> tuple[argparse.Namespace, Report]:
    """The options that every suite has, and its report."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--long", action="store_true", help="as much as before a release")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--self-test", action="store_true", help="only the self-test")
    more(parser)
    options = parser.parse_args()
    end_cleanly_on_sigterm()
    if not options.self_test:
        options.binary = find_binary(options.binary)
    return options, Report(name, options.seed)


def make_index(port: int, name: str, dimension: int) -> int:
    """Makes an index. Returns the port of its data plane."""
    control = Control(port)
    try:
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": name, "dimension": dimension, "metric": "dotproduct", "spec": spec}
        return port_of(control.call("POST", "/indexes", body).expect(201).json["host"])
    finally:
        control.close()


def wait_until(reached: Callable[[], bool], timeout_s: float, pause_s: float = 0.05) -> bool:
    """Waits for something to become true. Returns whether it did."""
    until = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > until:
            return False
        time.sleep(pause_s)
    return True


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of them lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
