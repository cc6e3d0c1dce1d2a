"""llama-index-vector-stores-pinecone against a running server: `with_llama_index.py --url URL`.

Goal: the vector store of LlamaIndex adds, searches with filters and deletes, dense and hybrid.
Method: nodes with an embedding of our own, so every score is known.
"""

import sys
from importlib.metadata import version

import harness

harness.point_at_server()

from llama_index.core import VectorStoreIndex  # noqa: E402
from llama_index.core.base.embeddings.base import BaseEmbedding  # noqa: E402
from llama_index.core.schema import (NodeRelationship, RelatedNodeInfo,  # noqa: E402
                                     TextNode)
from llama_index.core.vector_stores.types import (FilterCondition, FilterOperator,  # noqa: E402
                                                  MetadataFilter, MetadataFilters,
                                                  VectorStoreQuery, VectorStoreQueryMode)
from llama_index.vector_stores.pinecone import PineconeVectorStore  # noqa: E402

NAMESPACE = "animals"


class WordEmbedding(BaseEmbedding):
    """The embedding of the harness, as LlamaIndex wants it."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return harness.embed(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return harness.embed(text)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return harness.embed(query)


def tokens(texts: list[str]) -> list[list[int]]:
    """Numbers for the words of each text, for sparse values."""
    return [[place for place, count in harness.embed_sparse(text).items()
             for _ in range(int(count))] for text in texts]


def nodes() -> list[TextNode]:
    """Every second one belongs to the same document."""
    made = []
    for number, (id, (text, metadata)) in enumerate(harness.TEXTS.items()):
        source = RelatedNodeInfo(node_id=f"doc-{number % 2}")
        made.append(TextNode(id_=id, text=text, embedding=harness.embed(text),
                             metadata={key: value for key, value in metadata.items()
                                       if key != "tags"},
                             relationships={NodeRelationship.SOURCE: source}))
    return made


def where(key: str, operator: FilterOperator, value) -> MetadataFilter:
    return MetadataFilter(key=key, operator=operator, value=value)


class LlamaIndex(harness.FrameworkTest):
    def filled(self, metric: str = "cosine", **options) -> PineconeVectorStore:
        name = self.new_index("llama", metric)
        store = PineconeVectorStore(api_key="any", index_name=name, namespace=NAMESPACE,
                                    insert_kwargs={"show_progress": False}, **options)
        ids = store.add(nodes())
        self.assertEqual(ids, [f"doc-{number % 2}#{id}" for number, id in
                               enumerate(harness.TEXTS)])
        return store

    def scored(self, store, text: str, k: int, filters=None, **options) -> list:
        query = VectorStoreQuery(query_embedding=harness.embed(text), similarity_top_k=k,
                                 filters=filters, **options)
        found = store.query(query)
        for node in found.nodes:
            self.assertEqual(node.text, harness.TEXTS[node.node_id][0])
            self.assertEqual(node.metadata["kind"], harness.TEXTS[node.node_id][1]["kind"])
        return [(node.node_id, score) for node, score in
                zip(found.nodes, found.similarities, strict=True)]

    def test_a_search_finds_the_nearest(self) -> None:
        store = self.filled()
        for text in ("the cat", "red ball"):
            right = harness.nearest(text, harness.TEXTS)
            self.assert_scored(self.scored(store, text, 6), right)
            self.assert_scored(self.scored(store, text, 3), right[:3])

    def test_a_search_keeps_to_its_filters(self) -> None:
        store = self.filled()
        is_ = FilterOperator
        either = [where("kind", is_.EQ, "car"), where("year", is_.LT, 2020)]
        for filters, among in (
                (MetadataFilters(filters=[where("kind", is_.EQ, "dog")]), ["d3", "d4"]),
                (MetadataFilters(filters=[where("kind", is_.NE, "dog")]),
                 ["d1", "d2", "d5", "d6"]),
                (MetadataFilters(filters=[where("year", is_.GT, 2019),
                                          where("year", is_.LTE, 2021)]), ["d2", "d5", "d6"]),
                (MetadataFilters(filters=[where("kind", is_.IN, ["cat", "car"])]),
                 ["d1", "d2", "d5"]),
                (MetadataFilters(filters=[where("kind", is_.NIN, ["cat", "car"])]),
                 ["d3", "d4", "d6"]),
                (MetadataFilters(filters=either, condition=FilterCondition.OR),
                 ["d1", "d3", "d5"]),
                (MetadataFilters(filters=[MetadataFilters(filters=either,
                                                          condition=FilterCondition.OR),
                                          where("kind", is_.NE, "car")]), ["d1", "d3"])):
            found = self.scored(store, "the dog sleeps", 6, filters)
            self.assert_scored(found, harness.nearest("the dog sleeps", among))

    def test_nodes_are_had_by_filter_alone(self) -> None:
        store = self.filled()
        filters = MetadataFilters(filters=[where("kind", FilterOperator.EQ, "cat")])
        found = store.get_nodes(filters=filters, include_values=True)
        self.assertEqual({node.node_id for node in found}, {"d1", "d2"})
        self.assertTrue(all(len(node.embedding) == harness.DIMENSION for node in found))

    def test_deletes(self) -> None:
        store = self.filled()
        store.delete("doc-0")
        self.assertEqual({id for id, _ in self.scored(store, "cat", 9)}, {"d2", "d4", "d6"})
        store.delete_nodes(node_ids=["doc-1#d6"])
        self.assertEqual({id for id, _ in self.scored(store, "cat", 9)}, {"d2", "d4"})
        filters = MetadataFilters(filters=[where("kind", FilterOperator.EQ, "cat")])
        store.delete_nodes(filters=filters)
        self.assertEqual([id for id, _ in self.scored(store, "cat", 9)], ["d4"])
        store.clear()
        self.assertEqual(self.scored(store, "cat", 9), [])

    def test_hybrid_search_weighs_both_parts(self) -> None:
        store = self.filled("dotproduct", add_sparse_vector=True, tokenizer=tokens)
        text, alpha = "red cat", 0.75
        # A node's words are those of its text with its metadata before it.
        sparse_of = {node.node_id: harness.embed_sparse(node.get_content(metadata_mode="embed"))
                     for node in nodes()}
        wanted = harness.embed_sparse(text)
        right = {id: alpha * cosine + (1 - alpha) * sum(
            count * sparse_of[id].get(place, 0.0) for place, count in wanted.items())
            for id, cosine in harness.nearest(text, harness.TEXTS)}
        found = self.scored(store, text, 6, mode=VectorStoreQueryMode.HYBRID, alpha=alpha,
                            query_str=text)
        self.assert_scored(found, sorted(right.items(), key=lambda hit: -hit[1]))

    def test_an_index_over_the_store_retrieves(self) -> None:
        store = self.filled()
        index = VectorStoreIndex.from_vector_store(store, embed_model=WordEmbedding())
        found = index.as_retriever(similarity_top_k=2).retrieve("a dog chases the red ball")
        right = harness.nearest("a dog chases the red ball", harness.TEXTS)[:2]
        self.assert_scored([(each.node.node_id, each.score) for each in found], right)


if __name__ == "__main__":
    packages = ("llama-index-vector-stores-pinecone", "pinecone")
    sys.exit(harness.run({name: version(name) for name in packages}))
