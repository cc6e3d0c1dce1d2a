#!/usr/bin/env python3
"""A sync that fails: the server stops to acknowledge, for good, and says so.

Goal: after a failed sync the kernel may have thrown the bytes away and call the next sync a
success, so nothing may be acknowledged any more until the data is opened again; readiness says no,
what the control plane knows can be read, records can be read or are answered 503; after a restart
everything acknowledged is there. Method: a small library (sync_shim.c) that lets syncs fail while a
file exists. A writer at work, the file appears for a moment, and is gone again: the disk is well by
then, the server must still refuse. Restart, compare, on with the next round.

    fsync_fails.py              20 failures
    fsync_fails.py --long       500

`--self-test` alone also runs before the rounds: a server that goes on to acknowledge is noticed.
That server is the real one, with a failure that never comes.
"""

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import ledger as ledgers
from ledger import DIMENSION, Ledger
from shims import NoCompiler, make, preloading
from suite import Connection, Report, Watched, begin, make_index, wait_until

ROUNDS, LONG_ROUNDS = 20, 500
# What a write that is not acknowledged may be answered: unknown outcome, come again.
REFUSALS = {503}
# How soon after a failed sync a write must have been answered.
ANSWER_S = 5
WRITES_AFTER = 5


def main() -> int:
    options, report = begin("fsync_fails", __doc__)
    ledgers.self_test(report)
    if not options.self_test:
        with tempfile.TemporaryDirectory(prefix="lodgepole-sync-") as folder:
            try:
                rounds(options, report, Path(folder))
            except NoCompiler as problem:
                report.skip(f"syncs cannot be made to fail here: {problem}")
    return report.end()


def rounds(options, report: Report, home: Path) -> None:
    """One failure after the other, on the same data."""
    began, rng = time.monotonic(), random.Random(options.seed)
    trigger, count = home / "failing", home / "count"
    command = preloading(make("sync_shim.c", home), SYNC_SHIM_TRIGGER=trigger,
                         SYNC_SHIM_COUNT=count)
    with Watched(options.binary, home, before=command) as server:
        server.begin()
        port = make_index(server.port, "main", DIMENSION)
        ledger = Ledger(port)
        mutant(report, server, ledger, rng, home / "nothing")
        failed_before, slowest_s = 0, 0.0
        for number in range(LONG_ROUNDS if options.long else ROUNDS):
            for _ in range(rng.randint(1, 12)):
                reply = ledger.step(rng)
                if not reply or reply.status not in (200, 404):
                    report.check(f"round {number}: writes work before", False, reply)
            load(ledger, rng, trigger)
            complaints, took_s = after_failure(server, ledger, rng)
            slowest_s = max(slowest_s, took_s)
            failures = count.stat().st_size if count.exists() else 0
            complaints += [] if failures > failed_before else ["no sync has failed"]
            failed_before = failures
            report.check(f"round {number}: nothing is acknowledged after a failed sync, and the "
                         "server says so", not complaints, (complaints, server.tail(4)))
            # Half of the time by force.
            if rng.random() < 0.5:
                server.kill()
            else:
                server.stop(120)
            server.begin()
            ledger.connection.close()
            ledger.compare(report, f"round {number}, after the restart")
        server.stop()
        code, said = server.verify()
        report.check("verify --deep finds nothing", code == 0, said)
        report.log(server, allowed_errors=("",))
        report.figures("failures", rounds=number + 1, syncs_failed=failed_before,
                       acked=ledger.acknowledged, statuses=dict(ledger.statuses),
                       slowest_answer_s=slowest_s, seconds=time.monotonic() - began)


def load(ledger: Ledger, rng: random.Random, trigger: Path) -> None:
    """Writes, until one is not acknowledged; syncs begin to fail meanwhile, for a moment."""
    def fail() -> None:
        time.sleep(0.05)
        trigger.touch()

    failing = threading.Thread(target=fail)
    failing.start()
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        reply = ledger.step(rng)
        if reply is None or reply.status not in (200, 404):
            break
    failing.join()
    trigger.unlink()


def after_failure(server: Watched, ledger: Ledger, rng: random.Random) -> tuple[list[str], float]:
    """What is wrong with a server whose disk has failed to sync, and the slowest answer."""
    complaints, slowest_s = [], 0.0
    for _ in range(WRITES_AFTER):
        began = time.monotonic()
        reply = ledger.upsert(rng.sample(range(60), 3))
        slowest_s = max(slowest_s, time.monotonic() - began)
        if reply is None or reply.status not in REFUSALS:
            complaints.append(f"a write was answered {reply}")
    control = Connection(server.port)
    reply = control.call("POST", "/indexes/main/backups", {"name": "late"})
    if reply.status not in REFUSALS:
        complaints.append(f"a backup was answered {reply}")
    if not wait_until(lambda: control.call("GET", "/health/ready").status == 503, 2):
        complaints.append("it still says that it is ready")
    for path in ("/indexes", "/backups"):
        if control.call("GET", path).status != 200:
            complaints.append(f"{path} is not answered")
    control.close()
    data = Connection(ledger.port)
    for method, path, body in (
            ("POST", "/query", {"namespace": "books", "topK": 10, "vector": [1.0] * DIMENSION}),
            ("GET", "/vectors/fetch?ids=r-1&namespace=books", None),
            ("GET", "/vectors/list?namespace=books", None)):
        reply = data.call(method, path, body)
        if reply.status not in (200, 404, 503):
            complaints.append(f"{path} is answered {reply}")
    data.close()
    return complaints, slowest_s


def mutant(report: Report, server: Watched, ledger: Ledger, rng: random.Random,
           trigger: Path) -> None:
    """A server whose syncs do not fail acknowledges: this must be complained about."""
    complaints, _ = after_failure(server, ledger, rng)
    good = sum("a write was answered" in text for text in complaints) == WRITES_AFTER
    report.check("self-test: acknowledgements after a failed sync would be noticed", good,
                 complaints)
    control = Connection(server.port)
    for row in control.call("GET", "/backups").json["data"]:
        control.call("DELETE", f"/backups/{row['backup_id']}")
    control.close()


if __name__ == "__main__":
    sys.exit(main())
