"""The graph of faiss, `HNSW16,Flat`, with a bitmap as filter."""

from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS
from benchmarks.peers.faiss import FaissPeer


class Measured(FaissPeer):
    """An index in memory."""

    def ingest(self) -> None:
        metric = self.library.METRIC_INNER_PRODUCT
        self.graph = self.library.IndexHNSWFlat(self.data.base.shape[1], GRAPH_LINKS, metric)
        self.graph.hnsw.efConstruction = GRAPH_BUILD_EFFORT
        self.graph.add(self.data.base)

    def settings(self, chosen) -> list:
        # A filtered walk needs far longer ways.
        more = () if chosen is None else (2000, 4000, 8000)
        return [{"efSearch": effort} for effort in (*GRAPH_EFFORTS, *more)]

    def parameters(self, setting, selector):
        return self.library.SearchParametersHNSW(efSearch=setting["efSearch"], sel=selector)
