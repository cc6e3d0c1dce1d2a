"""./check --long: what takes hours, in parts of minutes that go on where the last call stopped.

Each part of the table runs one program with a number of rounds and a seed, and appends a line of
JSON to the results: date, commit, command, seed, how much of what was done, what was wrong. Nothing
in that file is ever changed; what is reached is the sum of its lines. A line counts for as long as
the sources of the product stay what they were (`Build`), so that a change of a page does not begin
five hours anew, and a change of the product does.

The figures are those that the programs print: all `key=value` on lines that begin so. To add a
part, add a line to `PARTS`.
"""

import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import environments
import suites
from suites import Bench, Outcome
from workspace import CACHE, ROOT, SetupError, cargo, say

RESULTS = CACHE / "long"
# No part takes longer; it is cut so that it should end well before.
PART_MAX_S = 25 * 60
FILLED = 0.83
# Figures that must be 0 wherever they are printed.
ZEROES = ("lost", "torn", "wrong", "panics", "5xx")
FIGURES = re.compile(r"^\w+=\S*(?: [\w.]+=\S*)*$", re.MULTILINE)
# What makes up the product; the rest is tests (two crates of them), tools and text.
PRODUCT = ("crates", "Cargo.toml", "Cargo.lock", ":!crates/sim", ":!crates/lifetimes")


@dataclass(frozen=True)
class Ran:
    """What came of a program."""

    code: int
    output: str


def program(bench: Bench, words: list[str]) -> Ran:
    """A program of ours that is told where the server is."""
    return Ran(*bench.command([ROOT / words[0], "--binary", bench.binary(), *words[1:]]))


def by_cargo(bench: Bench, words: list[str]) -> Ran:
    """A program that cargo builds."""
    given = words[words.index("--"):]
    return Ran(*bench.command(cargo(*words[1:words.index("--")]) + given))


def openapi(bench: Bench, words: list[str]) -> Ran:
    """Generated requests to a server of their own."""
    if not suites.SPECS.is_dir():
        return Ran(0, f"no OpenAPI files in {suites.SPECS}\n0 passed, 0 failed, 1 skipped\n")
    ran = Ran(1, "")

    def test(server) -> Outcome:
        nonlocal ran
        python = bench.environment("openapi")
        given = ["--specs", suites.SPECS, "--imports", suites.IMPORTS, "--url", server.url]
        ran = Ran(*bench.command([python, ROOT / words[0], *words[1:], *given]))
        return Outcome(passed=1)

    outcome = suites.with_server(bench, test, *suites.IMPORT_FLAGS)
    # A server that did not stop as it should fails the part, whatever the program says.
    return Ran(ran.code or 1, f"{ran.output}\n0 passed, 1 failed\n") if outcome.failed else ran


@dataclass(frozen=True)
class Found:
    """What a program printed."""

    outcome: Outcome
    figures: dict[str, float]


def printed(ran: Ran) -> Found:
    """For programs of ours: figures, and the line that closes them."""
    return Found(suites.counted_by_closing_line(ran.code, ran.output), figures_in(ran.output))


def printed_by_simulation(ran: Ran) -> Found:
    """For programs of the crate `sim`, where each test of the closing line is one case."""
    found = printed(ran)
    return Found(found.outcome, {"cases": float(found.outcome.passed)} | found.figures)


def printed_by_cargo(ran: Ran) -> Found:
    """For Rust tests, which print no figures."""
    return Found(suites.counted_by_cargo(ran.code, ran.output), {})


def printed_by_openapi(ran: Ran) -> Found:
    """For generated requests, of which it says how many were sent."""
    sent = re.search(r"^(\d+) requests to ", ran.output, re.MULTILINE)
    figures = {"cases": float(sent.group(1))} if sent else {}
    return Found(suites.counted_by_closing_line(ran.code, ran.output), figures)


def figures_in(output: str) -> dict[str, float]:
    """All figures. Where a key stands on several lines, the last counts, but for what must be 0:
    that is summed."""
    found: dict[str, float] = {}
    for line in FIGURES.findall(output):
        for word in line.split():
            key, _, text = word.partition("=")
            try:
                value = float(text)
            except ValueError:
                continue
            found[key] = found.get(key, 0) + value if key in ZEROES else value
    return found


@dataclass(frozen=True)
class Part:
    """A line of the table.

    `counts` is the key of the figure that is counted towards `aim`; `runs` where the program prints
    none. A call does at least `least` and at most `most` of it, which take some `seconds_each`
    until it is known better. In `command`, `{count}`, `{seed}`, `{first}` and `{end}` are filled
    in; the latter two number the seeds of a call, which no other call has. `needs` is a file
    without which there is nothing to run, and `environment` what has to be installed.
    """

    name: str
    what: str
    aim: int
    counts: str
    command: str
    seconds_each: float
    needs: str
    most: int = 0
    least: int = 1
    run: Callable[[Bench, list[str]], Ran] = program
    read: Callable[[Ran], Found] = printed
    environment: str = ""


def load_once(name: str, what: str) -> Part:
    """One of the programs that have a long form of their own, to be run once."""
    file = f"tests/load/{name}.py"
    command = f"{file} --long --seed {{seed}}"
    return Part(name.replace("_", "-"), what, 1, "runs", command, 300, file)


SIM = "cargo run --release --quiet --package lodgepole-sim --example"

PARTS = [
    Part("kills", "kill -9 under load", 1_000, "kills",
         "tests/crash/kill9.py --kills {count} --seed {seed}", 2, "tests/crash/kill9.py",
         least=10),
    Part("cuts", "power cuts under load", 1_000, "cuts",
         "tests/crash/power_cut.py --cuts {count} --seed {seed}", 2,
         "tests/crash/power_cut.py", least=10),
    Part("backups", "backups under load, restored and compared", 500, "backups",
         "tests/crash/backups.py --backups {count} --kills 0 --seed {seed}", 1,
         "tests/crash/backups.py", least=10),
    Part("backup-kills", "kills during backup, restore, deletion", 500, "kills",
         "tests/crash/backups.py --backups 1 --kills {count} --seed {seed}", 2,
         "tests/crash/backups.py", least=10),
    Part("stops", "clean stops under load", 200, "stops",
         "tests/crash/stop.py --stops {count} --seed {seed}", 2, "tests/crash/stop.py", least=10),
    Part("seeds", "simulated histories", 20_000, "cases",
         f"{SIM} actors -- --seeds {{first}}..{{end}} --threads 2", 0.5,
         "crates/sim/examples/actors.rs", run=by_cargo, read=printed_by_simulation),
    Part("disk-cuts", "power cuts on a modelled disk", 5_000, "cuts",
         f"{SIM} power -- {{first}} {{end}} 2", 0.1, "crates/sim/examples/power.rs",
         run=by_cargo, read=printed_by_simulation),
    Part("corruptions", "corruptions", 20_000, "cases", f"{SIM} rot -- {{first}} {{end}} 2", 0.1,
         "crates/sim/examples/rot.rs", run=by_cargo, read=printed_by_simulation),
    Part("api", "generated API requests", 50_000, "cases",
         "tests/openapi/run.py --cases {count} --seed {seed}", 0.03, "tests/openapi/run.py",
         most=10_000, least=1_000, run=openapi, read=printed_by_openapi, environment="openapi"),
    Part("connections", "open connections", 10_000, "connections",
         "tests/load/connections.py --long --seed {seed}", 0.02, "tests/load/connections.py",
         least=10_000),
    Part("soak", "minutes of steady load", 60, "minutes",
         "tests/load/soak.py --minutes {count} --seed {seed}", 60, "tests/load/soak.py",
         most=20, least=10),
    *(load_once(*named) for named in (
        ("disk_full", "a full disk"), ("fsync_fails", "syncs that fail"),
        ("memory_limit", "little memory"), ("clock", "a clock that jumps"),
        ("garbage", "requests that are none"), ("secrets", "secrets in logs and files"))),
    Part("rust-tests", "Rust tests that are too long for every day", 1, "runs",
         "cargo test --workspace --no-fail-fast -- --ignored", 1_000, "Cargo.toml",
         run=by_cargo, read=printed_by_cargo),
]


@dataclass(frozen=True)
class Build:
    """What is tested: `product` names the state of its sources, whatever the commit."""

    commit: str
    product: str

    @classmethod
    def now(cls) -> "Build":
        """That of the checkout. Changes that are not committed are part of it."""
        trees = _git("ls-files", "--stage", "--", *PRODUCT)
        changes = _git("diff", "HEAD", "--", *PRODUCT)
        changed = _git("status", "--porcelain", "--", *PRODUCT)
        product = hashlib.sha256(f"{trees}{changes}{changed}".encode()).hexdigest()[:12]
        return cls(_git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else ""),
                   product)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SetupError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


class Results:
    """The file of results in a folder, and the logs beside it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "results.jsonl"

    def lines(self) -> list[dict]:
        """All lines; one that a crash has cut off is no line."""
        found = []
        for text in self.file.read_text().splitlines() if self.file.exists() else []:
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found

    def append(self, line: dict) -> None:
        """Adds a line for good."""
        with open(self.file, "a+b") as file:
            # After a line that was cut off a new one begins.
            torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
            file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def progress(self, part: Part, build: Build) -> "Progress":
        """What was reached with these sources since the part was last begun anew."""
        mine = [line for line in self.lines()
                if line["part"] == part.name and line["product"] == build.product]
        starts = [number for number, line in enumerate(mine) if line.get("fresh")]
        begun_at = starts[-1] + 1 if starts else 0
        return Progress(part, [line for line in mine[begun_at:] if not line.get("fresh")],
                        len(mine))


@dataclass
class Progress:
    """What was done of a part. `calls` numbers all calls ever, so that no seed comes twice."""

    part: Part
    lines: list[dict] = field(default_factory=list)
    calls: int = 0

    @property
    def good(self) -> list[dict]:
        return [line for line in self.lines if line["good"]]

    @property
    def bad(self) -> list[dict]:
        return [line for line in self.lines if not line["good"]]

    @property
    def reached(self) -> int:
        return sum(line["count"] for line in self.good)

    @property
    def is_done(self) -> bool:
        return self.reached >= self.part.aim

    @property
    def next_first(self) -> int:
        """The first seed that no call had."""
        return max((line["end"] for line in self.lines), default=0)

    def next_count(self, seconds: float) -> int:
        """How much fits into this time; 0 when not even the least does."""
        part = self.part
        counted = sum(line["count"] for line in self.good)
        each_s = (sum(line["seconds"] for line in self.good) / counted if counted
                  else part.seconds_each)
        fits = int(min(seconds, PART_MAX_S * FILLED) / max(each_s, 1e-6))
        wanted = min(part.aim - self.reached, fits, part.most or part.aim)
        # A rest that is smaller than the least is rounded up to it.
        return max(wanted, part.least) if fits >= part.least else 0


def run(parts: list[Part], results: Results, *, minutes: float | None, fresh: bool) -> int:
    """Runs what is next, part after part, until all is reached or the time is over."""
    if fresh:
        for part in parts:
            results.append({"part": part.name, "product": Build.now().product, "fresh": True})
    until = time.monotonic() + (minutes * 60 if minutes is not None else float("inf"))
    names = {part.environment for part in parts if part.environment}
    ready = suites.install_in_background(names)
    total, left_out = Outcome(), {}
    say(f"results in {results.file}")
    while True:
        # Asked each time: somebody may have gone on working meanwhile.
        build = Build.now()
        waiting = [results.progress(part, build) for part in parts if part.name not in left_out]
        waiting = [progress for progress in waiting if not progress.is_done]
        # The one of which least was done: after any call there is something of everything.
        waiting.sort(key=lambda progress: progress.reached / progress.part.aim)
        if not waiting:
            break
        progress = waiting[0]
        reason, outcome = run_next(progress, build, results, until - time.monotonic(), ready)
        if reason:
            left_out[progress.part.name] = reason
        total.passed += outcome.passed
        total.failed += outcome.failed
    for name, reason in left_out.items():
        say(f"{name}: {reason}")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


def run_next(progress: Progress, build: Build, results: Results, seconds: float,
             ready: dict) -> tuple[str, Outcome]:
    """One call of one part. Returns why it is not called again now, or nothing, and its tests."""
    part = progress.part
    if not (ROOT / part.needs).exists():
        return f"there is no {part.needs}", Outcome()
    count = progress.next_count(seconds)
    if count == 0:
        return "no time left", Outcome()
    first, seed = progress.next_first, seed_of(build, progress)
    command = part.command.format(count=count, seed=seed, first=first, end=first + count)
    say(f"{part.name:13} {progress.reached:7} of {part.aim:6}  $ {command}")
    log = results.folder / f"{part.name}-{progress.calls:04}.log"
    log.write_bytes(b"")
    began = time.monotonic()
    try:
        ran = part.run(Bench(log, PART_MAX_S, ready), command.split())
    except Exception as problem:  # One that cannot be run must not keep the others from running.
        return f"FAILED: {type(problem).__name__}: {problem}", Outcome(failed=1)
    found = part.read(ran)
    line = line_of(part, found, command=command, seed=seed, commit=build.commit,
                   product=build.product, end=first + count,
                   seconds=round(time.monotonic() - began, 1))
    if found.outcome.skipped and not found.outcome.passed + found.outcome.failed:
        return found.outcome.reason or "skipped", Outcome()
    results.append(line)
    say(f"{'':13} {shown(line)}")
    # What has failed is looked at before it is called again.
    failed = Outcome(found.outcome.passed, max(found.outcome.failed, 1))
    return ("", found.outcome) if line["good"] else (f"FAILED, see {log}", failed)


def line_of(part: Part, found: Found, **about: object) -> dict:
    """The line of results for one call."""
    figures, outcome = found.figures, found.outcome
    good = outcome.passed > 0 and outcome.failed == 0
    count = int(figures.get(part.counts, 0)) if part.counts != "runs" else int(good)
    good = good and count > 0 and not any(figures.get(key) for key in ZEROES)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    # The seconds are those that we measured.
    figures = {key: int(value) if value.is_integer() else value for key, value in figures.items()
               if key not in ("seed", "seconds")}
    return {"part": part.name, "date": now, **about, "good": good, "count": count,
            "passed": outcome.passed, "failed": outcome.failed, "reason": outcome.reason,
            "figures": figures}


def seed_of(build: Build, progress: Progress) -> int:
    """Another for each call, and again the same for the same call of the same sources."""
    text = f"{build.product}/{progress.part.name}/{progress.calls}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def shown(line: dict) -> str:
    """A line of results for people."""
    figures = " ".join(f"{key}={value}" for key, value in line["figures"].items())
    reason = f" {line['reason']}" if line["reason"] else ""
    return (f"{'good' if line['good'] else 'FAILED'} in {line['seconds']} s: {figures}{reason}"
            f" ({line['passed']} passed, {line['failed']} failed)")


def summary(parts: list[Part], results: Results, build: Build) -> tuple[str, bool]:
    """The figures reached against the aims, as a table in Markdown; whether all is well."""
    rows = [results.progress(part, build) for part in parts]
    head = ["", "reached", "aim", "acknowledged", *ZEROES, "minutes", "last", "command"]
    table = [f"| {' | '.join(head)} |", "|---|--:|--:|--:|" + "--:|" * len(ZEROES) + "--:|---|---|"]
    table += [f"| {' | '.join(_row(progress))} |" for progress in rows]
    text = [f"Commit {build.commit}.", "", *table]
    bad = [line for progress in rows for line in progress.bad]
    text += ["", *(f"FAILED {line['date']} `{line['command']}`: {shown(line)}" for line in bad)]
    return "\n".join(text).rstrip() + "\n", not bad and all(row.is_done for row in rows)


def _row(progress: Progress) -> list[str]:
    part, lines = progress.part, progress.lines
    seconds = sum(line["seconds"] for line in lines)
    last = lines[-1] if lines else {"date": "never", "command": ""}
    return [part.what, f"{progress.reached:,}", f"{part.aim:,}", _sum(lines, "acked"),
            *(_sum(lines, key) for key in ZEROES), f"{seconds / 60:.0f}", last["date"][:10],
            f"`{last['command']}`" if lines else ""]


def _sum(lines: list[dict], key: str) -> str:
    """The sum of a figure, failed calls included; a dash when none printed it."""
    values = [line["figures"][key] for line in lines if key in line["figures"]]
    return f"{sum(values):,}" if values else "-"


def chosen(names: list[str]) -> list[Part]:
    """The parts of these names; all when there is none."""
    known = {part.name: part for part in PARTS}
    for name in names:
        if name not in known:
            raise SetupError(f"no part {name!r}; there are: {', '.join(known)}")
    return [known[name] for name in names] or PARTS
