#!/usr/bin/env python3
"""Power cuts during load: nothing acknowledged is lost, and without syncs something is.

Goal: a success answer means stable storage. Method: the data folder lies on a file system whose
power can be cut (disk.py: root and loop devices needed, otherwise a visible skip). Load as in
kill9.py, but with pauses of some 15 ms after each answer, because in a tight loop the next sync
hides one that is missing. Half of the cuts come while requests are under way, half after a pause in
which nothing is. Then SIGKILL, wait, cut, mount, start (now and then cut once more while it
starts), compare with the oracle.

Two mutants prove that this harness can fail: the server with `--sync-mode skip-file` (no sync of
files) and `skip-folder` (no sync of folders) must lose something within a few cuts.

    power_cut.py                20 cuts, and the mutants
    power_cut.py --cuts 1000    more of them
    power_cut.py --seed S       the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each cut and one for each mutant.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from audit import Audit
from client import Refused, Unanswered
from disk import Disk, Unavailable, probe
from kill9 import STARTS_KILLED, first_index, kill_start
from load import Load
from oracle import Oracle, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

LONG_CUTS = 1000
MUTANTS = ("skip-file", "skip-folder")
# A mutant that survives so many cuts shows that the harness sees nothing.
MUTANT_CUTS_MAX = 20
WRITERS = 3
CALM_S = 0.015
LOAD_S = (0.1, 1.0)


def main() -> int:
    options = arguments()
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
        passed, failed = honest(binary, home, options)
        for mode in MUTANTS:
            caught = mutant(binary, home, mode, options)
            passed, failed = passed + caught, failed + (not caught)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cuts", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--long", action="store_true", help=f"{LONG_CUTS} cuts")
    options = parser.parse_args()
    options.cuts = options.cuts or (LONG_CUTS if options.long else 20)
    return options


def honest(binary: Path, home: Path, options: argparse.Namespace) -> tuple[int, int]:
    """The server as it is. Returns the cuts that passed and failed."""
    began, tally = time.monotonic(), Tally()
    run = Run(binary, home, "full", f"{options.seed}/full", tally)
    good = bad = 0
    problem = ""
    for is_good in run.cuts(options.cuts):
        good, bad = good + is_good, bad + (not is_good)
    if run.damage:
        problem = f"\nthe run could not go on: {run.damage}"
    print(f"cuts={run.done} acked={run.acknowledged} lost={tally.lost} torn={tally.torn} "
          f"wrong={tally.wrong} seconds={time.monotonic() - began:.0f} "
          f"seed={options.seed}{problem}", flush=True)
    return good, bad


def mutant(binary: Path, home: Path, mode: str, options: argparse.Namespace) -> bool:
    """The server without some syncs. Returns whether it was caught."""
    began, tally = time.monotonic(), Tally(quiet=True)
    run = Run(binary, home, mode, f"{options.seed}/{mode}", tally)
    list(run.cuts(MUTANT_CUTS_MAX))
    # A server that does not start has lost everything, if it is for files that the cut took away;
    # for any other reason it proves nothing.
    caught = run.losses() > 0 or (run.damage != "" and run.files_damaged > 0)
    seen = " ".join((tally.notes or [run.damage or "nothing"])[0].split())
    print(f"mutant {mode}: {'caught' if caught else 'NOT CAUGHT'} cuts={run.done} "
          f"acked={run.acknowledged} lost={tally.lost} torn={tally.torn} wrong={tally.wrong} "
          f"files_damaged={run.files_damaged} seconds={time.monotonic() - began:.0f} "
          f"seed={options.seed}; first: {seen}", flush=True)
    return caught


class Run:
    """A server on a fresh disk, and cut after cut."""

    def __init__(self, binary: Path, home: Path, mode: str, seed: str, tally: Tally):
        self.binary, self.home, self.mode, self.seed, self.tally = binary, home, mode, seed, tally
        self.is_mutant = mode != "full"
        self.done = 0
        # Why the run could not go on: the server does not start, or refuses to answer.
        self.damage = ""
        self.acknowledged = 0
        # Files of the data folder that the last cut took away or made shorter.
        self.files_damaged = 0
        # In a mutant a request under way syncs what the one before left unsynced, and hides it.
        self.quiet_share = 1.0 if self.is_mutant else 0.5

    def losses(self) -> int:
        """Acknowledged requests that were seen to be missing or half there."""
        return self.tally.lost + self.tally.torn

    def cuts(self, count: int):
        """Yields for each cut whether everything was there afterwards. A mutant ends at a loss."""
        options = () if not self.is_mutant else ("--sync-mode", self.mode)
        rng = random.Random(self.seed)
        log = self.home / f"{self.mode}.log"
        with Disk(self.home) as disk, \
                Server(self.binary, disk.folder / "data", log, options) as server:
            try:
                server.start()
                server.wait_ready()
                oracle = first_index(server, WRITERS)
                while self.done < count and not (self.is_mutant and self.losses()):
                    before = self.tally.total
                    self._cut_once(disk, server, oracle, rng)
                    yield self.tally.total == before
            except (ServerGone, Refused, Unanswered) as problem:
                self.damage = f"{type(problem).__name__}: {problem}"
                yield False
            finally:
                # Before the disk goes.
                server.kill()
        disk.folder.rmdir()

    def _cut_once(self, disk: Disk, server: Server, oracle: Oracle, rng: random.Random) -> None:
        load = Load(server.port, oracle, self.tally, f"{self.seed}/{self.done}", CALM_S)
        load.start()
        time.sleep(rng.uniform(*LOAD_S))
        if rng.random() < self.quiet_share:
            load.hold()
            time.sleep(CALM_S)
        load.dying.set()
        server.kill()
        load.finish()
        before = sizes(server.data)
        disk.cut()
        after = sizes(server.data)
        self.files_damaged = sum(after.get(file, -1) < size for file, size in before.items())
        self.done += 1
        self.acknowledged = oracle.acknowledged
        oracle.server_died()
        if not self.is_mutant and rng.random() < STARTS_KILLED:
            kill_start(server, rng)
            disk.cut()
        server.start()
        Audit(server, oracle, self.tally, random.Random(f"{self.seed}/audit/{self.done}")).run()


def sizes(folder: Path) -> dict[Path, int]:
    """The length of every file that has its final name."""
    files = (file for file in folder.rglob("*") if ".staging" not in file.parts)
    return {file: file.stat().st_size for file in files if file.is_file()}


if __name__ == "__main__":
    sys.exit(main())
