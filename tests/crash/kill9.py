#!/usr/bin/env python3
"""Kill -9 during load: nothing acknowledged is lost, no request is half done.

Goal: a success answer survives the death of the process at any moment. Method: the real binary,
writers and backups at once (load.py); SIGKILL at a random moment; started again on the same folder
and port with other settings (now and then killed once more while it starts); everything compared
with the oracle (oracle.py, audit.py); `verify` asked to look, now and then at everything
(verify.py); then on with the next round on the same data. `--self-test` alone shows that the
comparison can fail; it also runs before the rounds.

    kill9.py                    50 kills
    kill9.py --kills 1000       more of them
    kill9.py --seed S           the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each kill, one for the data at the end, one for panics
and answers in the 500s, and one for each case of the self-test.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

import closing
import self_test
import verify
from audit import Audit
from client import Control, Refused, Unanswered
from load import Load
from oracle import Main, Oracle, Story, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

KILLS = 50
WRITERS = 4
LOAD_S = (0.05, 0.5)
# This share of the starts is killed, after so many seconds.
STARTS_KILLED = 0.3
START_S = (0.005, 0.15)
# After so many rounds `verify` reads everything.
DEEP_EACH = 5


def main() -> int:
    parser = closing.options(__doc__, "kills", KILLS, "how often it is killed")
    parser.add_argument("--self-test", action="store_true", help="only the self-test")
    options = parser.parse_args()
    end_cleanly_on_sigterm()
    passed, failed = self_test.run()
    if not options.self_test:
        print(f"kill9: seed {options.seed}, {options.kills} kills", flush=True)
        with tempfile.TemporaryDirectory(prefix="lodgepole-kill9-") as folder:
            more_passed, more_failed = rounds(Path(folder), find_binary(options.binary),
                                              options.kills, options.seed)
        passed, failed = passed + more_passed, failed + more_failed
    again = f"kill9.py --kills {options.kills} --seed {options.seed}"
    return closing.end(passed, failed, again)


def rounds(home: Path, binary: Path, kills: int, seed: int) -> tuple[int, int]:
    """Kills the server again and again. Returns the tests that passed and failed."""
    tally, began = Tally(), time.monotonic()
    with Server(binary, home / "data", home / "server.log") as server:
        run = Run(server, seed, tally)
        passed, failed = run.kills(kills)
        if failed:
            print(server.tail(20))
    before = tally.total
    verify.look_at_stopped(binary, server.data, tally, "at the end")
    bad = closing.figures(tally, closing.check_log(server), kills=run.done,
                          acked=run.acknowledged, backups=tally.compared,
                          seconds=round(time.monotonic() - began), seed=seed)
    bad += tally.total > before
    return passed + 2 - bad, failed + bad


class Run:
    """A server, and kill after kill."""

    def __init__(self, server: Server, seed: int, tally: Tally):
        self.server, self.seed, self.tally = server, seed, tally
        self.done = self.acknowledged = 0

    def kills(self, count: int) -> tuple[int, int]:
        """Returns the rounds that passed and failed."""
        rng = random.Random(self.seed)
        passed = failed = 0
        try:
            self.server.start()
            self.server.wait_ready()
            oracle = first_index(self.server, WRITERS)
            for number in range(1, count + 1):
                before = self.tally.total
                self._kill_once(oracle, rng, number)
                self.done, self.acknowledged = number, oracle.acknowledged
                good = self.tally.total == before
                passed, failed = passed + good, failed + (not good)
        except (ServerGone, Refused, Unanswered) as problem:
            self.tally.add("wrong", f"round {self.done + 1}: {type(problem).__name__}: {problem}")
            failed += 1
        if not self.acknowledged:
            self.tally.add("wrong", "nothing was acknowledged, so nothing was tested")
            failed += 1
        return passed, failed

    def _kill_once(self, oracle: Oracle, rng: random.Random, number: int) -> None:
        """One round: load, kill, start, compare."""
        server, seed = self.server, f"{self.seed}/{number}"
        load = Load(server.port, oracle, self.tally, seed)
        load.start()
        time.sleep(rng.uniform(*LOAD_S))
        load.dying.set()
        try:
            server.crash()
        finally:
            load.finish()
        oracle.server_died()
        server.draw_settings(rng)
        if rng.random() < STARTS_KILLED:
            kill_start(server, rng)
        server.start()
        Audit(server, oracle, self.tally, random.Random(f"{seed}/audit"),
              deep=number % DEEP_EACH == 0).run()


def kill_start(server: Server, rng: random.Random) -> None:
    """Kills a server that is reading its log again."""
    server.start()
    time.sleep(rng.uniform(*START_S))
    server.crash()


def first_index(server: Server, writers: int) -> Oracle:
    """Makes the index that everything is written to, and the oracle for it."""
    control = Control(server.port)
    try:
        host = control.create_index("main")["host"]
    finally:
        control.close()
    stories = {f"w{number}": Story() for number in range(writers)}
    return Oracle(Main("main", stories), hosts={"main": host})


if __name__ == "__main__":
    sys.exit(main())
