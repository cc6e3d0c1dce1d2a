"""langchain-pinecone against a running server: `with_langchain.py --url URL`.

Goal: the vector store of LangChain adds, searches with filters and deletes, opened by the name of
an index and by its host, called directly and with await. Method: an embedding of our own, so every
score is known.
"""

import asyncio
import sys
from importlib.metadata import version

import harness

harness.point_at_server()

from langchain_core.documents import Document  # noqa: E402
from langchain_core.embeddings import Embeddings  # noqa: E402
from langchain_pinecone import PineconeVectorStore  # noqa: E402

NAMESPACE = "animals"


class WordEmbeddings(Embeddings):
    """The embedding of the harness, as LangChain wants it."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [harness.embed(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return harness.embed(text)


def documents() -> list[Document]:
    return [Document(page_content=text, metadata=dict(metadata))
            for text, metadata in harness.TEXTS.values()]


class LangChain(harness.FrameworkTest):
    def filled(self) -> PineconeVectorStore:
        self.name = self.new_index("langchain")
        store = PineconeVectorStore(index_name=self.name, embedding=WordEmbeddings(),
                                    namespace=NAMESPACE)
        self.assertEqual(store.add_documents(documents(), ids=list(harness.TEXTS)),
                         list(harness.TEXTS))
        return store

    def scored(self, store, query: str, k: int, filter: dict | None = None) -> list:
        found = store.similarity_search_with_score(query, k=k, filter=filter)
        for document, _ in found:
            self.assertEqual((document.page_content, document.metadata),
                             harness.TEXTS[document.id])
        return [(document.id, score) for document, score in found]

    def test_a_search_finds_the_nearest(self) -> None:
        store = self.filled()
        for query in ("the cat", "red ball", "テキスト"):
            right = harness.nearest(query, harness.TEXTS)
            self.assert_scored(self.scored(store, query, 6), right)
            self.assert_scored(self.scored(store, query, 2), right[:2])

    def test_a_search_keeps_to_its_filter(self) -> None:
        store = self.filled()
        for filter, among in (({"kind": "cat"}, ["d1", "d2"]),
                              ({"year": {"$gte": 2020, "$lt": 2022}}, ["d2", "d5", "d6"]),
                              ({"tags": {"$in": ["home"]}}, ["d1", "d3", "d4"]),
                              ({"$or": [{"kind": "car"}, {"tags": "漢字"}]}, ["d5", "d6"]),
                              ({"kind": {"$ne": "dog"}, "year": 2019}, ["d1"]),
                              ({"kind": "bird"}, [])):
            right = harness.nearest("the cat sleeps", among)
            self.assert_scored(self.scored(store, "the cat sleeps", 6, filter), right)

    def test_relevance_and_diversity(self) -> None:
        store = self.filled()
        best = harness.nearest("the dog", harness.TEXTS)
        found = store.similarity_search_with_relevance_scores("the dog", k=1)
        self.assertEqual(found[0][0].id, best[0][0])
        self.assertAlmostEqual(found[0][1], (best[0][1] + 1) / 2, delta=1e-5)
        diverse = store.max_marginal_relevance_search("the dog", k=3, fetch_k=6)
        self.assertEqual(len({document.page_content for document in diverse}), 3)
        self.assertEqual(diverse[0].page_content, harness.TEXTS[best[0][0]][0])

    def test_deletes(self) -> None:
        store = self.filled()
        other = PineconeVectorStore(index_name=self.name, embedding=WordEmbeddings())
        other.add_documents(documents()[:1], ids=["d1"])
        store.delete(ids=["d1", "unknown"])
        self.assertEqual({id for id, _ in self.scored(store, "cat", 9)},
                         {"d2", "d3", "d4", "d5", "d6"})
        store.delete(filter={"kind": {"$in": ["dog", "car"]}})
        self.assertEqual({id for id, _ in self.scored(store, "cat", 9)}, {"d2", "d6"})
        store.delete(delete_all=True)
        self.assertEqual(self.scored(store, "cat", 9), [])
        self.assertEqual([id for id, _ in self.scored(other, "cat", 9)], ["d1"])

    def test_everything_with_await(self) -> None:
        name = self.new_index("langchain-async")

        async def job() -> None:
            store = PineconeVectorStore(index_name=name, embedding=WordEmbeddings())
            await store.aadd_documents(documents(), ids=list(harness.TEXTS))
            found = await store.asimilarity_search_with_score("the cat", k=2,
                                                              filter={"year": {"$gt": 2019}})
            right = harness.nearest("the cat", ["d2", "d4", "d5", "d6"])[:2]
            self.assert_scored([(document.id, score) for document, score in found], right)
            await store.adelete(ids=["d2"])
            await store.adelete(filter={"kind": "dog"})
            left = await store.asimilarity_search("the cat", k=9)
            self.assertEqual({document.id for document in left}, {"d1", "d5", "d6"})
            await store.adelete(delete_all=True)
            self.assertEqual(await store.asimilarity_search("the cat", k=9), [])

        asyncio.run(job())

    def test_a_store_made_of_texts_and_one_opened_by_host(self) -> None:
        name = self.new_index("langchain-texts")
        texts = [text for text, _ in harness.TEXTS.values()]
        PineconeVectorStore.from_texts(texts, WordEmbeddings(), index_name=name,
                                       ids=list(harness.TEXTS), async_req=False)
        host = self.client.describe_index(name).host
        store = PineconeVectorStore(host=host, embedding=WordEmbeddings())
        found = store.similarity_search_with_score(texts[3], k=1)
        self.assertEqual((found[0][0].id, found[0][0].page_content), ("d4", texts[3]))
        self.assertAlmostEqual(found[0][1], 1.0, delta=1e-5)
        existing = PineconeVectorStore.from_existing_index(name, WordEmbeddings())
        self.assertEqual(existing.as_retriever(search_kwargs={"k": 1}).invoke(texts[4])[0].id,
                         "d5")


if __name__ == "__main__":
    sys.exit(harness.run({name: version(name) for name in ("langchain-pinecone", "pinecone")}))
