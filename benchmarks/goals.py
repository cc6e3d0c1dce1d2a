"""The goals for search, each as a ratio of two figures of one run, and whether it is met."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A ratio that has to be at least `least`; `value` is none when something was not measured."""

    text: str
    least: float
    value: float | None


def table(sets: dict) -> str:
    """All goals that can be judged, in Markdown."""
    rows = ["| goal | at least | measured | |", "|---|--:|--:|---|"]
    for goal in all_goals(sets):
        if goal.value is not None:
            verdict = "met" if goal.value >= goal.least else f"missed by {goal.least / goal.value:.2f}x"
            rows.append(f"| {goal.text} | {goal.least:g}x | {goal.value:.2f}x | {verdict} |")
    return "\n".join(["### Goals", "", *rows]) if len(rows) > 2 else ""


def all_goals(sets: dict) -> list[Goal]:
    """The goals, judged or not."""
    small, large = sets.get("packages", {}), sets.get("packages-1m", {})
    goals = []
    for threads in (1, 2):
        word = f"{threads} thread{'s'[:threads - 1]}"
        goals += [
            _faster(small, "lodgepole", "hnswlib", 0, 3, threads, f"hnswlib, {word}"),
            _faster(small, "lodgepole", "hnswlib", 1, 4, threads, f"hnswlib, {word}"),
            _faster(small, "lodgepole", "faiss-ivfpq", 0, 1.3, threads, f"faiss IVF-PQ, {word}"),
            _faster(small, "lodgepole", "faiss-ivfpq", 1, 1.3, threads, f"faiss IVF-PQ, {word}"),
            _faster(large, "lodgepole", "hnswlib", 0, 2, threads, f"hnswlib at 1M, {word}")]
    goals.append(Goal("build CPU, hnswlib / ours", 30, _over(
        _at(small, "hnswlib", "build", "cpu_s"), _at(small, "lodgepole", "build", "cpu_s"))))
    for share, least in (("10%", 5), ("1%", 20)):
        for field in ("random", "region"):
            name = f"{field}-{share}"
            goals.append(Goal(f"{name} filter against faiss HNSW with a bitmap, recall 0.95", least,
                              _over(_filtered(small, "lodgepole", name),
                                    _filtered(small, "faiss-hnsw", name))))
    for peer in ("zvec", "qdrant-edge", "lancedb"):
        goals.append(_faster(small, "lodgepole", peer, 0, 2, 1, peer))
    for peer in ("pgvector", "redis-vectors", "chroma", "needledb"):
        for at in (0, 1):
            goals.append(_faster(small, "lodgepole-grpc", peer, at, 2, 1, f"{peer}, gRPC"))
        goals.append(Goal(f"server CPU a query, {peer} / ours, recall 0.95", 2, _over(
            _run(small, peer, 0, 1, "cpu_us"), _run(small, "lodgepole-grpc", 0, 1, "cpu_us"))))
        goals.append(Goal(f"p99 with 8 connections, {peer} / ours, recall 0.95", 1, _over(
            _run(small, peer, 0, 8, "p99_ms"), _run(small, "lodgepole-grpc", 0, 8, "p99_ms"))))
        goals.append(Goal(f"1M until indexed, {peer} / ours", 1, _over(
            _at(large, peer, "build", "indexed_s"),
            _at(large, "lodgepole-grpc", "build", "indexed_s"))))
    return goals


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
