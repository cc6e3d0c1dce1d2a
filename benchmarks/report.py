"""Tables of what was measured, the goals, and the section of docs/benchmarks.md about search.

Each set has a block of its own in the page, and so has what compares sets. Only what stands between
the marks of a block is written; the text around them belongs to people. Figures of several passes
are shown as medians. A ratio is always of two figures from the same set.
"""

import json
import re
from pathlib import Path

from benchmarks import goals, merged
from benchmarks.asked import ASKED
from benchmarks.roster import ROSTER, entry

LAST = re.compile(r"<!-- end search [a-z0-9-]+ -->")
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
            kept = json.loads(path.read_text())
            result = _merged(kept["rounds"])
            # Passes that only loaded came later than those that did all.
            if loads := _merged(kept.get("ingest", [])):
                result = {**(result or loads), "machine_of_load": loads.get("machine")}
                if "build" in loads:
                    result["build"] = loads["build"]
            found[one.name] = result
    return found


def _merged(passes: list[dict]) -> dict:
    good = [each for each in passes if "failed" not in each]
    return {**merged.median(good), "passes": len(good)} if good else dict(passes[0]) \
        if passes else {}


def tables(results: Path, names: list[str]) -> str:
    """All tables of these sets, and those that compare sets, in Markdown."""
    return "\n\n".join(text for text in blocks(results, names).values() if text)


def blocks(results: Path, names: list[str]) -> dict:
    """The text of each block."""
    found = {name: load(results, name) for name in names}
    texts = {name: _set(name, of_set) for name, of_set in found.items() if of_set}
    return {**texts, "recall": _default_recall(found), "memory": _memory(found)}


def _set(name: str, found: dict) -> str:
    parts = [f"### {TITLES[name]}", *_how(found)]
    for kind, title in KINDS.items():
        parts += _queries(found, kind, title)
    parts += [_builds(found), *_filters(found), _backups(found), *_limited(found),
              goals.table(name, found)]
    return "\n\n".join(part for part in parts if part)


def write(page: Path, results: Path, data: Path) -> None:
    """Replaces the blocks of search in the page; those that are missing follow the last one."""
    text = page.read_text()
    names = [name for name in TITLES if name != "tiny"]
    for name, block in {**blocks(results, names), "hardness": _hardness(data)}.items():
        if block:
            text = replaced(text, name, block)
    page.write_text(text)


def replaced(text: str, name: str, block: str) -> str:
    """The page with this block of search."""
    begin, end = f"<!-- bench search {name} -->", f"<!-- end search {name} -->"
    block = f"{begin}\n\n{block}\n\n{end}"
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        return before + block + rest.split(end, 1)[1]
    if ends := list(LAST.finditer(text)):
        at = ends[-1].end()
        return f"{text[:at]}\n\n{block}{text[at:]}"
    return f"{text.rstrip()}\n\n## Search\n\n{block}\n"


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


def _how(found: dict) -> list[str]:
    machines = {result.get(field) for result in found.values()
                for field in ("machine", "machine_of_load")}
    passes = sorted({result.get("passes", 0) for result in found.values()})
    profile = {result.get("profile") for name, result in found.items() if entry(name).is_ours}
    count = f"{passes[0]}" if len(passes) == 1 else f"{passes[0]} to {passes[-1]}"
    built = f" Lodgepole built with the profile {', '.join(sorted(filter(None, profile)))}." \
        if profile else ""
    return [*sorted(filter(None, machines)), f"Passes: {count}, medians shown.{built}"]


def _ours(found: dict, kind: str) -> dict | None:
    return found.get("lodgepole-grpc" if kind == "server" else "lodgepole")


def _of_kind(found: dict, kind: str) -> list[tuple]:
    ours = [("lodgepole", found["lodgepole"])] if "at" in found.get("lodgepole", {}) else []
    listed = [(name, result) for name, result in found.items()
              if entry(name).kind == kind and ("at" in result or "failed" in result)]
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
        rows = []
        for name, result in listed:
            rows.append(_query_row(found, kind, name, result, at, threads))
            if at == 0 and "default" in result:
                default = f"{entry(name).title}, default settings"
                rows.append(_measured_row(default, result["default"], threads))
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
    return _measured_row(title, row, threads, _ratio(_ours(found, kind), result, at, threads[0]))


def _measured_row(title: str, row: dict, threads: list[int], ratio: str = "") -> list[str]:
    runs = row["threads"]
    first = runs.get(str(threads[0]), {})
    rates = [number(runs.get(str(count), {}).get("qps")) for count in threads]
    if batch := row.get("batch"):
        rates = [f"{rate} ({number(batch.get(str(count)))})" for rate, count in
                 zip(rates, threads)]
    return [title, f"{row['recall']:.3f}", *rates, number(first.get("p50_ms")),
            number(first.get("p95_ms")), number(first.get("p99_ms")),
            number(first.get("cpu_us")), ratio]


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
        if "stopped" in built:
            rows.append([entry(name).title, number(built.get("queryable_s")),
                         _stopped(built["stopped"]), number(built["cpu_s"]), "-", "-"])
            continue
        memory = built["memory"]["anonymous"] / count
        rows.append([entry(name).title, number(built["queryable_s"]), number(built["indexed_s"]),
                     number(built["cpu_s"]), number(memory),
                     number(built["disk_bytes"] / count)])
    head = ["until it can be asked, and is indexed", "queryable s", "indexed s", "CPU s",
            "memory, bytes a row", "disk, bytes a row"]
    return table(head, rows) if rows else ""


def _stopped(stopped: dict) -> str:
    share = stopped["rows"] / stopped["of"]
    return f"stopped after {stopped['after_s'] / 60:.1f} min at {share:.0%} ({stopped['step']})"


def _limited(found: dict) -> list[str]:
    rows, notes = [], []
    for name, result in found.items():
        inside = result.get("limited")
        if inside is None:
            continue
        title, size = entry(name).title, f"{inside['limit_bytes'] / (1 << 20):,.0f} MiB"
        if problem := inside.get("skipped") or inside.get("failed"):
            notes.append(f"{title}, memory limit of {size} ({inside['share']:g} of the vectors): "
                         f"not measured, {problem}.")
            continue
        before = {"default": result["default"],
                  **{str(row["target"]): row for row in result["at"]}}
        for at, within in inside["at"].items():
            what = "default settings" if at == "default" else f"recall >= {at}"
            rows += _limited_rows(f"{title}, {what}", "none", before[at])
            rows += _limited_rows(f"{title}, {what}", size, within)
        memory = inside["memory"]
        notes.append(f"{title}, inside {size}, {inside['share']:g} of the size of the vectors: "
                     f"{memory['anonymous'] / (1 << 20):,.0f} MiB that no file stands behind, "
                     f"{memory['anonymous'] / result['rows']:,.0f} bytes a row; "
                     f"{memory['files'] / (1 << 20):,.0f} MiB of files.")
    head = ["inside a memory limit, cached files included", "limit", "recall", "connections",
            "queries/s", "p50 ms", "p95 ms", "p99 ms"]
    return [table(head, rows) if rows else "", *notes]


def _limited_rows(title: str, limit: str, row: dict) -> list[list[str]]:
    return [[title, limit, f"{row['recall']:.3f}", count,
             *(number(run.get(figure)) for figure in ("qps", "p50_ms", "p95_ms", "p99_ms"))]
            for count, run in row["threads"].items()]


def _default_recall(sets: dict) -> str:
    """What is found without any setting, set by set and for each kind of queries."""
    rows = []
    for name, found in sets.items():
        for ours in ("lodgepole", "lodgepole-grpc"):
            if recalls := found.get(ours, {}).get("default_recall"):
                rows.append([f"{TITLES[name]}: {entry(ours).title}",
                             *(f"{recalls[asked]:.3f}" for asked in ASKED)])
    head = ["recall@10, nothing set", *(f"{asked} queries" for asked in ASKED)]
    text = ["### Recall without any setting", RECALL, table(head, rows)]
    return "\n\n".join(text) if rows else ""


def _memory(sets: dict) -> str:
    """Memory as a slope and a fixed part, where two sets of one dimension were measured."""
    rows = []
    for one in ROSTER:
        sizes = sorted((found[one.name]["rows"], _anonymous(found[one.name], one.kind))
                       for name, found in sets.items()
                       if name != "tiny" and _has_memory(found.get(one.name)))
        if len(sizes) < 2:
            continue
        (few, less), (many, more) = sizes[0], sizes[-1]
        slope = (more - less) / (many - few)
        rows.append([one.title, f"{few:,}", number(less / few), f"{many:,}", number(more / many),
                     number(slope), f"{(less - slope * few) / (1 << 20):,.0f} MiB"])
    head = ["memory that no file stands behind", "rows", "bytes a row", "rows", "bytes a row",
            "each further row, bytes", "fixed part"]
    return "\n\n".join(["### Memory by size", MEMORY, table(head, rows)]) if rows else ""


def _has_memory(result: dict | None) -> bool:
    return bool(result) and result.get("dimension") == goals.MEMORY_DIMENSION \
        and "memory" in result.get("build", {})


def _anonymous(result: dict, kind: str) -> int:
    """Of a server all of it, so that what it needs without rows shows in the fixed part."""
    part = "memory_all" if kind == "server" else "memory"
    return result["build"].get(part, result["build"]["memory"])["anonymous"]


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


RECALL = """\
`real` queries are held out of the same data as the rows. Of these, `noisy` and `mixed` ones are
made that are like no row: `noisy` by adding 0.6 of a Gaussian with the covariance of the rows,
`mixed` by adding another real query that has nothing to do with it; both at length one again."""
MEMORY = """\
After the load, from two sets of 384 dimensions. For servers it is all of their memory, with what
they still keep of the load; for libraries what they need more than before it; for Lodgepole in the
process what every query looks at."""
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
