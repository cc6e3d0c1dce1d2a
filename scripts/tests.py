"""Tests of these scripts: above all, that ./check cannot call a failure a success."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import check
import environments
import suites
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
            code = check.check(list(made_up), long=False, whole=True)
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

    def test_a_suite_over_its_budget_is_named(self) -> None:
        code, lines = self.run_check(Suite("a", -1, -1, lambda _: Outcome(1)))
        self.assertEqual((code, lines[-2:]), (0, ["over budget: a", "1 passed, 0 failed"]))

    def test_budgets_of_the_suites_add_up_to_no_more_than_the_whole(self) -> None:
        usual = [suite for suite in suites.all_suites() if suite.name != "tests-long"]
        self.assertLessEqual(sum(suite.warm_s for suite in usual), suites.TOTAL_WARM_S)
        self.assertLessEqual(sum(suite.cold_s for suite in usual), suites.TOTAL_COLD_S)


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
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    report = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(report.failures) + len(report.errors)
    print(f"{report.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
