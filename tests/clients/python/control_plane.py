"""The rest of the control plane, as a Python client sees it: every kind of index, what can be
changed of one, collections, schedules, and what is refused with which class of error.

Goal: each operation that the client has answers what is true, and what it changed is there when
asked again. Method: literal expectations; every version tells of an index in its own shape, so
what is compared is named one by one.
"""

import time

import dialect
import sample
from case import ClientTest, RecordsTest
from pinecone import ServerlessSpec

REGIONS = (("aws", "us-west-2"), ("aws", "eu-west-1"), ("gcp", "us-central1"),
           ("gcp", "europe-west4"), ("azure", "eastus2"))
MODEL = "multilingual-e5-large"


class Indexes(ClientTest):
    """Kinds of indexes."""

    def test_a_serverless_index_is_where_it_was_asked_to_be(self) -> None:
        for cloud, region in REGIONS:
            name = self.new_index(spec=ServerlessSpec(cloud=cloud, region=region))
            found = self.client.describe_index(name).spec.serverless
            self.assertEqual((found.cloud, found.region), (cloud, region))

    def test_an_unknown_region_is_not_found(self) -> None:
        spec = ServerlessSpec(cloud="aws", region="invalid-region")
        message = self.assert_refused(404, self.client.create_index, name="never-made",
                                      dimension=8, metric="cosine", spec=spec)
        self.assertIn("Resource cloud: aws region: invalid-region not found", message)
        self.assertFalse(self.client.has_index("never-made"))

    def test_a_sparse_index_has_no_dimension(self) -> None:
        name = self.new_sparse_index()
        index = self.client.describe_index(name)
        self.assertEqual((index.vector_type, index.metric), ("sparse", "dotproduct"))
        self.assertIsNone(getattr(index, "dimension", None))
        self.assertTrue(index.status.ready)
        self.assertIn(name, [other.name for other in self.client.list_indexes()])

    def test_a_dense_index_says_that_it_is_dense(self) -> None:
        index = self.client.describe_index(self.new_index("euclidean", dimension=20_000))
        self.assertEqual(index.vector_type, "dense")
        self.assertEqual(dialect.shape_of(index), (20_000, "euclidean"))

    def test_wrong_shapes_are_refused(self) -> None:
        for dimension in (-1, 0, 20_001):
            self.assert_refused_by_either(self.client.create_index, name="never-made",
                                          dimension=dimension, metric="cosine", spec=dialect.SPEC)
        self.assert_refused_by_either(self.client.create_index, name="never-made", dimension=8,
                                      metric="manhattan", spec=dialect.SPEC)
        self.assertFalse(self.client.has_index("never-made"))

    def test_a_pod_index_scales_by_its_rules(self) -> None:
        name = self.new_pod_index("cosine")
        self.assert_pod(name, "p1.x1", 1)
        pod = self.client.describe_index(name).spec.pod
        self.assertEqual((pod.environment, pod.shards, pod.pods), ("us-east-1-aws", 1, 1))
        self.client.configure_index(name, replicas=3)
        self.assert_pod(name, "p1.x1", 3)
        self.client.configure_index(name, replicas=1)
        self.assert_pod(name, "p1.x1", 1)
        self.client.configure_index(name, pod_type="p1.x2")
        self.assert_pod(name, "p1.x2", 1)
        self.client.configure_index(name, pod_type="p1.x4", replicas=2)
        self.assert_pod(name, "p1.x4", 2)
        self.assertIn("change pod", self.assert_refused(
            400, self.client.configure_index, name, pod_type="p2.x4"))
        self.assertIn("Cannot scale down", self.assert_refused(
            400, self.client.configure_index, name, pod_type="p1.x1"))
        self.assertIn("max pods allowed", self.assert_refused(
            403, self.client.configure_index, name, replicas=30_000))
        self.assert_pod(name, "p1.x4", 2)

    def assert_pod(self, name: str, pod_type: str, replicas: int) -> None:
        pod = self.client.describe_index(name).spec.pod
        self.assertEqual((pod.pod_type, pod.replicas), (pod_type, replicas))

    def test_a_serverless_index_has_no_pods_to_scale(self) -> None:
        name = self.new_index(tags={"a": "b"})
        self.assert_refused(400, self.client.configure_index, name, replicas=2, tags={"a": "c"})
        self.assertEqual(dialect.plain(self.client.describe_index(name).tags), {"a": "b"})

    def test_a_byoc_index_is_where_it_was_asked_to_be(self) -> None:
        name = self.new_name("byoc")
        dialect.byoc_index(self.client, name, "aws-us-east-1-b921")
        index = self.client.describe_index(name)
        self.assertEqual(index.spec.byoc.environment, "aws-us-east-1-b921")
        self.assertIsNone(index.spec.serverless)
        self.assertTrue(index.status.ready)

    def test_tags_protection_and_all_at_once(self) -> None:
        name = self.new_index(tags={"one": "1", "two": "2"})
        self.client.configure_index(name, tags={"two": "", "three": "3"},
                                    deletion_protection="enabled")
        index = self.client.describe_index(name)
        self.assertEqual(dialect.plain(index.tags), {"one": "1", "three": "3"})
        self.assertEqual(index.deletion_protection, "enabled")
        self.assert_refused(403, self.client.delete_index, name)
        self.client.configure_index(name, tags={"one": "", "three": ""},
                                    deletion_protection="disabled")
        index = self.client.describe_index(name)
        self.assertEqual(dialect.plain(index.tags), {})
        self.assertEqual(index.deletion_protection, "disabled")
        self.assert_refused(404, self.client.configure_index, "never-made", tags={"a": "b"})

    def test_bad_tags_are_refused(self) -> None:
        name = self.new_index()
        for tags in ({"k" * 81: "v"}, {"key": "v" * 121}, {"sp ace": "v"}):
            self.assert_refused_by_either(self.client.configure_index, name, tags=tags)
        self.assertEqual(dialect.plain(self.client.describe_index(name).tags), {})


class ReadCapacity(ClientTest):
    """Dedicated read capacity is accepted, shown, and ready at once."""

    def test_it_is_shown_as_given_and_can_be_changed(self) -> None:
        spec = ServerlessSpec(cloud="aws", region="us-east-1", read_capacity=dialect.DEDICATED)
        name = self.new_index(spec=spec)
        self.assert_dedicated(name, "b1", 1, 1)
        changed = {"mode": "Dedicated", "dedicated": {"node_type": "t1", "scaling": "Manual",
                                                      "manual": {"shards": 2, "replicas": 2}}}
        for _ in range(2):
            dialect.configure_capacity(self.client, name, changed)
            self.assert_dedicated(name, "t1", 2, 2)
        dialect.configure_capacity(self.client, name, {"mode": "OnDemand"})
        self.assertEqual(dialect.capacity_of(self.client.describe_index(name))["mode"], "OnDemand")

    def assert_dedicated(self, name: str, node_type: str, shards: int, replicas: int) -> None:
        found = dialect.capacity_of(self.client.describe_index(name))
        self.assertEqual(found["mode"], "Dedicated")
        self.assertEqual(found["dedicated"]["node_type"], node_type)
        manual = found["dedicated"]["manual"]
        self.assertEqual((manual["shards"], manual["replicas"]), (shards, replicas))
        self.assertEqual(found["status"]["state"], "Ready")

    def test_it_is_on_demand_when_nothing_is_said(self) -> None:
        found = dialect.capacity_of(self.client.describe_index(self.new_index()))
        self.assertEqual((found["mode"], found["status"]["state"]), ("OnDemand", "Ready"))


class ForModel(ClientTest):
    """An index for a hosted model: its configuration is kept, its texts are refused for now."""

    def test_its_configuration_comes_back(self) -> None:
        name = self.new_name("model")
        embed = {"model": MODEL, "field_map": {"text": "chunk-text"}}
        self.client.create_index_for_model(name=name, cloud="aws", region="us-east-1",
                                           embed=embed, tags={"made": "for-model"})
        index = self.client.describe_index(name)
        self.assertEqual(index.embed.model, MODEL)
        self.assertEqual(dialect.plain(index.embed.field_map), {"text": "chunk-text"})
        self.assertEqual(dialect.plain(index.tags), {"made": "for-model"})
        self.assertTrue(index.status.ready)
        if dialect.VERSION < (10,):
            self.assertEqual((index.dimension, index.metric), (1024, "cosine"))
        message = self.assert_refused(400, dialect.write_texts, self.client.Index(name), "texts",
                                      [{"_id": "a", "chunk-text": "some words"}])
        self.assertIn(MODEL, message)
        self.assertEqual(dialect.counts(self.client.Index(name)), {})

    def test_an_unknown_model_is_refused(self) -> None:
        embed = {"model": "no-such-model", "field_map": {"text": "t"}}
        with self.assertRaises(Exception) as raised:
            self.client.create_index_for_model(name="never-made", cloud="aws",
                                               region="us-east-1", embed=embed)
        self.assertIn(dialect.status_of(raised.exception), (400, 404), raised.exception)
        self.assertFalse(self.client.has_index("never-made"))


class Collections(RecordsTest):
    """Copies of pod indexes."""

    def setUp(self) -> None:
        super().setUp()
        self.collections: list[str] = []
        self.addCleanup(self.remove_collections)

    def remove_collections(self) -> None:
        there = {dialect.field(found, "name") for found in self.client.list_collections()}
        for name in there.intersection(self.collections):
            self.client.delete_collection(name)

    def test_a_collection_is_made_described_listed_and_deleted(self) -> None:
        source = self.new_pod_index("dotproduct")
        index = self.open(source)
        records = sample.records(21, 30, "c")
        for namespace in ("", "books"):
            self.upsert(index, records, namespace)
        name = self.new_collection(source)
        found = self.client.describe_collection(name)
        self.assertEqual(dialect.field(found, "name"), name)
        self.assertEqual(dialect.field(found, "status"), "Ready")
        self.assertEqual(dialect.field(found, "dimension"), sample.DIMENSION)
        self.assertEqual(dialect.field(found, "vector_count"), 60)
        self.assertEqual(dialect.field(found, "environment"), "us-east-1-aws")
        self.assertGreater(dialect.field(found, "size"), 60 * 4 * sample.DIMENSION)
        listed = [dialect.field(found, "name") for found in self.client.list_collections()]
        self.assertIn(name, listed)
        if dialect.HAS_INDEX_FROM_COLLECTION:
            self.assert_index_from(name, records, index)
        self.client.delete_collection(name)
        self.assert_refused(404, self.client.describe_collection, name)
        self.assert_refused(404, self.client.delete_collection, name)

    def assert_index_from(self, collection: str, records: list[dict], source) -> None:
        source.delete(delete_all=True, namespace="books")
        spec = dialect.pod_spec(source_collection=collection)
        name = self.new_index("cosine", spec=spec)
        self.assertEqual(self.client.describe_index(name).spec.pod.source_collection, collection)
        copy = self.open(name)
        for namespace in ("", "books"):
            self.assertEqual(self.contents(copy, namespace), self.expected(records))
        query = records[3]["values"]
        hits = copy.query(vector=query, top_k=5, namespace="books").matches
        self.assert_hits(hits, sample.best("cosine", query, records, 5))
        elsewhere = dialect.pod_spec(environment="us-west1-gcp", source_collection=collection)
        message = self.assert_refused(400, self.client.create_index, name="never-made",
                                      dimension=sample.DIMENSION, metric="cosine", spec=elsewhere)
        self.assertIn("same environment", message)

    def new_collection(self, source: str) -> str:
        name = f"col-{source[-8:]}"
        self.collections.append(name)
        self.client.create_collection(name, source)
        return name

    def test_only_pod_indexes_have_collections(self) -> None:
        serverless = self.new_index()
        self.assert_refused(400, self.client.create_collection, "never-made", serverless)
        unknown = 404 if dialect.VERSION >= (10,) else 400
        self.assert_refused(unknown, self.client.create_collection, "never-made", "no-such-index")
        self.assert_refused(404, self.client.describe_collection, "never-made")
        if dialect.HAS_INDEX_FROM_COLLECTION:
            spec = dialect.pod_spec(source_collection="never-made")
            message = self.assert_refused(400, self.client.create_index, name="also-never-made",
                                          dimension=8, metric="cosine", spec=spec)
            self.assertIn("never-made not found", message)

    def test_a_taken_name_is_refused(self) -> None:
        source = self.new_pod_index("cosine")
        name = self.new_collection(source)
        self.assert_refused(409, self.client.create_collection, name, source)


class Schedules(ClientTest):
    """Backup schedules."""

    def test_a_schedule_lives_through_its_whole_life(self) -> None:
        name = self.new_index()
        schedules = self.client.backup_schedules
        made = schedules.create(index_name=name, name="nightly", frequency="daily",
                                retention_days=7)
        self.assert_schedule(made, "daily", 7, True)
        self.assertGreater(made.next_scheduled_run, made.created_at)
        self.assert_refused(409, schedules.create, index_name=name, name="second",
                            frequency="weekly", retention_days=1)
        changed = schedules.update(schedule_id=made.schedule_id, frequency="monthly",
                                   retention_days=30)
        self.assert_schedule(changed, "monthly", 30, True)
        off = schedules.update(schedule_id=made.schedule_id, enabled=False)
        self.assert_schedule(off, "monthly", 30, False)
        self.assertIsNone(off.next_scheduled_run)
        self.assertEqual(schedules.describe(schedule_id=made.schedule_id), off)
        second = schedules.create(index_name=name, name="second", frequency="weekly",
                                  retention_days=1)
        listed = [entry.schedule_id for entry in schedules.list(index_name=name).data]
        self.assertEqual(sorted(listed), sorted([made.schedule_id, second.schedule_id]))
        self.assert_refused(409, schedules.update, schedule_id=made.schedule_id, enabled=True)
        schedules.delete(schedule_id=second.schedule_id)
        self.assert_refused(404, schedules.describe, schedule_id=second.schedule_id)
        self.assert_runs_when_enabled_again(name, made.schedule_id)
        schedules.delete(schedule_id=made.schedule_id)
        self.assertEqual(list(schedules.list(index_name=name).data), [])

    def assert_schedule(self, found, frequency: str, days: int, enabled: bool) -> None:
        self.assertEqual(found.name, "nightly")
        self.assertEqual((found.frequency, found.retention_expire_after_days, found.enabled),
                         (frequency, days, enabled))
        self.assertEqual(found.schedule_type, "time-based")
        self.assertTrue(found.schedule_id and found.index_id and found.project_id)

    def assert_runs_when_enabled_again(self, index_name: str, schedule_id: str) -> None:
        """Enabling again takes a backup at once, which the history shows."""
        schedules = self.client.backup_schedules
        self.assertTrue(schedules.update(schedule_id=schedule_id, enabled=True).enabled)
        until = time.monotonic() + 20
        while True:
            runs = [run for run in schedules.history(schedule_id=schedule_id).data
                    if run.status == "Ready"]
            if runs:
                break
            self.assertLess(time.monotonic(), until, "no scheduled backup became ready")
            time.sleep(0.2)
        self.backups.append(runs[0].backup_id)
        self.assertRegex(runs[0].name, r"^nightly-\d{8}[tT]\d{6}[zZ]$")
        self.assertEqual(runs[0].source_index_name, index_name)
        backup = self.client.describe_backup(backup_id=runs[0].backup_id)
        self.assertEqual((backup.name, backup.status), (runs[0].name, "Ready"))

    def test_what_is_not_there_is_not_found(self) -> None:
        schedules = self.client.backup_schedules
        unknown = "4a3b2c1d-0000-4000-8000-000000000000"
        for call in (schedules.describe, schedules.delete, schedules.history):
            self.assert_refused(404, call, schedule_id=unknown)
        self.assert_refused(404, schedules.update, schedule_id=unknown, enabled=False)
        self.assert_refused(404, schedules.list, index_name="never-made")
        self.assert_refused(404, schedules.create, index_name="never-made", name="n",
                            frequency="daily", retention_days=1)

    def test_an_index_tells_from_which_backup_it_came(self) -> None:
        backup = self.new_backup(self.new_index(), "source")
        restored = self.restore(backup.backup_id)
        found = self.client.describe_index(restored)
        self.assertEqual(found.source_backup_id, backup.backup_id)

    def test_backups_of_deleted_indexes_are_listed_on_request(self) -> None:
        name = self.new_index()
        backup = self.new_backup(name, "outlives")
        self.client.delete_index(name)
        self.assert_refused(404, self.client.list_backups, index_name=name)
        listed = self.client.list_backups(index_name=name, include_deleted=True)
        self.assertEqual([entry.backup_id for entry in listed], [backup.backup_id])


SUITES = (Indexes, ForModel, Collections, *([ReadCapacity] if dialect.HAS_READ_CAPACITY else []),
          *([Schedules] if dialect.HAS_SCHEDULES else []))
