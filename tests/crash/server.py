"""The real server as a child process that can be killed.

The child dies with us whatever happens: it stays in our process group, and the kernel is told to
kill it when its parent ends. Its output goes to a log file, whose end is shown when it fails.
"""

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from client import Connection, Unanswered, always

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from ports import claim_ports  # noqa: E402

START_TIMEOUT_S = 30

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


# How a server may be set, which changes from start to start: as it comes; building and removing
# segments all the time; with small buffers and nothing in memory that can be read from disk.
SETTINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("--index-from-rows", "10", "--segment-grace-s", "0"),
    ("--index-from-rows", "60", "--segment-grace-s", "0", "--write-buffer-bytes", "20000",
     "--tail-bytes-max", "0"),
)
# What its log says when a task ended by a defect.
PANIC = "panicked"


class ServerGone(Exception):
    """The server ended, or did not become ready."""


class NothingTested(ServerGone):
    """What a suite did to the server had no effect, so what came after it proves nothing."""


class Server:
    """`lodgepole serve` on one data folder and one port, started as often as wanted.

    `environment` is added to ours. `settings` are options that may be others at each start.
    """

    def __init__(self, binary: Path, data: Path, log: Path, options: tuple[str, ...] = (),
                 environment: dict[str, str] | None = None):
        self.binary, self.data, self.log, self.options = binary, data, log, options
        self.environment = os.environ | (environment or {})
        self.settings: tuple[str, ...] = ()
        # The claim lasts as long as we do.
        claimed = claim_ports()
        if claimed is None:
            raise ServerGone("no free ports")
        self.port, self._claim = claimed
        self.process: subprocess.Popen | None = None

    def draw_settings(self, rng: random.Random) -> None:
        """Chooses how it is set when it is started next."""
        self.settings = rng.choice(SETTINGS)

    def start(self) -> None:
        """Starts it and returns at once; see `wait_ready`."""
        command = self.command(self.port)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=_die_with_parent,
                                            env=self.environment)

    def command(self, port: int) -> list[str]:
        return [str(self.binary), "serve", "--data-dir", str(self.data),
                "--listen", f"127.0.0.1:{port}", "--log-level", "warn", *self.settings,
                *self.options]

    def wait_ready(self) -> None:
        """Waits for /health/ready."""
        connection = Connection(self.port, may_be_unready=always)
        try:
            self.retry(lambda: connection.call("GET", "/health/ready").status == 200)
        finally:
            connection.close()

    def retry(self, attempt) -> None:
        """Repeats an attempt until it gives true, while the server lives and there is time."""
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                if attempt():
                    return
            except Unanswered:
                pass
            code = self.process.poll()
            if code is not None:
                raise ServerGone(f"it ended with code {code} before it was ready\n{self.tail()}")
            if time.monotonic() > until:
                raise ServerGone(f"not ready within {START_TIMEOUT_S} s\n{self.tail()}")
            time.sleep(0.002)

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def crash(self) -> None:
        """Kills it in the middle of its work. A suite whose kill does nothing has to say so."""
        if self.process.poll() is not None:
            raise NothingTested(f"it had ended with code {self.process.returncode} before its kill"
                                f"\n{self.tail()}")
        self.kill()
        if self.process.poll() != -signal.SIGKILL:
            raise NothingTested(f"the kill did not end it (code {self.process.poll()}), so nothing "
                                "was tested")

    def panics(self) -> list[str]:
        """The lines of its log that tell of a panic, of all its lives."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if PANIC in line]

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self.process.send_signal(signal.SIGTERM)

    def tail(self, lines: int = 8) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"    | {line[:300]}" for line in text.splitlines()[-lines:])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.kill()


def end_cleanly_on_sigterm() -> None:
    """Makes SIGTERM end us like Ctrl-C: servers, mounts and folders are cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def default_binary() -> Path:
    """Where cargo puts the server."""
    folder = os.environ.get("CARGO_TARGET_DIR")
    if folder is None:
        command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        folder = json.loads(found.stdout)["target_directory"]
    return Path(folder) / "debug" / "lodgepole"


def find_binary(given: Path | None) -> Path:
    """The server to test: the one given, else the one that cargo built."""
    binary = given or default_binary()
    if not binary.exists():
        sys.exit(f"{binary} does not exist: run `cargo build --package lodgepole` first")
    return binary.resolve()
