"""A Lodgepole server as a child process: started, waited for, stopped.

Invariant: a server that was started is stopped, whatever happens in between; `Server` is a context
manager for that. It runs in a session of its own, so that Ctrl-C reaches only the parent, which
then stops it in order with SIGTERM.
"""

import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from ports import claim_ports

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30


class ServerError(Exception):
    """The server did not start or did not stop as it should."""


class EndedEarly(ServerError):
    """The server ended before it was ready."""


class Server:
    """`lodgepole serve` with some arguments. `url` is that of the control plane; `ca` is the file
    with the certificate that its clients have to trust, when it has a local authority."""

    def __init__(self, binary: Path, arguments: list[str], *, log: Path | None = None):
        self.arguments = [str(binary), "serve", *arguments]
        self.log = log
        self.url = ""
        self.ca: Path | None = None
        self.ready_line = ""
        self.process: subprocess.Popen | None = None
        self.claim: socket.socket | None = None

    @classmethod
    def for_test(cls, binary: Path, folder: Path, *more: str) -> "Server":
        """On free ports, with data and log under `folder`, and these further arguments."""
        places = ["--data-dir", str(folder / "data")]
        claim = None
        if "--listen" not in more:
            claimed = claim_ports()
            if claimed is None:
                raise ServerError("no free ports")
            port, claim = claimed
            places += ["--listen", f"127.0.0.1:{port}"]
        server = cls(binary, [*places, *more], log=folder / "server.log")
        # Held for as long as there is this server, also between two starts.
        server.claim = claim
        return server

    def start(self) -> "Server":
        """Returns once the server says that everything acknowledged is readable."""
        log = open(self.log, "ab") if self.log else None
        try:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            start_new_session=True)
        finally:
            if log:
                log.close()
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def _await_ready(self) -> None:
        # A server that hangs before its first line must not hang us too.
        timer = threading.Timer(START_TIMEOUT_S, self.process.kill)
        timer.start()
        self.ready_line = self.process.stdout.readline().strip()
        timer.cancel()
        if not self.ready_line:
            code = self.process.wait()
            raise EndedEarly(f"the server ended with code {code} before it was ready{self.tail()}")
        if "--tls" in self.arguments:
            # The line after it names the certificate to trust.
            named = self.process.stdout.readline().strip()
            self.ca = Path(named.removeprefix("clients have to trust the certificate "))
        # Nothing more is expected on standard output; reading on keeps the pipe from filling up.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        found = re.search(r"https?://[^\s/,;]+", self.ready_line)
        if found is None:
            raise ServerError(f"no address in the server's first line: {self.ready_line!r}")
        self.url = found.group()
        self._await_health()

    def _await_health(self) -> None:
        # Never through a proxy: the server is on this machine. A port with TLS serves it without,
        # too, and whether its certificate is any good is not ours to find out.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        plain = self.url.replace("https://", "http://")
        until = time.monotonic() + START_TIMEOUT_S
        problem = ""
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with direct.open(f"{plain}/health/ready", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (urllib.error.URLError, OSError) as error:
                problem = str(error)
            time.sleep(0.05)
        raise ServerError(f"{self.url}/health/ready: {problem}{self.tail()}")

    def new_key(self) -> str:
        """Makes an API key. From the first one on, every request needs one."""
        folder = self.arguments[self.arguments.index("--data-dir") + 1]
        command = [self.arguments[0], "keys", "create", "--name", "tests", "--data-dir", folder]
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if made.returncode != 0:
            raise ServerError(f"no key was made: {made.stderr.strip()}")
        return made.stdout.strip()

    def stop(self) -> int:
        """Asks it to stop, waits, and returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerError(f"did not stop within {STOP_TIMEOUT_S} s of SIGTERM") from None

    def kill(self) -> None:
        """Ends it without warning, as a crash would."""
        self.process.kill()
        self.process.wait()

    def tail(self, lines: int = 20) -> str:
        """The end of its log, to show why something failed."""
        if self.log is None or not self.log.exists():
            return ""
        return "\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()


def scratch_folder() -> tempfile.TemporaryDirectory:
    """A folder for one server, removed at the end. TMPDIR is honoured."""
    return tempfile.TemporaryDirectory(prefix="lodgepole-", ignore_cleanup_errors=True)
