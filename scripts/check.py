"""./check: runs every suite, goes on after a failure, and ends with `N passed, N failed`.

With --long it runs the parts of `long.py` instead.
"""

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import long
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

  ./check                    everything but what takes hours
  ./check --only NAME        one suite, or those whose name begins so; may be given several times
  ./check --list             the suites and their budgets in seconds: warm, cold

A suite that takes longer than its budget is marked, and ended at five times that of a cold run.
What each suite printed is in .cache/check/NAME.log.

  ./check --long             what takes hours, in parts of at most 25 minutes; a call goes on where
                             the last one stopped
  ./check --long --minutes N       for so long
  ./check --long --part NAME       one part; may be given several times
  ./check --long --fresh           from the beginning
  ./check --long --list            the parts, and how far they are
  ./check --long --summary         the figures reached, as a table; exit code 0 when all are good
  ./check --long --results FOLDER  results and logs there instead of in .cache/long
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    for_long = parser.add_argument_group()
    for_long.add_argument("--minutes", type=float)
    for_long.add_argument("--part", action="append", default=[])
    for_long.add_argument("--fresh", action="store_true")
    for_long.add_argument("--summary", action="store_true")
    for_long.add_argument("--results", type=Path, default=long.RESULTS)
    options = parser.parse_args(arguments)
    if options.help:
        print(HELP, end="")
        return 0
    if options.long:
        return check_long(options)
    chosen = choose(suites.all_suites(), options.only)
    if options.list:
        for suite in chosen:
            print(f"{suite.name:26} {suite.warm_s:5} {suite.cold_s:5}")
        return 0
    return check(chosen, whole=not options.only)


def check_long(options: argparse.Namespace) -> int:
    """Runs parts of the long form, or shows how far they are."""
    parts, results = long.chosen(options.part), long.Results(options.results)
    if options.summary:
        text, is_good = long.summary(parts, results, long.Build.now())
        print(text, end="")
        return 0 if is_good else 1
    if options.list:
        build = long.Build.now()
        for part in parts:
            progress = results.progress(part, build)
            failed = f"  {len(progress.bad)} FAILED" if progress.bad else ""
            print(f"{part.name:13} {progress.reached:7} of {part.aim:6}  {part.what}{failed}")
        return 0
    return long.run(parts, results, minutes=options.minutes, fresh=options.fresh)


def choose(known: list[Suite], prefixes: list[str]) -> list[Suite]:
    """The suites whose names begin with one of the prefixes; all when there is none."""
    for prefix in prefixes:
        if not any(suite.name.startswith(prefix) for suite in known):
            raise SetupError(f"no suite {prefix!r}; there are: {', '.join(s.name for s in known)}")
    return [s for s in known if not prefixes or any(s.name.startswith(p) for p in prefixes)]


def check(chosen: list[Suite], *, whole: bool) -> int:
    """Runs the suites, prints how each went, and the totals. Returns the exit code."""
    shutil.rmtree(suites.LOGS, ignore_errors=True)
    suites.LOGS.mkdir(parents=True)
    cold = not (target_dir() / "debug" / "deps").exists()
    ready = suites.install_in_background({name for suite in chosen for name in suite.environments})
    started = time.monotonic()
    say(f"{'suite':26} {'seconds':>8}  {'budget':>6}  result" + (" (cold)" if cold else ""))
    ran = in_lanes(chosen, lambda suite: run(suite, suite.budget_s(cold=cold), ready))
    total = Outcome(sum(outcome.passed for _, outcome, _ in ran),
                    sum(outcome.failed for _, outcome, _ in ran),
                    sum(outcome.skipped for _, outcome, _ in ran))
    late = [suite.name for suite, _, seconds in ran if seconds > suite.budget_s(cold=cold)]
    seconds = time.monotonic() - started
    if whole:
        limit = suites.TOTAL_COLD_S if cold else suites.TOTAL_WARM_S
        say(f"{'all':26} {seconds:8.1f}  {limit:6}")
        if seconds > limit:
            late.append("all")
    if late:
        say(f"over budget: {', '.join(late)}")
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    say(f"{total.passed} passed, {total.failed} failed{skipped}")
    return 1 if total.failed or not total.passed else 0


def in_lanes(chosen: list[Suite], run_one: Callable) -> list[tuple[Suite, Outcome, float]]:
    """Runs the suites in order, but those that crash servers beside the others once there is a binary:
    they wait for disks and dying processes, the clients' suites for their interpreters."""
    beside = [suite for suite in chosen if suite.runs_beside]
    usual = [suite for suite in chosen if not suite.runs_beside]
    before = next((at + 1 for at, suite in enumerate(usual) if suite.name == "binary"), 0)
    ran = [(suite, *run_one(suite)) for suite in usual[:before]]
    with ThreadPoolExecutor(1) as lane:
        crashed = [(suite, lane.submit(run_one, suite)) for suite in beside]
        ran += [(suite, *run_one(suite)) for suite in usual[before:]]
        return ran + [(suite, *done.result()) for suite, done in crashed]


def run(suite: Suite, budget_s: int, ready) -> tuple[Outcome, float]:
    """Runs one suite and prints its line; the end of its output too when something failed."""
    terminal = sys.stdout.isatty()
    if terminal:
        print(f"{suite.name:26} …", end="", flush=True)
    # A warm run may have everything to compile again, after a change far below.
    longest_s = max(budget_s, suite.cold_s)
    timeout_s = max(suites.TIMEOUT_MIN_S, longest_s * suites.TIMEOUT_BUDGETS)
    bench = Bench(suites.LOGS / f"{suite.name}.log", timeout_s, ready)
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
