#!/usr/bin/env python3
"""A full disk: clear refusals, reads go on, and everything goes on by itself when there is room.

Goal: on a disk without room a growing write is answered 429 RESOURCE_EXHAUSTED and has no effect,
reads and queries go on, deletes too while a little is left; nothing is answered with another error
(but for counts, which may be answered 503 while a write is stuck that was under way); when there is
room again, writes work without a restart; what was acknowledged is there, also after a restart on
the full disk. Method: the data folder on a small file system (tmpfs of 64 MiB, ext4 of 512 MiB;
root needed, otherwise a visible skip). A file beside the data, the ballast, takes the room away
while writers, a taker of backups and a maker of indexes from them are at work; then the file is
deleted. Once more with the server's own data as what fills the disk.

    disk_full.py                1 round on each kind of file system
    disk_full.py --long         20 rounds

`--self-test` alone shows that the comparison can fail; it also runs before the rounds.
"""

import errno
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import ledger as ledgers
from ledger import DIMENSION, Ledger
from suite import (MIB, Connection, Control, Reply, Report, Unanswered, Watched, begin, make_index,
                   wait_until)

from disk import Disk, Unavailable, enter_private_mounts

LONG_ROUNDS = 20
TMPFS_BYTES = 64 * MIB
# The server keeps 5 % of a disk of this size free, and refuses growth below that.
KEPT_FREE = 1 / 20
# How soon after the room is back a write must work.
RECOVERY_S = 10
# How long the disk stays full.
FULL_S = 1.5
REFUSED = 429
# A backup from which an index is still being made is not deleted.
PENDING = 412
# Where all counts must be of one moment, a write that was under way when the disk became full is
# waited for, and 503 is the answer when that takes too long.
STUCK = ("/describe_index_stats",)
BULK_TEXT = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz ", k=30_000))


def main() -> int:
    options, report = begin("disk_full", __doc__)
    self_test(report)
    if not options.self_test:
        with tempfile.TemporaryDirectory(prefix="lodgepole-full-") as folder:
            try:
                enter_private_mounts()
                for number in range(LONG_ROUNDS if options.long else 1):
                    for kind in (tmpfs, ext4):
                        rng = random.Random(f"{options.seed}/{kind.__name__}/{number}")
                        home = Path(folder, f"{kind.__name__}-{number}")
                        home.mkdir()
                        with kind(home) as disk:
                            Round(options.binary, home, disk, report, rng).run(kind.__name__)
            except Unavailable as problem:
                report.skip(f"small file systems are not possible here: {problem}")
    return report.end()


@contextmanager
def tmpfs(home: Path):
    """A file system in memory."""
    folder = home / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "none", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)])


@contextmanager
def ext4(home: Path):
    """A file system on a loop device."""
    with Disk(home) as disk:
        yield disk.folder


class Ballast:
    """A file that takes room away."""

    def __init__(self, disk: Path):
        self.file, self.disk = disk / "ballast", disk

    def leave(self, free_bytes: int) -> None:
        """Grows until so many bytes are free."""
        room = os.statvfs(self.disk)
        more = room.f_bavail * room.f_frsize - free_bytes
        with open(self.file, "ab") as file:
            if more > 0:
                os.posix_fallocate(file.fileno(), file.tell(), more)

    def leave_nothing(self) -> None:
        """Grows until the system refuses."""
        with open(self.file, "ab") as file:
            for step in (16 * MIB, MIB, 64 << 10, 4 << 10):
                while self._grew(file.fileno(), step):
                    pass

    def _grew(self, file: int, step: int) -> bool:
        try:
            os.posix_fallocate(file, os.fstat(file).st_size, step)
            return True
        except OSError as problem:
            if problem.errno != errno.ENOSPC:
                raise
            return False

    def drop(self) -> None:
        self.file.unlink(missing_ok=True)


class Busy(threading.Thread):
    """Repeats something until it is told to end. What it could not cope with is a failed test."""

    def __init__(self, name: str, step, report: Report):
        super().__init__(name=name, daemon=True)
        self.step, self.report, self.ended = step, report, threading.Event()

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self.step()
        except Exception as problem:
            self.report.check(f"{self.name} goes on", False, f"{type(problem).__name__}: {problem}")

    def end(self) -> None:
        self.ended.set()
        self.join()


class Round:
    """One server on one small disk."""

    def __init__(self, binary: Path, home: Path, disk: Path, report: Report, rng: random.Random):
        self.report, self.rng, self.disk = report, rng, disk
        self.server = Watched(binary, home)
        self.server.data = disk / "data"
        self.ballast = Ballast(disk)
        room = os.statvfs(disk)
        self.kept_free = int(room.f_blocks * room.f_frsize * KEPT_FREE)
        self.backups: dict[str, dict] = {}
        self.other: dict[str, dict[int, int]] = {"backup": {}, "restore": {}}

    def run(self, kind: str) -> None:
        began = time.monotonic()
        with self.server:
            self.server.begin()
            self.port = make_index(self.server.port, "main", DIMENSION)
            self.control = Control(self.server.port)
            self.ledger, self.second = Ledger(self.port), Ledger(self.port, "films")
            for _ in range(10):
                self.ledger.step(self.rng)
            self.take_backup("before")
            self.nearly_full()
            self.full()
            self.restart_while_full()
            self.filled_by_itself()
            self.at_the_end()
        statuses = self.ledger.statuses + self.second.statuses
        self.report.figures(kind, acked=self.ledger.acknowledged + self.second.acknowledged,
                            refused=statuses[REFUSED], unknown=statuses[0] + statuses[503] +
                            statuses[504], statuses=dict(statuses), **self.other,
                            seconds=time.monotonic() - began)

    def take_backup(self, name: str) -> int:
        """Takes a backup while nothing writes, and remembers what it must hold."""
        status = self.control_call("backup", "/indexes/main/backups", {"name": name})
        return status

    def control_call(self, what: str, path: str, body: dict) -> int:
        reply = self.control.call("POST", path, body)
        counts = self.other[what]
        counts[reply.status] = counts.get(reply.status, 0) + 1
        if what == "backup" and reply.status == 200:
            self.backups[body["name"]] = {"id": reply.json["backup_id"], "holds": None}
            if not self.ledger.unknown:
                self.backups[body["name"]]["holds"] = self.ledger.at_rest()
        return reply.status

    def nearly_full(self) -> None:
        """A little is left: growth is refused, everything else goes on."""
        self.ballast.leave(self.kept_free // 2)
        # The server looks at the disk when it writes: one more write may still get through.
        self.ledger.upsert([1])
        reply = self.ledger.upsert([1, 2, 3])
        self.refusal("nearly full: an upsert", reply, "nearly full")
        self.says_when_to_come_again()
        reply = self.ledger.delete([1, 2])
        self.report.check("nearly full: a deletion works", reply and reply.status == 200, reply)
        status = self.take_backup("nearly")
        self.report.check("nearly full: a backup works", status == 200, status)
        self.reads_go_on("nearly full")
        self.ballast.drop()
        self.recovers("room again after nearly full")

    def full(self) -> None:
        """Nothing is left, while everything is going on."""
        busy = [Busy("writer", lambda: self.pause(self.second.step(self.rng)), self.report),
                Busy("keeper", self.keep, self.report)]
        for thread in busy:
            thread.start()
        time.sleep(0.3)
        self.ballast.leave_nothing()
        time.sleep(0.2)
        reply = self.ledger.upsert([1, 2, 3])
        self.refusal("full: an upsert", reply, "full")
        self.reads_go_on("full", STUCK)
        time.sleep(FULL_S)
        # What the server frees meanwhile is taken as well.
        self.ballast.leave_nothing()
        self.reads_go_on("still full", STUCK)
        self.ballast.drop()
        self.recovers("room again after full")
        time.sleep(0.2)
        for thread in busy:
            thread.end()
        for what, counts in self.other.items():
            good = counts.keys() <= {200, 202, REFUSED}
            self.report.check(f"full: {what}s work or are refused", good, counts)
        for name, one in (("first", self.ledger), ("second", self.second)):
            # 404: a deletion in a namespace that nobody has written to yet.
            good = one.statuses.keys() <= {200, 404, REFUSED}
            self.report.check(f"full: writes of the {name} writer work or are refused", good,
                              one.statuses)
            one.compare(self.report, f"after full, {name} writer")

    def pause(self, _: object) -> None:
        time.sleep(0.01)

    def keep(self) -> None:
        """Takes a backup, makes an index from it, deletes both as far as that is allowed."""
        name = f"b-{self.rng.getrandbits(40):010x}"
        # A connection of its own: calls may overlap with those of the main thread.
        control = Control(self.server.port)
        try:
            reply = control.call("POST", "/indexes/main/backups", {"name": name})
            self.count("backup", reply.status)
            if reply.status == 200:
                path = f"/backups/{reply.json['backup_id']}"
                made = control.call("POST", f"{path}/create-index", {"name": name})
                self.count("restore", made.status)
                if made.status == 202:
                    control.call("DELETE", f"/indexes/{name}").expect(202, REFUSED)
                deleted = control.call("DELETE", path)
                if not (deleted.status == PENDING and made.status == 202):
                    deleted.expect(202, REFUSED)
        finally:
            control.close()
        time.sleep(0.05)

    def count(self, what: str, status: int) -> None:
        self.other[what][status] = self.other[what].get(status, 0) + 1

    def restart_while_full(self) -> None:
        """An operator restarts first of all. The server comes up, or says why it does not; with
        room it comes up by itself."""
        self.ballast.leave(self.kept_free // 2)
        self.report.check("nearly full: a clean stop", self.server.stop() == 0, self.server.tail())
        self.server.begin()
        self.dial_again()
        self.reads_go_on("restarted nearly full")
        self.refusal("restarted nearly full: an upsert", self.ledger.upsert([5]), "nearly full")
        self.server.kill()
        self.dial_again()
        self.ballast.leave_nothing()
        self.server.start()
        ready = wait_until(self.is_ready, 2)
        gone = self.server.process.poll()
        self.ballast.drop()
        if gone is not None:
            said = "no room" in self.server.tail() or "full" in self.server.tail()
            self.report.check("full: a start that fails says why", said, self.server.tail())
            self.server.start()
        self.server.wait_ready()
        self.report.figures("start-on-full-disk", ready=ready, ended=gone)
        self.recovers("started on a full disk, then room")
        self.ledger.compare(self.report, "after the start on a full disk")

    def dial_again(self) -> None:
        """The connections to a server that has ended are of no use."""
        for one in (self.ledger.connection, self.second.connection, self.control):
            one.close()

    def is_ready(self) -> bool:
        connection = Connection(self.server.port, 1)
        try:
            return connection.call("GET", "/health/ready").status == 200
        except Unanswered:
            return False
        finally:
            connection.close()

    def filled_by_itself(self) -> None:
        """No ballast but to save time: the writes themselves take the room."""
        self.ballast.leave(self.kept_free * 3)
        connection, written, statuses = Connection(self.port), 0, {}
        for number in range(400):
            vectors = [{"id": f"bulk-{number}-{part}", "values": [part + 1.0] * DIMENSION,
                        "metadata": {"text": BULK_TEXT}} for part in range(40)]
            reply = connection.call("POST", "/vectors/upsert",
                                    {"vectors": vectors, "namespace": "bulk"})
            statuses[reply.status] = statuses.get(reply.status, 0) + 1
            written += 40 * (reply.status == 200)
            if reply.status != 200:
                break
        self.refusal("filled by writes", reply, "full")
        counted = connection.call("GET", "/describe_index_stats").expect().json
        counted = counted["namespaces"].get("bulk", {}).get("vectorCount", 0)
        self.report.check("filled by writes: what was acknowledged", counted == written,
                          f"{counted} of {written}")
        reply = connection.call("POST", "/vectors/delete", {"deleteAll": True, "namespace": "bulk"})
        self.report.check("filled by writes: deleting works", reply.status == 200, reply)
        self.report.check("filled by writes: only refusals", statuses.keys() <= {200, REFUSED},
                          statuses)
        connection.close()
        self.reads_go_on("filled by writes")
        self.ballast.drop()
        self.recovers("room again after being filled by writes")

    def at_the_end(self) -> None:
        """Everything is there after a restart, backups included, and nothing is damaged."""
        self.ledger.compare(self.report, "before the end")
        self.report.check("a clean stop", self.server.stop() == 0, self.server.tail())
        code, said = self.server.verify()
        self.report.check("verify --deep finds nothing", code == 0, said)
        self.server.begin()
        self.dial_again()
        self.ledger.compare(self.report, "after a restart")
        self.second.compare(self.report, "after a restart, second writer")
        for number, (name, backup) in enumerate(self.backups.items()):
            made = self.control.call("POST", f"/backups/{backup['id']}/create-index",
                                     {"name": f"again-{number}"})
            if not self.report.check(f"backup {name} restores", made.status == 202, made):
                continue
            host = self.control.describe_index(f"again-{number}")["host"]
            seen, problems = self.ledger.read(int(host.rpartition(":")[2]))
            good = seen == backup["holds"] and not problems
            self.report.check(f"backup {name} holds what it must", good, (seen, problems))
        self.report.log(self.server)

    def refusal(self, what: str, reply, word: str) -> None:
        """A growing write is refused with 429 and a message that says why."""
        good = reply is not None and reply.status == REFUSED and word in reply.text
        self.report.check(f"{what} is refused with 429 and says why", good, reply)

    def says_when_to_come_again(self) -> None:
        """The header that docs/errors.md promises."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = json.dumps({"vectors": [{"id": "r-1", "values": [1.0] * DIMENSION}]})
        connection.request("POST", "/vectors/upsert", body, {"Api-Key": "any"})
        answer = connection.getresponse()
        after = answer.getheader("Retry-After") or ""
        self.report.check("nearly full: a refusal says when to come again", answer.status == REFUSED
                          and after.isdigit() and int(after) > 0, (answer.status, after))
        connection.close()

    def reads_go_on(self, when: str, may_wait: tuple[str, ...] = ()) -> None:
        """Every kind of reading; those named may be answered 503."""
        data, control = Connection(self.port), Connection(self.server.port)
        calls = [(data, "POST", "/query", {"namespace": "books", "topK": 100,
                                           "vector": [1.0] * DIMENSION}),
                 (data, "GET", "/vectors/fetch?ids=r-1&ids=r-2&namespace=books", None),
                 (data, "GET", "/vectors/list?namespace=books", None),
                 (data, "GET", "/describe_index_stats", None),
                 (control, "GET", "/indexes", None), (control, "GET", "/backups", None),
                 (control, "GET", "/metrics", None), (control, "GET", "/health/ready", None)]
        bad = []
        for connection, method, path, body in calls:
            try:
                reply = connection.call(method, path, body)
                good = reply.status == 200 or (reply.status == 503 and path in may_wait)
                bad += [] if good else [(path, reply)]
            except Unanswered as problem:
                bad.append((path, problem))
        self.report.check(f"{when}: reads go on", not bad, bad)
        data.close()
        control.close()

    def recovers(self, when: str) -> None:
        """Writes work again, without a restart."""
        began = time.monotonic()

        def works() -> bool:
            reply = self.ledger.upsert([self.rng.randrange(60)])
            return reply is not None and reply.status == 200

        good = wait_until(works, RECOVERY_S)
        self.report.check(f"{when}: writes work within {RECOVERY_S} s", good, self.server.tail())
        self.report.figures("recovery", when=when, seconds=time.monotonic() - began)


def self_test(report: Report) -> None:
    """The comparison, and the judgement of refusals."""
    ledgers.self_test(report)
    quiet = Report.__new__(Report)
    quiet.passed = quiet.failed = 0
    judge = Round.__new__(Round)
    judge.report = quiet
    with open(os.devnull, "w") as nothing:
        shown, sys.stdout = sys.stdout, nothing
        try:
            for reply in (Reply(200, "{}", 0), Reply(503, "full", 0), Reply(429, "no", 0), None):
                judge.refusal("self-test", reply, "full")
        finally:
            sys.stdout = shown
    report.check("self-test: answers that are no clear refusal are noticed", quiet.failed == 4,
                 quiet.failed)


if __name__ == "__main__":
    sys.exit(main())
