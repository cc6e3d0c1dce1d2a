#!/usr/bin/env python3
"""A clock that is set forwards and backwards: nothing is lost, nothing hangs, schedules stay sane.

Goal: wall time may jump by hours or decades, while the server works and while it is off; every
request is answered with success, everything acknowledged is there, backups are what they must be,
and a schedule takes one backup for all the runs that a jump passed over. Method: a small library
(clock_shim.c) that adds an offset to the wall time of the server and of nothing else. First
restarts with the clock ever farther ahead, up to 2039, with a schedule. Then, on other data,
writers and a taker of backups at work while it jumps: an hour ahead, an hour back, to 1970, to
2039, to the present. Last the server is started with the clock behind what it was: an hour, and in
1970.

    clock.py                    2 rounds of jumps
    clock.py --long             20 rounds, and jumps of any length between

`--self-test` alone shows that the comparison and the shim work; it also runs before the rounds.
"""

import random
import struct
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import ledger as ledgers
from disk_full import Busy
from ledger import DIMENSION, Ledger
from shims import NoCompiler, make, preloading
from suite import (Connection, Control, Refused, Report, ServerGone, Unanswered, Watched, begin,
                   make_index, port_of, wait_until)

ROUNDS, LONG_ROUNDS = 2, 20
HOUR_S, DAY_S = 3_600, 86_400
# So long the load goes on after a jump.
STAY_S = 0.4
HANGS_S = 10
BACKUPS_KEPT = 3
SCHEDULE = {"name": "nightly", "schedule": {"type": "time-based", "frequency": "daily"},
            "retention": {"expire_after_days": 7}}


def main() -> int:
    options, report = begin("clock", __doc__)
    ledgers.self_test(report)
    with tempfile.TemporaryDirectory(prefix="lodgepole-clock-") as folder:
        try:
            clock = Clock(Path(folder))
            self_test(report, clock)
            if not options.self_test:
                jumps(options, report, clock, Path(folder))
        except NoCompiler as problem:
            report.skip(f"the clock cannot be set here: {problem}")
    return report.end()


class Clock:
    """The wall time of the programs that run with the shim."""

    def __init__(self, folder: Path):
        self.file = folder / "offset"
        self.set(0)
        self.command = preloading(make("clock_shim.c", folder), CLOCK_SHIM_OFFSET=self.file)

    def set(self, offset_s: float) -> None:
        """Makes wall time this much later than it is."""
        self.offset_s = offset_s
        data = struct.pack("<q", int(offset_s * 1e9))
        # In place: the file is mapped.
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(data)

    def set_to(self, year: int) -> None:
        """The first of January of a year; in 1970, some minutes after midnight."""
        wanted = datetime(year, 1, 1, tzinfo=UTC).timestamp() + 600
        self.set(wanted - time.time())

    def year(self) -> int:
        """The year that it is there."""
        return datetime.fromtimestamp(time.time() + self.offset_s, UTC).year


def jumps(options, report: Report, clock: Clock, home: Path) -> None:
    """The three parts, each with a server of its own."""
    rng = random.Random(options.seed)
    for part in (ahead, under_load, behind):
        began = time.monotonic()
        clock.set(0)
        folder = home / part.__name__
        folder.mkdir()
        with Watched(options.binary, folder, before=clock.command) as server:
            server.begin()
            work = Work(server, report, rng, clock)
            try:
                part(work, options)
                work.backups_are_right()
                report.check("a clean stop", server.stop() == 0, server.tail())
                code, said = server.verify()
                report.check("verify --deep finds nothing", code == 0, said)
            except (ServerGone, Refused, Unanswered) as problem:
                report.check(f"{part.__name__}: the server goes on", False, problem)
            report.log(server)
            report.figures(part.__name__, jumps=work.jumps, restarts=work.restarts,
                           acked=sum(one.acknowledged for one in work.ledgers),
                           slowest_s=work.slowest_s, backups=work.backup_count,
                           seconds=time.monotonic() - began)


def ahead(work: "Work", _) -> None:
    """Restarts farther and farther ahead; a schedule runs meanwhile."""
    work.restart("an hour ahead", lambda: work.clock.set(HOUR_S))
    work.schedule()


def under_load(work: "Work", options) -> None:
    """Jumps while everything is at work."""
    for number in range(LONG_ROUNDS if options.long else ROUNDS):
        work.under_load(number, options.long)


def behind(work: "Work", _) -> None:
    """Restarts with a clock that is behind what has been written."""
    work.clock.set(HOUR_S)
    work.restart("an hour ahead", lambda: work.clock.set(HOUR_S))
    for name, move in (("an hour back", lambda: work.clock.set(0)),
                       ("in 1970", lambda: work.clock.set_to(1970)),
                       ("in the present", lambda: work.clock.set(0))):
        work.restart(name, move)


class Work:
    """The load, and what it was told."""

    def __init__(self, server: Watched, report: Report, rng: random.Random, clock: Clock):
        self.server, self.report, self.rng, self.clock = server, report, rng, clock
        self.port = make_index(server.port, "main", DIMENSION)
        self.ledgers = [Ledger(self.port, f"space-{number}") for number in range(2)]
        # Taken while nothing wrote: the id, and what it must hold.
        self.backups: dict[str, dict[str, int]] = {}
        self.jumps = self.restarts = self.backup_count = 0
        self.slowest_s = 0.0

    def under_load(self, number: int, more: bool) -> None:
        """The clock jumps while writers, readers and backups are at work."""
        rngs = [random.Random(self.rng.random()) for _ in self.ledgers]
        busy = [Busy(f"writer {index}", lambda one=one, rng=rng: self.write(one, rng), self.report)
                for index, (one, rng) in enumerate(zip(self.ledgers, rngs))]
        busy.append(Busy("keeper", self.keep, self.report))
        for thread in busy:
            thread.start()
        places = [lambda: self.clock.set(HOUR_S), lambda: self.clock.set(0),
                  lambda: self.clock.set(-HOUR_S), lambda: self.clock.set_to(1970),
                  lambda: self.clock.set_to(2039), lambda: self.clock.set(0)]
        # Once the server has seen 2039, it has no way back but a restart: that comes later.
        places = places if number else [*places[:4], places[5]]
        if more:
            # Not before 1970: no kernel takes such a time, and some libraries panic at it.
            since_1970_s = time.time() - HOUR_S
            some = [self.rng.uniform(-since_1970_s, 4e8) for _ in range(6)]
            places += [lambda offset=offset: self.clock.set(offset) for offset in some]
        for move in places:
            move()
            self.jumps += 1
            time.sleep(STAY_S)
        self.clock.set(0)
        for thread in busy:
            thread.end()
        for index, one in enumerate(self.ledgers):
            # 404: a deletion in a namespace that nobody has written to yet.
            good = one.statuses.keys() <= {200, 404}
            self.report.check(f"round {number}: all writes of writer {index} succeed", good,
                              (one.statuses, self.server.tail(4)))
            one.compare(self.report, f"round {number}, writer {index}")
        self.report.check(f"round {number}: no request takes {HANGS_S} s",
                          self.slowest_s < HANGS_S, self.slowest_s)
        self.take_backup()

    def write(self, one: Ledger, rng: random.Random) -> None:
        began = time.monotonic()
        one.step(rng)
        reply = one.connection.call("POST", "/query", {"namespace": one.namespace, "topK": 100,
                                                       "vector": [1.0] * DIMENSION})
        # Before the first write there is no such namespace.
        reply.expect(200, 404)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        time.sleep(0.005)

    def keep(self) -> None:
        """A backup, an index from it, and both deleted."""
        control, name = Control(self.server.port), f"b-{self.backup_count}"
        began = time.monotonic()
        try:
            backup_id = control.create_backup("main", name)["backup_id"]
            self.backup_count += 1
            control.create_index_from_backup(backup_id, name).expect(202)
            described = control.describe_index(name)
            if not described["status"]["ready"]:
                self.report.check("a restored index is ready", False, described)
            data = Connection(port_of(described["host"]))
            data.call("GET", "/describe_index_stats").expect()
            data.close()
            control.delete_index(name)
            control.delete_backup(backup_id)
        finally:
            control.close()
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        time.sleep(0.05)

    def take_backup(self) -> None:
        """A backup that is kept, while nothing writes."""
        control = Control(self.server.port)
        name = f"kept-{len(self.backups)}"
        backup_id = control.create_backup("main", name)["backup_id"]
        self.backups[backup_id] = self.ledgers[0].at_rest()
        self.backup_count += 1
        control.close()

    def restart(self, name: str, move) -> None:
        """The clock is set while the server is off; then everything is there and goes on."""
        self.report.check(f"before {name}: a clean stop", self.server.stop() == 0,
                          self.server.tail())
        move()
        self.restarts += 1
        began = time.monotonic()
        try:
            self.server.begin()
        except ServerGone as problem:
            self.report.check(f"{name}: it starts", False, problem)
            raise
        for index, one in enumerate(self.ledgers):
            one.connection.close()
            one.compare(self.report, f"{name}, writer {index}")
            before = one.statuses.copy()
            for _ in range(5):
                one.step(self.rng)
                fresh = one.statuses - before
                # What fails once fails every time, and may take its time.
                if not fresh.keys() <= {200, 404}:
                    break
            self.report.check(f"{name}: writer {index} goes on", fresh.keys() <= {200, 404}, fresh)
        self.take_backup()
        self.report.check(f"{name}: no request takes {HANGS_S} s",
                          time.monotonic() - began < HANGS_S, time.monotonic() - began)

    def schedule(self) -> None:
        """Runs that were passed over make one backup; a clock that was wrong is forgotten."""
        control = Control(self.server.port)
        made = control.call("POST", "/indexes/main/backup-schedules", SCHEDULE).expect(201, 200)
        path = f"/backup-schedules/{made.json['schedule_id']}"
        self.report.check("a schedule takes nothing before its time", self.taken(path) == 0)
        for name, move, more in (
                ("two days later", lambda: self.clock.set(2 * DAY_S), 1),
                ("a restart on the same day", lambda: self.clock.set(2 * DAY_S), 0),
                ("in 2039", lambda: self.clock.set_to(2039), 1)):
            before = {row["backup_id"] for row in self.rows(path)}
            self.restart(f"with a schedule, {name}", move)
            wait_until(lambda: {row["backup_id"] for row in self.rows(path)} != before, 1)
            fresh = {row["backup_id"] for row in self.rows(path)} - before
            self.report.check(f"schedule, {name}: {more} more backup", len(fresh) == more, fresh)
        # The server that it was connected to is gone.
        control.close()
        due = control.call("GET", path).expect().json["next_scheduled_run"]
        self.report.check("schedule: the next run is in 2039", due.startswith("2039-01-0"), due)
        control.call("DELETE", path).expect(204, 202)
        control.close()

    def rows(self, path: str) -> list[dict]:
        """The backups that a schedule has taken."""
        control = Control(self.server.port)
        rows = control.call("GET", f"{path}/history").expect().json["data"]
        control.close()
        return [row for row in rows if "status" in row and row["status"] == "Ready"]

    def taken(self, path: str) -> int:
        return len(self.rows(path))

    def backups_are_right(self) -> None:
        """All that were kept are listed, and the last ones restore to what they must hold."""
        control = Control(self.server.port)
        listed = {row["backup_id"]: row for row in control.backups()}
        missing = [one for one in self.backups if listed.get(one, {}).get("status") != "Ready"]
        self.report.check("every backup is listed and ready", not missing, missing)
        kept = list(self.backups.items())
        for number, (backup_id, holds) in enumerate([*kept[:1], *kept[-BACKUPS_KEPT:]]):
            name = f"again-{number}"
            control.create_index_from_backup(backup_id, name).expect(202)
            port = port_of(control.describe_index(name)["host"])
            seen, problems = self.ledgers[0].read(port)
            self.report.check(f"backup {number} holds what it must",
                              seen == holds and not problems, problems)
        control.close()


def self_test(report: Report, clock: Clock) -> None:
    """The shim moves wall time, for the date too, and leaves monotonic time alone."""
    code = ("import time; print(time.time(), time.clock_gettime(time.CLOCK_REALTIME), "
            "time.monotonic())")
    for set_clock, year in ((lambda: clock.set_to(1970), 1970), (lambda: clock.set_to(2039), 2039),
                            (lambda: clock.set(0), datetime.now(UTC).year)):
        set_clock()
        before = time.monotonic()
        done = subprocess.run([*clock.command, sys.executable, "-c", code], capture_output=True,
                              text=True)
        words = [float(word) for word in done.stdout.split()]
        years = {datetime.fromtimestamp(word, UTC).year for word in words[:2]}
        good = years == {year} and words and before <= words[2] <= time.monotonic()
        report.check(f"self-test: the shim moves wall time only, to {year}", bool(good),
                     (words, done.stderr))


if __name__ == "__main__":
    sys.exit(main())
