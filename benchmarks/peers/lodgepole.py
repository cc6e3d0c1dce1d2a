"""Lodgepole in the process: one segment of the crate `search`, asked by `set_bench`.

That program builds the segment, asks and times like the loops here do, and says what it found on
its standard output. The knobs are the recall to aim at, as calibrated when the segment was built,
and how much more than that is looked at; a user sets nothing: then no recall is named.
"""

import json
import os
import subprocess

from benchmarks import cargo, dataset
from benchmarks.peer import NativePeer

RECALLS = (0.90, 0.92, 0.94, 0.945, 0.95, 0.955, 0.96, 0.97, 0.98, 0.985, 0.99, 0.992, 0.994, 0.995)
# Beyond the highest recall: more lists, and more rows scored exactly.
BEYOND = ((1.5, None), (2.0, None), (4.0, None), (1.0, 200), (2.0, 200), (4.0, 400))


class Measured(NativePeer):
    """A child process with the segment in memory."""

    is_ordered = False
    default_setting: dict = {}

    def ingest(self) -> None:
        program = cargo.target() / "examples" / "set_bench"
        self.process = subprocess.Popen([str(program), str(self.data.folder)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.built = self._read()

    def build_figures(self) -> dict:
        """What the build took, without reading the set."""
        built = self.built
        return {"queryable_s": built["build_s"], "indexed_s": built["build_s"],
                "cpu_s": built["build_cpu_s"], "disk_bytes": built["bytes"],
                "memory": {"anonymous": built["resident_bytes"]}, "kind": built["kind"]}

    def settings(self, chosen) -> list:
        return [*({"recall": recall} for recall in RECALLS),
                *({"recall": 0.995, "scan_factor": factor, "max_candidates": candidates}
                  for factor, candidates in BEYOND)]

    def answers(self, setting, chosen, queries) -> tuple:
        reply = self._ask(setting, chosen, queries, 1, 0)
        return reply["ids"], reply["wall_s"], reply["cpu_s"]

    def default_answers(self, asked) -> list:
        count = len(self.data.queries_like(asked))
        return self._ask({"queries_file": dataset.queries_file(asked)}, None, count, 1, 0)["ids"]

    def drive(self, setting, chosen, threads, seconds) -> dict:
        queries = len(self.data.queries_for(chosen))
        return self._ask(setting, chosen, queries, threads, seconds)

    def processes(self) -> list[int]:
        return [self.process.pid] if hasattr(self, "process") else [os.getpid()]

    def disk_bytes(self) -> int:
        return self.built["bytes"]

    def close(self) -> None:
        if hasattr(self, "process"):
            self.process.stdin.close()
            self.process.wait()

    def _ask(self, setting, chosen, queries: int, threads: int, seconds: float) -> dict:
        below = None if chosen is None else {chosen.field: {"$lt": chosen.below}}
        request = {"recall": None, "scan_factor": 1.0, "max_candidates": None, **setting,
                   "filter": below, "queries": queries, "threads": threads, "seconds": seconds}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"set_bench has ended with code {self.process.wait()}")
        return json.loads(line)
