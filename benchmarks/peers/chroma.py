"""Chroma as a server, over its HTTP interface.

A changed search effort is used only after a restart of the server, which is not timed.
"""

import base64
import json
import sys
from pathlib import Path

from benchmarks.http1 import Connection
from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer
from benchmarks.processes import Server, free_port

ADD_ROWS = 1_000
ROOT = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Measured(Peer):
    """A server with one collection."""

    is_server = True

    def __init__(self, data, place):
        super().__init__(data, place)
        self.port, self.effort, self.deadline = free_port(), 0, None
        self._start()

    def _start(self) -> None:
        command = [str(Path(sys.executable).parent / "chroma"), "run", "--path",
                   str(self.place.folder / "data"), "--host", "127.0.0.1", "--port",
                   str(self.port)]
        self.server = Server(command, self.port, self.place.folder / "log",
                             environment={"ANONYMIZED_TELEMETRY": "False"})

    def ingest(self) -> None:
        connection = Connection(self.port, self.place.progress.deadline())
        graph = {"space": "ip", "ef_construction": GRAPH_BUILD_EFFORT,
                 "max_neighbors": GRAPH_LINKS, "num_threads": self.place.threads}
        made = connection.call("POST", ROOT, {"name": "bench",
                                              "configuration": {"hnsw": graph}})
        self.path = f"{ROOT}/{made['id']}"
        random, region = self.data.attribute("random"), self.data.attribute("region")
        rows = len(self.data.base)
        for start in range(0, rows, ADD_ROWS):
            chosen = range(start, min(start + ADD_ROWS, rows))
            connection.call("POST", f"{self.path}/add", {
                "ids": [str(row) for row in chosen],
                "embeddings": [base64.b64encode(self.data.base[row].tobytes()).decode()
                               for row in chosen],
                "metadatas": [{"random": int(random[row]), "region": int(region[row])}
                              for row in chosen]})
            self.place.progress.done(chosen.stop)
        connection.close()
        self.place.progress.step = "all rows sent, index"
        self.deadline = self.place.progress.deadline()

    def index(self) -> None:
        # The first query indexes what the log still holds.
        client = _Client(self, None, self.deadline)
        client.ask(client.request(self.data.queries[0]))
        client.close()

    def settings(self, chosen) -> list:
        efforts = GRAPH_EFFORTS[3::2] if chosen is None else GRAPH_EFFORTS[5::3]
        return [{"ef_search": effort} for effort in efforts]

    def prepare(self, setting) -> None:
        if setting["ef_search"] == self.effort:
            return
        self.effort, self.deadline = setting["ef_search"], None
        connection = Connection(self.port)
        connection.call("PUT", self.path, {"new_configuration": {"hnsw": dict(setting)}})
        connection.close()
        self.server.stop()
        self._start()
        self.index()

    def client(self, setting, chosen) -> Client:
        return _Client(self, chosen)

    def processes(self) -> list[int]:
        return [self.server.process.pid]

    def close(self) -> None:
        self.server.stop()


class _Client(Client):
    def __init__(self, peer: Measured, chosen, deadline: float | None = None):
        self.connection, self.path = Connection(peer.port, deadline), peer.path
        self.condition = None if chosen is None else {chosen.field: {"$lt": chosen.below}}

    def request(self, vector):
        body = {"query_embeddings": [vector.tolist()], "n_results": 10, "include": []}
        if self.condition is not None:
            body["where"] = self.condition
        return self.connection.prepare("POST", f"{self.path}/query", body)

    def ask(self, request):
        return self.connection.exchange(request)

    def ids(self, answer) -> list:
        return [int(name) for name in json.loads(answer)["ids"][0]]

    def close(self) -> None:
        self.connection.close()
