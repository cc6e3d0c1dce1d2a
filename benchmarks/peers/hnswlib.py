"""hnswlib: the graph that most others are compared with. Filters are Python callbacks: left out."""

from importlib import import_module

import numpy as np

from benchmarks.peer import (GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, NotPossible,
                             Peer)


class Measured(Peer):
    """An index in memory."""

    can_fork = True

    def ingest(self) -> None:
        library = import_module("hnswlib")
        rows, dimension = self.data.base.shape
        self.graph = library.Index("ip", dimension)
        self.graph.init_index(rows, M=GRAPH_LINKS, ef_construction=GRAPH_BUILD_EFFORT)
        self.graph.add_items(self.data.base, num_threads=self.place.threads)

    def settings(self, chosen) -> list:
        return [{"ef": effort} for effort in GRAPH_EFFORTS]

    def prepare(self, setting) -> None:
        self.graph.set_ef(setting["ef"])

    def client(self, setting, chosen) -> Client:
        if chosen is not None:
            raise NotPossible("a filter is a Python function here")
        return _Client(self.graph)

    def batch(self, queries, setting, threads):
        return self.graph.knn_query(queries, 10, num_threads=threads)[0]

    def disk_bytes(self) -> int:
        self.graph.save_index(str(self.place.folder / "index"))
        return super().disk_bytes()


class _Client(Client):
    def __init__(self, graph):
        self.graph = graph

    def request(self, vector):
        return np.ascontiguousarray(vector[None])

    def ask(self, request):
        return self.graph.knn_query(request, 10, 1)

    def ids(self, answer) -> list:
        return answer[0][0].tolist()
