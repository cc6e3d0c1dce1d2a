"""NeedleDB as a server, over its HTTP interface: a Python server around the graph of faiss."""

import json
import sys
from pathlib import Path

from benchmarks.http1 import Connection
from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer
from benchmarks.processes import Server, free_port

UPSERT_ROWS = 1_000


class Measured(Peer):
    """A server with one index."""

    is_server = True

    def __init__(self, data, place):
        super().__init__(data, place)
        self.port = free_port()
        command = [str(Path(sys.executable).parent / "needledb"), "serve", "--no-auth", "--port",
                   str(self.port)]
        environment = {"NEEDLEDB_DATA": str(place.folder / "data")}
        self.server = Server(command, self.port, place.folder / "log", environment=environment,
                             folder=place.folder)

    def ingest(self) -> None:
        connection = Connection(self.port, self.place.progress.deadline())
        connection.call("POST", "/indexes", {
            "name": "bench", "dimension": self.data.base.shape[1], "metric": "dotproduct",
            "index_type": "hnsw",
            "hnsw": {"m": GRAPH_LINKS, "ef_construction": GRAPH_BUILD_EFFORT, "ef_search": 64}})
        random, region = self.data.attribute("random"), self.data.attribute("region")
        for start in range(0, len(self.data.base), UPSERT_ROWS):
            rows = self.data.base[start:start + UPSERT_ROWS].tolist()
            connection.call("POST", "/indexes/bench/vectors/upsert", {"vectors": [
                {"id": str(start + at), "values": row,
                 "metadata": {"random": int(random[start + at]),
                              "region": int(region[start + at])}}
                for at, row in enumerate(rows)]})
            self.place.progress.done(start + len(rows))
        connection.close()

    def settings(self, chosen) -> list:
        efforts = GRAPH_EFFORTS if chosen is None else GRAPH_EFFORTS[2::3]
        return [{"ef_search": effort} for effort in efforts]

    def prepare(self, setting) -> None:
        connection = Connection(self.port)
        connection.call("PATCH", "/indexes/bench", {"hnsw": dict(setting)})
        connection.close()

    def client(self, setting, chosen) -> Client:
        return _Client(self.port, chosen)

    def processes(self) -> list[int]:
        return [self.server.process.pid]

    def close(self) -> None:
        self.server.stop()


class _Client(Client):
    def __init__(self, port: int, chosen):
        self.connection = Connection(port)
        self.condition = None if chosen is None else {chosen.field: {"$lt": chosen.below}}

    def request(self, vector):
        body = {"vector": vector.tolist(), "topK": 10}
        if self.condition is not None:
            body["filter"] = self.condition
        return self.connection.prepare("POST", "/indexes/bench/query", body)

    def ask(self, request):
        return self.connection.exchange(request)

    def ids(self, answer) -> list:
        return [int(match["id"]) for match in json.loads(answer)["matches"]]

    def close(self) -> None:
        self.connection.close()
