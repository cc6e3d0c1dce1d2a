"""The suites of ./check: what each runs, how its tests are counted, how long it may take.

A suite is a function that answers with an `Outcome`. Counts are those that the runners print, so a
runner that ran nothing shows as a failure, never as a success. To add a suite, add a line to
`all_suites`; one that breaks or loads the server needs only an executable in `tests/crash` or
`tests/load` (see `program_suites`). What takes hours is in `long.py`.
"""

import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import environments
from lodgepole_server import Server, ServerError, scratch_folder
from run import quickstart, reachable
from workspace import CACHE, ROOT, SetupError, binary, cargo

LOGS = CACHE / "check"
# Every executable in these is a suite.
PROGRAMS = {"crash": ROOT / "tests" / "crash", "load": ROOT / "tests" / "load"}
CLIENTS = ROOT / "tests" / "clients"
PYTHON_TESTS = CLIENTS / "python" / "run.py"
NODE_TESTS = [CLIENTS / "typescript" / name
              for name in ("main-job.test.mjs", "operations.test.mjs")]
# Parquet files for imports, and the setting that lets a server read them.
IMPORTS = CLIENTS / "imports"
IMPORT_FLAGS = ("--import-dirs", str(IMPORTS))
# Pinecone's descriptions of its API, which are not part of this repository.
SPECS = Path(os.environ.get("LODGEPOLE_OPENAPI_SPECS", ROOT.parent / "shared" / "specs"))
# Over TLS the Python tests run whose connections differ: those of gRPC, and the control plane.
OVER_TLS = ("Grpc", "Keys", "ControlPlane")
WRONG_KEY = "pclocal_wrong"
FRAMEWORKS = ROOT / "tests" / "frameworks"
# A suite that takes this many times its budget hangs, and is ended; not before some minutes, as it
# may wait for another cargo on the same target folder.
TIMEOUT_BUDGETS = 5
TIMEOUT_MIN_S = 300
# How long everything may take, on two cores: from nothing, and when nothing changed.
TOTAL_COLD_S = 2390
TOTAL_WARM_S = 900

CLOSING_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)
CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored",
                          re.MULTILINE)
TAP_COUNT = re.compile(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", re.MULTILINE)


@dataclass
class Outcome:
    """What came of a suite. `skips` are reasons, one for each thing that was left out."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Suite:
    """`warm_s`: seconds when nothing has to be compiled or installed; `cold_s`: from nothing.

    `environments` names what it needs installed, as `ENVIRONMENTS` calls it.
    """

    name: str
    warm_s: int
    cold_s: int
    run: Callable[["Bench"], Outcome]
    environments: tuple[str, ...] = ()

    @property
    def runs_beside(self) -> bool:
        """Whether it runs beside the others, and so adds nothing to the time that all take."""
        return self.name.startswith("crash-")

    def budget_s(self, *, cold: bool) -> int:
        """How long it may take this time."""
        return self.cold_s if cold else self.warm_s


@dataclass
class Bench:
    """What a running suite works with: its log, its time limit, the things made for all suites."""

    log: Path
    timeout_s: int
    ready: dict[str, Future] = field(default_factory=dict)

    def command(self, words: list, **environment: str) -> tuple[int, str]:
        """Runs a command to its end or to the time limit; its output goes to the log."""
        with open(self.log, "ab") as log:
            log.write(f"$ {' '.join(map(str, words))}\n".encode())
            log.flush()
            start = log.tell()
            child = subprocess.Popen([str(word) for word in words], cwd=ROOT, stdout=log,
                                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                     env=os.environ | environment, start_new_session=True)
            code = _wait(child, self.timeout_s, log)
        with open(self.log, "rb") as log:
            log.seek(start)
            return code, log.read().decode(errors="replace")

    def binary(self) -> Path:
        """The server, built when it is not yet."""
        if self.command(cargo("build", "--package", "lodgepole"))[0] != 0:
            raise SetupError("the server cannot be built")
        return binary()

    def environment(self, name: str) -> Path:
        """An environment that is being installed in the background since ./check began."""
        return self.ready[name].result()

    def note(self, text: str) -> None:
        """Adds to the log."""
        with open(self.log, "a") as log:
            log.write(f"{text}\n")


def _wait(child: subprocess.Popen, timeout_s: int, log) -> int:
    """Waits, and ends the child's whole session when it is late or we are interrupted."""
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        log.write(f"\nended after {timeout_s} s\n".encode())
        return 1
    finally:
        if child.poll() is None:
            os.killpg(child.pid, 9)
            child.wait()


def one_test(code: int) -> Outcome:
    """For tools that say only whether all is well."""
    return Outcome(passed=1) if code == 0 else Outcome(failed=1)


def counted_by_cargo(code: int, output: str) -> Outcome:
    """Sums the result lines of all test programs. A crate that does not compile has none."""
    results = [tuple(map(int, found)) for found in CARGO_RESULT.findall(output)]
    passed, failed, ignored = (sum(column) for column in zip(*results)) if results else (0, 0, 0)
    if code != 0 and failed == 0:
        return Outcome(passed, 1, ignored, "a test program did not compile or did not end")
    if passed + failed == 0:
        return Outcome(0, 1, ignored, "no test ran")
    return Outcome(passed, failed, ignored)


def counted_by_closing_line(code: int, output: str) -> Outcome:
    """For programs of ours, which end with `N passed, N failed[, N skipped]`."""
    found = CLOSING_LINE.findall(output)
    if not found:
        return Outcome(0, 1, 0, f"ended with code {code} and no closing line")
    passed, failed, skipped = (int(number or 0) for number in found[-1])
    if code != 0 and failed == 0:
        return Outcome(passed, 1, skipped, f"ended with code {code}")
    if passed + failed + skipped == 0:
        return Outcome(0, 1, 0, "no test ran")
    # What was left out and why stands on the line before.
    before = output[:output.rindex(" passed, ")].split("\n")[-2:-1] if skipped else []
    return Outcome(passed, failed, skipped, "".join(before))


def counted_by_node(code: int, output: str) -> Outcome:
    """For node's own test runner, in its TAP form."""
    counts = {word: int(number) for word, number in TAP_COUNT.findall(output)}
    passed, failed = counts.get("pass", 0), counts.get("fail", 0) + counts.get("cancelled", 0)
    skipped = counts.get("skipped", 0) + counts.get("todo", 0)
    if passed + failed == 0 or (code != 0 and failed == 0):
        return Outcome(passed, 1, skipped, f"ended with code {code} and {passed} tests")
    return Outcome(passed, failed, skipped)


def format_(bench: Bench) -> Outcome:
    return one_test(bench.command(cargo("fmt", "--all", "--check"))[0])


def tidy(bench: Bench) -> Outcome:
    return one_test(bench.command(cargo("xtask", "tidy"))[0])


def clippy(bench: Bench) -> Outcome:
    command = cargo("clippy", "--workspace", "--all-targets") + ["--", "-D", "warnings"]
    return one_test(bench.command(command)[0])


def scripts(bench: Bench) -> Outcome:
    return counted_by_closing_line(*bench.command([sys.executable, ROOT / "scripts" / "tests.py"]))


def benchmarks(bench: Bench) -> Outcome:
    """The parts of ./bench that need no other system."""
    command = [sys.executable, "-m", "benchmarks.tests"]
    return counted_by_closing_line(*bench.command(command, PYTHONPATH=str(ROOT)))


def rust_tests(bench: Bench) -> Outcome:
    return counted_by_cargo(*bench.command(cargo("test", "--workspace", "--no-fail-fast")))


def docs(bench: Bench) -> Outcome:
    command = cargo("doc", "--workspace", "--no-deps")
    return one_test(bench.command(command, RUSTDOCFLAGS="-Dwarnings")[0])


def build(bench: Bench) -> Outcome:
    return one_test(bench.command(cargo("build", "--package", "lodgepole"))[0])


def with_server(bench: Bench, test: Callable[[Server], Outcome], *flags: str) -> Outcome:
    """Runs a test against a server of its own, and shows the server's log when it fails."""
    with scratch_folder() as folder:
        server = Server.for_test(bench.binary(), Path(folder), *flags)
        try:
            with server:
                outcome = test(server)
        except ServerError as problem:
            bench.note(str(problem))
            return Outcome(failed=1, reason=str(problem).splitlines()[0])
        if server.process.returncode != 0:
            outcome.failed += 1
            outcome.reason = f"the server stopped with code {server.process.returncode}"
        if outcome.failed:
            bench.note(f"---- end of the server's log{server.tail(60)}")
        return outcome


def python_client(name: str) -> Callable[[Bench], Outcome]:
    """Every test, over HTTP."""
    def run(bench: Bench) -> Outcome:
        program = [bench.environment(name), PYTHON_TESTS, "--imports", IMPORTS]
        return with_server(bench, lambda server: counted_by_closing_line(
            *bench.command([*program, "--url", server.url])), *IMPORT_FLAGS)
    return run


def python_client_over_tls(name: str) -> Callable[[Bench], Outcome]:
    """With a certificate of the local authority and an API key; gRPC by the name of the index."""
    def run(bench: Bench) -> Outcome:
        program = [bench.environment(name), PYTHON_TESTS, "--imports", IMPORTS]

        def test(server: Server) -> Outcome:
            way = ["--url", server.url, "--ca", server.ca]
            keys = ["--key", server.new_key(), "--wrong-key", WRONG_KEY]
            return counted_by_closing_line(*bench.command([*program, *way, *keys, *OVER_TLS]))

        return with_server(bench, test, "--tls", "local", *IMPORT_FLAGS)
    return run


def node_client(name: str) -> Callable[[Bench], Outcome]:
    """Every test, over HTTP. What needs API keys is left to the tests over TLS."""
    def run(bench: Bench) -> Outcome:
        client = bench.environment(name)
        return with_server(bench, lambda server: counted_by_node(*bench.command(
            node_tests(NODE_TESTS), LODGEPOLE_URL=server.url, PINECONE_CLIENT=str(client),
            LODGEPOLE_IMPORTS=str(IMPORTS))), *IMPORT_FLAGS)
    return run


def node_client_over_tls(name: str) -> Callable[[Bench], Outcome]:
    """With a certificate of the local authority and an API key."""
    def run(bench: Bench) -> Outcome:
        client = bench.environment(name)
        return with_server(bench, lambda server: counted_by_node(*bench.command(
            node_tests(NODE_TESTS), LODGEPOLE_URL=server.url, PINECONE_CLIENT=str(client),
            LODGEPOLE_IMPORTS=str(IMPORTS), NODE_EXTRA_CA_CERTS=str(server.ca),
            LODGEPOLE_KEY=server.new_key(), LODGEPOLE_WRONG_KEY=WRONG_KEY)),
            "--tls", "local", *IMPORT_FLAGS)
    return run


def node_tests(files: list[Path]) -> list:
    """One file after the other: they share a server, and some look at everything on it."""
    return ["node", "--test", "--test-concurrency=1", "--test-reporter=tap", *files]


def python_framework(name: str) -> Callable[[Bench], Outcome]:
    def run(bench: Bench) -> Outcome:
        python = bench.environment(f"framework-python-{name}")
        program = FRAMEWORKS / "python" / f"with_{name.replace('-', '_')}.py"
        return with_server(bench, lambda server: counted_by_closing_line(
            *bench.command([python, program, "--url", server.url])))
    return run


def node_framework(name: str) -> Callable[[Bench], Outcome]:
    def run(bench: Bench) -> Outcome:
        packages = bench.environment(f"framework-typescript-{name}")
        program = FRAMEWORKS / "typescript" / f"{name}.test.mjs"
        return with_server(bench, lambda server: counted_by_node(*bench.command(
            node_tests([program]), LODGEPOLE_URL=server.url, FRAMEWORK=str(packages))))
    return run


def mcp(bench: Bench) -> Outcome:
    """Its hosts are built in: it reaches us by a certificate for them. See docs/certificates.md.

    Once with a module that leads its connections here, which needs no rights; and once as it would
    be in earnest, with a line in the hosts file and on port 443, where this machine allows it.
    """
    packages = bench.environment("framework-typescript-mcp")
    program = FRAMEWORKS / "typescript" / "mcp.test.mjs"
    with tempfile.TemporaryDirectory(prefix="lodgepole-cert-") as folder:
        names = ["--for", "api.pinecone.io", "--for", "127.0.0.1"]
        made = [*names, "--out", folder, "--tls-dir", folder]
        code, output = bench.command([bench.binary(), "cert", *made])
        if code != 0:
            return Outcome(failed=1, reason=output.strip().splitlines()[-1])
        hosts = Path(folder, "hosts")
        hosts.write_text("127.0.0.1 localhost api.pinecone.io\n")
        files = [f"{folder}/api.pinecone.io.{end}" for end in ("pem", "key")]
        flags = ("--tls-cert", files[0], "--tls-key", files[1])

        def test(**more: str) -> Callable[[Server], Outcome]:
            return lambda server: counted_by_node(*bench.command(
                node_tests([program]), LODGEPOLE_URL=server.url, FRAMEWORK=str(packages),
                NODE_EXTRA_CA_CERTS=f"{folder}/ca.pem", **more))

        led = with_server(bench, test(), *flags)
        if not may_use_hosts_file():
            led.skipped, led.reason = 1, "the run with a hosts file needs root and port 443"
            return led
        as_it_is = with_server(bench, test(HOSTS=str(hosts)), *flags, "--listen", "127.0.0.1:443")
        return Outcome(led.passed + as_it_is.passed, led.failed + as_it_is.failed,
                       led.skipped + as_it_is.skipped, led.reason or as_it_is.reason)


def may_use_hosts_file() -> bool:
    """Whether a program can be given another /etc/hosts, and port 443 is ours to take."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 443))
        command = ["unshare", "--mount", "mount", "--bind", "/etc/hostname", "/etc/hosts"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def openapi(bench: Bench) -> Outcome:
    """Generated requests, made from Pinecone's own descriptions of its API."""
    if not SPECS.is_dir():
        return Outcome(skipped=1, reason=f"no OpenAPI files in {SPECS}")
    program = [bench.environment("openapi"), environments.OPENAPI / "run.py"]
    given = ["--specs", SPECS, "--imports", IMPORTS, "--cases", 2_000]
    return with_server(bench, lambda server: counted_by_closing_line(
        *bench.command([*program, "--url", server.url, *given])), *IMPORT_FLAGS)


def restart(bench: Bench) -> Outcome:
    """Everything is there again after a clean stop, and after a kill."""
    python = bench.environment(f"python-{environments.PYTHON_CLIENTS[-1]}")
    outcome = Outcome()
    with scratch_folder() as folder:
        server = Server.for_test(bench.binary(), Path(folder))
        program = [python, PYTHON_TESTS.parent / "restart.py"]
        given = ["--seen", Path(folder, "seen.json")]
        for end in (server.stop, server.kill):
            with server:
                code, _ = bench.command([*program, "write", "--url", server.url, *given])
                end()
            with server:
                again, _ = bench.command([*program, "compare", "--url", server.url, *given])
            outcome.passed += code == again == 0
            outcome.failed += not code == again == 0
        if outcome.failed:
            bench.note(f"---- end of the server's log{server.tail(60)}")
    return outcome


def quickstarts(bench: Bench) -> Outcome:
    """What ./run prints to paste must work as printed."""
    python = bench.environment(f"python-{environments.PYTHON_CLIENTS[-1]}")
    client = bench.environment(f"typescript-{environments.NODE_CLIENTS[-1]}")

    def test(server: Server) -> Outcome:
        outcome = Outcome()
        # What each prints last: the count of the restored index, or the reply to the restore.
        runners = {"quickstart.py": ([python], r"^2$"), "quickstart.mjs": (["node"], r"^2$"),
                   "quickstart.sh": (["bash"], r'"restore_job_id":')}
        with tempfile.TemporaryDirectory(dir=client, prefix="quickstart-") as folder:
            for name, (command, expected) in runners.items():
                if name.endswith(".sh") and shutil.which("curl") is None:
                    outcome.skipped, outcome.reason = 1, "no curl on this machine"
                    continue
                file = Path(folder, name)
                file.write_text(quickstart(name, reachable(server.url)))
                code, output = bench.command([*command, file])
                good = code == 0 and re.search(expected, output, re.MULTILINE) is not None
                outcome.passed += good
                outcome.failed += not good
        return outcome

    return with_server(bench, test)


def demo(bench: Bench) -> Outcome:
    bench.environment("demo")
    return one_test(bench.command([sys.executable, ROOT / "scripts" / "run.py", "--demo"])[0])


def program(file: Path) -> Callable[[Bench], Outcome]:
    def run(bench: Bench) -> Outcome:
        return counted_by_closing_line(*bench.command([file, "--binary", bench.binary()]))
    return run


# Seconds of these suites; those not named here get the last. They compile and install nothing.
PROGRAM_BUDGETS_S = {"crash-kill9": 80, "crash-backups": 50, "crash-power-cut": 45,
                     "crash-stop": 30, "crash-mutants": 20, "load-clock": 20,
                     "load-connections": 22, "load-disk-full": 28, "load-fsync-fails": 12,
                     "load-garbage": 50, "load-secrets": 6, "": 60}
# Half a minute of these says little, so they are parts of --long alone.
ONLY_LONG = ("load-memory-limit", "load-soak")


def program_suites() -> list[Suite]:
    """Every executable directly in one of the folders is a suite.

    It is called with `--binary PATH`, and ends with `N passed, N failed`, to which `, N skipped`
    may be added for what the machine does not allow; the line before says why.
    """
    found = []
    for kind, folder in PROGRAMS.items():
        files = (file for file in folder.glob("*") if file.is_file())
        for file in sorted(file for file in files if os.access(file, os.X_OK)):
            name = f"{kind}-{file.stem.replace('_', '-')}"
            if name in ONLY_LONG:
                continue
            budget_s = PROGRAM_BUDGETS_S.get(name, PROGRAM_BUDGETS_S[""])
            found.append(Suite(name, budget_s, budget_s, program(file)))
    return found


def all_suites() -> list[Suite]:
    """In the order in which they run: what fails fastest first."""
    python = [f"python-{version}" for version in environments.PYTHON_CLIENTS]
    node = [f"typescript-{version}" for version in environments.NODE_CLIENTS]
    return [
        Suite("format", 5, 15, format_),
        Suite("tidy", 10, 60, tidy),
        Suite("scripts", 5, 15, scripts),
        Suite("benchmarks", 3, 5, benchmarks),
        Suite("clippy", 15, 200, clippy),
        Suite("tests", 265, 1150, rust_tests),
        Suite("docs", 30, 55, docs),
        Suite("binary", 5, 290, build),
        *(Suite(name, 30, 32, python_client(name), (name,)) for name in python),
        *(Suite(name, 8, 10, node_client(name), (name,)) for name in node),
        *(Suite(f"{name}-tls", 20, 20, python_client_over_tls(name), (name,)) for name in python),
        *(Suite(f"{name}-tls", 10, 15, node_client_over_tls(name), (name,)) for name in node),
        *(Suite(f"frameworks-{name}", 12, 12, python_framework(name),
                (f"framework-python-{name}",)) for name in environments.PYTHON_FRAMEWORKS),
        *(Suite(f"frameworks-{name}-js", 8, 8, node_framework(name),
                (f"framework-typescript-{name}",)) for name in environments.NODE_FRAMEWORKS
          if name != "mcp"),
        Suite("frameworks-mcp", 8, 8, mcp, ("framework-typescript-mcp",)),
        Suite("openapi", 45, 50, openapi, ("openapi",)),
        Suite("restart", 8, 15, restart, (python[-1],)),
        Suite("quickstarts", 6, 15, quickstarts, (python[-1], node[-1])),
        Suite("demo", 8, 20, demo, ("demo",)),
        *program_suites(),
    ]


ENVIRONMENTS: dict[str, Callable[[], Path]] = {
    **{f"python-{version}": functools.partial(environments.python_client, version)
       for version in environments.PYTHON_CLIENTS},
    **{f"typescript-{version}": functools.partial(environments.node_client, version)
       for version in environments.NODE_CLIENTS},
    "demo": environments.demo,
    "openapi": environments.openapi,
    **{f"framework-python-{name}": functools.partial(environments.python_framework, name)
       for name in environments.PYTHON_FRAMEWORKS},
    **{f"framework-typescript-{name}": functools.partial(environments.node_framework, name)
       for name in environments.NODE_FRAMEWORKS},
}


def install_in_background(needed: set[str]) -> dict[str, Future]:
    """Starts to install these environments, one after the other, while cargo compiles."""
    ready = {name: Future() for name in ENVIRONMENTS if name in needed}

    def install() -> None:
        for name, future in ready.items():
            try:
                future.set_result(ENVIRONMENTS[name]())
            except Exception as problem:
                future.set_exception(problem)

    threading.Thread(target=install, daemon=True).start()
    return ready
