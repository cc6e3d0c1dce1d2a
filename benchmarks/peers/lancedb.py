"""LanceDB in the process: clustered lists of product codes, refined with the vectors."""

import shutil
from importlib import import_module

import numpy as np

from benchmarks.peer import Client, Peer

WRITE_ROWS = 50_000


class Measured(Peer):
    """A folder of immutable files."""

    is_ordered = False

    def ingest(self) -> None:
        arrow = import_module("pyarrow")
        self.path = self.place.folder / "lance"
        database = import_module("lancedb").connect(str(self.path))
        rows, dimension = self.data.base.shape
        schema = arrow.schema([("id", arrow.uint32()), ("random", arrow.uint16()),
                               ("region", arrow.uint16()),
                               ("vector", arrow.list_(arrow.float32(), dimension))])
        self.table = database.create_table("vectors", schema=schema)
        for start in range(0, rows, WRITE_ROWS):
            chosen = slice(start, start + WRITE_ROWS)
            flat = arrow.array(np.ascontiguousarray(self.data.base[chosen]).reshape(-1))
            count = len(flat) // dimension
            columns = [arrow.array(np.arange(start, start + count, dtype=np.uint32)),
                       arrow.array(np.array(self.data.attribute("random")[chosen])),
                       arrow.array(np.array(self.data.attribute("region")[chosen])),
                       arrow.FixedSizeListArray.from_arrays(flat, dimension)]
            self.table.add(arrow.Table.from_arrays(columns, schema=schema))

    def index(self) -> None:
        rows, dimension = self.data.base.shape
        self.table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_PQ",
                                num_partitions=max(1, round(rows**0.5)),
                                num_sub_vectors=dimension // 4)
        for field in ("random", "region"):
            self.table.create_scalar_index(field, index_type="BTREE")

    def settings(self, chosen) -> list:
        grid = [(probes, factor) for probes in (10, 20, 40, 80, 160) for factor in (2, 8)]
        return [{"nprobes": probes, "refine_factor": factor} for probes, factor in grid]

    def client(self, setting, chosen) -> Client:
        return _Client(self.table, setting, chosen)

    def back_up(self) -> None:
        shutil.copytree(self.path, self.place.folder / "copy")

    def restore(self, query) -> list:
        database = import_module("lancedb").connect(str(self.place.folder / "copy"))
        client = _Client(database.open_table("vectors"), {"nprobes": 40, "refine_factor": 5}, None)
        return client.ids(client.ask(client.request(query)))


class _Client(Client):
    def __init__(self, table, setting, chosen):
        self.table, self.setting = table, setting
        self.condition = None if chosen is None else f"{chosen.field} < {chosen.below}"

    def request(self, vector):
        query = self.table.search(vector).distance_type("dot").limit(10).select(["id", "_distance"])
        query = query.nprobes(self.setting["nprobes"]).refine_factor(self.setting["refine_factor"])
        return query.where(self.condition, prefilter=True) if self.condition else query

    def ask(self, request):
        return request.to_arrow()

    def ids(self, answer) -> list:
        return answer["id"].to_pylist()
