"""Lodgepole as a server with its default settings, over gRPC; `lodgepole_rest` over REST.

Filled and asked by `lodgepole bench fill` and `lodgepole bench search`. The knob is `scan_factor`;
a user sets nothing and gets 1.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks import cargo, cgroup, dataset
from benchmarks.peer import NativePeer, NotPossible
from benchmarks.processes import Server, free_port
from benchmarks.progress import Stopped

SCAN_FACTORS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.25, 1.5, 2.0, 3.0, 4.0)
FILL_CONNECTIONS = 4
INDEX_TIMEOUT_S = 3_600
READY_TIMEOUT_S = 60
TAIL_ROWS_MAX = 10_000
# Inside a memory limit: what the settings say to lower on a small machine, to this part of it.
CACHES = ("block-cache-bytes", "write-buffer-bytes")
CACHE_PART = 8
CACHE_DEFAULT = 256 << 20
METRIC = re.compile(r"^lodgepole_search_(\w+)\{[^}]*\} ([0-9.e+-]+)$", re.MULTILINE)
# So often in a row nothing must wait: between two steps nothing may wait for a moment.
QUIET_LOOKS = 5


class Measured(NativePeer):
    """A server with one index."""

    is_server = True
    is_ordered = False
    # Segments are merged further after a pause of three seconds.
    rest_s = 5
    transport = "grpc"
    default_setting: dict = {}

    def __init__(self, data, place):
        super().__init__(data, place)
        self.program = cargo.target() / "lodgepole"
        # The ports of its indexes follow that of the control plane.
        self.port = free_port(40)
        self.url = f"http://127.0.0.1:{self.port}"
        self.group: cgroup.MemoryGroup | None = None
        self.server = self._start()

    def _start(self) -> Server:
        command = [str(self.program), "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir",
                   str(self.place.folder / "data")]
        if self.group is not None:
            for name in CACHES:
                size = min(CACHE_DEFAULT, self.group.limit_bytes // CACHE_PART)
                command += [f"--{name}", str(size)]
            command = self.group.wrapped(command)
        server = Server(command, self.port, self.place.folder / "log")
        until = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/health/ready", timeout=5).close()
                return server
            except urllib.error.URLError:
                time.sleep(0.02)
        server.stop()
        raise RuntimeError(f"the server is not ready{self._log()}")

    def ingest(self) -> None:
        self._call("POST", "/indexes", {
            "name": "bench", "dimension": self.data.base.shape[1], "metric": "cosine",
            "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}})
        folder = self.data.folder
        numbers = [f"--number={name}={folder / name}.u16" for name in ("random", "region")]
        try:
            self._bench("fill", "--vectors", str(folder / "base.f32"), *numbers, "--connections",
                        str(FILL_CONNECTIONS), timeout_s=self.place.progress.left_s())
        except subprocess.TimeoutExpired:
            state = self.state()
            self.place.progress.rows = int(state["tail_rows"] + state["segment_rows"])
            raise Stopped from None

    def index(self) -> None:
        """Waits until segments hold the rows: a server leaves few to be compared one by one."""
        until, quiet = time.monotonic() + INDEX_TIMEOUT_S, 0
        while time.monotonic() < until:
            state = self.state()
            self.place.progress.done(int(state["segment_rows"]), "index")
            done = not state["waiting_namespaces"] and state["tail_rows"] <= TAIL_ROWS_MAX
            quiet = quiet + 1 if done else 0
            if quiet >= QUIET_LOOKS:
                return
            time.sleep(0.02)
        raise RuntimeError(f"it is not indexed in an hour: {self.state()}")

    def state(self) -> dict:
        """What the server says of its search structures."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as reply:
            found = METRIC.findall(reply.read().decode())
        state: dict = {}
        for name, value in found:
            state[name] = state.get(name, 0) + float(value)
        return state

    def build_figures(self) -> dict:
        """What is indexed, and in how many segments."""
        return {"state": self.state()}

    def settings(self, chosen) -> list:
        return [{}, *({"scan-factor": factor} for factor in SCAN_FACTORS),
                *({"scan-factor": factor, "max-candidates": 200} for factor in (1.0, 2.0, 4.0))]

    def answers(self, setting, chosen, queries) -> tuple:
        reply = self._search(setting, chosen, queries)
        return self._ids(reply), reply["wall_s"], reply["cpu_s"]

    def _ids(self, reply: dict) -> list:
        return [[int(name) for name in found] for found in reply["ids"]]

    def default_answers(self, asked) -> list:
        path = self.data.folder / dataset.queries_file(asked)
        return self._ids(self._search({}, None, len(self.data.queries_like(asked)), path=path))

    def drive(self, setting, chosen, threads, seconds) -> dict:
        queries = len(self.data.queries_for(chosen))
        return self._search(setting, chosen, queries, "--seconds", str(seconds), "--connections",
                            str(threads))

    def processes(self) -> list[int]:
        return [self.server.process.pid]

    def back_up(self) -> None:
        made = self._call("POST", "/indexes/bench/backups", {"name": "bench"})
        self.backup = made["backup_id"]
        while self._call("GET", f"/backups/{self.backup}")["status"] != "Ready":
            time.sleep(0.002)

    def restore(self, query) -> list:
        self._call("POST", f"/backups/{self.backup}/create-index", {"name": "restored"})
        while not (described := self._call("GET", "/indexes/restored"))["status"]["ready"]:
            time.sleep(0.002)
        port = described["host"].rsplit(":", 1)[1]
        answer = self._call("POST", "/query", {"vector": query.tolist(), "topK": 10}, port)
        return [int(match["id"]) for match in answer["matches"]]

    def limit_memory(self, limit_bytes: int) -> None:
        """Starts the server again, inside a memory limit, with none of its files in memory.

        Its caches get an eighth of that each, unless by default they have less.
        """
        parent = cgroup.root()
        if parent is None:
            raise NotPossible("it needs memory groups of version 1 and the right to make one")
        self.server.stop()
        cgroup.forget_files(self.place.folder / "data")
        self.group = cgroup.MemoryGroup(parent, limit_bytes)
        self.server = self._start()

    def limited_memory(self) -> dict:
        """What the server uses of its limit."""
        return self.group.figures()

    def is_running(self) -> bool:
        """Whether the server has not been ended."""
        return self.server.process.poll() is None

    def close(self) -> None:
        self.server.stop()
        if self.group is not None:
            self.group.remove()

    def _search(self, setting, chosen, queries: int, *more: str, path: Path | None = None) -> dict:
        path = path or self.data.folder / "queries.f32"
        arguments = ["--queries", str(path), "--count", str(queries),
                     "--process", str(self.server.process.pid), *more]
        for name, value in setting.items():
            arguments += [f"--{name}", str(value)]
        if chosen is not None:
            arguments += ["--filter", json.dumps({chosen.field: {"$lt": chosen.below}})]
        return self._bench("search", *arguments)

    def _bench(self, *arguments: str, timeout_s: float | None = None) -> dict:
        command = [str(self.program), "bench", *arguments, "--url", self.url, "--index", "bench",
                   "--transport", self.transport, "--dimension", str(self.data.base.shape[1])]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout_s)
        if done.returncode != 0:
            raise RuntimeError(f"lodgepole bench {arguments[0]}: {done.stderr[-1000:]}{self._log()}")
        return json.loads(done.stdout)

    def _call(self, method: str, path: str, body=None, port: str | None = None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"api-key": "bench", "x-pinecone-api-version": "2025-10",
                     "content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as problem:
            raise RuntimeError(f"{method} {path}: {problem} {problem.read()[:1000]!r}") from None

    def _log(self) -> str:
        return "\n" + Path(self.place.folder / "log").read_text(errors="replace")[-1000:]
