"""zvec in the process: a graph with filter columns."""

import shutil
from importlib import import_module

from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer

INSERT_ROWS = 1_000


class Measured(Peer):
    """A folder on disk."""

    def ingest(self) -> None:
        self.library = library = import_module("zvec")
        library.init(log_level=library.LogLevel.ERROR, query_threads=self.place.threads,
                     optimize_threads=self.place.threads)
        graph = library.HnswIndexParam(metric_type=library.MetricType.IP, m=GRAPH_LINKS,
                                       ef_construction=GRAPH_BUILD_EFFORT)
        ranges = library.InvertIndexParam(enable_range_optimization=True)
        fields = [library.FieldSchema(name, library.DataType.INT32, index_param=ranges)
                  for name in ("random", "region")]
        vectors = library.VectorSchema("vector", library.DataType.VECTOR_FP32,
                                       dimension=self.data.base.shape[1], index_param=graph)
        schema = library.CollectionSchema("bench", fields=fields, vectors=vectors)
        self.path = self.place.folder / "zvec"
        self.store = library.create_and_open(str(self.path), schema)
        random, region = self.data.attribute("random"), self.data.attribute("region")
        for start in range(0, len(self.data.base), INSERT_ROWS):
            rows = self.data.base[start:start + INSERT_ROWS].tolist()
            self.store.insert([
                library.Doc(id=str(start + at), vectors={"vector": row},
                            fields={"random": int(random[start + at]),
                                    "region": int(region[start + at])})
                for at, row in enumerate(rows)])
        self.store.flush()

    def index(self) -> None:
        self.store.optimize(self.library.OptimizeOption(concurrency=self.place.threads))
        # Only then can queries do without the texts of the ids, which cost more than the search.
        self.store.close()
        reading = self.library.CollectionOption(read_only=True)
        self.store = self.library.open(str(self.path), reading)

    def settings(self, chosen) -> list:
        return [{"ef": effort} for effort in GRAPH_EFFORTS]

    def client(self, setting, chosen) -> Client:
        return _Client(self.library, self.store, setting["ef"], chosen)

    def back_up(self) -> None:
        shutil.copytree(self.path, self.place.folder / "copy")

    def restore(self, query) -> list:
        reading = self.library.CollectionOption(read_only=True)
        copy = self.library.open(str(self.place.folder / "copy"), reading)
        client = _Client(self.library, copy, 200, None)
        return client.ids(client.ask(client.request(query)))


class _Client(Client):
    def __init__(self, library, store, effort: int, chosen):
        self.library, self.store = library, store
        self.param = library.HnswQueryParam(ef=effort)
        self.condition = None if chosen is None else f"{chosen.field} < {chosen.below}"

    def request(self, vector):
        return self.library.Query(field_name="vector", vector=vector.tolist(), param=self.param)

    def ask(self, request):
        return self.store.query_internal_ids(request, topk=10, filter=self.condition)

    def ids(self, answer) -> list:
        return [int(name) for name in self.store.resolve_internal_ids(answer) if name is not None]
