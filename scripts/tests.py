"""Tests of these scripts: above all, that ./check cannot call a failure a success."""

import contextlib
import dataclasses
import io
import itertools
import json
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

import check
import environments
import long
import suites
from long import Build, Part, Progress, Ran, Results
from run import quickstart, reachable
from suites import Bench, Outcome, Suite
from workspace import ROOT


class Counting(unittest.TestCase):
    """What the runners print is counted; nothing counted is a failure."""

    def test_results_of_all_cargo_programs_are_summed(self) -> None:
        output = ("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n"
                  "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured\n")
        self.assertEqual(suites.counted_by_cargo(101, output), Outcome(5, 4, 1))

    def test_a_crate_that_does_not_compile_fails(self) -> None:
        output = "test result: ok. 3 passed; 0 failed; 0 ignored\nerror: could not compile"
        self.assertEqual(suites.counted_by_cargo(101, output).failed, 1)

    def test_a_run_without_tests_fails(self) -> None:
        for count in (suites.counted_by_cargo, suites.counted_by_node,
                      suites.counted_by_closing_line):
            self.assertEqual(count(0, "").failed, 1, count)

    def test_the_last_closing_line_counts(self) -> None:
        count = suites.counted_by_closing_line
        self.assertEqual(count(0, "1 passed, 0 failed\n7 passed, 0 failed, 2 skipped\n"),
                         Outcome(7, 0, 2, "1 passed, 0 failed"))
        self.assertEqual(count(1, "7 passed, 3 failed\n"), Outcome(7, 3, 0))
        self.assertEqual(count(1, "7 passed, 0 failed\n").failed, 1)
        self.assertEqual(count(0, "0 passed, 0 failed\n").failed, 1)
        self.assertEqual(count(0, "needs root\n0 passed, 0 failed, 1 skipped\n"),
                         Outcome(0, 0, 1, "needs root"))
        self.assertEqual(count(0, "it says 7 passed, 0 failed somewhere\n").failed, 1)

    def test_counts_of_node_are_read(self) -> None:
        output = "# tests 9\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 2\n# todo 0\n"
        self.assertEqual(suites.counted_by_node(1, output), Outcome(5, 2, 2))


class Check(unittest.TestCase):
    """The whole, on suites made up for the purpose."""

    def run_check(self, *made_up: Suite) -> tuple[int, list[str]]:
        printed = io.StringIO()
        with tempfile.TemporaryDirectory(dir=suites.CACHE) as logs, \
                contextlib.redirect_stdout(printed), mock.patch.object(suites, "LOGS", Path(logs)):
            code = check.check(list(made_up), whole=True)
        return code, printed.getvalue().splitlines()

    def test_counts_are_summed_and_close_the_output(self) -> None:
        code, lines = self.run_check(Suite("a", 9, 9, lambda _: Outcome(3)),
                                     Suite("b", 9, 9, lambda _: Outcome(2, 0, 1, "no root")))
        self.assertEqual((code, lines[-1]), (0, "5 passed, 0 failed, 1 skipped"))
        self.assertTrue(any("no root" in line for line in lines))

    def test_a_failure_is_shown_and_the_rest_still_runs(self) -> None:
        def broken(bench: Bench) -> Outcome:
            return suites.one_test(bench.command([sys.executable, "-c", "print(6*7); exit(3)"])[0])

        code, lines = self.run_check(Suite("a", 9, 9, broken),
                                     Suite("b", 9, 9, lambda _: Outcome(2)))
        self.assertEqual((code, lines[-1]), (1, "2 passed, 1 failed"))
        self.assertIn("    | 42", lines)

    def test_a_suite_that_breaks_or_hangs_fails(self) -> None:
        def breaks(_: Bench) -> Outcome:
            raise OSError("no disk")

        def hangs(bench: Bench) -> Outcome:
            bench.timeout_s = 1
            return suites.one_test(bench.command(["sleep", "60"])[0])

        code, lines = self.run_check(Suite("a", 9, 9, breaks), Suite("b", 9, 9, hangs))
        self.assertEqual((code, lines[-1]), (1, "0 passed, 2 failed"))

    def test_suites_that_crash_servers_run_beside_those_after_the_binary(self) -> None:
        seen, together = [], threading.Barrier(2, timeout=20)

        def meets(bench: Bench) -> Outcome:
            together.wait()
            return Outcome(1)

        def first(_: Bench) -> Outcome:
            seen.append("binary")
            return Outcome(1)

        code, lines = self.run_check(Suite("crash-a", 9, 9, meets), Suite("binary", 9, 9, first),
                                     Suite("b", 9, 9, meets))
        self.assertEqual((code, lines[-1], seen), (0, "3 passed, 0 failed", ["binary"]))

    def test_a_suite_over_its_budget_is_named(self) -> None:
        code, lines = self.run_check(Suite("a", -1, -1, lambda _: Outcome(1)))
        self.assertEqual((code, lines[-2:]), (0, ["over budget: a", "1 passed, 0 failed"]))

    def test_budgets_of_the_suites_add_up_to_no_more_than_the_whole(self) -> None:
        usual = [suite for suite in suites.all_suites() if not suite.runs_beside]
        self.assertLessEqual(sum(suite.warm_s for suite in usual), suites.TOTAL_WARM_S)
        self.assertLessEqual(sum(suite.cold_s for suite in usual), suites.TOTAL_COLD_S)


BUILD = Build("c0ffee", "p1")
# A part that is done by a program made up for the purpose; {count} rounds of it.
MADE_UP = Part("kills", "kills", 100, "kills", "kill {count} {seed} {first} {end}", 1.0,
               "scripts/tests.py", most=40)


def answering(text: str, code: int = 0) -> tuple[Part, list[list[str]]]:
    """A part whose program prints this text, with {count} filled in; and the calls of it."""
    calls: list[list[str]] = []

    def run(_: Bench, words: list[str]) -> Ran:
        calls.append(words)
        return Ran(code, text.replace("{count}", words[1]))

    return dataclasses.replace(MADE_UP, run=run), calls


class Long(unittest.TestCase):
    """The parts of the long form: what counts, and where a call goes on."""

    GOOD = "kills={count} acked=7 lost=0 torn=0 seed=1 seconds=3\n{count} passed, 0 failed\n"

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=suites.CACHE)
        self.addCleanup(self.folder.cleanup)
        self.results = Results(Path(self.folder.name, "results"))

    def call(self, part: Part, *, minutes: float | None = None, fresh: bool = False,
             build: Build = BUILD) -> int:
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.object(Build, "now", return_value=build):
            return long.run([part], self.results, minutes=minutes, fresh=fresh)

    def reached(self, part: Part, build: Build = BUILD) -> int:
        return self.results.progress(part, build).reached

    def test_a_part_is_called_until_its_aim_with_other_seeds_each_time(self) -> None:
        part, calls = answering(self.GOOD)
        self.assertEqual(self.call(part), 0)
        self.assertEqual(self.reached(part), 100)
        self.assertEqual([int(words[1]) for words in calls], [40, 40, 20])
        self.assertEqual([(int(words[3]), int(words[4])) for words in calls],
                         [(0, 40), (40, 80), (80, 100)])
        self.assertEqual(len({words[2] for words in calls}), 3)
        self.assertEqual(self.call(part), 0)
        self.assertEqual(len(calls), 3, "nothing is left to do")

    def test_a_call_does_what_fits_into_its_time_and_the_next_goes_on(self) -> None:
        part, calls = answering(self.GOOD)
        self.results.append(line(seconds=20.0, count=20, end=20))
        with mock.patch.object(long.time, "monotonic", side_effect=ticking(15)):
            self.call(part, minutes=0.5)
        self.assertEqual([words[1] for words in calls], ["15"])
        self.call(part, minutes=1)
        self.assertEqual((calls[1][3], self.reached(part) >= 75), ("35", True))

    def test_no_time_runs_nothing(self) -> None:
        part, calls = answering(self.GOOD)
        self.assertEqual((self.call(part, minutes=0), calls), (0, []))

    def test_a_failure_counts_nothing_and_is_not_repeated_in_the_same_call(self) -> None:
        for text in ("kills=40 lost=0\n39 passed, 1 failed\n",
                     "kills=40 lost=1\n40 passed, 0 failed\n",
                     "kills=40 panics=1\n40 passed, 0 failed\n",
                     "40 passed, 0 failed\n", "kills=40\n", ""):
            with self.subTest(text):
                part, calls = answering(text)
                self.assertEqual(self.call(part, fresh=True), 1)
                self.assertEqual((self.reached(part), len(calls)), (0, 1))
                self.assertEqual(len(self.results.progress(part, BUILD).bad), 1)
                self.assertFalse(long.summary([part], self.results, BUILD)[1])

    def test_a_failure_stays_in_the_summary_after_the_aim_is_reached(self) -> None:
        self.call(answering("kills=40 lost=2\n40 passed, 0 failed\n")[0])
        part, calls = answering(self.GOOD)
        self.call(part)
        text, is_good = long.summary([part], self.results, BUILD)
        self.assertEqual((self.reached(part), is_good), (100, False))
        self.assertIn("| kills | 100 | 100 | 21 | 2 | 0 |", text)
        self.assertIn("FAILED", text)
        self.assertEqual(calls[0][3], "40", "the seeds that failed are not called good later")
        self.call(part, fresh=True)
        self.assertTrue(long.summary([part], self.results, BUILD)[1])

    def test_what_the_machine_does_not_allow_is_left_out_and_counts_nothing(self) -> None:
        part, calls = answering("not root\n0 passed, 0 failed, 1 skipped\n")
        self.assertEqual((self.call(part), self.reached(part), len(calls)), (0, 0, 1))
        self.assertEqual(self.results.lines(), [])
        missing = dataclasses.replace(part, needs="tests/not/there.py")
        self.assertEqual((self.call(missing), len(calls)), (0, 1))

    def test_a_part_that_cannot_be_run_fails_and_the_others_go_on(self) -> None:
        def broken(*_) -> Ran:
            raise OSError("no disk")

        part, calls = answering(self.GOOD)
        parts = [dataclasses.replace(part, name="broken", run=broken), part]
        with contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()), \
                mock.patch.object(Build, "now", return_value=BUILD):
            self.assertEqual(long.run(parts, self.results, minutes=None, fresh=False), 1)
        self.assertEqual((len(calls), self.reached(part)), (3, 100))

    def test_other_sources_begin_anew_and_another_commit_of_the_same_does_not(self) -> None:
        part, calls = answering(self.GOOD)
        self.call(part)
        self.call(part, build=Build("decade", "p1"))
        self.assertEqual(len(calls), 3)
        self.assertEqual(self.reached(part, Build("decade", "p2")), 0)
        self.call(part, build=Build("decade", "p2"))
        self.assertEqual(len(calls), 6)

    def test_results_are_only_added_and_a_torn_line_is_no_line(self) -> None:
        self.results.append(line(count=5))
        with open(self.results.file, "a") as file:
            file.write('{"part": "kil')
        self.results.append(line(count=6))
        self.assertEqual([row["count"] for row in self.results.lines()], [5, 6])

    def test_figures_are_read_from_lines_that_begin_so(self) -> None:
        text = ("mutant x: caught lost=3\nname=a part=one files=1 lost=1\n"
                "name=a part=two files=2 lost=1 wait_s=0.5 word=x\n")
        self.assertEqual(long.figures_in(text), {"files": 2, "lost": 2, "wait_s": 0.5})

    def test_other_programs_are_counted_as_they_print_it(self) -> None:
        sent = long.printed_by_openapi(Ran(0, "3050 requests to 9 operations\n9 passed, 0 failed"))
        self.assertEqual((sent.figures, sent.outcome), ({"cases": 3050}, Outcome(9)))
        line = "lost=0 torn=0 wrong=0\n300 passed, 0 failed\n"
        simulated = long.printed_by_simulation(Ran(0, f"seeds 0..300 in 7 s\n{line}"))
        self.assertEqual((simulated.figures["cases"], simulated.outcome), (300, Outcome(300)))
        for broken in (Ran(1, line), Ran(0, "lost=0\n")):
            self.assertEqual(long.printed_by_simulation(broken).outcome.failed, 1)
        part = dataclasses.replace(MADE_UP, counts="runs")
        found = long.printed_by_cargo(Ran(0, "test result: ok. 3 passed; 0 failed; 0 ignored\n"))
        self.assertEqual(long.line_of(part, found)["count"], 1)

    def test_the_table_is_one_that_can_be_run(self) -> None:
        self.assertEqual(len({part.name for part in long.PARTS}), len(long.PARTS))
        for part in long.PARTS:
            words = part.command.format(count=1, seed=2, first=3, end=4).split()
            self.assertTrue(words[0] == "cargo" or words[0] == part.needs, part.name)
            self.assertLessEqual(part.least * part.seconds_each, long.PART_MAX_S * long.FILLED)
            self.assertGreater(Progress(part).next_count(long.PART_MAX_S), 0, part.name)


def line(**about: object) -> dict:
    """A line of results."""
    return {"part": "kills", "product": "p1", "good": True, "count": 1, "seconds": 1.0, "end": 0,
            "date": "2026-01-01T00:00:00Z", "command": "kill", "figures": {}} | about


def ticking(step_s: float):
    """A clock that goes on by so much each time it is read."""
    return itertools.count(0, step_s).__next__


class Files(unittest.TestCase):
    """What is committed."""

    def test_locks_are_exact_and_name_no_host(self) -> None:
        frameworks = environments.FRAMEWORKS
        pip = [*environments.PYTHON_LOCKS.glob("*.lock"), ROOT / "demo" / "digits.lock",
               *(frameworks / "python" / f"{name}.lock" for name in environments.PYTHON_FRAMEWORKS)]
        node = [*(environments.NODE_LOCKS / version / "package-lock.json"
                  for version in environments.NODE_CLIENTS),
                *(frameworks / "typescript" / name / "package-lock.json"
                  for name in environments.NODE_FRAMEWORKS)]
        self.assertEqual((len(pip), len(node)), (9, 6))
        for lock in (*pip, *node):
            self.assertNotIn("://", lock.read_text(), lock)
        for lock in pip:
            self.assertIn("--hash=sha256:", lock.read_text(), lock)
        for lock in node:
            packages = json.loads(lock.read_text())["packages"]
            self.assertTrue(all("integrity" in packages[name] for name in packages if name), lock)

    def test_examples_are_made_out_to_the_server_that_runs(self) -> None:
        for file in (ROOT / "scripts" / "quickstart").iterdir():
            text = quickstart(file.name, "http://localhost:7000")
            self.assertIn("http://localhost:7000", text)
            self.assertNotIn("5080", text)

    def test_addresses_are_shown_as_people_type_them(self) -> None:
        for listen in ("127.0.0.1", "0.0.0.0", "[::]"):
            self.assertEqual(reachable(f"http://{listen}:5080"), "http://localhost:5080")
        self.assertEqual(reachable("http://10.0.0.7:5080"), "http://10.0.0.7:5080")


def main() -> int:
    suites.CACHE.mkdir(exist_ok=True)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    report = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(report.failures) + len(report.errors)
    print(f"{report.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
