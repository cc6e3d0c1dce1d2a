#!/usr/bin/env python3
"""More data than memory: the server goes on answering, and is not killed for what it takes.

Goal: what the server holds is bounded by its settings and not by its data; while more comes in than
can be indexed at once it answers, or refuses with 429 or 503, and never grows until the system ends
it. Method: the server in a control group with a limit on memory (root and control groups needed,
otherwise a visible skip) and with small budgets; vectors of ten times a budget and more are written
as fast as it takes them by two writers, while queries are asked; then a restart in the same group.
The records are all there, and each of some is its own nearest neighbour.

    memory_limit.py             448 MiB, budgets of 16 MiB, 160 MiB of vectors (files: over 640 MiB)
    memory_limit.py --long      768 MiB, budgets of 64 MiB, 3 GiB of vectors

The limit is the sum of the budgets and about 370 MiB that no setting governs: buffers of requests
on their way, of files being merged, of segments being built.

`--self-test` alone shows that the limit bites: a program that takes more is ended, and that is
noticed; it also runs before.
"""

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from suite import (MIB, Connection, Report, ServerGone, Unanswered, Watched, begin, make_index,
                   percentile)

LIMIT_BYTES, LONG_LIMIT_BYTES = 448 * MIB, 768 * MIB
BUDGET_BYTES, LONG_BUDGET_BYTES = 16 * MIB, 64 * MIB
DATA_BYTES, LONG_DATA_BYTES = 160 * MIB, 3072 * MIB
DIMENSION = 1_024
# Some 4 MiB of values in a request of some 2 MB.
BATCH = 1_000 * 1_024 // DIMENSION
WRITERS = 2
# With each of its turns a text makes DIMENSION records of which no two are near: 4 GiB of them.
TEXTS = 1_024
GROUPS = Path("/sys/fs/cgroup")
ALLOWED = {200, 429, 503}
REST_S = 0.05
SETTLE_S, LONG_SETTLE_S = 3, 600


class Unavailable(Exception):
    """This machine does not let us limit memory. The text says why."""


class Group:
    """A control group with a limit, as a folder below our own group."""

    def __init__(self, limit_bytes: int):
        self.limit_bytes = limit_bytes
        own = dict(line.split(":", 2)[1:] for line in
                   Path("/proc/self/cgroup").read_text().splitlines())
        name = f"lodgepole-memory-{os.getpid()}"
        self.is_first = "memory" in own
        parent = (GROUPS / "memory" / own["memory"].lstrip("/") if self.is_first
                  else GROUPS / own.get("", "").lstrip("/"))
        self.folder = parent / name

    def __enter__(self) -> "Group":
        limits = ((("memory.limit_in_bytes", self.limit_bytes),
                   ("memory.memsw.limit_in_bytes", self.limit_bytes)) if self.is_first
                  else (("memory.max", self.limit_bytes), ("memory.swap.max", 0)))
        try:
            self.folder.mkdir()
        except OSError as problem:
            raise Unavailable(f"no control group of our own: {problem}") from None
        try:
            (self.folder / limits[0][0]).write_text(str(limits[0][1]))
        except OSError as problem:
            self.__exit__()
            raise Unavailable(f"no limit on memory: {problem}") from None
        try:
            (self.folder / limits[1][0]).write_text(str(limits[1][1]))
        except OSError:
            # There is no swap then.
            pass
        return self

    def __exit__(self, *_) -> None:
        for _ in range(50):
            try:
                return self.folder.rmdir()
            except OSError:
                time.sleep(0.1)

    @property
    def command(self) -> tuple[str, ...]:
        """To be put before a command that is to run in the group."""
        enter = 'echo $$ > "$0"/cgroup.procs && exec "$@"'
        return ("sh", "-c", enter, str(self.folder))

    def number(self, first: str, second: str, key: str = "") -> int:
        """A number of the group, by its names in both versions."""
        try:
            text = (self.folder / (first if self.is_first else second)).read_text()
        except OSError:
            return -1
        if not key:
            return int(text)
        numbers = dict(line.split() for line in text.splitlines() if " " in line)
        return int(numbers.get(key, -1))

    @property
    def killed(self) -> int:
        """Processes that were ended for want of memory."""
        return self.number("memory.oom_control", "memory.events", "oom_kill")

    @property
    def peak_bytes(self) -> int:
        return self.number("memory.max_usage_in_bytes", "memory.peak")


@contextmanager
def group(limit_bytes: int):
    if os.geteuid() != 0:
        raise Unavailable("not root")
    with Group(limit_bytes) as made:
        yield made


def main() -> int:
    options, report = begin("memory_limit", __doc__, more_options)
    limit_mib = options.limit_mib or (LONG_LIMIT_BYTES if options.long else LIMIT_BYTES) // MIB
    data_mib = options.data_mib or (LONG_DATA_BYTES if options.long else DATA_BYTES) // MIB
    try:
        self_test(report)
        if not options.self_test:
            with tempfile.TemporaryDirectory(prefix="lodgepole-memory-") as folder, \
                    group(limit_mib * MIB) as made:
                try:
                    Run(options, report, Path(folder), made).run(data_mib * MIB)
                except (ServerGone, Unanswered) as problem:
                    report.check("the server goes on", False, problem)
    except Unavailable as problem:
        report.skip(f"memory cannot be limited here: {problem}")
    return report.end()


def more_options(parser) -> None:
    parser.add_argument("--limit-mib", type=int, help="the limit of the group")
    parser.add_argument("--data-mib", type=int, help="vectors to write")


class Run:
    """The load on a server with little memory."""

    def __init__(self, options, report: Report, home: Path, made: Group):
        self.options, self.report, self.group = options, report, made
        share = str(LONG_BUDGET_BYTES if options.long else BUDGET_BYTES)
        flags = ("--write-buffer-bytes", share, "--block-cache-bytes", share, "--tail-bytes-max",
                 share, "--index-batch-bytes", share, "--request-buffer-bytes", share,
                 "--upsert-bytes-max", str(4 * MIB))
        self.server = Watched(options.binary, home, flags, before=made.command)
        self.statuses: Counter = Counter()
        self.queries: Counter = Counter()
        self.took_ms: list[float] = []
        self.written: list[int] = []
        self.lock = threading.Lock()
        rng = random.Random(options.seed)
        # Whole numbers of one digit: two bytes on the wire, four in memory.
        self.texts = [",".join(rng.choices("0123456789", k=DIMENSION)) for _ in range(TEXTS)]

    def run(self, data_bytes: int) -> None:
        began = time.monotonic()
        wanted = data_bytes // (4 * DIMENSION * BATCH)
        with self.server:
            self.server.begin()
            self.port = make_index(self.server.port, "large", DIMENSION)
            ended = threading.Event()
            asker = threading.Thread(target=self.ask, args=(ended,), daemon=True)
            writers = [threading.Thread(target=self.write, daemon=True,
                                        args=(range(number, wanted, WRITERS),))
                       for number in range(WRITERS)]
            self.batch(0)
            asker.start()
            for thread in writers:
                thread.start()
            for thread in writers:
                thread.join()
            loaded_s = time.monotonic() - began
            top = self.server.numbers()
            self.settle()
            ended.set()
            asker.join()
            self.judge("under load")
            at_rest = self.server.numbers()
            self.report.check("a clean stop", self.server.stop(120) == 0, self.server.tail())
            self.server.begin()
            self.find("after a restart")
            after = self.server.numbers()
            self.judge("after a restart")
            self.report.log(self.server)
        self.report.figures(
            "load", limit_mib=self.group.limit_bytes / MIB,
            data_mib=len(self.written) * 4 * DIMENSION * BATCH / MIB,
            statuses=dict(self.statuses), queries=dict(self.queries), loaded_s=loaded_s,
            p50_ms=percentile(self.took_ms, 0.5), p99_ms=percentile(self.took_ms, 0.99),
            peak_mib=self.group.peak_bytes / MIB, anonymous_load_mib=top.anonymous_bytes / MIB,
            anonymous_rest_mib=at_rest.anonymous_bytes / MIB,
            anonymous_restart_mib=after.anonymous_bytes / MIB, killed=self.group.killed,
            seconds=time.monotonic() - began)

    def values(self, record: int) -> str:
        """The values of a record: a text of the pool, turned round, so that no two are near."""
        turn, number = divmod(record, len(self.texts))
        text = self.texts[number]
        return f"{text[2 * turn:]},{text[:2 * turn - 1]}" if turn else text

    def batch(self, number: int) -> int:
        """Writes a batch until it is taken. Returns how often it was refused."""
        records = range(number * BATCH, (number + 1) * BATCH)
        rows = ",".join(f'{{"id":"r-{record}","values":[{self.values(record)}]}}'
                        for record in records)
        body, refused = f'{{"vectors":[{rows}]}}'.encode(), 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            connection.request("POST", "/vectors/upsert", body, {
                "Api-Key": "any", "Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            with self.lock:
                self.statuses[answer.status] += 1
            if answer.status == 200:
                connection.close()
                with self.lock:
                    self.written.append(number)
                return refused
            refused += 1
            time.sleep(REST_S)
            if answer.status not in ALLOWED or refused > 2_000:
                raise ServerGone(f"batch {number} was answered {answer.status}")

    def write(self, numbers: range) -> None:
        try:
            for number in numbers:
                if number:
                    self.batch(number)
        except Exception as problem:
            self.report.check("a writer goes on", False, f"{type(problem).__name__}: {problem}")

    def ask(self, ended: threading.Event) -> None:
        """Queries all the time."""
        connection, rng = Connection(self.port, 60), random.Random(self.options.seed)
        while not ended.wait(REST_S):
            vector = json.loads(f"[{self.values(rng.randrange(BATCH))}]")
            began = time.monotonic()
            try:
                status = connection.call("POST", "/query", {"vector": vector, "topK": 5}).status
            except Unanswered:
                status = 0
            self.took_ms.append((time.monotonic() - began) * 1_000)
            self.queries[status] += 1

    def settle(self) -> None:
        """Waits until what was written is indexed, or for some time."""
        until = time.monotonic() + (LONG_SETTLE_S if self.options.long else SETTLE_S)
        self.server.numbers()
        connection = Connection(self.server.port)
        while time.monotonic() < until:
            page = connection.call("GET", "/metrics").expect().text
            waiting = [line for line in page.splitlines()
                       if line.startswith("lodgepole_search_waiting_namespaces{")]
            if waiting and all(line.endswith(" 0") for line in waiting):
                break
            time.sleep(0.2)
        connection.close()
        self.find("after the load")

    def find(self, when: str) -> None:
        """The count, and some records by their own values."""
        connection, rng = Connection(self.port, 60), random.Random(self.options.seed)
        counted = connection.call("GET", "/describe_index_stats").expect().json
        wanted = len(self.written) * BATCH
        self.report.check(f"{when}: all records are there",
                          counted["totalVectorCount"] == wanted,
                          (counted["totalVectorCount"], wanted))
        missed = []
        for _ in range(20):
            record = rng.choice(self.written) * BATCH + rng.randrange(BATCH)
            vector = json.loads(f"[{self.values(record)}]")
            reply = connection.call("POST", "/query", {"vector": vector, "topK": 1})
            found = [match["id"] for match in reply.json["matches"]] if reply.status == 200 else []
            missed += [] if found == [f"r-{record}"] else [(record, reply.status, found)]
        self.report.check(f"{when}: each record is its own nearest", not missed, missed[:3])
        connection.close()

    def judge(self, when: str) -> None:
        self.report.check(f"{when}: the server was not ended", self.group.killed == 0
                          and self.server.process.poll() is None, self.server.tail())
        good = self.statuses.keys() <= ALLOWED
        self.report.check(f"{when}: writes are taken, or refused with 429 or 503", good,
                          self.statuses)
        bad = self.queries.keys() - ALLOWED
        self.report.check(f"{when}: queries are answered", not bad and self.queries[200] > 0,
                          self.queries)


def self_test(report: Report) -> None:
    """A program that takes more than the limit is ended, one that does not is not."""
    code = "import sys; held = b'x' * (int(sys.argv[1]) << 20); print(len(held))"
    with group(64 * MIB) as made:
        for wanted, survives in ((20, True), (200, False)):
            before = made.killed
            done = subprocess.run([*made.command, sys.executable, "-c", code, str(wanted)],
                                  capture_output=True)
            good = (done.returncode == 0) == survives and (made.killed > before) != survives
            report.check(f"self-test: a program that takes {wanted} MiB of 64", good,
                         (done.returncode, made.killed, done.stderr))


if __name__ == "__main__":
    sys.exit(main())
