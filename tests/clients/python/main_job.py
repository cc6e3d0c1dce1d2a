"""The main job, done by an official Python client that knows nothing of Lodgepole.

Goal: every call a user needs from the first index to the index created from a backup works, and
answers what is true. Method: each test makes its own indexes on a running server, and compares with
records it kept itself and with scores it computes itself.
"""

import copy
import random
import time
import uuid

import dialect
import sample
from case import AT_ONCE_S, ClientTest, RecordsTest

NAMESPACES = ("", "books")


class ControlPlane(ClientTest):
    """Indexes, backups and restore jobs, without their records."""

    def test_an_index_is_ready_described_and_listed_at_once(self) -> None:
        for metric in sample.METRICS:
            started = time.monotonic()
            name = self.new_index(metric, tags={"team": "search"})
            self.assertLess(time.monotonic() - started, AT_ONCE_S)
            index = self.client.describe_index(name)
            self.assertEqual(index.name, name)
            self.assertEqual(dialect.shape_of(index), (sample.DIMENSION, metric))
            self.assertTrue(index.status.ready)
            self.assertEqual(index.status.state, "Ready")
            self.assertEqual(dialect.plain(index.tags), {"team": "search"})
            self.assertEqual(index.deletion_protection, "disabled")
            self.assertEqual(index.spec.serverless.region, "us-east-1")
            self.assertTrue(self.client.has_index(name))
        listed = [index.name for index in self.client.list_indexes()]
        self.assertEqual(sorted(self.made), [name for name in sorted(listed) if name in self.made])
        hosts = {self.client.describe_index(name).host for name in self.made}
        self.assertEqual(len(hosts), len(self.made))

    def test_a_deleted_index_is_gone_and_its_name_free(self) -> None:
        name = self.new_index()
        index = dialect.open_index(self.server, self.client, name, "rest")
        index.upsert(vectors=sample.records(1, 5, "a"))
        started = time.monotonic()
        self.client.delete_index(name)
        self.assertLess(time.monotonic() - started, AT_ONCE_S)
        self.assertFalse(self.client.has_index(name))
        self.assert_refused(404, self.client.describe_index, name)
        self.assert_refused(404, self.client.delete_index, name)
        self.client.create_index(name=name, dimension=3, metric="cosine", spec=dialect.SPEC)
        self.assertEqual(dialect.shape_of(self.client.describe_index(name)), (3, "cosine"))
        again = dialect.control(self.server).Index(name)
        self.assertEqual(dialect.counts(again), {})

    def test_taken_names_are_refused_and_change_nothing(self) -> None:
        name = self.new_index("dotproduct")
        backup = self.new_backup(name, "one")
        message = self.assert_refused(409, self.client.create_index, name=name, dimension=4,
                                      metric="cosine", spec=dialect.SPEC)
        self.assertIn("already exists", message)
        self.assert_refused(409, self.client.create_index_from_backup, name=name,
                            backup_id=backup.backup_id)
        index = self.client.describe_index(name)
        self.assertEqual(dialect.shape_of(index), (sample.DIMENSION, "dotproduct"))

    def test_bad_names_are_refused_with_the_rule(self) -> None:
        backup = self.new_backup(self.new_index(), "one")
        for name in ("Upper", "under_score", "-start", "end-", "x" * 46, "sp ace", "é"):
            options = {"name": name, "backup_id": backup.backup_id}
            create = self.client.create_index_from_backup
            if len(name) > 45:
                self.assert_refused_by_either(create, **options)
            else:
                self.assertIn("must", self.assert_refused(400, create, **options), name)
            self.assertFalse(any(index.name == name for index in self.client.list_indexes()))

    def test_tags_are_merged_and_an_empty_value_removes_one(self) -> None:
        name = self.new_index(tags={"team": "search", "stage": "test"})
        self.client.configure_index(name, tags={"stage": "", "owner": "ann"})
        tags = dialect.plain(self.client.describe_index(name).tags)
        self.assertEqual(tags, {"team": "search", "owner": "ann"})

    def test_deletion_protection_keeps_an_index(self) -> None:
        name = self.new_index(deletion_protection="enabled")
        message = self.assert_refused(403, self.client.delete_index, name)
        self.assertIn("Deletion protection is enabled for this index", message)
        self.assertEqual(self.client.describe_index(name).deletion_protection, "enabled")
        self.client.configure_index(name, deletion_protection="disabled")
        self.assertEqual(self.client.describe_index(name).deletion_protection, "disabled")
        self.client.delete_index(name)
        self.assertFalse(self.client.has_index(name))

    def test_backups_are_listed_newest_first_and_in_pages(self) -> None:
        name, other = self.new_index(), self.new_index()
        self.assertEqual(len(self.client.list_backups(index_name=name)), 0)
        made = [self.new_backup(name, f"backup-{number}").backup_id for number in range(3)]
        elsewhere = self.new_backup(other, "elsewhere").backup_id
        listed = self.client.list_backups(index_name=name)
        self.assertEqual([backup.backup_id for backup in listed], made[::-1])
        self.assertEqual([backup.name for backup in listed], ["backup-2", "backup-1", "backup-0"])
        first = self.client.list_backups(index_name=name, limit=2)
        self.assertEqual([backup.backup_id for backup in first], made[:0:-1])
        token = first.pagination.next
        rest = self.client.list_backups(index_name=name, limit=2, pagination_token=token)
        self.assertEqual([backup.backup_id for backup in rest], made[:1])
        project = [backup.backup_id for backup in self.client.list_backups()]
        self.assertEqual(project[:4], [elsewhere, *made[::-1]])

    def test_a_restored_index_takes_over_what_is_not_overridden(self) -> None:
        source = self.new_index("euclidean", tags={"team": "search", "stage": "test"})
        backup = self.new_backup(source, "tagged")
        self.assertEqual(dialect.plain(backup.tags), {"team": "search", "stage": "test"})
        name = self.restore(backup.backup_id, tags={"stage": "new"}, deletion_protection="enabled")
        index = self.client.describe_index(name)
        self.assertEqual(dialect.shape_of(index), (sample.DIMENSION, "euclidean"))
        self.assertEqual(dialect.plain(index.tags), {"stage": "new"})
        self.assertEqual(index.deletion_protection, "enabled")
        self.client.configure_index(name, deletion_protection="disabled")
        self.assertNotEqual(index.host, self.client.describe_index(source).host)
        name = self.restore(backup.backup_id)
        index = self.client.describe_index(name)
        self.assertEqual(dialect.plain(index.tags), {"team": "search", "stage": "test"})
        self.assertEqual(index.deletion_protection, "disabled")

    def test_restore_jobs_tell_what_happened(self) -> None:
        backup = self.new_backup(self.new_index(), "one")
        names = [self.restore(backup.backup_id) for _ in range(3)]
        for name in names:
            listed = self.job_of(name)
            job = self.client.describe_restore_job(job_id=listed.restore_job_id)
            self.assertEqual(job.restore_job_id, listed.restore_job_id)
            self.assertEqual(job.backup_id, backup.backup_id)
            self.assertEqual(job.target_index_name, name)
            self.assertTrue(job.target_index_id)
            self.assertEqual(job.status, "Completed")
            self.assertEqual(job.percent_complete, 100)
            self.assertTrue(job.created_at)
            self.assertTrue(job.completed_at)
        newest = [job.target_index_name for job in self.client.list_restore_jobs(limit=2)]
        self.assertEqual(newest, names[:0:-1])

    def test_what_is_not_there_is_not_found(self) -> None:
        for unknown in (str(uuid.uuid4()), "no-uuid"):
            self.assert_refused(404, self.client.describe_backup, backup_id=unknown)
            self.assert_refused(404, self.client.delete_backup, backup_id=unknown)
            self.assert_refused(404, self.client.describe_restore_job, job_id=unknown)
            self.assert_refused(404, self.client.create_index_from_backup, name="never-made",
                                backup_id=unknown)
        self.assert_refused(404, self.client.describe_index, "never-made")
        self.assert_refused(404, self.client.create_backup, index_name="never-made",
                            backup_name="b", description="d")
        self.assert_refused(404, self.client.list_backups, index_name="never-made")
        self.assertFalse(self.client.has_index("never-made"))


class DataPlane(RecordsTest):
    """Records and queries; what a backup holds."""

    def test_records_come_back_as_they_were_written(self) -> None:
        index = self.open(self.new_index())
        written = {}
        for number, namespace in enumerate(NAMESPACES):
            records = sample.records(number, 130, "r")
            records += [{"id": id, "values": sample.vector(random.Random(5))}
                        for id in sample.ODD_IDS]
            self.upsert(index, records, namespace)
            written[namespace] = records
        for namespace in NAMESPACES:
            expected = self.expected(written[namespace])
            self.assertEqual(self.contents(index, namespace), expected)
        total = len(written[""])
        self.assertEqual(dialect.counts(index), {"__default__": total, "books": total})
        self.assertEqual(index.describe_index_stats().dimension, sample.DIMENSION)
        reply = index.fetch(ids=["r0001", "unknown"], namespace="books")
        self.assertEqual(list(reply.vectors), ["r0001"])
        self.assertEqual(reply.namespace, "books")

    def test_a_second_upsert_replaces_the_whole_record(self) -> None:
        index = self.open(self.new_index())
        self.upsert(index, sample.records(1, 3, "r"))
        replaced = {"id": "r0001", "values": [0.5] * sample.DIMENSION, "metadata": {"new": "yes"}}
        self.upsert(index, [replaced])
        self.upsert(index, [{"id": "r0002", "values": [0.25] * sample.DIMENSION}])
        found = self.contents(index, "")
        self.assertEqual(found["r0001"], ([0.5] * sample.DIMENSION, {"new": "yes"}))
        self.assertEqual(found["r0002"], ([0.25] * sample.DIMENSION, {}))
        self.assertEqual(dialect.counts(index), {"__default__": 3})

    def test_ids_are_listed_by_prefix_in_pages(self) -> None:
        index = self.open(self.new_index())
        for prefix in ("doc1#", "doc2#", "x"):
            self.upsert(index, sample.records(1, 25, prefix), "books")
        pages, token = [], None
        while len(pages) < 10:
            options = {"pagination_token": token} if token else {}
            ids, token = dialect.page_of_ids(index, prefix="doc2#", limit=10, namespace="books",
                                             **options)
            pages.append(ids)
            if token is None:
                break
        self.assertEqual([len(page) for page in pages if page], [10, 10, 5])
        self.assertEqual(sum(pages, []), [f"doc2#{number:04}" for number in range(25)])
        self.assertEqual(dialect.page_of_ids(index, prefix="none", namespace="books"), ([], None))
        self.assertEqual(dialect.page_of_ids(index, namespace="empty"), ([], None))

    def test_queries_agree_with_an_exact_reference(self) -> None:
        rng = random.Random(7)
        for metric in sample.METRICS:
            index = self.open(self.new_index(metric))
            records = sample.records(3, 120, "r")
            self.upsert(index, records, "books")
            for _ in range(5):
                query = sample.vector(rng)
                hits = index.query(vector=query, top_k=10, namespace="books").matches
                self.assert_hits(hits, sample.best(metric, query, records, 10))
            near = records[17]
            hits = index.query(id=near["id"], top_k=3, namespace="books").matches
            self.assert_hits(hits, sample.best(metric, near["values"], records, 3))
            everything = index.query(vector=query, top_k=10_000, namespace="books").matches
            self.assert_hits(everything, sample.best(metric, query, records, 10_000))
            self.assertEqual(len(everything), 120)
            self.assertEqual(index.query(vector=query, top_k=3).matches, [])
            self.assertEqual(index.query(id="none", top_k=3, namespace="books").matches, [])

    def test_values_and_metadata_are_sent_only_when_asked_for(self) -> None:
        index = self.open(self.new_index())
        records = sample.records(3, 12, "r")
        self.upsert(index, records)
        expected = self.expected(records)
        query = records[0]["values"]
        for values, metadata in ((False, False), (True, False), (False, True), (True, True)):
            hits = index.query(vector=query, top_k=12, include_values=values,
                               include_metadata=metadata).matches
            self.assertEqual(len(hits), 12)
            for hit in hits:
                self.assertEqual(self.values(hit), expected[hit.id][0] if values else [])
                self.assertEqual(dialect.plain(hit.metadata),
                                 expected[hit.id][1] if metadata else {})

    def test_deletes_remove_what_they_name_and_nothing_else(self) -> None:
        index = self.open(self.new_index())
        records = sample.records(2, 60, "r")
        for namespace in NAMESPACES:
            self.upsert(index, records, namespace)
        index.delete(ids=[record["id"] for record in records[:20]] + ["unknown"], namespace="books")
        self.assertEqual(self.contents(index, "books"), self.expected(records[20:]))
        self.assertEqual(self.contents(index, ""), self.expected(records))
        hits = index.query(vector=records[0]["values"], top_k=60, namespace="books").matches
        self.assertEqual({hit.id for hit in hits}, {record["id"] for record in records[20:]})
        index.delete(delete_all=True, namespace="")
        self.assertEqual(dialect.counts(index), {"books": 40})
        self.assertEqual(index.query(vector=records[0]["values"], top_k=5).matches, [])
        self.upsert(index, records[:1])
        self.assertEqual(self.contents(index, ""), self.expected(records[:1]))
        self.assert_refused(404, index.delete, delete_all=True, namespace="never-written")

    def test_a_refused_request_leaves_nothing_behind(self) -> None:
        index = self.open(self.new_index())
        good = sample.records(4, 10, "r")
        self.upsert(index, good[:5])
        short = {"id": "short", "values": [0.5] * (sample.DIMENSION - 1)}
        zero = {"id": "zero", "values": [0.0] * sample.DIMENSION}
        nested = {"id": "nested", "values": [0.5] * sample.DIMENSION, "metadata": {"a": {"b": 1}}}
        large = {"id": "large", "values": [0.5] * sample.DIMENSION, "metadata": {"a": "x" * 41_000}}
        operator = {"id": "operator", "values": [0.5] * sample.DIMENSION, "metadata": {"$a": "b"}}
        long = {"id": "i" * 513, "values": [0.5] * sample.DIMENSION}
        for bad in (short, zero, operator):
            self.assert_refused(400, index.upsert, vectors=copy.deepcopy([*good[5:], bad]))
            self.assertEqual(self.contents(index, ""), self.expected(good[:5]), bad)
        for bad in (nested, large, long):
            self.assert_refused_by_either(index.upsert, vectors=copy.deepcopy([*good[5:], bad]))
            self.assertEqual(self.contents(index, ""), self.expected(good[:5]), bad["id"])
        self.assert_refused(400, index.query, vector=[0.5] * 7, top_k=3)
        self.assert_refused(400, index.upsert, vectors=sample.records(4, 1001, "m"))
        self.assertEqual(dialect.counts(index), {"__default__": 5})

    def test_main_job_cosine(self) -> None:
        self.main_job("cosine")

    def test_main_job_euclidean(self) -> None:
        self.main_job("euclidean")

    def test_main_job_dotproduct(self) -> None:
        self.main_job("dotproduct")

    def main_job(self, metric: str) -> None:
        """Back up, change everything, restore: the new index is the old one as it was."""
        source = self.new_index(metric, tags={"job": "main"})
        index = self.open(source)
        kept = self.fill(index)
        before = {namespace: self.answers(index, namespace) for namespace in NAMESPACES}
        backup = self.new_backup(source, "whole")
        self.assert_describes(backup, source, metric, sum(len(part) for part in kept.values()))
        after = self.change(index, kept)

        restored_name = self.restore(backup.backup_id)
        restored = self.open(restored_name)
        for namespace in NAMESPACES:
            self.assertEqual(self.contents(restored, namespace), self.expected(kept[namespace]))
            self.assertEqual(self.answers(restored, namespace), before[namespace])
            self.assertEqual(self.contents(index, namespace), self.expected(after[namespace]))
        self.assertEqual(dialect.counts(restored), {"__default__": 115, "books": 80})
        self.assertEqual(self.job_of(restored_name).status, "Completed")

        # The two have nothing in common any more: neither writes nor deletion of one reach the
        # other, and the backup outlives its index.
        self.upsert(restored, sample.records(8, 10, "new"), "fresh")
        self.assertEqual(dialect.counts(restored)["fresh"], 10)
        self.assertNotIn("fresh", dialect.counts(index))
        self.client.delete_index(source)
        self.assertEqual(self.answers(restored, ""), before[""])
        self.assertEqual(self.client.describe_backup(backup_id=backup.backup_id).status, "Ready")
        self.assert_clone_of_clone(restored_name, backup.backup_id, kept, before)

    def fill(self, index) -> dict:
        """Several batches in two namespaces, some records replaced, some deleted."""
        first, books = sample.records(11, 120, "doc"), sample.records(12, 80, "book")
        self.upsert(index, first)
        self.upsert(index, books, "books")
        first[:10] = sample.records(13, 10, "doc")
        self.upsert(index, first[:10])
        index.delete(ids=[record["id"] for record in first[-5:]])
        return {"": first[:-5], "books": books}

    def change(self, index, kept: dict) -> dict:
        """Deletes half, replaces and adds; returns what is there now."""
        half = kept[""][::2]
        index.delete(ids=[record["id"] for record in half])
        index.delete(delete_all=True, namespace="books")
        later = sample.records(14, 30, "later")
        replaced = [{**record, "values": [0.75] * sample.DIMENSION} for record in kept[""][1:11:2]]
        self.upsert(index, later + replaced)
        gone = {record["id"] for record in half + replaced}
        rest = [record for record in kept[""] if record["id"] not in gone]
        return {"": rest + later + replaced, "books": []}

    def assert_describes(self, backup, source: str, metric: str, count: int) -> None:
        self.assertEqual(backup.status, "Ready")
        self.assertEqual((backup.name, backup.description), ("whole", "about whole"))
        self.assertEqual(backup.source_index_name, source)
        self.assertTrue(backup.source_index_id)
        self.assertEqual((backup.record_count, backup.namespace_count), (count, 2))
        self.assertGreaterEqual(backup.size_bytes, count * 4 * sample.DIMENSION)
        self.assertEqual(dialect.shape_of(backup), (sample.DIMENSION, metric))
        self.assertEqual((backup.cloud, backup.region), ("aws", "us-east-1"))
        self.assertEqual(dialect.plain(backup.tags), {"job": "main"})
        self.assertTrue(backup.created_at)
        self.assertIn(backup.backup_id, [b.backup_id for b in self.client.list_backups()])

    def assert_clone_of_clone(self, restored_name: str, backup_id: str, kept, before) -> None:
        """An index made from a backup of a restored index outlives all that it came from."""
        second_backup = self.new_backup(restored_name, "of-the-restored")
        self.assertEqual(second_backup.record_count, 205)
        self.client.delete_backup(backup_id=backup_id)
        self.assert_refused(404, self.client.describe_backup, backup_id=backup_id)
        self.assert_refused(404, self.client.create_index_from_backup, name="too-late",
                            backup_id=backup_id)
        self.assertEqual(self.answers(self.open(restored_name), ""), before[""])
        second_name = self.restore(second_backup.backup_id)
        self.client.delete_index(restored_name)
        self.client.delete_backup(backup_id=second_backup.backup_id)
        second = self.open(second_name)
        for namespace in NAMESPACES:
            self.assertEqual(self.contents(second, namespace), self.expected(kept[namespace]))
            self.assertEqual(self.answers(second, namespace), before[namespace])
        self.assertEqual(dialect.counts(second), {"__default__": 115, "books": 80, "fresh": 10})


class Rest(DataPlane):
    """Over REST."""


class Grpc(DataPlane):
    """Over gRPC."""

    transport = "grpc"


SUITES = (ControlPlane, Rest, Grpc)
