"""USearch: a graph over rows of half the size (bf16). Its Python package knows no filters."""

from importlib import import_module

import numpy as np

from benchmarks.peer import (GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, NotPossible,
                             Peer)


class Measured(Peer):
    """An index in memory."""

    can_fork = True

    def ingest(self) -> None:
        library = import_module("usearch.index")
        self.graph = library.Index(ndim=self.data.base.shape[1], metric="ip", dtype="bf16",
                                   connectivity=GRAPH_LINKS, expansion_add=GRAPH_BUILD_EFFORT)
        self.graph.add(np.arange(len(self.data.base)), self.data.base,
                       threads=self.place.threads)

    def settings(self, chosen) -> list:
        return [{"expansion_search": effort} for effort in GRAPH_EFFORTS]

    def prepare(self, setting) -> None:
        self.graph.expansion_search = setting["expansion_search"]

    def client(self, setting, chosen) -> Client:
        if chosen is not None:
            raise NotPossible("its Python package takes no filter")
        return _Client(self.graph)

    def batch(self, queries, setting, threads):
        return self.graph.search(queries, 10, threads=threads).keys

    def disk_bytes(self) -> int:
        self.graph.save(str(self.place.folder / "index"))
        return super().disk_bytes()


class _Client(Client):
    def __init__(self, graph):
        self.graph = graph

    def request(self, vector):
        return np.ascontiguousarray(vector)

    def ask(self, request):
        return self.graph.search(request, 10, threads=1)

    def ids(self, answer) -> list:
        return answer.keys.tolist()
