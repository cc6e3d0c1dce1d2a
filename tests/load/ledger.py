"""What one writer may find again: all acknowledged records, no refused one, the unknown either way.

Smaller than the oracle of the crash suites, which knows nothing of refusals in the middle of the
work: here a request may be refused (it must have no effect) or get no clear answer (its records are
then in the state before or after it), and the writer goes on. Records are those of that oracle, so
one that mixes two versions is noticed.
"""

import random
from collections import Counter

from suite import Connection, Data, Reply, Report, Unanswered

from oracle import DIMENSION, record, stamp_of  # after suite, which finds it

__all__ = ["DIMENSION", "Ledger"]

# Answers that promise that nothing was done.
REFUSALS = range(400, 500)


class Ledger:
    """A writer of one namespace, and the list of what it was told."""

    def __init__(self, port: int, namespace: str = "books"):
        self.port, self.namespace = port, namespace
        self.connection = Connection(port)
        # The stamp of each record that is known; None for one that is known to be deleted.
        self.known: dict[str, int | None] = {}
        # What a record may be after requests whose outcome is unknown.
        self.unknown: dict[str, set[int | None]] = {}
        self.statuses: Counter = Counter()
        self.acknowledged = 0
        self.stamp = 0

    def upsert(self, numbers: list[int]) -> Reply | None:
        """Writes some records, all with one new stamp. None when no answer came."""
        self.stamp += 1
        ids = [f"r-{number}" for number in numbers]
        vectors = [record((self.namespace, record_id), self.stamp) for record_id in ids]
        return self._send("/vectors/upsert", {"vectors": vectors}, ids, self.stamp)

    def delete(self, numbers: list[int]) -> Reply | None:
        """Deletes some records."""
        ids = [f"r-{number}" for number in numbers]
        return self._send("/vectors/delete", {"ids": ids}, ids, None)

    def step(self, rng: random.Random, numbers: range = range(60)) -> Reply | None:
        """Some write."""
        some = rng.sample(numbers, rng.randint(1, 12))
        return self.upsert(some) if rng.random() < 0.75 else self.delete(some)

    def _send(self, path: str, body: dict, ids: list[str], stamp: int | None) -> Reply | None:
        try:
            reply = self.connection.call("POST", path, body | {"namespace": self.namespace})
            status = reply.status
        except Unanswered:
            reply, status = None, 0
        self.note(ids, stamp, status)
        return reply

    def note(self, ids: list[str], stamp: int | None, status: int) -> None:
        """Notes down what came of a request; status 0 is no answer."""
        self.statuses[status] += 1
        if status == 200:
            self.acknowledged += 1
            for record_id in ids:
                self.known[record_id] = stamp
                self.unknown.pop(record_id, None)
        elif status not in REFUSALS:
            for record_id in ids:
                before = self.unknown.setdefault(record_id, {self.known.get(record_id)})
                before.add(stamp)

    def at_rest(self) -> dict[str, int]:
        """The records that are there for certain; only when nothing is unknown."""
        assert not self.unknown
        return {record_id: stamp for record_id, stamp in self.known.items() if stamp is not None}

    def complaints(self, seen: dict[str, int]) -> list[str]:
        """What is wrong with a state that a server shows."""
        found = []
        for record_id in sorted(self.known.keys() | self.unknown.keys() | seen.keys()):
            may = self.unknown.get(record_id, {self.known.get(record_id)})
            if seen.get(record_id) not in may:
                found.append(f"{record_id}: {seen.get(record_id)}, must be one of {may}")
        return found

    def read(self, port: int | None = None) -> tuple[dict[str, int], list[str]]:
        """All records, by the list of ids, by fetch and by query; and what differs between them."""
        data, problems = Data(f"127.0.0.1:{port or self.port}"), []
        try:
            ids = data.ids(self.namespace)
            fetched = [row for start in range(0, len(ids), 100)
                       for row in data.fetch(self.namespace, ids[start:start + 100])]
            queried = data.query(self.namespace)
            counted = data.counts().get(self.namespace, 0)
        finally:
            data.close()
        states = []
        for rows in (fetched, queried):
            state = {}
            for row in rows:
                state[row["id"]], problem = stamp_of(self.namespace, row)
                problems += [f"{row['id']}: {problem}"] if problem else []
            states.append(state)
        if states[0] != states[1] or not len(ids) == len(states[0]) == counted:
            problems.append(f"{len(ids)} listed, {len(states[0])} fetched, {len(states[1])} "
                            f"queried, {counted} counted")
        return states[0], problems

    def compare(self, report: Report, where: str) -> None:
        """Two tests: everything acknowledged is there, and all ways of reading agree. Goes on with
        what was seen."""
        seen, problems = self.read()
        complaints = self.complaints(seen)
        report.check(f"{where}: what was acknowledged, and nothing that was refused",
                     not complaints, complaints[:5])
        report.check(f"{where}: all ways of reading agree", not problems, problems[:5])
        self.known, self.unknown = dict(seen), {}


def self_test(report: Report) -> None:
    """A doctored state is complained about, a right one is not."""
    ledger = Ledger(0)
    ledger.note(["r-1", "r-2", "r-3"], 1, 200)
    ledger.note(["r-2"], None, 200)
    ledger.note(["r-1"], 2, 429)
    ledger.note(["r-3", "r-4"], 3, 503)
    cases = {"as it was left": ({"r-1": 1, "r-3": 1}, False),
             "unknown request done": ({"r-1": 1, "r-3": 3, "r-4": 3}, False),
             "acknowledged record lost": ({"r-3": 1}, True),
             "deletion lost": ({"r-1": 1, "r-2": 1, "r-3": 1}, True),
             "refused write done": ({"r-1": 2, "r-3": 1}, True),
             "record that nobody wrote": ({"r-1": 1, "r-3": 1, "r-9": 4}, True)}
    for name, (seen, is_wrong) in cases.items():
        report.check(f"self-test of the ledger: {name}",
                     bool(ledger.complaints(seen)) == is_wrong, ledger.complaints(seen))
