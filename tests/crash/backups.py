#!/usr/bin/env python3
"""Backups under load are exact, and a kill in the midst of one harms nothing.

Goal: a backup holds all that was acknowledged before it was asked for, nothing that was sent after
its answer, and all writers at one moment; every index made from it holds exactly that, whatever
was written and deleted since. Method, first part: writers that do not let up (upserts, deletions,
"delete all"), backups while they write, each restored into a new index and compared (ids,
values by bits, metadata, counts, lists); older ones now and then once more; `verify` while all this
goes on.

Second part: a kill while a backup, an index from a backup, or the deletion of either is under way
(or has just been answered, while its traces are being removed). After the restart the source is
intact, what was asked for is there whole or not at all, and asking again works.

    backups.py                  20 backups, 20 kills
    backups.py --backups 500    more of them
    backups.py --kills 500      more of these
    backups.py --seed S         the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each backup and each kill, one for the data at the end,
one for panics and answers in the 500s.
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
from kill9 import DEEP_EACH, WRITERS, first_index
from load import Keeper, Load
from oracle import Oracle, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

BACKUPS = KILLS = 20
KEPT_MAX = 3
# How many of the backups are restored once more, later.
AGAIN = 0.3
# The load begins so long before the kill, at least and at most.
LOAD_S = (0.05, 0.3)
# This share of the kills comes after the answer, within so many seconds.
AFTER_ANSWER, AFTER_ANSWER_S = 0.2, 0.05
# What is taken for the duration of an action until some were seen, and how fast that is learnt.
ACTION_S, LEARNT = 0.02, 0.3
# How far into its usual duration an action may get: later kills would mostly come after it.
MOSTLY = 0.9
ACTIONS = ("back_up", "make_copy", "drop_backup", "drop_copy")


def main() -> int:
    parser = closing.options(__doc__, "backups", BACKUPS, "how many are taken under load")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"{KILLS} if absent")
    options = parser.parse_args()
    end_cleanly_on_sigterm()
    print(f"backups: seed {options.seed}, {options.backups} backups, {options.kills} kills",
          flush=True)
    tally, began = Tally(), time.monotonic()
    passed = failed = bad = 0
    with tempfile.TemporaryDirectory(prefix="lodgepole-backups-") as folder:
        home, binary = Path(folder), find_binary(options.binary)
        with Server(binary, home / "data", home / "server.log") as server:
            run = Run(server, options.seed, tally)
            for is_good in run.all(options.backups, options.kills):
                passed, failed = passed + is_good, failed + (not is_good)
            if failed:
                print(server.tail(20))
        before = tally.total
        verify.look_at_stopped(binary, server.data, tally, "at the end")
        bad += tally.total > before
        panics = closing.check_log(server)
    bad += closing.figures(tally, panics, backups=run.taken, compared=tally.compared,
                           kills=run.killed, during=run.during, acked=run.acknowledged,
                           seconds=round(time.monotonic() - began), seed=options.seed)
    again = f"backups.py --backups {options.backups} --kills {options.kills} --seed {options.seed}"
    return closing.end(passed + 2 - bad, failed + bad, again)


class Run:
    """A server, and both parts on it. Backups under load are taken by a keeper of this kind."""

    keeper_kind: type[Keeper] = Keeper

    def __init__(self, server: Server, seed: int, tally: Tally):
        self.server, self.seed, self.tally = server, seed, tally
        self.rng = random.Random(seed)
        # Backups taken under load; kills, and those of them that cut an action off.
        self.taken = self.killed = self.during = self.acknowledged = 0
        self._usual_s = dict.fromkeys(ACTIONS, ACTION_S)

    def all(self, backups: int, kills: int):
        """Yields for each backup and each kill whether all was well."""
        try:
            self.server.draw_settings(self.rng)
            self.server.start()
            self.server.wait_ready()
            oracle = first_index(self.server, WRITERS)
            yield from self._under_load(oracle, backups)
            for number in range(kills):
                before = self.tally.total
                self._kill_during(ACTIONS[number % len(ACTIONS)], oracle, f"{self.seed}/{number}")
                self.acknowledged = oracle.acknowledged
                yield self.tally.total == before
        except (ServerGone, Refused, Unanswered) as problem:
            self.tally.add("wrong", f"after {self.taken} backups and {self.killed} kills: "
                                    f"{type(problem).__name__}: {problem}")
            yield False

    def _under_load(self, oracle: Oracle, count: int):
        load = Load(self.server.port, oracle, self.tally, f"{self.seed}/load", keeps=False)
        keeper = self.keeper_kind(load, random.Random(f"{self.seed}/keeper"))
        audit = Audit(self.server, oracle, self.tally, self.rng)
        load.start()
        try:
            for number in range(1, count + 1):
                before, acknowledged = self.tally.total, oracle.acknowledged
                backup = keeper.back_up_of(oracle.main)
                audit.check_restore(backup)
                if self.rng.random() < AGAIN:
                    audit.check_restore(self.rng.choice(list(oracle.backups.values())))
                if len(oracle.backups) > KEPT_MAX:
                    keeper.drop_backup()
                if number % DEEP_EACH == 0:
                    verify.look(self.server.data, self.tally, "under load", deep=True)
                if oracle.acknowledged == acknowledged:
                    self.tally.add("wrong", "nobody wrote meanwhile, so nothing was tested")
                self.taken, self.acknowledged = number, oracle.acknowledged
                yield self.tally.total == before
        finally:
            load.finish()
            keeper.close()
            audit.control.close()
        oracle.server_died()
        Audit(self.server, oracle, self.tally, self.rng, deep=True).run()

    def _kill_during(self, action: str, oracle: Oracle, seed: str) -> None:
        """One round: load, an action, kill, start, compare, the action once more."""
        self._prepare(action, oracle, seed)
        load = Load(self.server.port, oracle, self.tally, seed, keeps=False)
        aimed = Aimed(load, action, random.Random(f"{seed}/keeper"))
        load.start()
        time.sleep(self.rng.uniform(*LOAD_S))
        aimed.start()
        if self.rng.random() < AFTER_ANSWER:
            aimed.join()
            time.sleep(self.rng.uniform(0, AFTER_ANSWER_S))
        else:
            time.sleep(self.rng.uniform(0, MOSTLY * self._usual_s[action]))
        load.dying.set()
        try:
            self.server.crash()
        finally:
            load.finish()
            aimed.join()
        if aimed.took_s is not None:
            self._learn(action, aimed.took_s)
        self.killed += 1
        self.during += aimed.took_s is None
        oracle.server_died()
        self.server.draw_settings(self.rng)
        self.server.start()
        Audit(self.server, oracle, self.tally, random.Random(f"{seed}/audit"),
              deep=self.killed % DEEP_EACH == 0).run()

    def _prepare(self, action: str, oracle: Oracle, seed: str) -> None:
        """Makes what the action needs, on a quiet server: also shows that what a kill has cut off
        can be asked for again."""
        load = Load(self.server.port, oracle, self.tally, seed, keeps=False)
        keeper = Keeper(load, random.Random(f"{seed}/prepare"))
        try:
            began = time.monotonic()
            keeper.back_up()
            self._learn("back_up", time.monotonic() - began)
            if action == "drop_copy" and not oracle.copies:
                keeper.make_copy()
            while len(oracle.backups) > KEPT_MAX:
                keeper.drop_backup()
            while len(oracle.copies) > 1:
                keeper.drop_copy()
            for _ in range(3):
                if oracle.copies:
                    keeper.write_to_copy()
        finally:
            keeper.close()

    def _learn(self, action: str, took_s: float) -> None:
        usual = self._usual_s[action]
        self._usual_s[action] = usual + LEARNT * (took_s - usual)


class Aimed(Keeper):
    """Does one thing, which the kill may cut off."""

    def __init__(self, load: Load, action: str, rng: random.Random):
        super().__init__(load, rng)
        self.action = action
        # None when no answer came.
        self.took_s: float | None = None

    def run(self) -> None:
        began = time.monotonic()
        try:
            getattr(self, self.action)()
            self.took_s = time.monotonic() - began
        except (Unanswered, Refused) as problem:
            if isinstance(problem, Refused) or not self.load.dying.is_set():
                self.load.tally.add("wrong", f"{self.action}: no success: {problem}")
        except Exception as problem:
            # An error of this harness must fail the suite too.
            self.load.tally.add("wrong", f"{self.action}: {type(problem).__name__}: {problem}")
        finally:
            self.close()


if __name__ == "__main__":
    sys.exit(main())
