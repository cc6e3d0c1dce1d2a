"""The rest of the vectors plane, as a Python client sees it, over REST and over gRPC: filters,
sparse and hybrid records, updates, namespaces, statistics, and what is refused.

Goal: each operation that the client has answers what is true. Method: what is right is written down
in `../cases` or here; nothing is compared with what the server said before.
"""

import json
from pathlib import Path

import dialect
import sample
from case import RecordsTest

CASES = Path(__file__).parent.parent / "cases"
FILTERS = json.loads((CASES / "filters.json").read_text())
VECTORS = json.loads((CASES / "vectors.json").read_text())
METADATA = FILTERS["records"]
SIMPLE = {"genre": "drama"}


class FilterTest(RecordsTest):
    """An index of the records in `filters.json`: the n-th one lies n steps from the origin, so
    that a query at the origin finds them in their order."""

    def setUp(self) -> None:
        super().setUp()
        self.name = self.new_index("euclidean", dimension=2)
        self.index = self.open(self.name)
        self.upsert(self.index, self.records(), "films")
        self.upsert(self.index, self.records(), "other")

    def records(self) -> list[dict]:
        return [{"id": id, "values": [float(number), 0.0] if number else [0.5, 0.0],
                 "metadata": dict(metadata)} for number, (id, metadata) in
                enumerate(METADATA.items())]

    def found(self, filter: dict | None, namespace: str = "films", **options) -> list[str]:
        arguments = {"filter": filter} if filter is not None else {}
        return [hit.id for hit in self.index.query(vector=[0.0, 0.0], top_k=100, **arguments,
                                                   namespace=namespace, **options).matches]

    def left(self, namespace: str = "films") -> list[str]:
        return sorted(dialect.all_ids(self.index, namespace=namespace))


class Filters(FilterTest):
    """Filters on queries and on deletes."""

    def test_every_operator_finds_what_matches(self) -> None:
        for filter, expected in FILTERS["matching"]:
            self.assertEqual(self.found(filter), expected, filter)

    def test_an_empty_filter_is_none(self) -> None:
        self.assertEqual(self.found({}), list(METADATA))
        self.assertEqual(self.found(None), list(METADATA))

    def test_a_filter_is_applied_before_ranking(self) -> None:
        reply = self.index.query(vector=[0.0, 0.0], top_k=2, filter={"year": {"$gte": 2020}},
                                 namespace="films", include_metadata=True)
        self.assert_hits(reply.matches, [("f02", 1.0), ("f03", 4.0)])
        self.assertEqual([dialect.plain(hit.metadata) for hit in reply.matches],
                         [METADATA["f02"], METADATA["f03"]])

    def test_a_query_by_id_works_when_the_record_itself_is_filtered_out(self) -> None:
        for filter, expected in ((SIMPLE, ["f03", "f01", "f09"]),
                                 ({"genre": "action"}, ["f04"])):
            hits = self.index.query(id="f03", top_k=10, filter=filter, namespace="films").matches
            self.assertEqual([hit.id for hit in hits], expected)

    def test_bad_filters_are_refused(self) -> None:
        for filter in FILTERS["refused"]:
            self.assert_refused(400, self.index.query, vector=[0.0, 0.0], top_k=3, filter=filter,
                                namespace="films")
            self.assert_refused(400, self.index.delete, filter=filter, namespace="films")
        self.assertEqual(self.left(), sorted(METADATA))

    def test_a_delete_by_filter_deletes_what_matches(self) -> None:
        self.index.delete(filter={"year": {"$gte": 2020}}, namespace="films")
        self.assertEqual(self.left(), ["f01", "f05", "f06", "f07", "f08", "f10"])
        self.index.delete(filter=SIMPLE, namespace="films")
        self.assertEqual(self.left(), ["f05", "f06", "f07", "f08", "f10"])
        self.index.delete(filter={"genre": "nothing"}, namespace="films")
        self.assertEqual(self.found(None), ["f05", "f06", "f07", "f08", "f10"])
        self.assertEqual(self.left("other"), sorted(METADATA))
        self.assert_refused(404, self.index.delete, filter=SIMPLE, namespace="never-written")

    def test_every_operator_deletes_what_it_finds(self) -> None:
        for number, (filter, expected) in enumerate(FILTERS["matching"][::4]):
            namespace = f"delete-{number}"
            self.upsert(self.index, self.records(), namespace)
            self.index.delete(filter=filter, namespace=namespace)
            self.assertEqual(self.left(namespace), sorted(set(METADATA) - set(expected)), filter)

    def test_statistics_take_no_filter_on_serverless_indexes(self) -> None:
        self.assert_refused(400, self.index.describe_index_stats, filter=SIMPLE)
        self.assertEqual(dialect.counts(self.index, filter={}), {"films": 10, "other": 10})

    def test_statistics_take_a_filter_on_pod_indexes(self) -> None:
        index = self.open(self.new_pod_index("cosine", dimension=2))
        self.upsert(index, self.records(), "films")
        self.upsert(index, self.records()[:3])
        self.assertEqual(dialect.counts(index), {"films": 10, "__default__": 3})
        self.assertEqual(dialect.counts(index, filter=SIMPLE), {"films": 3, "__default__": 2})
        self.assertEqual(dialect.counts(index, filter={"genre": "nothing"}), {})


class ByMetadata(FilterTest):
    """What came with version 8: fetching by filter."""

    def fetched(self, **arguments):
        reply = self.index.fetch_by_metadata(namespace="films", **arguments)
        self.assertEqual(reply.namespace, "films")
        token = reply.pagination.next if reply.pagination else None
        return reply.vectors, token or None

    def test_every_operator_fetches_what_it_finds(self) -> None:
        for filter, expected in FILTERS["matching"]:
            vectors, token = self.fetched(filter=filter)
            self.assertEqual(sorted(vectors), expected, filter)
            self.assertIsNone(token)
        vectors, _ = self.fetched(filter={"year": 2021})
        self.assertEqual(list(vectors["f03"].values), [2.0, 0.0])
        self.assertEqual(dialect.plain(vectors["f03"].metadata), METADATA["f03"])

    def test_pages_hold_everything_once(self) -> None:
        pages, token = [], None
        while len(pages) < 9:
            more = {"pagination_token": token} if token else {}
            vectors, token = self.fetched(filter={"genre": {"$exists": True}}, limit=3, **more)
            pages.append(sorted(vectors))
            if token is None:
                break
        self.assertEqual([len(page) for page in pages if page], [3, 3, 2])
        self.assertEqual(sum(pages, []), ["f01", "f02", "f03", "f04", "f05", "f06", "f09", "f10"])

    def test_bad_filters_are_refused(self) -> None:
        for filter in FILTERS["refused"]:
            self.assert_refused(400, self.index.fetch_by_metadata, filter=filter,
                                namespace="films")


class UpdatesByMetadata(FilterTest):
    """What came with version 8: updating by filter."""

    def test_bad_filters_are_refused(self) -> None:
        for filter in [*FILTERS["refused"], {}]:
            self.assert_refused_by_either(self.index.update, filter=filter, namespace="films",
                                          set_metadata={"a": "b"})
        self.assertEqual(self.found({"a": "b"}), [])

    def test_an_update_by_filter_changes_what_matches(self) -> None:
        update = self.index.update
        change = {"filter": SIMPLE, "set_metadata": {"seen": True, "year": 7},
                  "namespace": "films"}
        self.assertEqual(update(**change, dry_run=True).matched_records, 3)
        self.assertEqual(self.found({"seen": True}), [])
        self.assertEqual(update(**change).matched_records, 3)
        self.assertEqual(self.found({"seen": True}), ["f01", "f03", "f09"])
        self.assertEqual(self.found({"seen": True, "year": 7}), ["f01", "f03", "f09"])
        self.assertEqual(self.found({"year": 2019}), [])
        self.assertEqual(self.found({"seen": True}, "other"), [])
        changed = self.index.fetch(ids=["f01"], namespace="films").vectors["f01"]
        self.assertEqual(dialect.plain(changed.metadata),
                         METADATA["f01"] | {"seen": True, "year": 7})
        self.assertEqual(list(changed.values), [0.5, 0.0])
        nothing = update(filter={"genre": "nothing"}, set_metadata={"a": "b"}, namespace="films")
        self.assertEqual(nothing.matched_records or 0, 0)


class Sparse(RecordsTest):
    """Sparse and hybrid indexes."""

    def assert_scored(self, index, query: dict, include_values: bool = False) -> list:
        arguments = {"top_k": query.get("top_k", 10), "namespace": "v",
                     "include_values": include_values}
        names = {"values": "vector", "sparse": "sparse_vector", "id": "id", "filter": "filter"}
        arguments |= {names[key]: query[key] for key in names if key in query}
        hits = index.query(**arguments).matches
        self.assertEqual([[hit.id, hit.score] for hit in hits], query["hits"], query)
        return hits

    def written(self, kind: str) -> list[dict]:
        records = []
        for given in VECTORS[kind]["records"]:
            record = {"id": given["id"], "metadata": dict(given["metadata"])}
            if "values" in given:
                record["values"] = list(given["values"])
            if "sparse" in given:
                record["sparse_values"] = {key: list(given["sparse"][key])
                                           for key in ("indices", "values")}
            records.append(record)
        return records

    def assert_sparse(self, vector, record: dict) -> None:
        expected = record.get("sparse_values")
        self.assertEqual(dialect.sparse(vector),
                         (expected["indices"], expected["values"]) if expected else None)

    def test_a_sparse_index_scores_exactly(self) -> None:
        index = self.open(self.new_sparse_index())
        records = self.written("sparse")
        self.upsert(index, records, "v")
        for query in VECTORS["sparse"]["queries"]:
            self.assert_scored(index, query)
        fetched = index.fetch(ids=[record["id"] for record in records], namespace="v").vectors
        for record in records:
            vector = fetched[record["id"]]
            self.assertEqual(list(vector.values or []), [])
            self.assert_sparse(vector, record)
            self.assertEqual(dialect.plain(vector.metadata), record["metadata"])
        hits = self.assert_scored(index, VECTORS["sparse"]["queries"][0], include_values=True)
        self.assert_sparse(hits[2], records[2])
        self.assertEqual(dialect.counts(index), {"v": 4})
        self.assertFalse(getattr(index.describe_index_stats(), "dimension", None))

    def test_a_sparse_index_is_changed_record_by_record(self) -> None:
        index = self.open(self.new_sparse_index())
        self.upsert(index, self.written("sparse"), "v")
        index.update(id="s4", sparse_values={"indices": [7], "values": [2.5]}, namespace="v")
        index.update(id="s1", set_metadata={"kind": "changed"}, namespace="v")
        self.assert_scored(index, {"sparse": {"indices": [7], "values": [2.0]},
                                   "hits": [["s4", 5.0]]})
        index.delete(filter={"kind": "one"}, namespace="v")
        self.assertEqual(dialect.all_ids(index, namespace="v"), ["s1", "s3"])
        self.assert_scored(index, {"id": "s1", "hits": [["s1", 5.25], ["s3", -0.5]]})

    def test_a_sparse_index_takes_no_dense_vectors(self) -> None:
        index = self.open(self.new_sparse_index())
        dense = {"id": "d", "values": [1.0, 2.0]}
        self.assert_refused(400, index.upsert, vectors=[dense], namespace="v")
        self.assert_refused(400, index.query, vector=[1.0, 2.0], top_k=3, namespace="v")
        uneven = {"id": "u", "sparse_values": {"indices": [1, 2], "values": [1.0]}}
        self.assert_refused_by_either(index.upsert, vectors=[uneven], namespace="v")
        self.assertEqual(dialect.counts(index), {})

    def test_a_hybrid_index_scores_exactly(self) -> None:
        index = self.open(self.new_index("dotproduct", dimension=2))
        records = self.written("hybrid")
        self.upsert(index, records, "v")
        for query in VECTORS["hybrid"]["queries"]:
            self.assert_scored(index, query)
        hits = self.assert_scored(index, VECTORS["hybrid"]["queries"][0], include_values=True)
        for hit, record in zip(hits, records, strict=True):
            self.assertEqual(list(hit.values), record["values"])
            self.assert_sparse(hit, record)
        for hit in self.assert_scored(index, VECTORS["hybrid"]["queries"][0]):
            self.assertFalse(hit.values)
            self.assertIsNone(dialect.sparse(hit))
            self.assertEqual(dialect.plain(hit.metadata), {})

    def test_a_part_of_a_hybrid_record_is_updated_alone(self) -> None:
        index = self.open(self.new_index("dotproduct", dimension=2))
        self.upsert(index, self.written("hybrid"), "v")
        index.update(id="h1", values=[2.0, 0.0], namespace="v")
        index.update(id="h3", sparse_values={"indices": [9, 7], "values": [0.5, 4.0]},
                     namespace="v")
        index.update(id="h2", set_metadata={"part": "c", "new": "x"}, namespace="v")
        fetched = index.fetch(ids=["h1", "h2", "h3"], namespace="v").vectors
        self.assertEqual(list(fetched["h1"].values), [2.0, 0.0])
        self.assertEqual(dialect.sparse(fetched["h1"]), ([1, 7], [0.5, 2.0]))
        self.assertEqual(list(fetched["h3"].values), [0.5, 0.25])
        self.assertEqual(dialect.sparse(fetched["h3"]), ([9, 7], [0.5, 4.0]))
        self.assertEqual(dialect.plain(fetched["h2"].metadata), {"part": "c", "new": "x"})
        self.assertEqual(list(fetched["h2"].values), [0.25, 1.0])
        self.assert_scored(index, {"values": [1.0, 1.0], "filter": {"part": "a"},
                                   "sparse": {"indices": [7], "values": [1.0]},
                                   "hits": [["h3", 4.75], ["h1", 4.0]]})

    def test_sparse_values_belong_to_dotproduct(self) -> None:
        index = self.open(self.new_index("cosine", dimension=2))
        record = self.written("hybrid")[0]
        self.assert_refused(400, index.upsert, vectors=[record], namespace="v")
        self.upsert(index, [{"id": "c", "values": [1.0, 0.0]}], "v")
        self.assert_refused(400, index.query, vector=[1.0, 0.0], top_k=1, namespace="v",
                            sparse_vector={"indices": [1], "values": [1.0]})
        # An update is let through, is stored, and changes no score.
        index.update(id="c", sparse_values={"indices": [3], "values": [0.5]}, namespace="v")
        fetched = index.fetch(ids=["c"], namespace="v").vectors["c"]
        self.assertEqual(dialect.sparse(fetched), ([3], [0.5]))
        self.assert_scored(index, {"values": [1.0, 0.0], "hits": [["c", 1.0]]})


class Records(RecordsTest):
    """Updates by id, listings, statistics, usage, refusals."""

    def test_an_update_merges_metadata_and_replaces_values(self) -> None:
        index = self.open(self.new_index("dotproduct"))
        self.upsert(index, sample.records(41, 3, "u"), "books")
        before = self.contents(index, "books")
        index.update(id="u0000", values=[0.25] * sample.DIMENSION, namespace="books")
        index.update(id="u0001", set_metadata={"title": "changed", "added": ["x", "y"]},
                     namespace="books")
        index.update(id="unknown", set_metadata={"a": "b"}, namespace="books")
        after = self.contents(index, "books")
        self.assertEqual(after["u0000"], ([0.25] * sample.DIMENSION, before["u0000"][1]))
        self.assertEqual(after["u0001"], (before["u0001"][0], before["u0001"][1]
                                          | {"title": "changed", "added": ["x", "y"]}))
        self.assertEqual(after["u0002"], before["u0002"])
        self.assertEqual(set(after), set(before))
        hits = index.query(vector=[1.0] * sample.DIMENSION, top_k=3, namespace="books").matches
        self.assertEqual({hit.id: hit.score for hit in hits}["u0000"], 2.0)

    def test_updates_that_cannot_be_are_refused(self) -> None:
        index = self.open(self.new_index())
        self.upsert(index, sample.records(42, 2, "u"), "books")
        before = self.contents(index, "books")
        refused = self.assert_refused
        refused(400, index.update, id="u0000", values=[0.5] * 3, namespace="books")
        refused(400, index.update, id="u0000", set_metadata={"$bad": "x"}, namespace="books")
        refused(400, index.update, id="u0000", set_metadata={"big": "x" * 41_000},
                namespace="books")
        refused(404, index.update, id="u0000", set_metadata={"a": "b"}, namespace="nowhere")
        # The default namespace is always there.
        index.update(id="u0000", set_metadata={"a": "b"})
        self.assertEqual(self.contents(index, "books"), before)
        self.assertEqual(dialect.counts(index), {"books": 2})

    def test_wrong_dimensions_are_named(self) -> None:
        index = self.open(self.new_index())
        said = "dimension 3 does not match the dimension of the index 8"
        message = self.assert_refused(400, index.query, vector=[0.5] * 3, top_k=1)
        self.assertIn(said, message)
        message = self.assert_refused(400, index.upsert,
                                      vectors=[{"id": "a", "values": [0.5] * 3}])
        self.assertIn(said, message)

    def test_a_listing_goes_through_all_pages(self) -> None:
        index = self.open(self.new_index())
        for prefix in ("a#", "b#"):
            self.upsert(index, sample.records(43, 130, prefix), "books", batch=130)
        ids = [f"b#{number:04}" for number in range(130)]
        self.assertEqual(dialect.all_ids(index, prefix="b#", namespace="books"), ids)
        self.assertEqual(len(dialect.all_ids(index, namespace="books")), 260)
        self.assertEqual(dialect.all_ids(index, prefix="c", namespace="books"), [])
        # The next page may be of another size.
        first, token = dialect.page_of_ids(index, prefix="b#", limit=50, namespace="books")
        rest, token = dialect.page_of_ids(index, prefix="b#", limit=100, namespace="books",
                                          pagination_token=token)
        self.assertEqual((first + rest, token), (ids, None))

    def test_duplicate_ids_leave_the_last_one(self) -> None:
        index = self.open(self.new_index())
        records = [{"id": "same", "values": [0.25 * (number + 1)] * sample.DIMENSION,
                    "metadata": {"n": number}} for number in range(3)]
        index.upsert(vectors=records)
        self.assertEqual(self.contents(index, ""), {"same": ([0.75] * sample.DIMENSION,
                                                             {"n": 2})})
        self.assertEqual(dialect.counts(index), {"__default__": 1})

    def test_records_are_taken_in_every_form(self) -> None:
        from pinecone import Vector

        index = self.open(self.new_index(dimension=2))
        index.upsert(vectors=[("one", [1.0, 0.0]), ("two", [0.0, 1.0], {"n": 2})])
        index.upsert(vectors=[Vector(id="three", values=[1.0, 1.0], metadata={"n": 3})])
        self.assertEqual(self.contents(index, ""), {
            "one": ([1.0, 0.0], {}), "two": ([0.0, 1.0], {"n": 2}),
            "three": ([1.0, 1.0], {"n": 3})})

    def test_an_upsert_in_batches_writes_everything(self) -> None:
        index = self.open(self.new_index())
        records = sample.records(44, 95, "b")
        reply = index.upsert(vectors=self.copied(records), namespace="books", batch_size=20,
                             show_progress=False)
        self.assertEqual(reply.upserted_count, 95)
        self.assertEqual(self.contents(index, "books"), self.expected(records))

    def test_statistics_and_usage(self) -> None:
        index = self.open(self.new_index("euclidean"))
        records = sample.records(45, 20, "s")
        self.upsert(index, records, "books")
        self.upsert(index, records[:5])
        stats = index.describe_index_stats()
        self.assertEqual((stats.dimension, stats.total_vector_count), (sample.DIMENSION, 25))
        self.assertTrue(0 <= (stats.index_fullness or 0) <= 1)
        if dialect.VERSION >= (7,) and getattr(stats, "metric", None) is not None:
            self.assertEqual((stats.metric, stats.vector_type), ("euclidean", "dense"))
        reply = index.query(vector=records[0]["values"], top_k=1, namespace="books")
        self.assertGreaterEqual(reply.usage.read_units, 1)
        self.assertGreaterEqual(index.fetch(ids=["s0000"]).usage.read_units, 1)

    def test_a_zero_query_under_cosine_scores_zero(self) -> None:
        index = self.open(self.new_index("cosine"))
        self.upsert(index, sample.records(46, 5, "z"))
        hits = index.query(vector=[0.0] * sample.DIMENSION, top_k=5).matches
        self.assertEqual([(hit.id, hit.score) for hit in hits],
                         [(f"z{number:04}", 0.0) for number in range(5)])

    def test_what_is_wrong_is_refused(self) -> None:
        index = self.open(self.new_index())
        self.upsert(index, sample.records(47, 2, "w"))
        self.assert_refused_by_either(index.query, vector=[0.5] * sample.DIMENSION, top_k=0)
        self.assert_refused_by_either(index.query, vector=[0.5] * sample.DIMENSION, top_k=10_001)
        self.assert_refused_by_either(index.query, vector=[0.5] * sample.DIMENSION, id="w0000",
                                      top_k=1)
        self.assert_refused_by_either(index.fetch, ids=[])
        self.assert_refused_by_either(index.delete, ids=["a"], delete_all=True)
        self.assert_refused_by_either(index.delete, filter={}, delete_all=False)
        self.assert_refused_by_either(index.upsert, vectors=[])
        self.assertEqual(dialect.counts(index), {"__default__": 2})


class Namespaces(RecordsTest):
    """Namespaces as things of their own."""

    def test_they_are_listed_described_and_deleted(self) -> None:
        index = self.open(self.new_index())
        for number, namespace in enumerate(("b", "a-2", "a-1")):
            self.upsert(index, sample.records(number, number + 2, "r"), namespace)
        found, token, _ = dialect.page_of_namespaces(index)
        # The default one may be listed, too: it is always there.
        found.pop("__default__", None)
        self.assertEqual(found, {"a-1": 4, "a-2": 3, "b": 2})
        self.assertEqual(list(found), sorted(found))
        self.assertIsNone(token)
        about = index.describe_namespace(namespace="a-1")
        self.assertEqual((about.name, int(about.record_count)), ("a-1", 4))
        index.delete_namespace(namespace="a-1")
        self.assert_refused(404, index.describe_namespace, namespace="a-1")
        self.assert_refused(404, index.delete_namespace, namespace="a-1")
        self.assertEqual(dialect.counts(index), {"a-2": 3, "b": 2})
        # One that was emptied is still there, and takes further deletes.
        index.delete(ids=["r0000", "r0001"], namespace="b")
        index.delete(ids=["r0000"], namespace="b")
        index.delete(delete_all=True, namespace="b")
        self.assertEqual(int(index.describe_namespace(namespace="b").record_count or 0), 0)

    def test_pages_hold_every_namespace_once(self) -> None:
        index = self.open(self.new_index(dimension=2))
        names = [f"n{number:02}" for number in range(7)]
        for name in names:
            index.upsert(vectors=[{"id": "one", "values": [1.0, 0.5]}], namespace=name)
        pages, token = [], None
        while len(pages) < 9:
            more = {"pagination_token": token} if token else {}
            found, token, total = dialect.page_of_namespaces(index, limit=3, **more)
            pages.append(found)
            if token is None:
                break
        listed = [name for page in pages for name in page if name != "__default__"]
        self.assertEqual(listed, names)
        self.assertTrue(all(len(page) <= 3 for page in pages))
        if dialect.HAS_NAMESPACE_PREFIX:
            found, token, total = dialect.page_of_namespaces(index, prefix="n0", limit=2)
            self.assertEqual((list(found), total), (["n00", "n01"], 7))
            self.assertEqual(dialect.page_of_namespaces(index, prefix="x"), ({}, None, 0))

    def test_reads_of_an_unknown_one_find_nothing(self) -> None:
        index = self.open(self.new_index(dimension=2))
        self.assertEqual(index.query(vector=[1.0, 0.0], top_k=1, namespace="no").matches, [])
        self.assertEqual(dict(index.fetch(ids=["a"], namespace="no").vectors), {})
        self.assertEqual(dialect.all_ids(index, namespace="no"), [])
        self.assert_refused(404, index.describe_namespace, namespace="no")
        self.assert_refused(404, index.delete, ids=["a"], namespace="no")


class CreatedNamespaces(RecordsTest):
    """What came with version 8: namespaces that are made before they are written to."""

    def test_one_is_made_empty(self) -> None:
        index = self.open(self.new_index(dimension=2))
        made = index.create_namespace(name="made")
        self.assertEqual((made.name, int(made.record_count or 0)), ("made", 0))
        about = index.describe_namespace(namespace="made")
        self.assertEqual((about.name, int(about.record_count or 0)), ("made", 0))
        self.assertIn("made", dialect.page_of_namespaces(index)[0])
        self.assert_refused(409, index.create_namespace, name="made")
        self.upsert(index, [{"id": "a", "values": [1.0, 0.5]}], "made")
        self.assertEqual(int(index.describe_namespace(namespace="made").record_count), 1)
        self.upsert(index, [{"id": "a", "values": [1.0, 0.5]}], "written")
        self.assert_refused(409, index.create_namespace, name="written")

    def test_a_schema_says_what_can_be_filtered(self) -> None:
        index = self.open(self.new_index(dimension=2))
        schema = dialect.metadata_schema(self.transport, "genre")
        index.create_namespace(name="films", schema=schema)
        self.upsert(index, [{"id": "a", "values": [1.0, 0.5],
                             "metadata": {"genre": "drama", "year": 2019}}], "films")
        query = {"vector": [1.0, 0.5], "top_k": 3, "namespace": "films"}
        hits = index.query(**query, filter=SIMPLE, include_metadata=True).matches
        self.assertEqual([hit.id for hit in hits], ["a"])
        self.assertEqual(dialect.plain(hits[0].metadata), {"genre": "drama", "year": 2019})
        message = self.assert_refused(400, index.query, **query, filter={"year": 2019})
        self.assertIn("year", message)


class AcrossNamespaces(RecordsTest):
    """One query of several namespaces, which the client puts together."""

    def test_several_namespaces_are_queried_at_once(self) -> None:
        index = self.open(self.new_index("cosine"))
        parts = {f"n{number}": sample.records(50 + number, 20, f"n{number}-")
                 for number in range(3)}
        for namespace, records in parts.items():
            self.upsert(index, records, namespace)
        query = sample.records(60, 1, "q")[0]["values"]
        reply = index.query_namespaces(vector=query, namespaces=list(parts), metric="cosine",
                                       top_k=7)
        self.assert_hits(reply.matches,
                         sample.best("cosine", query, sum(parts.values(), []), 7))
        self.assertGreaterEqual(reply.usage.read_units, 3)


def over(transports: tuple, *cases: type) -> tuple:
    """Each of these test cases over each of these transports."""
    return tuple(type(f"{case.__name__}Over{transport.title()}", (case,),
                      {"transport": transport, "__doc__": case.__doc__})
                 for case in cases for transport in transports)


BOTH = ("rest", "grpc")
WHOLE = BOTH if dialect.HAS_WHOLE_GRPC else ("rest",)
SUITES = (*over(BOTH, Filters, Sparse, Records, Namespaces), *over(WHOLE, AcrossNamespaces),
          *(over(WHOLE, ByMetadata) if dialect.HAS_FETCH_BY_METADATA else ()),
          *(over(BOTH, UpdatesByMetadata) if dialect.HAS_UPDATE_BY_FILTER else ()),
          *(over(BOTH, CreatedNamespaces) if dialect.HAS_CREATE_NAMESPACE else ()))
