"""semantic-router against a running server: `with_semantic_router.py --url URL`.

Goal: an index of semantic-router makes itself, adds, searches with its filter and deletes, dense
and hybrid, and a router on top of it finds the right route. Method: encoders of our own, so every
score is known. Part of this package calls the server without a client, without a key and without
naming a version of the API.
"""

import asyncio
import os
import sys
from importlib.metadata import version

import harness

harness.point_at_server()

import numpy  # noqa: E402
from semantic_router import IndexedRouter, Route  # noqa: E402
from semantic_router.encoders.base import DenseEncoder, SparseEncoder  # noqa: E402
from semantic_router.index.pinecone import PineconeIndex  # noqa: E402
from semantic_router.schema import SparseEmbedding  # noqa: E402

ROUTES = {
    "cats": ["the cat sleeps on the warm mat", "a cat hunts the small mouse"],
    "dogs": ["the dog sleeps on the porch", "a dog chases the red ball"],
    "cars": ["the red car waits on the road"],
}


class Words(DenseEncoder):
    """The embedding of the harness, as semantic-router wants it."""

    name: str = "words"

    def __call__(self, docs: list[str]) -> list[list[float]]:
        return [harness.embed(text) for text in docs]

    async def acall(self, docs: list[str]) -> list[list[float]]:
        return self(docs)


class WordCounts(SparseEncoder):
    """Its sparse side."""

    name: str = "word-counts"

    def __call__(self, docs: list[str]) -> list[SparseEmbedding]:
        return [SparseEmbedding.from_dict(harness.embed_sparse(text)) for text in docs]

    async def acall(self, docs: list[str]) -> list[SparseEmbedding]:
        return self(docs)


def routes() -> list[Route]:
    return [Route(name=name, utterances=utterances) for name, utterances in ROUTES.items()]


def nearest(query: str, names=tuple(ROUTES)) -> list[tuple[str, float]]:
    """The route of every utterance with its cosine, best first."""
    found = [(name, harness.cosine(query, utterance)) for name in names
             for utterance in ROUTES[name]]
    return sorted(found, key=lambda hit: -hit[1])


class SemanticRouter(harness.FrameworkTest):
    def index(self, hint: str = "routes", metric: str = "cosine", **options) -> PineconeIndex:
        """It makes itself at the first use."""
        given = {"namespace": "routes", "dimensions": harness.DIMENSION} | options
        return PineconeIndex(api_key="any", index_name=self.new_name(hint), metric=metric,
                             base_url=os.environ["PINECONE_CONTROLLER_HOST"], **given)

    def filled(self, **options) -> PineconeIndex:
        index = self.index(**options)
        names = [name for name, utterances in ROUTES.items() for _ in utterances]
        utterances = sum(ROUTES.values(), [])
        index.add(Words()(utterances), names, utterances,
                  metadata_list=[{"length": len(text)} for text in utterances])
        return index

    def scored(self, found: tuple) -> list[tuple[str, float]]:
        scores, names = found
        return list(zip(names, map(float, scores), strict=True))

    def test_a_search_finds_the_nearest_and_keeps_to_its_filter(self) -> None:
        index = self.filled()
        query = "the red ball"
        vector = numpy.array(harness.embed(query))
        self.assert_scored(self.scored(index.query(vector, top_k=5)), nearest(query))
        for names in (["dogs"], ["cats", "cars"], ["nothing"]):
            right = nearest(query, [name for name in names if name in ROUTES])
            found = self.scored(index.query(vector, top_k=5, route_filter=names))
            self.assert_scored(found, right)

    def test_what_is_stored_comes_back(self) -> None:
        index = self.filled()
        self.assertEqual(len(index), 5)
        self.assertEqual((index.describe().dimensions, index.describe().vectors),
                         (harness.DIMENSION, 5))
        self.assertEqual({route.name: sorted(route.utterances) for route in index.get_routes()},
                         {name: sorted(utterances) for name, utterances in ROUTES.items()})

    def test_deletes(self) -> None:
        index = self.filled()
        self.assertEqual(len(index.delete("dogs")), 2)
        self.assertEqual({route.name for route in index.get_routes()}, {"cats", "cars"})
        self.assertEqual(index.delete("unknown"), [])
        index.delete_all()
        self.assertEqual((len(index), index.get_routes()), (0, []))
        index.delete_index()
        self.assertFalse(self.client.has_index(index.index_name))

    def test_everything_with_await(self) -> None:
        async def job() -> None:
            index = self.index("routes-async", init_async_index=True)
            utterances = ROUTES["cats"] + ROUTES["cars"]
            await index.aadd(Words()(utterances), ["cats", "cats", "cars"], utterances)
            self.assertEqual(await index.alen(), 3)
            query = numpy.array(harness.embed("the red car"))
            found = self.scored(await index.aquery(query, top_k=1, route_filter=["cats"]))
            self.assert_scored(found, nearest("the red car", ["cats"])[:1])
            self.assertEqual({route.name for route in await index.aget_routes()},
                             {"cats", "cars"})
            self.assertEqual(len(await index.adelete("cats")), 2)
            self.assertEqual(await index.alen(), 1)
            await index.adelete_index()
            self.assertFalse(self.client.has_index(index.index_name))

        asyncio.run(job())

    def test_a_router_finds_the_route(self) -> None:
        router = IndexedRouter(encoder=Words(), routes=routes(), index=self.index(),
                               aggregation="max")
        for name, utterances in ROUTES.items():
            for utterance in utterances:
                choice = router(utterance)
                self.assertEqual(choice.name, name)
                self.assertAlmostEqual(choice.confidence, 1.0, delta=1e-5)
        router.add(Route(name="birds", utterances=["a bird sings at dawn"]))
        self.assertEqual(router("a bird sings at dawn").name, "birds")
        router.remove("birds")
        self.assertNotEqual(router("a bird sings at dawn").name, "birds")
        self.assertEqual({route.name for route in router.routes}, set(ROUTES))

    def test_a_hybrid_router_weighs_both_parts(self) -> None:
        router = IndexedRouter(encoder=Words(), sparse_encoder=WordCounts(), routes=routes(),
                               index=self.index("hybrid", "dotproduct"), aggregation="max",
                               alpha=0.75)
        query = "red car road"
        wanted = harness.embed_sparse(query)
        expected = {}
        for name, utterances in ROUTES.items():
            for text in utterances:
                words = harness.embed_sparse(text)
                both = 0.75 * harness.cosine(query, text) + 0.25 * sum(
                    count * words.get(place, 0.0) for place, count in wanted.items())
                expected[name] = max(both, expected.get(name, both))
        best = max(expected, key=expected.__getitem__)
        choice = router(query)
        self.assertEqual(choice.name, best)
        self.assertAlmostEqual(choice.confidence, expected[best], delta=1e-5)


if __name__ == "__main__":
    sys.exit(harness.run({name: version(name) for name in ("semantic-router", "pinecone")}))
