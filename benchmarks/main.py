"""./bench: measures the search of Lodgepole beside other systems, on the same data and machine.

This file parses the command line and starts one process for each system; `worker.py` is what runs
there. Only the standard library: it runs before anything is installed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import asked, report, venvs
from benchmarks.machine import describe, signal_stop, stopped
from benchmarks.roster import LIBRARIES, NAMES, entry

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bench"
DATA_VARIABLE = "LODGEPOLE_BENCH_DATA"
DATA_DEFAULT = ROOT.parent / "shared" / "data" / "packages"
SETS = ("tiny", "packages", "packages-1m", "packages-1536")
QUICK_FILTERS = {"library": ("random-10%", "random-1%", "region-10%", "region-1%"),
                 "embedded": ("random-10%", "region-1%"), "server": ("random-10%", "region-1%")}
ALL_FILTERS = tuple(f"{field}-{share}" for field in ("random", "region")
                    for share in ("50%", "10%", "1%", "0.1%"))
# The quick run leaves these out, and filters of those: they take minutes.
QUICK_WITHOUT = ("needledb", "lancedb")
QUICK_WITHOUT_FILTERS = ("chroma", "lodgepole-rest")
TIMEOUT_S = {"tiny": 600, "packages": 2_400, "packages-1m": 14_400, "packages-1536": 7_200}

HELP = f"""\
./bench measures the search of Lodgepole beside libraries, embedded engines and database servers:
same data, same machine, same recall, one after the other.

  ./bench --quick                    the most important comparisons on 100,000 vectors: < 12 minutes
  ./bench                            everything on 100,000 vectors, each system once: about an hour
  ./bench --rounds 3                 three passes, every second one in the other order; medians count
  ./bench --set packages-1m          1,000,000 x 384; also: packages-1536 (200,000 x 1,536), tiny
  ./bench --only hnswlib,lodgepole   some systems; the results of the others stay as they are
  ./bench --tables                   runs nothing, prints the tables of all that was measured;
                                     with --set: of that set
  ./bench --write                    puts the tables of all sets into docs/benchmarks.md, each
                                     between its own marks; what stands around them is left alone
  ./bench --list                     the systems, and what each installs
  ./bench --set packages-1m --only-ingest --ingest-limit 6
                                     only the loads, of all servers; each is stopped after 6 minutes

  --data DIR     embeddings that the sets are made from: base-100k.f16 and queries-1k.f16, rows of
                 384 half floats [default: ${DATA_VARIABLE}, or ../shared/data/packages]
  --release      builds Lodgepole with the release profile, as it is distributed. The other one is
                 as optimised, but checks numbers for overflow and is built anyway for ./check
  --seconds S    length of one measurement [default: 3, quick 1]
  --threads N,N  threads, or connections of a server [default: 1,2; servers 1,2,8]
  --no-filters   only unfiltered queries
  --only-ingest  no searches: until all rows can be asked, and until they are indexed. What is known
                 of searches stays. Without --only: all servers
  --ingest-limit M
                 a server whose rows are not indexed after M minutes is stopped; shown is how far it
                 came, and the goals count it as at least so much slower
  --memory-limit-share F
                 searches by Lodgepole's servers once more, inside a memory limit of F times the
                 size of all vectors (0.25: a quarter), cached pages of files included. Needs memory
                 groups of version 1 and the right to make one (root); otherwise the tables say that
                 it was skipped

The machine must be idle: load from elsewhere spoils latencies. Systems are installed into
.cache/bench, results are JSON files in .cache/bench/results/SET, one for each system.
"""


def main(arguments: list[str]) -> int:
    """Runs what the arguments ask for and returns the exit code."""
    options = parse(arguments)
    if options.help:
        print(HELP, end="")
        return 0
    if options.list:
        for name in NAMES:
            one = entry(name)
            print(f"{name:16} {one.kind:9} {one.title:40} {' '.join(one.packages)}")
        return 0
    failed = [] if options.tables else run(options)
    results = CACHE / "results"
    shown = [options.set] if options.named or not options.tables else list(report.TITLES)
    print(report.tables(results, shown))
    if options.write:
        report.write(ROOT / "docs" / "benchmarks.md", results, CACHE / "data")
        say("docs/benchmarks.md is written")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options; a wrong one ends the program with a line that says so."""
    parser = argparse.ArgumentParser(prog="bench", add_help=False, allow_abbrev=False)
    for name in ("-h --help", "--quick", "--tables", "--write", "--list", "--release",
                 "--no-filters", "--only-ingest"):
        parser.add_argument(*name.split(), action="store_true")
    parser.add_argument("--set", choices=SETS)
    parser.add_argument("--ingest-limit", type=_positive)
    parser.add_argument("--memory-limit-share", type=_positive)
    parser.add_argument("--only", type=_names, default=None)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")])
    options = parser.parse_args(arguments)
    options.named, options.set = options.set is not None, options.set or "packages"
    return options


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("it has to be above 0")
    return number


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(
            f"no system {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    return names


def run(options: argparse.Namespace) -> list[str]:
    """Measures the systems, and returns the names of those that failed."""
    chosen = options.only or [name for name in NAMES if _is_usual(name, options)]
    prepare_set(options)
    ready, failed = install(chosen)
    if any(entry(name).is_ours for name in chosen):
        build_lodgepole(chosen, options.release)
    for round_number in range(options.rounds):
        order = ready if round_number % 2 == 0 else ready[::-1]
        for name in order:
            if not measure(name, options, round_number) and name not in failed:
                failed.append(name)
    return failed


def _is_usual(name: str, options: argparse.Namespace) -> bool:
    if options.only_ingest:
        # A load over REST says little more than one over gRPC.
        return entry(name).kind == "server" and name != "lodgepole-rest"
    return not (options.quick and name in QUICK_WITHOUT)


def install(chosen: list[str]) -> tuple[list[str], list[str]]:
    """Makes the environments: the names that can be measured, and those that cannot."""
    ready, failed = [], []
    for name in chosen:
        try:
            interpreter(name)
            ready.append(name)
        except (venvs.InstallError, subprocess.TimeoutExpired) as problem:
            say(f"{name} could not be installed: {problem}")
            failed.append(name)
    return ready, failed


def interpreter(name: str) -> Path:
    """The Python of a system's environment."""
    one = entry(name)
    return venvs.python(CACHE, one.environment, one.packages, say)


def prepare_set(options: argparse.Namespace) -> None:
    """Makes the set, or what an older one lacks."""
    folder = CACHE / "data" / options.set
    if (folder / "set.json").exists():
        others = [folder / f"truth-queries-{kind}.f32" for kind in asked.OTHERS]
        if not all(path.exists() for path in others):
            say(f"Making more queries for the set {options.set}")
            _make("queries", str(folder))
        return
    source = options.data or Path(os.environ.get(DATA_VARIABLE) or DATA_DEFAULT)
    missing = [name for name in ("base-100k.f16", "queries-1k.f16")
               if not (source / name).exists()]
    if missing:
        raise SystemExit(f"bench: {source} has no {' and no '.join(missing)}.\nThe benchmark needs "
                         f"real embeddings: 100,000 rows and 1,000 queries of 384 half floats. "
                         f"Name their folder with --data or {DATA_VARIABLE}.")
    say(f"Making the set {options.set}")
    _make(options.set, str(source), str(folder))


def _make(*arguments: str) -> None:
    python = venvs.python(CACHE, "libraries", LIBRARIES, say)
    command = [str(python), "-m", "benchmarks.data", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True)


def build_lodgepole(chosen: list[str], release: bool) -> None:
    """Builds what is measured of Lodgepole."""
    profile = ["--release"] if release else []
    commands = []
    if "lodgepole" in chosen:
        commands.append(["--package", "lodgepole-search", "--example", "set_bench"])
    if "lodgepole-grpc" in chosen or "lodgepole-rest" in chosen:
        commands.append(["--package", "lodgepole"])
    for command in commands:
        say(f"Building Lodgepole: cargo build {' '.join([*profile, *command])}")
        done = subprocess.run(["cargo", "build", "--quiet", *profile, *command], cwd=ROOT)
        if done.returncode != 0:
            raise SystemExit("bench: the build failed; cargo's message is above")


def measure(name: str, options: argparse.Namespace, round_number: int) -> bool:
    """Runs one system in a process of its own, and keeps its result."""
    one, work = entry(name), CACHE / f"work-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    job, partial = work / "job.json", work / "result.json"
    job.write_text(json.dumps({
        "peer": name, "module": one.module, "folder": str(work / "data"),
        "data": str(CACHE / "data" / options.set), "result": str(partial),
        "plan": plan(one, options)}))
    say(f"{time.strftime('%H:%M:%S')} {one.title}")
    command = [str(interpreter(name)), "-m", "benchmarks.worker", str(job)]
    started = time.monotonic()
    try:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL,
                                   env=environment(release=options.release))
        try:
            process.wait(TIMEOUT_S[options.set])
        except subprocess.TimeoutExpired:
            say(f"    {name}: takes too long, ended")
        finally:
            stopped(process)
        if not partial.exists():
            return False
        result = json.loads(partial.read_text())
        result["seconds"] = time.monotonic() - started
        result["profile"] = "release" if options.release else "dev"
        result["machine"] = describe(ROOT)
        keep(CACHE / "results" / options.set / f"{name}.json", result, round_number,
             only_ingest=options.only_ingest)
        return "failed" not in result
    finally:
        shutil.rmtree(work, ignore_errors=True)


def keep(path: Path, result: dict, round_number: int, *, only_ingest: bool) -> None:
    """Adds a pass to the file; the first pass of a run replaces what was there.

    Passes that only load stand apart: they replace figures of loads, and leave those of searches.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else {}
    part = "ingest" if only_ingest else "rounds"
    if round_number == 0:
        kept = {"rounds": kept.get("rounds", [])} if only_ingest else {}
    kept[part] = [*kept.get(part, []), result]
    path.write_text(json.dumps(kept, indent=1))


def plan(one, options: argparse.Namespace) -> dict:
    """What the worker is to measure."""
    server = one.kind == "server"
    quick = options.quick
    threads = options.threads or ([1, 8] if server and quick else [1, 2, 8] if server else [1, 2])
    filters = QUICK_FILTERS[one.kind] if quick else ALL_FILTERS
    if options.no_filters or (quick and one.name in QUICK_WITHOUT_FILTERS):
        filters = ()
    return {"threads": threads, "seconds": options.seconds or (1 if quick else 3),
            "filters": filters, "filter_threads": [1], "backup": not quick, "build_threads": 2,
            "sweep_queries": 500 if quick else 1_000, "sweep_s": 0.4 if quick else 1.5,
            "ingest_limit_s": options.ingest_limit and options.ingest_limit * 60,
            "only_ingest": options.only_ingest, "memory_limit_share": options.memory_limit_share}


def environment(**more) -> dict:
    """The environment of a worker."""
    profile = "release" if more.get("release") else "debug"
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1",
            "LODGEPOLE_BENCH_PROFILE": profile}


def say(text: str) -> None:
    """Progress for people. Standard output is kept for the tables."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal_stop()
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
