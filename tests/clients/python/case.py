"""What every test of a Python client starts from: a client, and indexes of its own."""

import copy
import random
import time
import unittest
import uuid
from pathlib import Path

import dialect
import sample

# A client that has to ask twice whether an index is ready sleeps five seconds in between.
AT_ONCE_S = 2.0


class ClientTest(unittest.TestCase):
    """A client, and the removal of everything a test made."""

    server = dialect.Server("")
    transport = "rest"
    wrong_key: str | None = None
    imports: Path | None = None

    def setUp(self) -> None:
        self.client = dialect.control(self.server)
        self.made: list[str] = []
        self.backups: list[str] = []
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        listed = {index.name for index in self.client.list_indexes()}
        for name in listed.intersection(self.made):
            self.client.delete_index(name)
        for backup_id in self.backups:
            try:
                self.client.delete_backup(backup_id=backup_id)
            except Exception as error:
                self.assertEqual(dialect.status_of(error), 404, error)

    def new_name(self, hint: str) -> str:
        name = f"{hint}-{uuid.uuid4().hex[:8]}"
        self.made.append(name)
        return name

    def new_index(self, metric: str = "cosine", dimension: int = sample.DIMENSION,
                  **options) -> str:
        name = self.new_name(metric)
        given = {"spec": dialect.SPEC} | options
        self.client.create_index(name=name, dimension=dimension, metric=metric, **given)
        return name

    def new_pod_index(self, metric: str, dimension: int = sample.DIMENSION) -> str:
        name = self.new_name(f"pod-{metric}")
        dialect.pod_index(self.server, self.client, name, metric, dimension)
        return name

    def new_sparse_index(self) -> str:
        name = self.new_name("sparse")
        self.client.create_index(name=name, metric="dotproduct", vector_type="sparse",
                                 spec=dialect.SPEC)
        return name

    def new_backup(self, index_name: str, name: str):
        backup = self.client.create_backup(index_name=index_name, backup_name=name,
                                           description=f"about {name}")
        self.backups.append(backup.backup_id)
        self.assertIn(backup.status, ("Initializing", "Ready"))
        return self.client.describe_backup(backup_id=backup.backup_id)

    def restore(self, backup_id: str, **options) -> str:
        """Creates an index from a backup; it must be ready when the call returns, and at once."""
        name = self.new_name("restored")
        started = time.monotonic()
        index = self.client.create_index_from_backup(backup_id=backup_id, name=name, **options)
        self.assertLess(time.monotonic() - started, AT_ONCE_S)
        self.assertTrue(index.status.ready)
        return name

    def assert_refused(self, status: int, call, *arguments, **named) -> str:
        """The server itself refuses the call with that status. Returns the message."""
        try:
            answer = call(*arguments, **named)
        except Exception as error:
            self.assertEqual(dialect.status_of(error), status, repr(error))
            self.assertIsInstance(error, dialect.refusal(status, self.transport), repr(error))
            return str(error)
        self.fail(f"was not refused: {answer!r}")

    def assert_refused_by_either(self, call, *arguments, **named) -> str:
        """As above with status 400, where some versions of the client look for themselves."""
        with self.assertRaises((ValueError, TypeError, dialect.API_ERROR)) as raised:
            call(*arguments, **named)
        self.assertIn(dialect.status_of(raised.exception), (400, None), raised.exception)
        return str(raised.exception)

    def job_of(self, index_name: str):
        jobs = [job for job in self.client.list_restore_jobs()
                if job.target_index_name == index_name]
        self.assertEqual(len(jobs), 1)
        return jobs[0]


class RecordsTest(ClientTest):
    """Reading and writing records. `transport` says how they travel."""

    def open(self, name: str):
        return dialect.open_index(self.server, self.client, name, self.transport)

    def upsert(self, index, records: list[dict], namespace: str = "", batch: int = 40) -> None:
        for start in range(0, len(records), batch):
            part = self.copied(records[start:start + batch])
            reply = index.upsert(vectors=part, namespace=namespace)
            self.assertEqual(reply.upserted_count, len(part))

    def copied(self, records: list[dict]) -> list[dict]:
        """For the client: version 7 turns metadata into its own types in place."""
        return copy.deepcopy(records)

    def contents(self, index, namespace: str) -> dict:
        """Everything in a namespace: id -> (values, metadata), read with list and fetch."""
        found, token = {}, None
        while True:
            options = {"pagination_token": token} if token else {}
            ids, token = dialect.page_of_ids(index, namespace=namespace, limit=60, **options)
            if ids:
                vectors = index.fetch(ids=ids, namespace=namespace).vectors
                self.assertEqual(set(vectors), set(ids))
                found.update({id: (self.values(vector), dialect.plain(vector.metadata))
                              for id, vector in vectors.items()})
            if token is None:
                return found

    def expected(self, records: list[dict]) -> dict:
        """What `contents` must be."""
        exact = list if self.transport == "rest" else sample.as_f32
        return {record["id"]: (exact(record["values"]), record.get("metadata", {}))
                for record in records}

    def values(self, vector) -> list[float]:
        """REST carries decimals, which must be those sent. gRPC carries 32 bits, which some
        versions show as they are and others as a decimal."""
        values = list(vector.values or [])
        return values if self.transport == "rest" else sample.as_f32(values)

    def answers(self, index, namespace: str) -> list:
        """Answers to a few fixed queries, complete."""
        rng = random.Random(99)
        found = []
        for _ in range(5):
            reply = index.query(vector=sample.vector(rng), top_k=12, namespace=namespace,
                                include_values=True, include_metadata=True)
            found.append([(hit.id, hit.score, self.values(hit), dialect.plain(hit.metadata))
                          for hit in reply.matches])
        return found

    def assert_hits(self, hits, expected: list[tuple]) -> None:
        self.assertEqual([hit.id for hit in hits], [id for id, _ in expected])
        for hit, (_, score) in zip(hits, expected, strict=True):
            self.assertAlmostEqual(hit.score, score, delta=1e-4)
