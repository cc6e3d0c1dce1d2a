"""The demo: Lodgepole's main job with the official Python client, unmodified.

Loads real vectors into an index, queries, backs up, deletes half, makes an index from the backup,
and compares: counts, and every answer with its ids, scores and metadata. Exit code 1 when anything
differs, 2 when the data cannot be used. `./run --demo` starts the server and this program.
"""

import argparse
import itertools
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

import terminal
import vectors
from pinecone import Pinecone, ServerlessSpec

TOP_K = 10
# A request may have at most 1,000 records and 2 MB: JSON takes some 14 bytes a number.
REQUEST_RECORDS = 1_000
REQUEST_BYTES = 1_500_000
BYTES_PER_NUMBER = 14
BYTES_PER_METADATA = 400


class Demo:
    """One run. Times are what the client sees, network and all."""

    def __init__(self, client: Pinecone, data: vectors.Data):
        self.client = client
        self.data = data
        self.restored_name = f"{data.name}-restored"
        self.times: list[list[str]] = []
        self.failures = 0

    def run(self) -> bool:
        """Goes through all steps and says whether everything was as it should be."""
        data = self.data
        terminal.line(f"Lodgepole, with the official Python client pinecone {version('pinecone')}")
        terminal.heading(f"Load {data.count:,} {data.what}, {data.dimension} numbers each")
        self.load()
        before = self.answers(data.name)
        if data.are_pictures:
            self.show_neighbours()
        backup_id = self.back_up()
        self.delete_half()
        self.restore(backup_id)
        self.compare(before)
        terminal.heading("Times, as the client sees them")
        terminal.table(["step", "time", ""], self.times)
        terminal.line()
        return self.failures == 0

    def timed(self, step: str, work, note=lambda seconds: ""):
        """Does the work, and keeps the time it took for the table."""
        started = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - started
        self.times.append([step, terminal.duration(seconds), note(seconds)])
        return result

    def load(self) -> None:
        data = self.data
        spec = ServerlessSpec(cloud="aws", region="us-east-1")
        self.timed("create index", lambda: self.client.create_index(
            data.name, dimension=data.dimension, metric="cosine", spec=spec))
        index = self.client.Index(data.name)
        size = BYTES_PER_NUMBER * data.dimension + BYTES_PER_METADATA
        per_request = max(1, min(REQUEST_RECORDS, REQUEST_BYTES // size))

        def send() -> None:
            with terminal.Progress("loading", data.count) as progress:
                records = data.records()
                while batch := list(itertools.islice(records, per_request)):
                    index.upsert(vectors=batch)
                    progress.advance(len(batch))

        self.timed(f"load {data.count:,} records", send,
                   lambda seconds: f"{data.count / seconds:,.0f} records/s")
        terminal.line(f"index {data.name} holds {self.count(data.name):,} records")

    def answers(self, name: str) -> list:
        """The answers to all queries: id, score and metadata of each hit, in order."""
        index = self.client.Index(name)
        found = []
        with terminal.Progress("querying", len(self.data.queries)) as progress:
            for query in self.data.queries:
                reply = index.query(vector=query, top_k=TOP_K, include_metadata=True)
                found.append([(hit.id, hit.score, dict(hit.metadata)) for hit in reply.matches])
                progress.advance(1)
        return found

    def show_neighbours(self) -> None:
        terminal.heading("One of them, and the images most like it")
        index = self.client.Index(self.data.name)
        reply = index.query(id="digit-0013", top_k=6, include_values=True, include_metadata=True)
        hits = reply.matches
        captions = [f"label {int(hit.metadata['label'])}, {hit.score:.3f}" for hit in hits]
        captions[0] = f"label {int(hits[0].metadata['label'])}"
        terminal.pictures([hit.values for hit in hits], captions)

    def back_up(self) -> str:
        terminal.heading("Back up, then delete half")

        def create_and_wait():
            backup = self.client.create_backup(index_name=self.data.name, backup_name="whole")
            while backup.status != "Ready":
                time.sleep(0.001)
                backup = self.client.describe_backup(backup_id=backup.backup_id)
            return backup

        backup = self.timed("create backup", create_and_wait, lambda _: "until it is Ready")
        self.expect(backup.record_count == self.data.count, f"backup {backup.name} "
                    f"({backup.backup_id}) holds {backup.record_count:,} records")
        return backup.backup_id

    def delete_half(self) -> None:
        ids = [record["id"] for record in self.data.records()][::2]
        index = self.client.Index(self.data.name)

        def delete() -> None:
            with terminal.Progress("deleting", len(ids)) as progress:
                for start in range(0, len(ids), REQUEST_RECORDS):
                    batch = ids[start:start + REQUEST_RECORDS]
                    index.delete(ids=batch)
                    progress.advance(len(batch))

        self.timed(f"delete {len(ids):,} records", delete)
        terminal.line(f"index {self.data.name} holds {self.count(self.data.name):,} records")

    def restore(self, backup_id: str) -> None:
        terminal.heading("Create an index from the backup")
        name = self.restored_name
        self.timed("create index from backup", lambda: self.client.create_index_from_backup(
            backup_id=backup_id, name=name), lambda _: "until the index is ready")
        self.timed("first query of the new index",
                   lambda: self.client.Index(name).query(vector=self.data.queries[0], top_k=TOP_K))

    def compare(self, before: list) -> None:
        data, restored = self.data, self.restored_name
        source_count, restored_count = self.count(data.name), self.count(restored)
        now, again = self.answers(data.name), self.answers(restored)
        same_now = sum(a == b for a, b in zip(before, now, strict=True))
        same = sum(a == b for a, b in zip(before, again, strict=True))
        asked = len(before)
        terminal.table(["index", "records", "answers as before", ""],
                       [[data.name, f"{source_count:,}", f"{same_now:,} of {asked:,}", ""],
                        [restored, f"{restored_count:,}", f"{same:,} of {asked:,}", ""]])
        terminal.line()
        deleted = (data.count + 1) // 2
        self.expect(source_count == data.count - deleted,
                    f"{data.name} has {deleted:,} records less")
        self.expect(restored_count == data.count, f"{restored} has all {data.count:,} records")
        self.expect(same == asked and all(before), f"its {asked:,} answers are those from before "
                    "the delete: ids, scores, metadata")

    def expect(self, good: bool, text: str) -> None:
        terminal.verdict(good, text)
        self.failures += not good

    def count(self, name: str) -> int:
        return self.client.Index(name).describe_index_stats().total_vector_count


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo; `./run --demo` starts it.")
    parser.add_argument("--url", required=True, help="control plane of a running server")
    parser.add_argument("--data", type=Path, help="folder with vectors; default: the digits")
    options = parser.parse_args()
    data = vectors.folder(options.data) if options.data else vectors.digits()
    good = Demo(Pinecone(api_key="any", host=options.url), data).run()
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except vectors.DataError as problem:
        print(f"demo: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
