#!/usr/bin/env python3
"""Power cuts during load: nothing acknowledged is lost.

Goal: a success answer means stable storage. Method: the data folder lies on a file system whose
power can be cut (disk.py: root and loop devices needed, otherwise a visible skip). Load as in
kill9.py, but with pauses of some 15 ms after each answer, because in a tight loop the next sync
hides one that is missing. Half of the cuts come while requests are under way, half after a pause in
which nothing is. Then SIGKILL, wait, cut, mount, start (now and then cut once more while it
starts), compare with the oracle, and let `verify` look, now and then at everything.

A file that nobody synced must be gone after each cut: otherwise the cut did nothing, and the suite
says so. mutants.py shows that syncs that are missing are noticed.

    power_cut.py                20 cuts
    power_cut.py --cuts 1000    more of them
    power_cut.py --seed S       the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each cut, one for the data at the end, one for panics
and answers in the 500s.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

import closing
import verify
from audit import Audit
from client import Refused, Unanswered
from disk import Disk, Unavailable, probe
from kill9 import DEEP_EACH, STARTS_KILLED, first_index, kill_start
from load import Load
from oracle import Oracle, Tally
from server import NothingTested, Server, ServerGone, end_cleanly_on_sigterm, find_binary

CUTS = 20
WRITERS = 3
CALM_S = 0.015
LOAD_S = (0.1, 0.8)
WITNESS = "never-synced"


def main() -> int:
    options = closing.options(__doc__, "cuts", CUTS, "how often the power is cut").parse_args()
    end_cleanly_on_sigterm()
    print(f"power_cut: seed {options.seed}, {options.cuts} cuts", flush=True)
    with tempfile.TemporaryDirectory(prefix="lodgepole-power-") as folder:
        home = Path(folder)
        binary = find_binary(options.binary)
        try:
            probe(home)
        except Unavailable as problem:
            print(f"SKIPPED: power cuts are not possible here: {problem}")
            print("0 passed, 0 failed, 1 skipped")
            return 0
        passed, failed = honest(binary, home, options.cuts, options.seed)
    again = f"power_cut.py --cuts {options.cuts} --seed {options.seed}"
    return closing.end(passed, failed, again)


def honest(binary: Path, home: Path, count: int, seed: int) -> tuple[int, int]:
    """The server as it is. Returns the tests that passed and failed."""
    began, tally = time.monotonic(), Tally()
    passed = failed = bad = 0
    with Disk(home) as disk, \
            Server(binary, disk.folder / "data", home / "server.log") as server:
        run = Run(disk, server, f"{seed}/full", tally)
        for is_good in run.cuts(count):
            passed, failed = passed + is_good, failed + (not is_good)
        if run.damage:
            tally.add("wrong", f"cut {run.done + 1}: the run could not go on: {run.damage}")
            print(server.tail(20))
        server.kill()
        before = tally.total
        verify.look_at_stopped(binary, server.data, tally, "at the end")
        bad += tally.total > before
        panics = closing.check_log(server)
    bad += closing.figures(tally, panics, cuts=run.done, acked=run.acknowledged,
                           backups=tally.compared, seconds=round(time.monotonic() - began),
                           seed=seed)
    return passed + 2 - bad, failed + bad


class Run:
    """A server on a disk, and cut after cut."""

    def __init__(self, disk: Disk, server: Server, seed: str, tally: Tally):
        self.disk, self.server, self.seed, self.tally = disk, server, seed, tally
        self.done = 0
        # Why the run could not go on: the server does not start, or refuses to answer.
        self.damage = ""
        self.acknowledged = 0
        # This share of the cuts comes after a pause, and this one of the starts is cut, too.
        self.quiet_share, self.starts_cut = 0.5, STARTS_KILLED

    def cuts(self, count: int):
        """Yields for each cut whether everything was there afterwards."""
        rng = random.Random(self.seed)
        try:
            self.server.start()
            self.server.wait_ready()
            oracle = first_index(self.server, WRITERS)
            while self.done < count:
                before = self.tally.total
                self._cut_once(oracle, rng)
                yield self.tally.total == before
            if not self.acknowledged:
                raise NothingTested("nothing was acknowledged, so nothing was tested")
        except (ServerGone, Refused, Unanswered) as problem:
            self.damage = f"{type(problem).__name__}: {problem}"
            yield False

    def _cut_once(self, oracle: Oracle, rng: random.Random) -> None:
        server = self.server
        load = Load(server.port, oracle, self.tally, f"{self.seed}/{self.done}", CALM_S)
        load.start()
        time.sleep(rng.uniform(*LOAD_S))
        if rng.random() < self.quiet_share:
            load.hold()
            time.sleep(CALM_S)
        load.dying.set()
        try:
            server.crash()
        finally:
            load.finish()
        self.cut()
        self.done += 1
        self.acknowledged = oracle.acknowledged
        oracle.server_died()
        server.draw_settings(rng)
        if rng.random() < self.starts_cut:
            kill_start(server, rng)
            self.cut()
        server.start()
        Audit(server, oracle, self.tally, random.Random(f"{self.seed}/audit/{self.done}"),
              deep=self.done % DEEP_EACH == 0).run()

    def cut(self) -> None:
        """Cuts the power, and makes sure that this took something away."""
        witness = self.disk.folder / WITNESS
        witness.write_bytes(b"gone after a cut")
        self.disk.cut()
        if witness.exists():
            raise NothingTested("what was not synced survived a cut, so nothing was tested")


if __name__ == "__main__":
    sys.exit(main())
