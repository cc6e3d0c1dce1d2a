"""The goals for search, each judged by figures of one set, and whether it is met.

A peer whose load was stopped counts as at least so much slower: its figure is a bound.
"""

from dataclasses import dataclass

from benchmarks.asked import ASKED

SERVERS = ("pgvector", "redis-vectors", "chroma", "needledb")
EMBEDDED = ("zvec", "qdrant-edge", "lancedb")
DEFAULT_RECALL = 0.95
MEMORY_MAX = 120
MEMORY_DIMENSION = 384


@dataclass(frozen=True)
class Goal:
    """A figure and its limit; `value` is none when something was not measured."""

    text: str
    limit: float
    value: float | None
    unit: str = "x"
    # The limit is the most that is wanted, not the least.
    is_most: bool = False
    # The true value is this or more.
    is_bound: bool = False

    def wanted(self) -> str:
        """The limit, for people."""
        return f"{'<=' if self.is_most else '>='} {self.limit:g}{self.unit}"

    def measured(self) -> str:
        """The figure, for people."""
        digits = 3 if self.unit == "" else 1 if self.is_most else 2
        return f"{'>= ' if self.is_bound else ''}{self.value:.{digits}f}{self.unit}"

    def verdict(self) -> str:
        """Whether it is met, or by how much it is missed."""
        if self.value >= self.limit if not self.is_most else self.value <= self.limit:
            return "met"
        if self.is_bound:
            return "not known: the load was stopped too early"
        if self.unit == "":
            return f"missed by {self.limit - self.value:.3f}"
        ratio = self.value / self.limit if self.is_most else self.limit / self.value
        return f"missed by {ratio:.2f}x"


def table(name: str, found: dict) -> str:
    """The goals for this set that can be judged, in Markdown."""
    rows = ["| goal | wanted | measured | |", "|---|--:|--:|---|"]
    rows += [f"| {goal.text} | {goal.wanted()} | {goal.measured()} | {goal.verdict()} |"
             for goal in of_set(name, found) if goal.value is not None]
    return "\n".join(["**Goals**", "", *rows]) if len(rows) > 2 else ""


def of_set(name: str, found: dict) -> list[Goal]:
    """The goals for a set, judged or not."""
    goals = []
    if name == "packages":
        goals += _against_libraries(found)
    if name == "packages-1m":
        for threads in (1, 2):
            goals.append(_faster(found, "lodgepole", "hnswlib", 0, 2, threads,
                                 f"hnswlib, {_threads(threads)}"))
        goals += [_ingest(found, peer) for peer in SERVERS]
    goals += [*_filtered_goals(found), *_against_databases(found)]
    row = found.get("lodgepole", {})
    if row.get("dimension") == MEMORY_DIMENSION:
        memory = _at(found, "lodgepole", "build", "memory", "anonymous")
        goals.append(Goal("memory that every query looks at, a row", MEMORY_MAX,
                          memory / row["rows"] if memory else None, " bytes", is_most=True))
    for ours, title in (("lodgepole", "in the process"), ("lodgepole-grpc", "gRPC")):
        for asked in ASKED:
            goals.append(Goal(f"recall@10 with default settings, {asked} queries, {title}",
                              DEFAULT_RECALL, _at(found, ours, "default_recall", asked), ""))
    return goals


def _against_libraries(found: dict) -> list[Goal]:
    goals = []
    for threads in (1, 2):
        word = _threads(threads)
        goals += [
            _faster(found, "lodgepole", "hnswlib", 0, 3, threads, f"hnswlib, {word}"),
            _faster(found, "lodgepole", "hnswlib", 1, 4, threads, f"hnswlib, {word}"),
            _faster(found, "lodgepole", "faiss-ivfpq", 0, 1.3, threads, f"faiss IVF-PQ, {word}"),
            _faster(found, "lodgepole", "faiss-ivfpq", 1, 1.3, threads, f"faiss IVF-PQ, {word}")]
    goals.append(Goal("build CPU, hnswlib / ours", 30, _over(
        _at(found, "hnswlib", "build", "cpu_s"), _at(found, "lodgepole", "build", "cpu_s"))))
    return goals


def _filtered_goals(found: dict) -> list[Goal]:
    goals = []
    for share, least in (("10%", 5), ("1%", 20)):
        for field in ("random", "region"):
            name = f"{field}-{share}"
            goals.append(Goal(f"{name} filter against faiss HNSW with a bitmap, recall 0.95", least,
                              _over(_filtered(found, "lodgepole", name),
                                    _filtered(found, "faiss-hnsw", name))))
    return goals


def _against_databases(found: dict) -> list[Goal]:
    goals = [_faster(found, "lodgepole", peer, at, 2, 1, peer)
             for peer in EMBEDDED for at in (0, 1)]
    for peer in SERVERS:
        for at in (0, 1):
            goals.append(_faster(found, "lodgepole-grpc", peer, at, 2, 1, f"{peer}, gRPC"))
        goals.append(Goal(f"server CPU a query, {peer} / ours, recall 0.95", 2, _over(
            _run(found, peer, 0, 1, "cpu_us"), _run(found, "lodgepole-grpc", 0, 1, "cpu_us"))))
        goals.append(Goal(f"p99 with 8 connections, {peer} / ours, recall 0.95", 1, _over(
            _run(found, peer, 0, 8, "p99_ms"), _run(found, "lodgepole-grpc", 0, 8, "p99_ms"))))
    return goals


def _ingest(found: dict, peer: str) -> Goal:
    ours = _at(found, "lodgepole-grpc", "build", "indexed_s")
    theirs = _at(found, peer, "build", "indexed_s")
    stopped = _at(found, peer, "build", "stopped", "after_s")
    text = f"1M until fully indexed, {peer} / ours, gRPC"
    return Goal(text, 1, _over(theirs or stopped, ours), is_bound=theirs is None)


def _threads(count: int) -> str:
    return f"{count} thread{'s'[:count - 1]}"


def _faster(found: dict, ours: str, peer: str, at: int, least: float, threads: int,
            text: str) -> Goal:
    value = _over(_run(found, ours, at, threads, "qps"), _run(found, peer, at, threads, "qps"))
    return Goal(f"queries/s at recall {(0.95, 0.99)[at]} against {text}", least, value)


def _over(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def _at(found: dict, name: str, *path):
    value = found.get(name)
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _run(found: dict, name: str, at: int, threads: int, figure: str) -> float | None:
    targets = _at(found, name, "at")
    if not targets or not targets[at]["reached"]:
        return None
    return targets[at]["threads"].get(str(threads), {}).get(figure)


def _filtered(found: dict, name: str, chosen: str) -> float | None:
    for row in _at(found, name, "filtered") or []:
        if row["filter"] == chosen and row["at"][0]["reached"]:
            return row["at"][0]["threads"]["1"]["qps"]
    return None
