#!/usr/bin/env python3
"""Very many connections, most of them idle, some of them bad: an ordinary client notices nothing.

Goal: a connection that does nothing costs memory within a bound and nothing else; a peer that is
too slow is cut off at the documented time; beyond its limits the server says so and serves whom it
has; afterwards no file is left open. Method: a crowd (crowd.py) of idle, slow and stuck connections
of HTTP/1.1 and HTTP/2, while a client in a process of its own works and judges every answer
(steady.py). The times are set short by the settings that exist for them. Then the same server with
few connections allowed, and with few open files.

    connections.py              1,000 connections
    connections.py --long       10,000

Bounds: every request of the ordinary client answered with success; its p99 at most 500 ms; 48 KiB
of memory for each connection, and twice the answers that nobody takes; no file more than before
within 10 s after the crowd is gone. `--self-test` alone shows that the judging can fail: the same
crowd against a made-up server that is polite to everybody, and cuts off nobody.
"""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

import crowd as crowds
from crowd import (Crowd, HalfBody, IdleHttp1, IdleHttp2, SilentPeer, SlowHead, SlowReader,
                   StuckReader)
from ledger import DIMENSION, Ledger
from steady import Steady
from suite import MIB, Connection, Report, Unanswered, Watched, begin, make_index, wait_until

CONNECTIONS, LONG_CONNECTIONS = 1_000, 10_000
SHARES = {IdleHttp1: 0.45, IdleHttp2: 0.3, SlowHead: 0.13, SilentPeer: 0.06, HalfBody: 0.05,
          StuckReader: 0.005, SlowReader: 0.005}
HEAD_S, STALL_S, IDLE_S = 3, 3, 600
# With very many connections this program is too busy for so short times.
LONG_TIME_S, LONG_LATE_S = 10, 15
P99_MS = 500.0
BYTES_EACH = 48 << 10
# The long answer: some 4.4 MB, more than the system's buffers at both ends take.
LARGE_ROWS, LARGE_TEXT = 110, "a long text " * 3_333
FEW_CONNECTIONS = 40
FEW_FILES = 128
# Long enough on one machine, and so short that those who are in are not cut off before all came.
CONNECT_S = 0.2
# The server begins with this limit, and must raise it by itself.
USUAL_FILES = 256
GONE_S = 10


def main() -> int:
    options, report = begin("connections", __doc__)
    raise_file_limit()
    asyncio.run(self_test(report))
    if not options.self_test:
        parts = (lambda home: asyncio.run(many(options, report, home)),
                 lambda home: at_the_limit(options, report, home),
                 lambda home: without_files(options, report, home))
        for part in parts:
            with tempfile.TemporaryDirectory(prefix="lodgepole-crowd-") as folder:
                part(Path(folder))
    return report.end()


def raise_file_limit() -> None:
    """Both ends of a connection are files, ours are as many as the server's."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def many(options, report: Report, home: Path) -> None:
    """The crowd."""
    count = LONG_CONNECTIONS if options.long else CONNECTIONS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 1_000:
        report.skip(f"{count} connections: only {hard} open files are allowed here")
        count = hard - 1_000
    head_s, stall_s = (LONG_TIME_S, LONG_TIME_S) if options.long else (HEAD_S, STALL_S)
    flags = ("--header-timeout-s", str(head_s), "--stall-timeout-s", str(stall_s),
             "--idle-timeout-s", str(IDLE_S), "--connections-max", str(count + 100))
    before = ("prlimit", f"--nofile={USUAL_FILES}:{hard}")
    with Watched(options.binary, home, flags, before=before) as server:
        server.begin()
        port = make_index(server.port, "crowd", DIMENSION)
        fill(port)
        with Steady(port, DIMENSION) as steady:
            # Whatever is opened once and kept is open by now.
            await asyncio.sleep(1.5)
            alone, at_first = steady.seen(), server.numbers()
            crowd = Crowd(server.port, port, head_s, stall_s, DIMENSION, LARGE_ROWS)
            crowd.late_s = LONG_LATE_S if options.long else crowd.late_s
            began = time.monotonic()
            for kind, share in SHARES.items():
                await crowd.open(kind, int(count * share))
            opened_s = time.monotonic() - began
            holding = crowd.hold()
            await asyncio.sleep(1)
            at_most = server.numbers()
            longest_s = max(head_s, stall_s) + 4
            await asyncio.sleep(longest_s)
            crowd.over.set()
            await asyncio.gather(*holding)
            await crowd.finish()
            during = steady.seen()
            gone = wait_until(lambda: server.numbers().files <= at_first.files, GONE_S)
            after = server.numbers()
        crowd.judge(report)
        judge(report, count, (alone, during), (at_first, at_most, after))
        report.check(f"no open file is left after {GONE_S} s", gone, (at_first, after))
        failed = [line for line in server.lines() if "request failed" in line]
        report.check("no 5xx in the log", not failed, failed[:3])
        report.log(server)
        report.figures("many", connections=len(crowd.members), opened_s=opened_s,
                       requests=during.requests, bad=during.bad, p50_alone_ms=alone.p50_ms,
                       p50_ms=during.p50_ms, p99_alone_ms=alone.p99_ms, p99_ms=during.p99_ms,
                       max_ms=during.max_ms, rss_mib=at_first.rss_bytes / MIB,
                       rss_crowd_mib=at_most.rss_bytes / MIB, rss_after_mib=after.rss_bytes / MIB,
                       files=at_first.files, files_crowd=at_most.files, files_after=after.files,
                       heads_cut_s=max(crowd.times(SlowHead), default=-1.0),
                       bodies_cut_s=max(crowd.times(HalfBody), default=-1.0))


def fill(port: int) -> None:
    """Records whose metadata make a long answer."""
    connection = Connection(port)
    for start in range(0, LARGE_ROWS, 10):
        vectors = [{"id": f"l-{row}", "values": [row + 1.0] * DIMENSION,
                    "metadata": {"text": LARGE_TEXT}} for row in range(start, start + 10)]
        connection.call("POST", "/vectors/upsert", {"vectors": vectors, "namespace": "large"}
                        ).expect()
    connection.close()


def judge(report: Report, count: int, steady: tuple, numbers: tuple) -> None:
    """What the ordinary client saw, and what the crowd costs."""
    alone, during = steady
    at_first, at_most, _ = numbers
    report.check("the ordinary client was served", during.requests > 100, during)
    report.check("all of its requests were good", alone.bad + during.bad == 0,
                 (alone.notes, during.notes))
    report.check(f"its p99 is at most {P99_MS} ms", during.p99_ms <= P99_MS, during.p99_ms)
    grown = at_most.rss_bytes - at_first.rss_bytes
    stuck = int(count * (SHARES[StuckReader] + SHARES[SlowReader]))
    allowed = count * BYTES_EACH + stuck * 2 * LARGE_ROWS * len(LARGE_TEXT)
    report.check(f"the crowd takes at most {allowed >> 20} MiB", grown <= allowed, grown)


def at_the_limit(options, report: Report, home: Path) -> None:
    """More connections than allowed: a clear answer, nothing for those that were there."""
    with Watched(options.binary, home, ("--connections-max", str(FEW_CONNECTIONS))) as server:
        server.begin()
        port = make_index(server.port, "limit", DIMENSION)
        ledger = Ledger(port)
        ledger.upsert([1, 2, 3])
        held = [Connection(server.port, 5) for _ in range(FEW_CONNECTIONS - 1)]
        statuses = [connection.call("GET", "/indexes").status for connection in held[:-1]]
        report.check("as many as allowed are served", set(statuses) == {200}, set(statuses))
        held[-1].call("GET", "/indexes")
        answers = []
        for _ in range(3 * FEW_CONNECTIONS):
            more = Connection(server.port, 5)
            try:
                answers.append(more.call("GET", "/indexes"))
            except Unanswered as problem:
                answers.append(problem)
            more.close()
        good = all(getattr(answer, "status", 0) == 503 and "UNAVAILABLE" in answer.text
                   for answer in answers)
        report.check("one more is answered 503 UNAVAILABLE", good, answers[:3])
        reply = ledger.upsert([4, 5])
        report.check("those that were there are served", reply and reply.status == 200, reply)
        for connection in held:
            connection.close()

        def is_served() -> bool:
            fresh = Connection(server.port, 5)
            try:
                return fresh.call("GET", "/indexes").status == 200
            finally:
                fresh.close()

        report.check("when some have gone, others are served", wait_until(is_served, 5))
        ledger.compare(report, "at the limit")
        report.log(server)


def without_files(options, report: Report, home: Path) -> None:
    """Fewer files than connections are asked for: who is there can read, others wait, and so do
    writes, which need files; silent peers are cut off, and all goes on."""
    before = ("prlimit", f"--nofile={FEW_FILES}:{FEW_FILES}")
    flags = ("--header-timeout-s", str(HEAD_S))
    with Watched(options.binary, home, flags, before=before) as server:
        server.begin()
        said = any("limit on open files is low" in line for line in server.lines())
        report.check("a low limit is said at the start", said, server.tail())
        port = make_index(server.port, "files", DIMENSION)
        ledger = Ledger(port)
        for number in range(5):
            ledger.upsert([number])
        waiting = more_than_files(server.port)
        if not wait_until(lambda: server.numbers().files >= FEW_FILES - 1, 2):
            report.skip("the server could not be brought to its limit of files here")
        used = server.numbers().files
        began = time.monotonic()
        statuses, queries, slowest_s = [], [], 0.0
        while time.monotonic() < began + HEAD_S + 1:
            asked = time.monotonic()
            reply = ledger.upsert([len(statuses) % 60])
            statuses.append(reply.status if reply else 0)
            slowest_s = max(slowest_s, time.monotonic() - asked)
            query = ledger.connection.call("POST", "/query", {
                "namespace": "books", "topK": 5, "vector": [1.0] * DIMENSION})
            queries.append(query.status)
        report.check("reads of a connection that is there go on", set(queries) == {200},
                     set(queries))
        good = set(statuses) <= {200, 503} and slowest_s < 2 * HEAD_S + 2
        report.check("writes wait for silent peers to be cut off, or are answered 503", good,
                     (set(statuses), slowest_s))
        for connection in waiting:
            connection.close()

        def works() -> bool:
            fresh = Ledger(port)
            fresh.known, fresh.unknown, fresh.stamp = ledger.known, ledger.unknown, 10_000
            reply = fresh.upsert([1])
            return reply is not None and reply.status == 200

        report.check("when files are there again, everything works", wait_until(works, 10),
                     server.tail())
        ledger.compare(report, "without files")
        server.stop()
        server.begin()
        ledger.compare(report, "after a restart")
        report.figures("files", limit=FEW_FILES, used=used, slowest_write_s=slowest_s,
                       statuses={status: statuses.count(status) for status in set(statuses)})
        report.log(server)


def more_than_files(port: int) -> list[Connection]:
    """Connections that say nothing, half as many again as there are files; fewer where the system
    lets nobody wait for a server that accepts no more. A queue that is full for a moment is no such
    case."""
    waiting, refused = [], 0
    while len(waiting) < FEW_FILES + FEW_FILES // 2 and refused < 3:
        connection = Connection(port, CONNECT_S)
        try:
            connection._http.connect()
        except OSError:
            connection.close()
            refused += 1
            continue
        waiting.append(connection)
        refused = 0
    return waiting


async def self_test(report: Report) -> None:
    """A server that answers everybody at once with 200, in small numbers, and cuts off nobody."""
    async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            while await reader.read(1_000):
                pass
        except OSError:
            pass
        finally:
            writer.close()

    quiet = Report.__new__(Report)
    quiet.passed = quiet.failed = 0
    complaints = {}
    quiet.check = lambda what, good, seen="": complaints.setdefault(what, (good, seen))
    server = await asyncio.start_server(polite, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    timeout_s, crowds.ANSWER_TIMEOUT_S = crowds.ANSWER_TIMEOUT_S, 0.5
    crowd = Crowd(port, port, -4.5, -2.5, 4, 2)
    for kind in SHARES:
        await crowd.open(kind, 2)
    holding = crowd.hold()
    await asyncio.sleep(0.7)
    crowd.over.set()
    await asyncio.gather(*holding)
    await crowd.finish()
    crowd.judge(quiet)
    # The made-up server notices that they are gone.
    await asyncio.sleep(0.1)
    server.close()
    crowds.ANSWER_TIMEOUT_S = timeout_s
    bad = {what: seen for what, seen in complaints.items() if seen[0]}
    report.check("self-test: a server that cuts off nobody and answers nonsense is noticed",
                 len(complaints) == len(SHARES) and not bad, bad)


if __name__ == "__main__":
    sys.exit(main())
