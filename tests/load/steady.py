"""An ordinary client, in a process of its own so that nothing the test does slows it down.

It keeps one connection, sends a few requests a second (upsert, fetch what was just written, query)
and judges each answer: status 200, in time, and what was written is read. The parent asks for its
figures with a line on stdin and gets a line of JSON; when stdin closes, it ends.
"""

import argparse
import json
import queue
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from suite import Connection, Unanswered, percentile

NAMESPACE = "steady"
IDS = 50
NOTES_MAX = 5


@dataclass
class Seen:
    """What it has seen since it was last asked."""

    requests: int = 0
    bad: int = 0
    notes: list[str] = field(default_factory=list)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    # The stamp of each record that was acknowledged last. Those whose outcome is unknown are left
    # out.
    acknowledged: dict[str, int] = field(default_factory=dict)


class Steady:
    """The parent's end of it."""

    def __init__(self, port: int, dimension: int, rate: float = 40, writes: bool = True,
                 namespace: str = NAMESPACE):
        words = [sys.executable, __file__, "--port", port, "--dimension", dimension,
                 "--rate", rate, "--namespace", namespace, *([] if writes else ["--read-only"])]
        self._child = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Steady":
        return self

    def __exit__(self, *_) -> None:
        self._child.stdin.close()
        self._child.wait()

    def seen(self) -> Seen:
        """What it has seen since it was last asked."""
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return Seen(**json.loads(self._child.stdout.readline()))


class Client:
    """The child's end of it."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.connection = options, Connection(options.port)
        self.rng, self.stamp, self.turn = random.Random(options.port), 0, 0
        self.sure: dict[str, int] = {}
        self.last: tuple[int, list[str]] = (0, [])
        self.begin_anew()

    def begin_anew(self) -> None:
        self.took_ms: list[float] = []
        self.bad, self.notes = 0, []

    def seen(self) -> dict:
        took = self.took_ms
        return Seen(len(took), self.bad, self.notes, percentile(took, 0.5), percentile(took, 0.99),
                    max(took, default=0.0), self.sure).__dict__

    def step(self) -> None:
        """One request."""
        kinds = (self.query,) if self.options.read_only else (self.upsert, self.fetch, self.query)
        began = time.monotonic()
        try:
            complaint = kinds[self.turn % len(kinds)]()
        except Unanswered as problem:
            complaint = str(problem)
        self.turn += 1
        self.took_ms.append((time.monotonic() - began) * 1_000)
        if complaint:
            self.bad += 1
            self.notes = [*self.notes, complaint[:300]][:NOTES_MAX]

    def upsert(self) -> str:
        self.stamp += 1
        ids = [f"s-{number}" for number in self.rng.sample(range(IDS), 3)]
        for record_id in ids:
            self.sure.pop(record_id, None)
        rest = [1.0] * (self.options.dimension - 1)
        vectors = [{"id": record_id, "values": [float(self.stamp), *rest]} for record_id in ids]
        complaint = self.call("/vectors/upsert", {"vectors": vectors})[0]
        if not complaint:
            self.sure |= dict.fromkeys(ids, self.stamp)
            self.last = (self.stamp, ids)
        return complaint

    def fetch(self) -> str:
        stamp, ids = self.last
        words = [("ids", record_id) for record_id in ids]
        query = urlencode([*words, ("namespace", self.options.namespace)])
        reply = self.connection.call("GET", f"/vectors/fetch?{query}")
        if reply.status != 200:
            return f"fetch: {reply.status} {reply.text}"
        vectors = reply.json["vectors"]
        found = {record_id: row["values"][0] for record_id, row in vectors.items()}
        return "" if found == dict.fromkeys(ids, stamp) else f"fetched {found}, wrote {stamp} {ids}"

    def query(self) -> str:
        vector = [self.rng.random() for _ in range(self.options.dimension)]
        complaint, found = self.call("/query", {"vector": vector, "topK": 10})
        if complaint or self.options.read_only:
            return complaint
        return "" if len(found["matches"]) >= min(10, len(self.sure)) else f"query: {found}"

    def call(self, path: str, body: dict) -> tuple[str, dict]:
        body["namespace"] = self.options.namespace
        reply = self.connection.call("POST", path, body)
        if reply.status != 200:
            return f"{path}: {reply.status} {reply.text}", {}
        return "", reply.json


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--dimension", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--namespace")
    parser.add_argument("--read-only", action="store_true")
    client, asked = Client(parser.parse_args()), queue.SimpleQueue()

    def listen() -> None:
        for _ in sys.stdin:
            asked.put(True)
        asked.put(False)

    threading.Thread(target=listen, daemon=True).start()
    pause_s = 1 / client.options.rate
    while True:
        client.step()
        try:
            if not asked.get(timeout=pause_s):
                return
            print(json.dumps(client.seen()), flush=True)
            client.begin_anew()
        except queue.Empty:
            pass


if __name__ == "__main__":
    main()
