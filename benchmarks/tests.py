"""Tests of what needs no package: tables, medians, goals, arguments. `python -m benchmarks.tests`.

What measures is tested by `./bench --set tiny`, which takes minutes.
"""

import contextlib
import io
import json
import re
import socket
import sys
import tempfile
import time
import unittest
from pathlib import Path

from benchmarks import cgroup, goals, http1, main, merged, processes, progress, report
from benchmarks.roster import NAMES, ROSTER


def result(qps: float, *, reached: bool = True, cpu_s: float = 10.0, rows: int = 10) -> dict:
    """A system's result as a worker writes it."""
    run = {"qps": qps, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "queries": 5, "cpu_us": 100.0}
    at = [{"target": target, "reached": True, "recall": target, "setting": {"ef": 1},
           "threads": {"1": run, "2": run}} for target in report.TARGETS]
    if not reached:
        at[1] = {"target": 0.99, "reached": False, "recall": 0.98}
    filtered = [{"filter": "random-10%", "best_recall": 1.0, "sweep": [], "at": at}]
    return {"rows": rows, "dimension": 384, "at": at, "filtered": filtered, "profile": "dev",
            "build": {"queryable_s": 1.0, "indexed_s": 2.0, "cpu_s": cpu_s, "disk_bytes": 100,
                      "memory": {"anonymous": 50}}}


class Tables(unittest.TestCase):
    """What is measured comes into the page, and nothing else of it changes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.results = Path(folder.name) / "results"

    def put(self, name: str, *rounds: dict, set_name: str = "packages",
            loads: list | None = None) -> None:
        path = self.results / set_name / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"rounds": rounds} if loads is None else {"rounds": rounds, "ingest": loads}
        path.write_text(json.dumps(kept))

    def test_ratios_are_ours_over_theirs(self) -> None:
        self.put("lodgepole", result(3_000))
        self.put("hnswlib", result(1_000))
        text = report.tables(self.results, ["packages"])
        self.assertRegex(text, r"hnswlib 0.8.0 \| 0.950 \|.*\| 3.0x \|")
        self.assertRegex(text, r"against hnswlib, 1 thread \| >= 3x \| 3.00x \| met \|")
        self.assertRegex(text, r"recall 0.99 against hnswlib.*missed by 1.33x")

    def test_a_recall_that_is_not_reached_has_no_rate(self) -> None:
        self.put("lodgepole", result(3_000))
        self.put("usearch", result(1_000, reached=False))
        text = report.tables(self.results, ["packages"])
        self.assertIn("at best 0.980", text)

    def test_a_failure_is_shown_and_does_not_count_as_a_pass(self) -> None:
        self.put("hnswlib", {"failed": "RuntimeError: x"})
        self.put("usearch", {"failed": "RuntimeError: x"}, result(1_000))
        text = report.tables(self.results, ["packages"])
        self.assertRegex(text, r"hnswlib 0.8.0 \| failed")
        self.assertNotRegex(text, r"USearch[^|]*\| failed")

    def test_only_what_stands_between_marks_is_written(self) -> None:
        self.put("hnswlib", result(1_000))
        page = self.results / "page.md"
        marks = "<!-- bench search packages -->", "<!-- end search packages -->"
        page.write_text(f"# Page\n\nBefore.\n\n{marks[0]}\n\nold\n\n{marks[1]}\n\nBy hand.\n")
        report.write(page, self.results, self.results)
        text = page.read_text()
        self.assertTrue(text.startswith(f"# Page\n\nBefore.\n\n{marks[0]}\n\n### 100,000 x 384"))
        self.assertTrue(text.endswith(f"{marks[1]}\n\nBy hand.\n"))
        self.assertNotIn("old", text)

    def test_a_block_that_is_new_follows_the_others(self) -> None:
        page = "# Page\n"
        for name in ("packages", "packages-1m", "packages"):
            page = report.replaced(page, name, f"of {name}") + "\nBy hand.\n"
        self.assertEqual(page.count("of packages\n"), 1)
        self.assertEqual(page.count("By hand."), 3)
        self.assertRegex(page, r"end search packages -->\n\n<!-- bench search packages-1m")

    def test_all_sets_are_kept(self) -> None:
        self.put("lodgepole", result(1_000))
        self.put("lodgepole", result(1_000, rows=100), set_name="packages-1m")
        page = self.results / "page.md"
        page.write_text("# Page\n")
        report.write(page, self.results, self.results)
        text = page.read_text()
        self.assertIn("### 100,000 x 384, real", text)
        self.assertIn("### 1,000,000 x 384", text)
        (self.results / "packages" / "lodgepole.json").unlink()
        report.write(page, self.results, self.results)
        self.assertIn("### 100,000 x 384, real", page.read_text())

    def test_a_load_that_was_stopped_is_a_bound(self) -> None:
        self.put("lodgepole-grpc", result(3_000), set_name="packages-1m")
        stopped = {"after_s": 600.0, "rows": 310, "of": 1000, "step": "rows"}
        self.put("redis-vectors", set_name="packages-1m", loads=[
            {"rows": 1000, "dimension": 384, "build": {"cpu_s": 9.0, "stopped": stopped}}])
        stopped = {**stopped, "after_s": 1.0, "step": "index"}
        build = {"cpu_s": 9.0, "queryable_s": 0.5, "stopped": stopped}
        self.put("pgvector", result(1_000), set_name="packages-1m",
                 loads=[{"rows": 1000, "dimension": 384, "build": build}])
        text = report.tables(self.results, ["packages-1m"])
        self.assertRegex(text, r"Redis[^|]*\| - \| stopped after 10.0 min at 31% \(rows\)")
        self.assertRegex(text, r"indexed, redis-vectors / ours, gRPC \| >= 1x \| >= 300.00x \| met")
        self.assertRegex(text, r"pgvector / ours, gRPC \| >= 1x \| >= 0.50x \| not known: the load")
        self.assertRegex(text, r"PostgreSQL[^|]*\| 0.950 \| 1,000 ", "searches stay")
        self.assertNotRegex(text, r"Redis[^|]*\| failed")

    def test_each_set_has_its_own_goals(self) -> None:
        for name in ("packages", "packages-1m"):
            self.put("lodgepole", result(3_000), set_name=name)
            self.put("hnswlib", result(1_200), set_name=name)
        small = report.tables(self.results, ["packages"])
        large = report.tables(self.results, ["packages-1m"])
        self.assertRegex(small, r"0.95 against hnswlib, 1 thread \| >= 3x \| 2.50x \| missed by 1.2")
        self.assertRegex(large, r"0.95 against hnswlib, 1 thread \| >= 2x \| 2.50x \| met")
        self.assertNotIn("build CPU, hnswlib", large)

    def test_default_recall_is_a_row_and_a_goal(self) -> None:
        ours = result(3_000)
        ours["default"] = {**ours["at"][0], "recall": 0.97}
        ours["default_recall"] = {"real": 0.97, "noisy": 0.96, "mixed": 0.93}
        self.put("lodgepole", ours)
        text = report.tables(self.results, ["packages"])
        self.assertRegex(text, r"in the process, default settings \| 0.970 \| 3,000 ")
        self.assertRegex(text, r"real: Lodgepole, in the process \| 0.970 \| 0.960 \| 0.930 \|")
        self.assertRegex(text, r"mixed queries, in the process \| >= 0.95 \| 0.930 \| missed by 0.020")

    def test_memory_is_a_slope_and_a_fixed_part(self) -> None:
        for name, rows, memory in (("packages", 1_000, 1 << 21), ("packages-1m", 2_000, 3 << 20)):
            ours = result(1_000, rows=rows)
            ours["build"]["memory_all"] = {"anonymous": memory}
            self.put("lodgepole-grpc", ours, set_name=name)
        text = report.tables(self.results, ["packages", "packages-1m"])
        self.assertRegex(text, r"gRPC \| 1,000 \| 2,097 \| 2,000 \| 1,573 \| 1,049 \| 1 MiB \|")

    def test_a_memory_limit_is_shown_beside_none(self) -> None:
        ours = result(1_000)
        ours["default"] = ours["at"][0]
        within = {**ours["at"][0], "threads": {"1": {**ours["at"][0]["threads"]["1"], "qps": 400}}}
        ours["limited"] = {"share": 0.25, "limit_bytes": 1 << 20, "at": {"0.95": within},
                           "memory": {"anonymous": 1 << 19, "files": 1 << 19}}
        self.put("lodgepole-grpc", ours)
        text = report.tables(self.results, ["packages"])
        self.assertRegex(text, r"gRPC, recall >= 0.95 \| none \| 0.950 \| 1 \| 1,000 ")
        self.assertRegex(text, r"gRPC, recall >= 0.95 \| 1 MiB \| 0.950 \| 1 \| 400 ")
        ours["limited"] = {"share": 0.25, "limit_bytes": 1 << 20, "skipped": "no groups"}
        self.put("lodgepole-grpc", ours)
        self.assertIn("not measured, no groups", report.tables(self.results, ["packages"]))

    def test_tables_have_as_many_cells_in_each_row(self) -> None:
        for name in NAMES:
            self.put(name, result(1_000, reached=name != "chroma"))
        text = report.tables(self.results, ["packages"])
        for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
            cells = {line.count("|") for line in block.strip().splitlines()}
            self.assertEqual(len(cells), 1, block)


class Figures(unittest.TestCase):
    """Small things that every figure goes through."""

    def test_the_median_is_taken_figure_by_figure(self) -> None:
        passes = [{"a": 1, "b": [{"c": 5.0}], "d": "x", "e": True},
                  {"a": 9, "b": [{"c": 1.0}], "d": "y", "e": False},
                  {"a": 2, "b": [{"c": 2.0}], "d": "z", "e": True}]
        self.assertEqual(merged.median(passes), {"a": 2, "b": [{"c": 2.0}], "d": "x", "e": True})

    def test_a_goal_that_was_not_measured_is_left_out(self) -> None:
        for name in report.TITLES:
            self.assertEqual(goals.table(name, {}), "")
            judged = [goal for goal in goals.of_set(name, {}) if goal.value is not None]
            self.assertEqual(judged, [])

    def test_a_load_ends_when_its_time_is_over(self) -> None:
        unlimited, short = progress.Progress(), progress.Progress(0.001)
        unlimited.begin(10)
        unlimited.done(5)
        self.assertEqual(unlimited.left_s(), None)
        short.begin(10)
        time.sleep(0.002)
        with self.assertRaises(progress.Stopped):
            short.done(3, "index")
        figures = short.figures()
        self.assertEqual((figures["rows"], figures["of"], figures["step"]), (3, 10, "index"))

    def test_a_reply_that_does_not_come_is_not_awaited_beyond_the_deadline(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            connection = http1.Connection(server.getsockname()[1], time.monotonic() + 0.05)
            with self.assertRaises(TimeoutError):
                connection.call("GET", "/")
            connection.close()

    def test_memory_groups_are_found_where_they_can_be_made(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            mounts, cgroup.MOUNTS = cgroup.MOUNTS, Path(folder) / "mounts"
            try:
                lines = "tmpfs /tmp tmpfs rw 0 0\ncgroup2 /a cgroup2 rw 0 0\n"
                cgroup.MOUNTS.write_text(lines)
                self.assertIsNone(cgroup.root())
                cgroup.MOUNTS.write_text(f"{lines}cgroup {folder} cgroup rw,memory 0 0\n")
                self.assertEqual(cgroup.root(), Path(folder))
            finally:
                cgroup.MOUNTS = mounts

    def test_files_are_forgotten_but_stay(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "inner" / "file"
            path.parent.mkdir()
            path.write_bytes(b"x" * 10_000)
            cgroup.forget_files(Path(folder))
            self.assertEqual(path.read_bytes(), b"x" * 10_000)

    def test_processor_time_grows_with_work(self) -> None:
        own = [processes.os.getpid()]
        before = processes.processor_s(own, True)
        while processes.processor_s(own, True) < before + 0.05:
            sum(range(10_000))
        self.assertGreater(processes.memory_bytes(own, False)["anonymous"], 1 << 20)


class Arguments(unittest.TestCase):
    """The command line, and the files it stands for."""

    def test_every_system_has_its_file_and_pinned_packages(self) -> None:
        for one in ROSTER:
            with self.subTest(one.name):
                path = main.ROOT / "benchmarks" / "peers" / f"{one.module}.py"
                self.assertTrue(path.exists())
                self.assertTrue(all("==" in package for package in one.packages))

    def test_an_unknown_system_is_refused(self) -> None:
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as text:
            main.parse(["--only", "hnswlib,nothing"])
        self.assertIn("no system nothing", text.getvalue())

    def test_loads_are_kept_apart_from_searches(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "set" / "peer.json"
            main.keep(path, {"a": 1}, 0, only_ingest=False)
            main.keep(path, {"a": 2}, 1, only_ingest=False)
            main.keep(path, {"b": 3}, 0, only_ingest=True)
            self.assertEqual(json.loads(path.read_text()),
                             {"rounds": [{"a": 1}, {"a": 2}], "ingest": [{"b": 3}]})
            main.keep(path, {"b": 4}, 0, only_ingest=True)
            self.assertEqual(json.loads(path.read_text())["ingest"], [{"b": 4}])
            main.keep(path, {"a": 5}, 0, only_ingest=False)
            self.assertEqual(json.loads(path.read_text()), {"rounds": [{"a": 5}]})

    def test_limits_are_minutes_and_shares_above_zero(self) -> None:
        options = main.parse(["--ingest-limit", "1.5", "--memory-limit-share", "0.25"])
        made = main.plan(main.entry("pgvector"), options)
        self.assertEqual((made["ingest_limit_s"], made["memory_limit_share"]), (90, 0.25))
        self.assertIsNone(main.plan(main.entry("pgvector"), main.parse([]))["ingest_limit_s"])
        for wrong in ("0", "-1", "x", "nan"):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                main.parse(["--ingest-limit", wrong])

    def test_without_data_it_says_what_it_needs(self) -> None:
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(SystemExit) as raised:
            cache, main.CACHE = main.CACHE, Path(folder)
            try:
                main.prepare_set(main.parse(["--data", folder]))
            finally:
                main.CACHE = cache
        self.assertIn(main.DATA_VARIABLE, str(raised.exception))
        self.assertIn("base-100k.f16", str(raised.exception))


if __name__ == "__main__":
    program = unittest.main(exit=False, argv=[sys.argv[0]])
    outcome = program.result
    wrong = len(outcome.failures) + len(outcome.errors)
    print(f"{outcome.testsRun - wrong} passed, {wrong} failed")
    sys.exit(1 if wrong else 0)
