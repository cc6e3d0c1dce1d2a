"""Processes: their processor time and memory from /proc, and servers that are started and stopped.

Invariant: a server that was started is stopped with its whole family, also when we fail.
"""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from scripts.ports import is_free

TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 60
# Below the range from which the system takes ports for outgoing connections.
PORTS = range(15_000, 31_000)


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    found, queue = [], [process]
    while queue:
        current = queue.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                queue.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue
    return found


def processor_s(processes: list[int], descend: bool) -> float:
    """Processor time so far, with that of children that are gone."""
    total = 0
    for process in (each for one in processes for each in (family(one) if descend else [one])):
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            continue
        total += sum(int(field) for field in stat.rsplit(")", 1)[1].split()[11:15])
    return total / TICKS


def memory_bytes(processes: list[int], descend: bool) -> dict:
    """Resident memory: all, and the part that is backed by no file. Shared pages count once."""
    found = {"resident": 0, "anonymous": 0}
    for process in (each for one in processes for each in (family(one) if descend else [one])):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        fields = {line.split(":")[0]: int(line.split()[1]) * 1024
                  for line in text.splitlines()[1:]}
        found["resident"] += fields["Pss"]
        found["anonymous"] += fields.get("Pss_Anon", 0) + fields.get("Pss_Shmem", 0)
    return found


class Server:
    """A server as a child process in a session of its own."""

    def __init__(self, command: list[str], port: int, log: Path, *, user: int | None = None,
                 environment: dict | None = None, folder: Path | None = None):
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                start_new_session=True, user=user, group=user,
                extra_groups=[] if user is not None else None,
                env={**os.environ, **(environment or {})})
        self.log = log
        try:
            self._await(port)
        except BaseException:
            self.stop()
            raise

    def _await(self, port: int) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        end = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the server did not come up on port {port}:\n{end}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Asks it to stop and waits; ends its family when it does not."""
        members = family(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for member in members:
                try:
                    os.kill(member, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()


def free_port(in_a_row: int = 1) -> int:
    """A port that is free now, together with those after it."""
    for _ in range(200):
        first = random.choice(PORTS)
        if all(is_free(port) for port in range(first, first + in_a_row)):
            return first
    raise RuntimeError(f"no {in_a_row} free ports in a row from {PORTS[0]} to {PORTS[-1]}")
