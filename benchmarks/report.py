"""Tables of what was measured, the goals, and the section of docs/benchmarks.md about search.

Only the block between the marks is written; the rest of the page belongs to others. Figures of
several passes are shown as medians. A ratio is always of two figures from the same run.
"""

import json
from pathlib import Path

from benchmarks import goals, merged
from benchmarks.roster import ROSTER, entry

BEGIN, END = "<!-- bench search -->", "<!-- end search -->"
TARGETS = (0.95, 0.99)
KINDS = {"library": "In the process: libraries", "embedded": "In the process: embedded engines",
         "server": "Servers"}
TITLES = {"tiny": "10,000 x 384, to try the benchmark", "packages": "100,000 x 384, real",
          "packages-1m": "1,000,000 x 384", "packages-1536": "200,000 x 1,536"}


def load(results: Path, name: str) -> dict:
    """The merged result of each system on a set."""
    found = {}
    for one in ROSTER:
        path = results / name / f"{one.name}.json"
        if path.exists():
            rounds = json.loads(path.read_text())["rounds"]
            good = [each for each in rounds if "failed" not in each]
            found[one.name] = {**merged.median(good), "passes": len(good)} if good else rounds[0]
    return found


def tables(results: Path, names: list[str], machine: str) -> str:
    """All tables of these sets, in Markdown."""
    parts = [machine]
    for name in names:
        if found := load(results, name):
            parts.append(f"### {TITLES[name]}")
            parts.append(_how(found))
            for kind, title in KINDS.items():
                parts += _queries(found, kind, title)
            parts += [_builds(found), *_filters(found), _backups(found)]
    parts.append(goals.table({name: load(results, name) for name in TITLES}))
    return "\n\n".join(part for part in parts if part)


def write(page: Path, results: Path, data: Path, machine: str) -> None:
    """Replaces the block of search in the page, or adds it at the end."""
    names = [name for name in TITLES if name != "tiny" and load(results, name)]
    text = "\n\n".join(part for part in (tables(results, names, machine), _hardness(data)) if part)
    block = f"{BEGIN}\n\n{text}\n\n{END}"
    old = page.read_text()
    if BEGIN in old and END in old:
        before, rest = old.split(BEGIN, 1)
        new = before + block + rest.split(END, 1)[1]
    else:
        new = f"{old.rstrip()}\n\n## Search\n\n{block}\n"
    page.write_text(new)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table: the first column left, the others right."""
    rule = "|---|" + "--:|" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(head) + " |", rule,
                      *("| " + " | ".join(row) + " |" for row in rows)])


def number(value: float | None, digits: int = 3) -> str:
    """A figure with so many digits that count."""
    if value is None:
        return "-"
    if value >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _how(found: dict) -> str:
    passes = sorted({result.get("passes", 0) for result in found.values()})
    profile = {result.get("profile") for name, result in found.items() if entry(name).is_ours}
    count = f"{passes[0]}" if len(passes) == 1 else f"{passes[0]} to {passes[-1]}"
    built = f" Lodgepole built with the profile {', '.join(sorted(filter(None, profile)))}." \
        if profile else ""
    return f"Passes: {count}, medians shown.{built}"


def _ours(found: dict, kind: str) -> dict | None:
    return found.get("lodgepole-grpc" if kind == "server" else "lodgepole")


def _of_kind(found: dict, kind: str) -> list[tuple]:
    ours = [("lodgepole", found["lodgepole"])] if "lodgepole" in found else []
    listed = [(name, result) for name, result in found.items() if entry(name).kind == kind]
    return (ours if kind == "embedded" else []) + listed


def _queries(found: dict, kind: str, title: str) -> list[str]:
    listed = _of_kind(found, kind)
    if all(entry(name).is_ours for name, _ in listed) and kind == "embedded":
        return []
    if not listed:
        return []
    parts = []
    for at, target in enumerate(TARGETS):
        threads = sorted({int(count) for _, result in listed if "at" in result
                          for count in result["at"][at].get("threads", {})})
        rows = [_query_row(found, kind, name, result, at, threads) for name, result in listed]
        word = "connections" if kind == "server" else "threads"
        head = [f"recall@10 >= {target}", "recall", *(f"queries/s, {count} {word}"
                                                      for count in threads),
                "p50 ms", "p95 ms", "p99 ms", "CPU µs a query", "Lodgepole is"]
        parts.append(table(head, rows))
    return [f"**{title}**", *parts]


def _query_row(found: dict, kind: str, name: str, result: dict, at: int,
               threads: list[int]) -> list[str]:
    title = entry(name).title
    if "at" not in result:
        return [title, "failed", *[""] * (len(threads) + 5)]
    row = result["at"][at]
    if not row["reached"]:
        return [title, f"at best {row['recall']:.3f}", *["-"] * (len(threads) + 5)]
    runs = row["threads"]
    first = runs.get(str(threads[0]), {})
    rates = [number(runs.get(str(count), {}).get("qps")) for count in threads]
    if batch := row.get("batch"):
        rates = [f"{rate} ({number(batch.get(str(count)))})" for rate, count in
                 zip(rates, threads)]
    return [title, f"{row['recall']:.3f}", *rates, number(first.get("p50_ms")),
            number(first.get("p95_ms")), number(first.get("p99_ms")),
            number(first.get("cpu_us")), _ratio(_ours(found, kind), result, at, threads[0])]


def _ratio(ours: dict | None, result: dict, at: int, threads: int) -> str:
    mine, theirs = rate(ours, at, threads), rate(result, at, threads)
    if not mine or not theirs or ours is result:
        return ""
    return f"{mine / theirs:.1f}x"


def rate(result: dict | None, at: int, threads: int = 1) -> float | None:
    """Queries a second at a target of recall."""
    if not result or "at" not in result or not result["at"][at]["reached"]:
        return None
    return result["at"][at]["threads"].get(str(threads), {}).get("qps")


def _builds(found: dict) -> str:
    rows = []
    for name, result in found.items():
        if "build" not in result:
            continue
        built, count = result["build"], result["rows"]
        memory = built["memory"]["anonymous"] / count
        rows.append([entry(name).title, number(built["queryable_s"]), number(built["indexed_s"]),
                     number(built["cpu_s"]), number(memory),
                     number(built["disk_bytes"] / count)])
    head = ["until it can be asked, and is indexed", "queryable s", "indexed s", "CPU s",
            "memory, bytes a row", "disk, bytes a row"]
    return table(head, rows)


def _filters(found: dict) -> list[str]:
    parts = []
    for at, target in enumerate(TARGETS):
        chosen = next((result["filtered"] for result in found.values()
                       if result.get("filtered")), [])
        names = [row["filter"] for row in chosen]
        rows = []
        for name, result in found.items():
            by_name = {row["filter"]: row for row in result.get("filtered") or []}
            if by_name:
                rows.append([entry(name).title,
                             *(_filter_cell(by_name.get(each), at) for each in names)])
        if rows:
            parts.append(table([f"filtered, recall@10 >= {target}, queries/s", *names], rows))
    return parts


def _filter_cell(row: dict | None, at: int) -> str:
    if row is None:
        return "-"
    if not row["at"][at]["reached"]:
        return f"at best {row['best_recall']:.3f}"
    return number(row["at"][at]["threads"]["1"]["qps"])


def _backups(found: dict) -> str:
    rows = [[entry(name).title, number(result["backup"]["backup_s"]),
             number(result["backup"]["restore_s"])]
            for name, result in found.items() if "backup_s" in result.get("backup", {})]
    head = ["copies", "backup s", "from the call that restores it to the first answer s"]
    return table(head, rows) if rows else ""


def _hardness(data: Path) -> str:
    path = data / "hardness.json"
    if not path.exists():
        return ""
    hard = json.loads(path.read_text())
    head = ["set", "vectors", "dimensions", "intrinsic dimension", "10th nearest", "contrast",
            *(f"graph, ef {effort}" for effort in hard["graph_efforts"]),
            *(f"{effort} lists" for effort in hard["list_efforts"])]
    rows = []
    for row in hard["rows"]:
        recalls = [f"{value:.3f}" for value in (*row.get("graph", []), *row.get("lists", []))]
        recalls += ["-"] * (len(head) - 6 - len(recalls))
        rows.append([row["name"], f"{row['rows']:,}", f"{row['dimension']:,}",
                     f"{row['intrinsic']:.1f}", f"{row['tenth']:.3f}", f"{row['contrast']:.3f}",
                     *recalls])
    return "\n\n".join(["### How hard the sets are", HARDNESS, table(head, rows)])




HARDNESS = """\
The larger sets are made from the 100,000 real vectors, and asked with real queries that nothing
was made from. A new vector of the set of 1,000,000 is a real one, moved at random: inside its
neighbourhood, by a Gaussian mixture of the directions to its 24 nearest real neighbours (0.3 of
their distance), and anywhere, by 0.4 of the difference of two real vectors. The set of 1,536
dimensions is made from 200,000 such vectors by a fixed smooth map, cosines of random projections,
which spreads the variance over all dimensions. The table tests both: `made from a tenth` has to
behave as `real`, which has as many vectors and the same queries, and `the same in 1,536 dimensions`
as `real, a fifth`. Intrinsic dimension is the maximum-likelihood estimate over the 100 nearest
(median of 300 queries); contrast is the mean distance divided by that to the tenth nearest; then
the recall@10 of a graph (hnswlib, M 16, efConstruction 100) and of inverted lists (250 vectors
each) with fixed effort. Lower recall, lower contrast and higher dimension mean harder."""
