#!/usr/bin/env python3
"""A long time under load: memory, open files, threads, disk and latency stay where they are.

Goal: nothing leaks. Method: the load of the crash suites (upserts, overwrites, deletions, backups,
indexes made from them, deletion of both) at a bounded rate, and queries beside it; budgets and
thresholds are set low, so that caches are full and everything that goes on in the background (files
flushed, segments built and merged, what was deleted removed) goes on all the time. Every half
minute the load pauses and everything is compared with the oracle. The server's numbers are read all
the time; through those after a warm-up of a third a straight line is laid, and its rise over the
measured time must be small.

    soak.py                     30 seconds: only gross leaks show in so short a time
    soak.py --long              60 minutes
    soak.py --minutes M         so long

Bounds, over the measured time: memory 16 MiB and 5 % an hour, and 32 MiB more for the short form,
which ends before all caches are full; 10 open files; 100 threads; 48 MiB of disk (256 MiB below 45
minutes: what is removed is removed after 15 to 20 minutes, so that until then there is more and
more); p99 of the second half at most one and a half times that of the first and 50 ms.
`--self-test` alone shows that a line that rises is noticed, and one that does not is not; it also
runs before.
"""

import os
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from steady import Steady
from suite import MIB, Refused, Report, ServerGone, Unanswered, Watched, begin, percentile, port_of

from audit import Audit
from kill9 import WRITERS, first_index
from load import Load
from oracle import Oracle, Tally

SHORT_MINUTES, LONG_MINUTES = 0.5, 60
# How long the load goes on between two comparisons, and how long a writer rests after a request.
ROUND_S, SHORT_ROUND_S, CALM_S = 30, 8, 0.05
SAMPLES = 300
WARM_UP = 1 / 3
QUERIES_A_SECOND = 40
MEMORY_BYTES, MEMORY_SHARE_AN_HOUR, SHORT_MEMORY_BYTES = 16 * MIB, 0.05, 32 * MIB
FILES, DISK_BYTES, SHORT_DISK_BYTES = 10, 48 * MIB, 256 * MIB
# Most threads are the runtime's pool for files, up to 512, which come and go with the load.
THREADS = 100
# From here on the warm-up is longer than it takes until files that nobody needs are removed.
FULL_MINUTES = 45
P99_TIMES, P99_MORE_MS = 1.5, 50
PORTS = 20
FLAGS = ("--index-from-rows", "64", "--write-buffer-bytes", str(4 * MIB), "--block-cache-bytes",
         str(4 * MIB), "--tail-bytes-max", str(32 * MIB), "--segment-grace-s", "5")


@dataclass(frozen=True)
class Sample:
    """The numbers at one moment."""

    at_s: float
    rss_bytes: float
    anonymous_bytes: float
    files: float
    threads: float
    disk_bytes: float
    p50_ms: float
    p99_ms: float
    bad: int = 0


def main() -> int:
    options, report = begin("soak", __doc__, lambda parser: parser.add_argument(
        "--minutes", type=float, help=f"default {SHORT_MINUTES}, with --long {LONG_MINUTES}"))
    self_test(report)
    minutes = options.minutes or (LONG_MINUTES if options.long else SHORT_MINUTES)
    if not options.self_test:
        with tempfile.TemporaryDirectory(prefix="lodgepole-soak-") as folder:
            soak(options, report, Path(folder), minutes)
    return report.end()


def soak(options, report: Report, home: Path, minutes: float) -> None:
    """Load and comparisons in turn; samples beside them."""
    tally = Tally()
    with Watched(options.binary, home, FLAGS) as server:
        # A port of an index that is gone stays open until it is needed again: few of them are.
        server.options += ("--index-ports", f"{server.port + 1}-{server.port + PORTS}")
        server.begin()
        oracle = first_index(server, WRITERS)
        until, number = time.monotonic() + minutes * 60, 0
        # Before the first write to a namespace there is nothing to ask.
        one_round(server, oracle, tally, f"{options.seed}/0", 1)
        with Sampler(server, port_of(oracle.hosts["main"]), minutes * 60 / SAMPLES) as sampler:
            try:
                while time.monotonic() < until:
                    number += 1
                    length_s = ROUND_S if minutes > 2 else SHORT_ROUND_S
                    length_s = min(length_s, max(until - time.monotonic(), 1))
                    one_round(server, oracle, tally, f"{options.seed}/{number}", length_s)
            except (ServerGone, Refused, Unanswered) as problem:
                report.check("the server goes on", False, f"{problem}\n{server.tail()}")
        samples = sampler.samples
        report.check("nothing lost, torn or wrong", tally.total == 0, tally.notes[:5])
        bad = sum(sample.bad for sample in samples)
        report.check("all queries were good", bad == 0, (bad, sampler.notes[:3]))
        judge(report, samples, minutes)
        report.check("a clean stop", server.stop() == 0, server.tail())
        code, said = server.verify()
        report.check("verify --deep finds nothing", code == 0, said)
        server.start()
        before = tally.total
        Audit(server, oracle, tally, random.Random(options.seed)).run()
        report.check("everything is there after a restart", tally.total == before, tally.notes[-5:])
        report.log(server)
        report.figures("load", minutes=minutes, rounds=number, acked=oracle.acknowledged,
                       lost=tally.lost, torn=tally.torn, wrong=tally.wrong,
                       queries=sampler.queries)


def one_round(server: Watched, oracle: Oracle, tally: Tally, seed: str, length_s: float) -> None:
    """Some load, then a comparison with the oracle."""
    load = Load(server.port, oracle, tally, seed, CALM_S)
    load.start()
    time.sleep(length_s)
    load.finish()
    Audit(server, oracle, tally, random.Random(f"{seed}/audit")).run()


class Sampler(threading.Thread):
    """Reads the numbers, and asks queries from a process of its own."""

    def __init__(self, server: Watched, port: int, pause_s: float):
        super().__init__(daemon=True)
        self.server, self.pause_s = server, max(pause_s, 0.5)
        self.steady = Steady(port, 8, QUERIES_A_SECOND, writes=False, namespace="books")
        self.samples: list[Sample] = []
        self.notes: list[str] = []
        self.queries = 0
        self._ended = threading.Event()

    def __enter__(self) -> "Sampler":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self.join()
        self.steady.__exit__()

    def run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(self.pause_s):
            try:
                numbers, seen = self.server.numbers(), self.steady.seen()
            except ServerGone:
                return
            self.queries += seen.requests
            self.notes += seen.notes
            self.samples.append(Sample(
                time.monotonic() - began, numbers.rss_bytes, numbers.anonymous_bytes,
                numbers.files, numbers.threads, disk_bytes(self.server.data), seen.p50_ms,
                seen.p99_ms, seen.bad))


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take. Files may go while it is looked through."""
    total = 0
    # Unlike rglob, walk does not mind a folder that goes.
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                pass
    return total


def rise(samples: list[Sample], name: str) -> float:
    """How much a number has risen from the first of these samples to the last, along the straight
    line with the least squares."""
    times = [sample.at_s for sample in samples]
    values = [getattr(sample, name) for sample in samples]
    middle_time, middle = sum(times) / len(times), sum(values) / len(values)
    spread = sum((time - middle_time) ** 2 for time in times)
    slope = sum((time - middle_time) * (value - middle)
                for time, value in zip(times, values)) / (spread or 1)
    return slope * (times[-1] - times[0])


def judge(report: Report, samples: list[Sample], minutes: float) -> None:
    """The rises, and the latencies."""
    measured = [sample for sample in samples if sample.at_s >= samples[-1].at_s * WARM_UP]
    if not report.check("there are samples", len(measured) >= 10, len(samples)):
        return
    hours = (measured[-1].at_s - measured[0].at_s) / 3_600
    mean = sum(sample.anonymous_bytes for sample in measured) / len(measured)
    memory = MEMORY_BYTES + mean * MEMORY_SHARE_AN_HOUR * hours
    memory += SHORT_MEMORY_BYTES if minutes < 5 else 0
    disk = DISK_BYTES if minutes >= FULL_MINUTES else SHORT_DISK_BYTES
    for name, most in (("anonymous_bytes", memory), ("rss_bytes", memory), ("files", FILES),
                       ("threads", THREADS), ("disk_bytes", disk)):
        risen = rise(measured, name)
        report.check(f"{name} do not rise by more than {most:.0f}", risen <= most, risen)
    half = len(measured) // 2
    first, second = (percentile([sample.p99_ms for sample in part], 0.5)
                     for part in (measured[:half], measured[half:]))
    report.check("p99 stays", second <= first * P99_TIMES + P99_MORE_MS, (first, second))
    report.figures("rises", measured_s=hours * 3_600, samples=len(measured),
                   **{f"{name}_mib": rise(measured, name) / MIB
                      for name in ("rss_bytes", "anonymous_bytes", "disk_bytes")},
                   **{name: rise(measured, name) for name in ("files", "threads")},
                   p99_first_ms=first, p99_second_ms=second)
    for part, sample in (("begin", measured[0]), ("end", measured[-1])):
        report.figures(part, rss_mib=sample.rss_bytes / MIB,
                       anonymous_mib=sample.anonymous_bytes / MIB, files=sample.files,
                       threads=sample.threads, disk_mib=sample.disk_bytes / MIB,
                       p50_ms=sample.p50_ms, p99_ms=sample.p99_ms)


def self_test(report: Report) -> None:
    """Made-up samples of an hour: noise is let pass, each kind of rise is noticed."""
    rng = random.Random(3)

    def made_up(**leaks: float) -> list[Sample]:
        usual = {"rss_bytes": 200 * MIB, "anonymous_bytes": 150 * MIB, "files": 40, "threads": 12,
                 "disk_bytes": 90 * MIB, "p50_ms": 1.0, "p99_ms": 20.0}
        return [Sample(number * 10, **{
            name: value * rng.uniform(0.9, 1.1) + leaks.get(name, 0) * number / 360
            for name, value in usual.items()}) for number in range(361)]

    cases = {"noise": {}, "anonymous_bytes": {"anonymous_bytes": 60 * MIB},
             "files": {"files": 40}, "threads": {"threads": 300},
             "disk_bytes": {"disk_bytes": 120 * MIB}, "p99": {"p99_ms": 2_000.0}}
    for name, leaks in cases.items():
        quiet = Report.__new__(Report)
        failed: list[str] = []
        quiet.check = lambda what, good, seen="": good or failed.append(what) or False
        quiet.figures = lambda *_, **__: None
        judge(quiet, made_up(**leaks), minutes=60)
        good = not failed if not leaks else any(what.startswith(name) for what in failed)
        report.check(f"self-test: {name} judged rightly", good, failed)


if __name__ == "__main__":
    sys.exit(main())
