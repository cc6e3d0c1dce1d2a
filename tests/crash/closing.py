"""How every program of this folder begins and ends: its options, and its figures in a line."""

import argparse
import random
from pathlib import Path

from client import SERVER_ERRORS
from oracle import Tally
from server import Server


def options(text: str, word: str, count: int, meaning: str) -> argparse.ArgumentParser:
    """The options that every program has. `word` names the one for how many rounds there are."""
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument(f"--{word}", type=int, default=count, help=f"{meaning}; {count} if absent")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--binary", type=Path)
    return parser


def end(passed: int, failed: int, again: str) -> int:
    """Prints the last line, and before it the command that repeats a failure. Returns the code."""
    if failed:
        print(f"again: tests/crash/{again}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def check_log(server: Server) -> int:
    """The panics in its log, which are shown."""
    panics = server.panics()
    for line in panics[:3]:
        print(f"  panic: {line[:300]}", flush=True)
    return len(panics)


def figures(tally: Tally, panics: int, **counts: object) -> int:
    """Prints the line of figures. Returns 1 when the server has panicked or answered a 5xx."""
    if SERVER_ERRORS.count:
        print(f"  5xx: {SERVER_ERRORS.first}", flush=True)
    found = {"verified": tally.verified, "segments": tally.segments, "lost": tally.lost,
             "torn": tally.torn, "wrong": tally.wrong, "panics": panics,
             "5xx": SERVER_ERRORS.count}
    print(" ".join(f"{key}={value}" for key, value in (counts | found).items()), flush=True)
    return int(panics > 0 or SERVER_ERRORS.count > 0)
