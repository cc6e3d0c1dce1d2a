"""What the measured indexes of faiss have in common: calls without its Python layer, and filters.

A filter is a bitmap of the rows that pass, which faiss reads without calling Python. Making the
bitmap is not timed: it is taken to be there.
"""

from importlib import import_module

import numpy as np

from benchmarks.peer import Client, Peer


class FaissPeer(Peer):
    """An index of faiss in memory; subclasses make it."""

    can_fork = True

    def __init__(self, data, place):
        super().__init__(data, place)
        self.library = import_module("faiss")
        self.library.omp_set_num_threads(place.threads)
        self.bitmaps = {}

    def parameters(self, setting, selector):
        """The search parameters of a query."""
        raise NotImplementedError

    def client(self, setting, chosen) -> Client:
        self.library.omp_set_num_threads(1)
        return _Client(self, self.parameters(setting, self.selector(chosen)))

    def selector(self, chosen):
        """The filter as faiss takes it."""
        if chosen is None:
            return None
        if chosen.name not in self.bitmaps:
            bits = np.packbits(self.data.matches(chosen), bitorder="little")
            selector = self.library.IDSelectorBitmap(len(self.data.base),
                                                     self.library.swig_ptr(bits))
            self.bitmaps[chosen.name] = (selector, bits)
        return self.bitmaps[chosen.name][0]

    def batch(self, queries, setting, threads):
        self.library.omp_set_num_threads(threads)
        return self.graph.search(queries, 10, params=self.parameters(setting, None))[1]

    def disk_bytes(self) -> int:
        self.library.write_index(self.graph, str(self.place.folder / "index"))
        return super().disk_bytes()


class _Client(Client):
    def __init__(self, peer: FaissPeer, parameters):
        self.index, self.parameters = peer.graph, parameters
        self.pointer = peer.library.swig_ptr
        self.kept = []

    def request(self, vector):
        vector = np.ascontiguousarray(vector[None])
        distances, labels = np.empty((1, 10), np.float32), np.empty((1, 10), np.int64)
        self.kept.append((vector, distances))
        return self.pointer(vector), self.pointer(distances), self.pointer(labels), labels

    def ask(self, request):
        vector, distances, labels, array = request
        self.index.search_c(1, vector, 10, distances, labels, self.parameters)
        return array

    def ids(self, answer) -> list:
        return answer[0].tolist()
