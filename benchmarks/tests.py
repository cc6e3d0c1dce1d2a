"""Tests of what needs no package: tables, medians, goals, arguments. `python -m benchmarks.tests`.

What measures is tested by `./bench --set tiny`, which takes minutes.
"""

import contextlib
import io
import json
import re
import sys
import tempfile
import unittest
from pathlib import Path

from benchmarks import goals, main, merged, processes, report
from benchmarks.roster import NAMES, ROSTER


def result(qps: float, *, reached: bool = True, cpu_s: float = 10.0) -> dict:
    """A system's result as a worker writes it."""
    run = {"qps": qps, "p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "queries": 5, "cpu_us": 100.0}
    at = [{"target": target, "reached": True, "recall": target, "setting": {"ef": 1},
           "threads": {"1": run, "2": run}} for target in report.TARGETS]
    if not reached:
        at[1] = {"target": 0.99, "reached": False, "recall": 0.98}
    filtered = [{"filter": "random-10%", "best_recall": 1.0, "sweep": [], "at": at}]
    return {"rows": 10, "dimension": 2, "at": at, "filtered": filtered, "profile": "dev",
            "build": {"queryable_s": 1.0, "indexed_s": 2.0, "cpu_s": cpu_s, "disk_bytes": 100,
                      "memory": {"anonymous": 50}}}


class Tables(unittest.TestCase):
    """What is measured comes into the page, and nothing else of it changes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.results = Path(folder.name) / "results"
        (self.results / "packages").mkdir(parents=True)

    def put(self, name: str, *rounds: dict) -> None:
        path = self.results / "packages" / f"{name}.json"
        path.write_text(json.dumps({"rounds": rounds}))

    def test_ratios_are_ours_over_theirs(self) -> None:
        self.put("lodgepole", result(3_000))
        self.put("hnswlib", result(1_000))
        text = report.tables(self.results, ["packages"], "Machine")
        self.assertRegex(text, r"hnswlib 0.8.0 \| 0.950 \|.*\| 3.0x \|")
        self.assertRegex(text, r"against hnswlib, 1 thread \| 3x \| 3.00x \| met \|")
        self.assertRegex(text, r"recall 0.99 against hnswlib.*missed by 1.33x")

    def test_a_recall_that_is_not_reached_has_no_rate(self) -> None:
        self.put("lodgepole", result(3_000))
        self.put("usearch", result(1_000, reached=False))
        text = report.tables(self.results, ["packages"], "Machine")
        self.assertIn("at best 0.980", text)

    def test_a_failure_is_shown_and_does_not_count_as_a_pass(self) -> None:
        self.put("hnswlib", {"failed": "RuntimeError: x"})
        self.put("usearch", {"failed": "RuntimeError: x"}, result(1_000))
        text = report.tables(self.results, ["packages"], "Machine")
        self.assertRegex(text, r"hnswlib 0.8.0 \| failed")
        self.assertNotRegex(text, r"USearch[^|]*\| failed")

    def test_only_the_marked_section_is_written(self) -> None:
        self.put("hnswlib", result(1_000))
        page = self.results / "page.md"
        page.write_text(f"# Page\n\nBefore.\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nAfter.\n")
        report.write(page, self.results, self.results, "Machine")
        text = page.read_text()
        self.assertTrue(text.startswith(f"# Page\n\nBefore.\n\n{report.BEGIN}\n\nMachine\n"))
        self.assertTrue(text.endswith(f"{report.END}\n\nAfter.\n"))
        self.assertNotIn("old", text)

    def test_tables_have_as_many_cells_in_each_row(self) -> None:
        for name in NAMES:
            self.put(name, result(1_000, reached=name != "chroma"))
        text = report.tables(self.results, ["packages"], "Machine")
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
        self.assertEqual(goals.table({}), "")
        judged = [goal for goal in goals.all_goals({}) if goal.value is not None]
        self.assertEqual(judged, [])

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
