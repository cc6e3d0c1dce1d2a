#!/usr/bin/env python3
"""A clean stop under load, and one server for one data folder.

Goal: on SIGTERM every request that the server has begun to read is answered, nothing acknowledged
is lost, and the process ends with code 0 in under 10 s. Method: load as in kill9.py that does not
let up; a few more requests of which only half was sent before the signal, the other half after it;
then started again and everything compared with the oracle. And: while a server runs, a second one
on the same folder is refused, says why, and does the first no harm.

    stop.py                     10 stops
    stop.py --stops 200         more of them
    stop.py --seed S            the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each stop, one for the second server, one for the data
at the end, one for panics and answers in the 500s.
"""

import http.client
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import closing
import verify
from audit import Audit
from client import HEADERS, Refused, Unanswered, port_of, wire
from kill9 import DEEP_EACH, WRITERS, first_index
from load import Load
from oracle import Oracle, Request, Story, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

STOPS = 10
LOAD_S = (0.1, 0.6)
EXIT_MAX_S = 10
# How long the other half of a request is kept back after the signal.
OTHER_HALF_S = 0.3
HALF_SENT = 4
# A request sent so long before the signal had reached the server.
SURELY_BEGUN_S = 0.2


def main() -> int:
    options = closing.options(__doc__, "stops", STOPS, "how often it is stopped").parse_args()
    end_cleanly_on_sigterm()
    print(f"stop: seed {options.seed}, {options.stops} stops", flush=True)
    tally, rng = Tally(), random.Random(options.seed)
    passed = failed = done = 0
    slowest_s, began = 0.0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lodgepole-stop-") as folder:
        home, binary = Path(folder), find_binary(options.binary)
        with Server(binary, home / "data", home / "server.log") as server:
            server.start()
            server.wait_ready()
            oracle = first_index(server, WRITERS)
            oracle.main.stories |= {f"h{number}": Story() for number in range(HALF_SENT)}
            try:
                refuse_second(server, tally)
                passed, failed = int(tally.total == 0), int(tally.total > 0)
                for number in range(1, options.stops + 1):
                    before = tally.total
                    took_s = stop_once(server, oracle, tally, rng, f"{options.seed}/{number}",
                                       deep=number % DEEP_EACH == 0)
                    done, slowest_s = number, max(slowest_s, took_s)
                    good = tally.total == before
                    passed, failed = passed + good, failed + (not good)
            except (ServerGone, Refused, Unanswered) as problem:
                tally.add("wrong", f"{type(problem).__name__}: {problem}")
                failed += 1
            if failed:
                print(server.tail(20))
        before = tally.total
        verify.look_at_stopped(binary, server.data, tally, "at the end")
        bad = int(tally.total > before)
        panics = closing.check_log(server)
    bad += closing.figures(tally, panics, stops=done, acked=oracle.acknowledged,
                           slowest_stop_s=round(slowest_s, 2), backups=tally.compared,
                           seconds=round(time.monotonic() - began), seed=options.seed)
    again = f"stop.py --stops {options.stops} --seed {options.seed}"
    return closing.end(passed + 2 - bad, failed + bad, again)


def refuse_second(server: Server, tally: Tally) -> None:
    """Another server on the same folder."""
    command = server.command(server.port + 30)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=EXIT_MAX_S)
    except subprocess.TimeoutExpired:
        return tally.add("wrong", "a second server on the same folder was not refused")
    said = done.stderr.strip()
    if done.returncode == 0 or done.stdout.strip():
        tally.add("wrong", f"a second server: code {done.returncode}, said {done.stdout!r}")
    if "another process" not in said or str(server.data) not in said or "--data-dir" not in said:
        tally.add("wrong", f"a second server is refused without saying why: {said!r}")
    server.wait_ready()


class HalfSent:
    """A write of which the server has the first half."""

    def __init__(self, name: str, story: Story, port: int):
        self.name, self.story = name, story
        stamp = story.next_stamp()
        ids = tuple(f"{name}-{number}" for number in range(stamp % 7 + 20))
        request = Request("upsert", "books", ids, stamp)
        story.begin(request)
        path, body = wire(request)
        payload = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}",
                 f"Content-Length: {len(payload)}", *(f"{k}: {v}" for k, v in HEADERS.items())]
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + payload
        half = len(whole) - len(payload) // 2
        self._rest = whole[half:]
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=EXIT_MAX_S)
        self._socket.sendall(whole[:half])

    def finish(self, tally: Tally) -> None:
        """Sends the rest. It must be answered with success."""
        try:
            self._socket.sendall(self._rest)
            answer = http.client.HTTPResponse(self._socket)
            answer.begin()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as problem:
            text = f"{type(problem).__name__} {problem}"
            return tally.add("wrong", f"{self.name}: a request in progress was cut off: {text}")
        finally:
            self._socket.close()
        if answer.status != 200:
            return tally.add("wrong", f"{self.name}: in progress, got {answer.status} {text[:200]}")
        self.story.acknowledge()


def stop_once(server: Server, oracle: Oracle, tally: Tally, rng: random.Random, seed: str, *,
              deep: bool) -> float:
    """One round: load, SIGTERM, start, compare. Returns the seconds that the stop took."""
    load = Load(server.port, oracle, tally, seed)
    # The half-sent requests have writers of their own.
    load.workers = [worker for worker in load.workers if not worker.name.startswith("h")]
    load.start()
    time.sleep(rng.uniform(*LOAD_S))
    port = port_of(oracle.hosts["main"])
    halves = [HalfSent(name, story, port) for name, story in oracle.main.stories.items()
              if name.startswith("h")]
    time.sleep(SURELY_BEGUN_S)
    load.dying.set()
    signalled = time.monotonic()
    server.terminate()
    time.sleep(OTHER_HALF_S)
    for half in halves:
        half.finish(tally)
    took_s = await_exit(server, signalled, tally)
    load.finish()
    for worker in load.workers:
        problem = worker.ended_by
        if problem is not None and problem.began_at < signalled - SURELY_BEGUN_S:
            tally.add("wrong", f"{worker.name}: a request in progress was cut off: {problem}")
    oracle.server_died()
    server.draw_settings(rng)
    server.start()
    Audit(server, oracle, tally, random.Random(f"{seed}/audit"), deep=deep).run()
    return took_s


def await_exit(server: Server, signalled: float, tally: Tally) -> float:
    """Waits for the end of the process, which must be in time and with code 0."""
    try:
        code = server.process.wait(signalled + EXIT_MAX_S - time.monotonic())
        if code != 0:
            tally.add("wrong", f"ended with code {code} on SIGTERM")
    except subprocess.TimeoutExpired:
        tally.add("wrong", f"still there {EXIT_MAX_S} s after SIGTERM")
        server.kill()
    return time.monotonic() - signalled


if __name__ == "__main__":
    sys.exit(main())
