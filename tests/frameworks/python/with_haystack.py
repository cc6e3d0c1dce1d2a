"""pinecone-haystack against a running server: `with_haystack.py --url URL`.

Goal: the document store of Haystack makes its index, adds, searches with filters, updates and
deletes, called directly and with await. Method: documents with an embedding of our own, so every
score is known.
"""

import asyncio
import os
import sys
from importlib.metadata import version

import harness

harness.point_at_server()
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document  # noqa: E402
from haystack.document_stores.types import DuplicatePolicy  # noqa: E402
from haystack_integrations.components.retrievers.pinecone import (  # noqa: E402
    PineconeEmbeddingRetriever)
from haystack_integrations.document_stores.pinecone import PineconeDocumentStore  # noqa: E402


def documents() -> list[Document]:
    return [Document(id=id, content=text, meta=dict(metadata), embedding=harness.embed(text))
            for id, (text, metadata) in harness.TEXTS.items()]


def where(field: str, operator: str, value) -> dict:
    return {"field": f"meta.{field}", "operator": operator, "value": value}


def both(operator: str, *conditions: dict) -> dict:
    return {"operator": operator, "conditions": list(conditions)}


# Filters, and which of the texts they let through.
FILTERS = [
    (where("kind", "==", "cat"), ["d1", "d2"]),
    (where("kind", "!=", "cat"), ["d3", "d4", "d5", "d6"]),
    (where("year", ">", 2020), ["d2", "d4"]),
    (where("year", ">=", 2020), ["d2", "d4", "d5", "d6"]),
    (where("year", "<", 2020), ["d1", "d3"]),
    (where("year", "<=", 2020), ["d1", "d3", "d5", "d6"]),
    (where("kind", "in", ["car", "dog"]), ["d3", "d4", "d5"]),
    (where("tags", "in", ["home"]), ["d1", "d3", "d4"]),
    (where("kind", "not in", ["car", "dog"]), ["d1", "d2", "d6"]),
    (both("AND", where("kind", "==", "dog"), where("year", "==", 2022)), ["d4"]),
    (both("OR", where("kind", "==", "car"),
          both("AND", where("kind", "==", "cat"), where("year", "<", 2020))), ["d1", "d5"]),
]


class Haystack(harness.FrameworkTest):
    def store(self, hint: str = "haystack") -> PineconeDocumentStore:
        """The store makes the index itself, at its first use."""
        return PineconeDocumentStore(index=self.new_name(hint), namespace="animals",
                                     dimension=harness.DIMENSION, metric="cosine",
                                     show_progress=False)

    def filled(self) -> PineconeDocumentStore:
        store = self.store()
        self.assertEqual(store.count_documents(), 0)
        self.assertEqual(store.write_documents(documents(), DuplicatePolicy.OVERWRITE), 6)
        return store

    def left(self, store) -> set[str]:
        return {document.id for document in store.filter_documents()}

    def test_documents_come_back_as_they_were_written(self) -> None:
        store = self.filled()
        self.assertEqual(store.count_documents(), 6)
        found = {document.id: document for document in store.filter_documents()}
        self.assertEqual(set(found), set(harness.TEXTS))
        for id, (text, metadata) in harness.TEXTS.items():
            self.assertEqual((found[id].content, found[id].meta), (text, metadata))

    def test_a_search_finds_the_nearest(self) -> None:
        retriever = PineconeEmbeddingRetriever(document_store=self.filled(), top_k=6)
        for query in ("the cat", "red ball"):
            found = retriever.run(query_embedding=harness.embed(query))["documents"]
            self.assert_scored([(document.id, document.score) for document in found],
                               harness.nearest(query, harness.TEXTS))

    def test_a_search_keeps_to_its_filters(self) -> None:
        store = self.filled()
        retriever = PineconeEmbeddingRetriever(document_store=store, top_k=6)
        query = harness.embed("the dog sleeps")
        for filters, among in FILTERS:
            found = retriever.run(query_embedding=query, filters=filters)["documents"]
            self.assert_scored([(document.id, document.score) for document in found],
                               harness.nearest("the dog sleeps", among))
            self.assertEqual({document.id for document in store.filter_documents(filters)},
                             set(among), filters)
            self.assertEqual(store.count_documents_by_filter(filters), len(among))

    def test_updates_and_facts_about_metadata(self) -> None:
        store = self.filled()
        self.assertEqual(store.update_by_filter(where("kind", "==", "cat"), {"kind": "lion"}), 2)
        self.assertEqual(store.count_documents_by_filter(where("kind", "==", "lion")), 2)
        self.assertEqual(store.count_documents_by_filter(where("kind", "==", "cat")), 0)
        self.assertEqual(store.get_metadata_field_min_max("year"), {"min": 2019, "max": 2022})
        self.assertEqual(store.get_metadata_field_unique_values("kind"),
                         (["car", "dog", "lion", "other"], 4))
        counts = store.count_unique_metadata_by_filter(where("year", ">=", 2020), ["kind"])
        self.assertEqual(counts, {"kind": 4})

    def test_deletes(self) -> None:
        store = self.filled()
        store.delete_documents(["d1", "unknown"])
        self.assertEqual(self.left(store), {"d2", "d3", "d4", "d5", "d6"})
        self.assertEqual(store.delete_by_filter(where("kind", "==", "dog")), 2)
        self.assertEqual(self.left(store), {"d2", "d5", "d6"})
        store.delete_all_documents()
        self.assertEqual((self.left(store), store.count_documents()), (set(), 0))
        # An index that has not the namespace: the store takes the 404 for "nothing to delete".
        self.store("never-written").delete_all_documents()

    def test_everything_with_await(self) -> None:
        async def job() -> None:
            store = self.store("haystack-async")
            self.assertEqual(await store.write_documents_async(documents(),
                                                               DuplicatePolicy.OVERWRITE), 6)
            retriever = PineconeEmbeddingRetriever(document_store=store, top_k=2)
            query = harness.embed("the cat")
            filters = where("year", ">", 2019)
            reply = await retriever.run_async(query_embedding=query, filters=filters)
            right = harness.nearest("the cat", ["d2", "d4", "d5", "d6"])[:2]
            self.assert_scored([(document.id, document.score)
                                for document in reply["documents"]], right)
            self.assertEqual(await store.delete_by_filter_async(where("kind", "==", "cat")), 2)
            self.assertEqual(await store.count_documents_async(), 4)
            await store.delete_all_documents_async()
            self.assertEqual(await store.count_documents_async(), 0)
            await store.close_async()

        asyncio.run(job())


if __name__ == "__main__":
    sys.exit(harness.run({name: version(name) for name in ("pinecone-haystack", "pinecone")}))
