"""The comparison of the crash suites can fail.

Goal: no doctored answer passes, and no right one is complained about. Method: a little history with
an open request, a made-up data plane that answers from a dict of records on the wire, and one
doctoring a case; the comparison is the very one that the suites use. No server is needed.
"""

import copy
import http.server
import json
import random
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import client
import verify
from audit import Audit, certain
from oracle import Backup, Contents, Main, Oracle, Request, State, Story, Tally, record
from server import Server


class MadeUpData:
    """A data plane over records on the wire, by namespace and id."""

    def __init__(self, state: State):
        self.records: dict[str, list[dict]] = {}
        for (namespace, record_id), stamp in state.items():
            wire = copy.deepcopy(record((namespace, record_id), stamp))
            self.records.setdefault(namespace, []).append(wire)
        self.listed = {name: [row["id"] for row in rows] for name, rows in self.records.items()}
        self.counted = {name: len(rows) for name, rows in self.records.items()}

    def counts(self) -> dict[str, int]:
        return self.counted

    def ids(self, namespace: str) -> list[str]:
        return self.listed[namespace]

    def fetch(self, namespace: str, ids: list[str]) -> list[dict]:
        return [row for row in self.records[namespace] if row["id"] in ids]

    def query(self, namespace: str) -> list[dict]:
        return self.records[namespace]


class History:
    """Two writers. w0: three upserts, a deletion, a delete-all, and an upsert without an answer.
    A backup was asked for and answered while w1 was between its second and third request."""

    def __init__(self):
        self.stories = {"w0": Story(), "w1": Story()}
        first, second = self.stories.values()
        for request in (Request("upsert", "books", ("w0-1", "w0-2", "w0-3"), 1),
                        Request("upsert", "own", ("w0-1", "w0-2"), 2),
                        Request("upsert", "books", ("w0-1", "w0-4"), 3),
                        Request("delete", "books", ("w0-2",), 4),
                        Request("delete_all", "own", (), 6)):
            first.begin(request)
            first.acknowledge()
        self.open = Request("upsert", "books", ("w0-5", "w0-6", "w0-7"), 7)
        first.begin(self.open)
        for stamp in (1, 2):
            second.begin(Request("upsert", "films", (f"w1-{stamp}", "w1-9"), stamp))
            second.acknowledge()
        self.main = Main("main", self.stories)
        marks = self.main.marks()
        second.begin(Request("upsert", "films", ("w1-3", "w1-4"), 3))
        self.backup = Contents({name: mark.close() for name, mark in marks.items()})
        second.acknowledge()
        self.at_backup = self.state()
        second.begin(Request("upsert", "films", ("w1-9", "w1-5"), 4))
        second.acknowledge()

    def state(self) -> State:
        return {key: stamp for story in self.stories.values()
                for key, stamp in story.state.items()}


def compare(index, data: MadeUpData) -> Tally:
    """What the suites do with an index after a restart."""
    tally = Tally(quiet=True)
    audit = Audit.__new__(Audit)
    audit.tally, audit.rng = tally, random.Random(1)
    index.settle(audit.read_all(data, "main"), "index main", tally)
    return tally


def on_main(doctor: Callable[[State], object]) -> Tally:
    """A history whose state is doctored."""
    history = History()
    state = history.state()
    doctor(state)
    return compare(history.main, MadeUpData(state))


def on_wire(doctor: Callable[[MadeUpData], object]) -> Tally:
    """A history whose answers are doctored."""
    history = History()
    data = MadeUpData(history.state())
    doctor(data)
    return compare(history.main, data)


def on_backup(doctor: Callable[[State], object]) -> Tally:
    """A restored backup that is doctored."""
    history = History()
    state = dict(history.at_backup)
    doctor(state)
    return compare(history.backup, MadeUpData(state))


def backup_restored_twice() -> Tally:
    """Each alone is possible, both together are not."""
    history = History()
    assert compare(history.backup, MadeUpData(history.at_backup)).total == 0
    earlier = dict(history.at_backup)
    del earlier["films", "w1-3"], earlier["films", "w1-4"]
    return compare(history.backup, MadeUpData(earlier))


def backup_of_two_moments() -> Tally:
    """It holds a request that was begun after the answer to one that it does not hold. Each writer
    alone is in order."""
    stories = {"w0": Story(), "w1": Story()}
    marks = Main("main", stories).marks()
    for story, stamp in ((stories["w0"], 1), (stories["w1"], 2)):
        story.begin(Request("upsert", "books", (f"w{stamp - 1}-1",), stamp))
        story.acknowledge()
    contents = Contents({name: mark.close() for name, mark in marks.items()})
    return compare(contents, MadeUpData({("books", "w1-1"): 2}))


def backup_of_one_moment() -> Tally:
    """The same requests, but under way at the same time: either alone is possible."""
    stories = {"w0": Story(), "w1": Story()}
    marks = Main("main", stories).marks()
    for story, stamp in ((stories["w0"], 1), (stories["w1"], 2)):
        story.begin(Request("upsert", "books", (f"w{stamp - 1}-1",), stamp))
    for story in stories.values():
        story.acknowledge()
    contents = Contents({name: mark.close() for name, mark in marks.items()})
    return compare(contents, MadeUpData({("books", "w1-1"): 2}))


def swapped_metadata(data: MadeUpData) -> None:
    old = record(("films", "w1-9"), 1)
    row = next(row for row in data.records["films"] if row["id"] == "w1-9")
    row["metadata"] = old["metadata"]


def shifted_values(data: MadeUpData) -> None:
    data.records["films"][0]["values"][3] += 1e-6


def listed_as_failed() -> Tally:
    """An acknowledged backup that the server calls Failed."""
    history, tally = History(), Tally(quiet=True)

    class Control:
        deleted: list[str] = []

        def backups(self) -> list[dict]:
            return [{"backup_id": "b", "name": "n", "status": "Failed", "record_count": 0}]

        def delete_backup(self, backup_id: str) -> None:
            self.deleted.append(backup_id)

    audit = Audit.__new__(Audit)
    audit.tally, audit.control = tally, Control()
    audit.oracle = Oracle(history.main, backups={"b": Backup("b", "n", history.backup)})
    audit.check_backups()
    return tally


def update_of_nothing() -> Tally:
    """An update makes no record, and replaces one that is there."""
    tally, state = Tally(quiet=True), {("books", "w0-1"): 1}
    Request("update", "books", ("w0-1",), 2).apply(state)
    Request("update", "books", ("w0-2",), 3).apply(state)
    if state != {("books", "w0-1"): 2}:
        tally.add("wrong", f"{state}")
    return tally


def certain_is_certain() -> Tally:
    """What the first read expects leaves out what the open request may have changed."""
    tally, story = Tally(quiet=True), Story()
    story.begin(Request("upsert", "books", ("w0-1", "w0-2"), 1))
    story.acknowledge()
    story.begin(Request("delete", "books", ("w0-2",), 2))
    if certain(story) != {("books", "w0-1"): 1}:
        tally.add("wrong", f"{certain(story)}")
    return tally


def lost_sparse_value(data: MadeUpData) -> None:
    row = next(row for rows in data.records.values() for row in rows if "sparseValues" in row)
    row["sparseValues"]["values"][0] /= 2


def verify_answers(reply: dict) -> Callable[[], Tally]:
    """A server whose operator's socket answers so."""
    def case() -> Tally:
        tally = Tally(quiet=True)
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
            door.bind(f"{folder}/{verify.SOCKET}")
            door.listen()
            answer = threading.Thread(target=answer_once, args=(door, reply))
            answer.start()
            verify.look(Path(folder), tally, "made up", deep=True)
            answer.join()
        return tally
    return case


def answer_once(door: socket.socket, reply: dict) -> None:
    stream, _ = door.accept()
    with stream, stream.makefile("rwb") as lines:
        if json.loads(lines.readline()) == {"ask": "verify", "deep": True}:
            lines.write(json.dumps(reply).encode() + b"\n")


def verified(*findings: dict, more: int = 0) -> dict:
    """What the server answers when it has looked through its data."""
    return {"verified": {"segments": 0, "findings": list(findings), "more_findings": more}}


def server_errors(status: int, *, starts: bool) -> Callable[[], Tally]:
    """A server that answers with this status, to a connection that knows whether it starts."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_) -> None:
            pass

    def case() -> Tally:
        tally, errors = Tally(quiet=True), client.ServerErrors()
        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as door, \
                mock.patch.object(client, "SERVER_ERRORS", errors):
            answer = threading.Thread(target=door.handle_request)
            answer.start()
            connection = client.Connection(door.server_port, may_be_unready=lambda: starts)
            connection.call("GET", "/health/ready")
            connection.close()
            answer.join()
        if errors.count:
            tally.add("wrong", errors.first)
        return tally
    return case


def panic_in_log() -> Tally:
    """The log of a server in which a task ended by a defect."""
    tally = Tally(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.write_text("ERROR a task panicked; this is a defect message=\"x\"\nWARN slow\n")
        for line in Server(Path("none"), Path(folder), log).panics():
            tally.add("wrong", line)
    return tally


def removed(*keys) -> Callable[[State], None]:
    def doctor(state: State) -> None:
        for key in keys:
            del state[key]
    return doctor


def added(stamp: int, *keys) -> Callable[[State], object]:
    return lambda state: state.update({key: stamp for key in keys})


OPEN = [("books", f"w0-{number}") for number in (5, 6, 7)]
FILMS = "films"
# What is doctored, and which complaint it must give ("" for none).
CASES: list[tuple[str, str, Callable[[], Tally]]] = [
    ("nothing doctored", "", lambda: on_main(lambda state: None)),
    ("open request done", "", lambda: on_main(added(7, *OPEN))),
    ("open request half done", "torn", lambda: on_main(added(7, *OPEN[:2]))),
    ("missing record", "lost", lambda: on_main(removed(("books", "w0-4")))),
    ("older version", "lost", lambda: on_main(added(1, ("books", "w0-1")))),
    ("deleted record is back", "lost", lambda: on_main(added(1, ("books", "w0-2")))),
    ("delete-all undone", "lost", lambda: on_main(added(2, ("own", "w0-1"), ("own", "w0-2")))),
    ("whole namespace missing", "lost",
     lambda: on_main(removed(*((FILMS, f"w1-{n}") for n in (1, 2, 3, 4, 5, 9))))),
    ("record never written", "wrong", lambda: on_main(added(90, ("books", "w0-8")))),
    ("record of an unknown writer", "wrong", lambda: on_main(added(1, ("books", "w8-1")))),
    ("metadata of another version", "torn", lambda: on_wire(swapped_metadata)),
    ("value off by one millionth", "torn", lambda: on_wire(shifted_values)),
    ("sparse value halved", "torn", lambda: on_wire(lost_sparse_value)),
    ("count off by one", "wrong", lambda: on_wire(lambda data: data.counted.update(films=7))),
    ("id not listed", "wrong", lambda: on_wire(lambda data: data.listed[FILMS].pop())),
    ("record found by fetch only", "wrong",
     lambda: on_wire(lambda data: setattr(data, "query", lambda name: data.records[name][1:]))),
    ("record shown twice", "wrong",
     lambda: on_wire(lambda data: data.records[FILMS].append(data.records[FILMS][0]))),
    ("backup with the request under way", "", lambda: on_backup(lambda state: None)),
    ("backup without it", "", lambda: on_backup(removed((FILMS, "w1-3"), (FILMS, "w1-4")))),
    ("backup with half of it", "torn", lambda: on_backup(removed((FILMS, "w1-3")))),
    ("backup without an acknowledged write", "lost",
     lambda: on_backup(removed(("books", "w0-4")))),
    ("backup with a later request", "wrong",
     lambda: on_backup(added(4, (FILMS, "w1-9"), (FILMS, "w1-5")))),
    ("backup with two contents", "lost", backup_restored_twice),
    ("backup of two moments", "torn", backup_of_two_moments),
    ("backup of requests under way at once", "", backup_of_one_moment),
    ("backup lost after its answer", "lost", listed_as_failed),
    ("first read expects what is certain", "", certain_is_certain),
    ("update of a record that is not there", "", update_of_nothing),
    ("nothing found by verify", "", verify_answers(verified())),
    ("damage found by verify", "wrong", verify_answers(verified(
        {"whose": "index", "subject": "segment", "problem": "gone", "is_repaired": True}))),
    ("damage that verify only counts", "wrong", verify_answers(verified(more=1))),
    ("verify refused", "wrong", verify_answers({"refused": "no"})),
    ("answer 500", "wrong", server_errors(500, starts=True)),
    ("answer 503 at work", "wrong", server_errors(503, starts=False)),
    ("answer 503 while it starts", "", server_errors(503, starts=True)),
    ("panic in the log", "wrong", panic_in_log),
]


def run() -> tuple[int, int]:
    """Runs all cases. Returns how many passed and failed."""
    passed = failed = 0
    for name, kind, case in CASES:
        tally = case()
        good = getattr(tally, kind) > 0 if kind else tally.total == 0
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"self-test {name!r}: expected {kind or 'no'} complaint, got {tally.notes}")
    print(f"self-test: {passed} doctored answers judged rightly, {failed} wrongly", flush=True)
    return passed, failed
