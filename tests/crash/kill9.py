#!/usr/bin/env python3
"""Kill -9 during load: nothing acknowledged is lost, no request is half done.

Goal: a success answer survives the death of the process at any moment. Method: the real binary,
writers and backups at once (load.py); SIGKILL at a random moment; started again on the same folder
and port (now and then killed once more while it starts); everything compared with the oracle
(oracle.py, audit.py); then on with the next round on the same data. `--self-test` alone shows that
the comparison can fail; it also runs before the rounds.

    kill9.py                    20 kills
    kill9.py --kills 1000       more of them
    kill9.py --seed S           the same load and the same moments (the threads still race)

Ends with `N passed, N failed`: one test for each kill and each case of the self-test.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import self_test
from audit import Audit
from client import Control, Refused, Unanswered
from load import Load
from oracle import Main, Oracle, Story, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

LONG_KILLS = 1000
WRITERS = 4
LOAD_S = (0.05, 1.6)
# This share of the starts is killed, after so many seconds.
STARTS_KILLED = 0.3
START_S = (0.005, 0.15)


def main() -> int:
    options = arguments()
    end_cleanly_on_sigterm()
    passed, failed = self_test.run()
    if not options.self_test:
        more_passed, more_failed = rounds(options)
        passed, failed = passed + more_passed, failed + more_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--self-test", action="store_true", help="only the self-test")
    parser.add_argument("--long", action="store_true", help=f"{LONG_KILLS} kills")
    options = parser.parse_args()
    options.kills = options.kills or (LONG_KILLS if options.long else 20)
    return options


def rounds(options: argparse.Namespace) -> tuple[int, int]:
    """Kills the server again and again. Returns the rounds that passed and failed."""
    print(f"kill9: seed {options.seed}, {options.kills} kills", flush=True)
    tally, passed, failed, done = Tally(), 0, 0, 0
    rng = random.Random(options.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lodgepole-kill9-") as folder:
        home = Path(folder)
        binary = find_binary(options.binary)
        with Server(binary, home / "data", home / "server.log") as server:
            server.start()
            server.wait_ready()
            oracle = first_index(server, WRITERS)
            try:
                for number in range(1, options.kills + 1):
                    before = tally.total
                    kill_once(server, oracle, tally, rng, f"{options.seed}/{number}")
                    done = number
                    good = tally.total == before
                    passed, failed = passed + good, failed + (not good)
            except (ServerGone, Refused, Unanswered) as problem:
                tally.add("wrong", f"round {done + 1}: {type(problem).__name__}: {problem}")
                print(server.tail(20))
                failed += 1
    print(f"kills={done} acked={oracle.acknowledged} lost={tally.lost} torn={tally.torn} "
          f"wrong={tally.wrong} seconds={time.monotonic() - began:.0f} seed={options.seed}")
    return passed, failed


def kill_once(server: Server, oracle: Oracle, tally: Tally, rng: random.Random, seed: str) -> None:
    """One round: load, kill, start, compare."""
    load = Load(server.port, oracle, tally, seed)
    load.start()
    time.sleep(rng.uniform(*LOAD_S))
    load.dying.set()
    server.kill()
    load.finish()
    oracle.server_died()
    if rng.random() < STARTS_KILLED:
        kill_start(server, rng)
    server.start()
    Audit(server, oracle, tally, random.Random(f"{seed}/audit")).run()


def kill_start(server: Server, rng: random.Random) -> None:
    """Kills a server that is reading its log again."""
    server.start()
    time.sleep(rng.uniform(*START_S))
    server.kill()


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
