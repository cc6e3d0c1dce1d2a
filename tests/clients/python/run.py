"""Runs the tests of the Python client that this interpreter has: `run.py --url URL [NAME …]`.

With `--ca FILE` the server speaks TLS with a certificate of that authority, and every connection,
those of gRPC too, is made by the name of the index. With `--key` and `--wrong-key` the server wants
a key. `--imports FOLDER` is below a folder from which the server may import. Prints each test as it
ends, what failed or was left out, and a closing line that ./check reads.
"""

import argparse
import importlib
import os
import sys
import time
import unittest
import warnings
from pathlib import Path

MODULES = ("main_job", "control_plane", "data_plane")


class Report(unittest.TestResult):
    """One line a test, with its time."""

    def startTest(self, test) -> None:
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test) -> None:
        failed = any(test is other for other, _ in self.failures + self.errors)
        skipped = any(test is other for other, _ in self.skipped)
        seconds = time.monotonic() - self.started
        name = f"{type(test).__name__}.{test._testMethodName}"
        word = "FAIL" if failed else "skip" if skipped else "ok  "
        print(f"{word} {seconds:6.2f} s  {name}", flush=True)
        super().stopTest(test)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--key", default="any")
    parser.add_argument("--wrong-key")
    parser.add_argument("--imports", type=Path)
    parser.add_argument("names", nargs="*", help="run only tests whose name holds one of these")
    options = parser.parse_args()
    if options.ca:
        # Read by the newer clients. Must be set before they are imported.
        os.environ["SSL_CERT_FILE"] = options.ca
    # The newest client warns of each older way to say something. Those ways must work too.
    warnings.simplefilter("ignore")
    suite = chosen(options)
    report = suite.run(Report())
    for test, trace in report.failures + report.errors:
        print(f"\n---- {test.id()}\n{trace}")
    failed = len({test.id() for test, _ in report.failures + report.errors})
    skipped = len(report.skipped)
    if skipped:
        print("; ".join(sorted({reason for _, reason in report.skipped})))
    left_out = f", {skipped} skipped" if skipped else ""
    print(f"{report.testsRun - failed - skipped} passed, {failed} failed{left_out}")
    return 1 if failed or report.testsRun == 0 else 0


def chosen(options) -> unittest.TestSuite:
    """The tests to run, told where the server is."""
    names = [*MODULES, *(["imports"] if options.imports else []),
             *(["keys"] if options.wrong_key else [])]
    modules = [importlib.import_module(name) for name in names]
    dialect = importlib.import_module("dialect")
    case = importlib.import_module("case")
    case.ClientTest.server = dialect.Server(options.url, options.key, options.ca)
    case.ClientTest.wrong_key = options.wrong_key
    case.ClientTest.imports = options.imports
    print(f"pinecone {'.'.join(map(str, dialect.VERSION))}", flush=True)
    loader, suite = unittest.TestLoader(), unittest.TestSuite()
    for test_case in (test_case for module in modules for test_case in module.SUITES):
        for test in loader.loadTestsFromTestCase(test_case):
            if not options.names or any(name in test.id() for name in options.names):
                suite.addTest(test)
    return suite


if __name__ == "__main__":
    sys.exit(main())
