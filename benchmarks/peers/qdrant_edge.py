"""Qdrant's engine in the process, without its server."""

import shutil
from importlib import import_module

from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer

UPSERT_ROWS = 2_000


class Measured(Peer):
    """A shard on disk."""

    def ingest(self) -> None:
        self.library = library = import_module("qdrant_edge")
        graph = library.HnswIndexConfig(m=GRAPH_LINKS, ef_construct=GRAPH_BUILD_EFFORT,
                                        full_scan_threshold=10_000,
                                        max_indexing_threads=self.place.threads)
        vectors = library.EdgeVectorParams(size=self.data.base.shape[1],
                                           distance=library.Distance.Dot)
        config = library.EdgeConfig(
            vectors={"": vectors}, hnsw_config=graph,
            optimizers=library.EdgeOptimizersConfig(default_segment_number=1))
        self.path = self.place.folder / "shard"
        self.path.mkdir()
        self.shard = library.EdgeShard.create(str(self.path), config)
        for field in ("random", "region"):
            self.shard.update(library.UpdateOperation.create_field_index(
                field, library.PayloadSchemaType.Integer))
        random, region = self.data.attribute("random"), self.data.attribute("region")
        for start in range(0, len(self.data.base), UPSERT_ROWS):
            rows = self.data.base[start:start + UPSERT_ROWS].tolist()
            points = [library.Point(start + at, row, {"random": int(random[start + at]),
                                                      "region": int(region[start + at])})
                      for at, row in enumerate(rows)]
            self.shard.update(library.UpdateOperation.upsert_points(points))
        self.shard.flush()

    def index(self) -> None:
        while self.shard.optimize():
            pass
        self.shard.flush()

    def settings(self, chosen) -> list:
        return [{"hnsw_ef": effort} for effort in GRAPH_EFFORTS]

    def client(self, setting, chosen) -> Client:
        return _Client(self.library, self.shard, setting["hnsw_ef"], chosen)

    def back_up(self) -> None:
        self.shard.flush()
        shutil.copytree(self.path, self.place.folder / "copy")

    def restore(self, query) -> list:
        shard = self.library.EdgeShard.load(str(self.place.folder / "copy"), None)
        client = _Client(self.library, shard, 200, None)
        return client.ids(client.ask(client.request(query)))


class _Client(Client):
    def __init__(self, library, shard, effort: int, chosen):
        self.library, self.shard = library, shard
        self.params = library.SearchParams(hnsw_ef=effort)
        self.filter = None
        if chosen is not None:
            below = library.RangeFloat(lt=float(chosen.below))
            self.filter = library.Filter(must=[library.FieldCondition(chosen.field, range=below)])

    def request(self, vector):
        query = self.library.Query.Nearest(vector.tolist(), using=None)
        return self.library.SearchRequest(query, 10, filter=self.filter, params=self.params,
                                          with_vector=False, with_payload=False)

    def ask(self, request):
        return self.shard.search(request)

    def ids(self, answer) -> list:
        return [point.id for point in answer]
