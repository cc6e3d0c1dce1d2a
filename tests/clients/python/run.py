"""Runs the tests of the Python client that this interpreter has: `run.py --url URL [NAME …]`.

Prints each test as it ends, what failed, and a closing line that ./check reads.
"""

import argparse
import sys
import time
import unittest
import warnings

import dialect
import main_job


class Report(unittest.TestResult):
    """One line a test, with its time."""

    def startTest(self, test) -> None:
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test) -> None:
        failed = any(test is other for other, _ in self.failures + self.errors)
        seconds = time.monotonic() - self.started
        name = f"{type(test).__name__}.{test._testMethodName}"
        print(f"{'FAIL' if failed else 'ok  '} {seconds:6.2f} s  {name}", flush=True)
        super().stopTest(test)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("names", nargs="*", help="run only tests whose name holds one of these")
    options = parser.parse_args()
    # The newest client warns of each older way to say something. Those ways must work too.
    warnings.simplefilter("ignore")
    main_job.ClientTest.url = options.url
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    for case in main_job.SUITES:
        for test in loader.loadTestsFromTestCase(case):
            if not options.names or any(name in test.id() for name in options.names):
                suite.addTest(test)
    print(f"pinecone {'.'.join(map(str, dialect.VERSION))}", flush=True)
    report = suite.run(Report())
    for test, trace in report.failures + report.errors:
        print(f"\n---- {test.id()}\n{trace}")
    failed = len({test.id() for test, _ in report.failures + report.errors})
    print(f"{report.testsRun - failed} passed, {failed} failed")
    return 1 if failed or report.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
