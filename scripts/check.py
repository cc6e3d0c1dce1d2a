"""./check: runs every suite, goes on after a failure, and ends with `N passed, N failed`."""

import argparse
import re
import shutil
import sys
import time

import suites
from suites import Bench, Outcome, Suite
from workspace import ROOT, SetupError, stop_on_signals, target_dir

# What a line of a failed Rust test looks like, and how much of each is shown: the end of the log
# says little when other test programs ran after the one that failed.
FAILURE = re.compile(r"\.\.\. FAILED$|panicked at |^error(\[|:)")
FAILURES_SHOWN = 30
FAILURE_LINES = 4
TAIL_LINES = 60

HELP = """\
./check runs every test of Lodgepole and ends with `N passed, N failed`.

  ./check                    everything but the long suites
  ./check --long             those too
  ./check --only NAME        one suite, or those whose name begins so; may be given several times
  ./check --list             the suites and their budgets in seconds: warm, cold, with --long

A suite that takes longer than its budget is marked, and ended at five times that of a cold run. What
each suite printed is in .cache/check/NAME.log.
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args(arguments)
    if options.help:
        print(HELP, end="")
        return 0
    chosen = choose(suites.all_suites(), options.only)
    if options.list:
        for suite in chosen:
            print(f"{suite.name:26} {suite.warm_s:5} {suite.cold_s:5} {suite.long_s or '':>5}")
        return 0
    return check(chosen, long=options.long, whole=not options.only)


def choose(known: list[Suite], prefixes: list[str]) -> list[Suite]:
    """The suites whose names begin with one of the prefixes; all when there is none."""
    for prefix in prefixes:
        if not any(suite.name.startswith(prefix) for suite in known):
            raise SetupError(f"no suite {prefix!r}; there are: {', '.join(s.name for s in known)}")
    return [s for s in known if not prefixes or any(s.name.startswith(p) for p in prefixes)]


def check(chosen: list[Suite], *, long: bool, whole: bool) -> int:
    """Runs the suites, prints how each went, and the totals. Returns the exit code."""
    shutil.rmtree(suites.LOGS, ignore_errors=True)
    suites.LOGS.mkdir(parents=True)
    cold = not (target_dir() / "debug" / "deps").exists()
    ready = suites.install_in_background(chosen)
    total, late, started = Outcome(), [], time.monotonic()
    say(f"{'suite':26} {'seconds':>8}  {'budget':>6}  result" + (" (cold)" if cold else ""))
    for suite in chosen:
        budget_s = suite.budget_s(cold=cold, long=long)
        outcome, seconds = run(suite, budget_s, long, ready)
        if seconds > budget_s:
            late.append(suite.name)
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += outcome.skipped
    seconds = time.monotonic() - started
    if whole and not long:
        limit = suites.TOTAL_COLD_S if cold else suites.TOTAL_WARM_S
        say(f"{'all':26} {seconds:8.1f}  {limit:6}")
        if seconds > limit:
            late.append("all")
    if late:
        say(f"over budget: {', '.join(late)}")
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    say(f"{total.passed} passed, {total.failed} failed{skipped}")
    return 1 if total.failed or not total.passed else 0


def run(suite: Suite, budget_s: int, long: bool, ready) -> tuple[Outcome, float]:
    """Runs one suite and prints its line; the end of its output too when something failed."""
    terminal = sys.stdout.isatty()
    if terminal:
        print(f"{suite.name:26} …", end="", flush=True)
    # A warm run may have everything to compile again, after a change far below.
    longest_s = max(budget_s, suite.cold_s)
    timeout_s = max(suites.TIMEOUT_MIN_S, longest_s * suites.TIMEOUT_BUDGETS)
    bench = Bench(suites.LOGS / f"{suite.name}.log", timeout_s, long, ready)
    bench.log.touch()
    started = time.monotonic()
    try:
        outcome = suite.run(bench)
    except Exception as problem:  # One broken suite must not keep the others from running.
        bench.note(f"{type(problem).__name__}: {problem}")
        outcome = Outcome(failed=1, reason=str(problem).splitlines()[0] if str(problem) else "")
    seconds = time.monotonic() - started
    result = ", ".join(f"{count} {word}" for count, word in
                       ((outcome.passed, "passed"), (outcome.failed, "FAILED"),
                        (outcome.skipped, "skipped")) if count)
    reason = f" ({outcome.reason})" if outcome.reason else ""
    late = "  OVER BUDGET" if seconds > budget_s else ""
    say(f"{chr(13) if terminal else ''}{suite.name:26} {seconds:8.1f}  {budget_s:6}  "
        f"{result}{reason}{late}")
    if outcome.failed:
        show_tail(bench)
    return outcome, seconds


def show_tail(bench: Bench) -> None:
    """What failed and the end of a log, set off so that its lines are not taken for ours."""
    lines = bench.log.read_text(errors="replace").splitlines()
    failures = [number for number, line in enumerate(lines) if FAILURE.search(line)]
    if failures:
        say(f"    ---- failures in {bench.log.relative_to(ROOT)}")
        shown = sorted({line for at in failures[:FAILURES_SHOWN]
                        for line in range(at, min(at + FAILURE_LINES, len(lines)))})
        for number in shown:
            say(f"    | {lines[number]}")
    say(f"    ---- end of {bench.log.relative_to(ROOT)}")
    for line in lines[-TAIL_LINES:]:
        say(f"    | {line}")
    say("    ----")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    stop_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as problem:
        print(f"check: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
