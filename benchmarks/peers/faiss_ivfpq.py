"""Clustered lists of 4-bit product codes of faiss (fast scan), refined with the vectors."""

from benchmarks.peer import NotPossible
from benchmarks.peers.faiss import FaissPeer

TRAINING_ROWS_PER_LIST = 100


class Measured(FaissPeer):
    """An index in memory."""

    is_ordered = False

    def ingest(self) -> None:
        rows, dimension = self.data.base.shape
        lists = 400 if rows <= 150_000 else 800 if rows <= 300_000 else 2_000
        self.name = f"IVF{lists},PQ{dimension // 2}x4fs,RFlat"
        metric = self.library.METRIC_INNER_PRODUCT
        self.graph = self.library.index_factory(dimension, self.name, metric)
        sample = self.data.base[:max(TRAINING_ROWS_PER_LIST * lists, 20_000)]
        self.graph.train(sample)
        self.graph.add(self.data.base)

    def settings(self, chosen) -> list:
        if chosen is None:
            grid = ((probes, factor) for probes in (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
                    for factor in (2, 3, 5, 8, 12, 20))
        else:
            grid = ((probes, factor) for probes in (16, 48, 96, 192, 400, 800, 2000)
                    for factor in (4, 12))
        return [{"nprobe": probes, "k_factor": factor} for probes, factor in grid]

    def parameters(self, setting, selector):
        inner = self.library.SearchParametersIVF(nprobe=setting["nprobe"], sel=selector)
        return self.library.IndexRefineSearchParameters(
            k_factor=float(setting["k_factor"]), base_index_params=inner)

    def client(self, setting, chosen):
        if chosen is not None:
            raise NotPossible("its fast scan takes no filter")
        return super().client(setting, chosen)
