"""Makes the sets: `python -m benchmarks.data SET SOURCE OUT`, in the environment of libraries, and
`python -m benchmarks.data queries OUT`: the other queries of a set that is there.

    tiny            the first 10,000 real vectors: to try the benchmark itself
    packages        100,000 real embeddings of package descriptions, 384 dimensions
    packages-1m     1,000,000 x 384 made from them
    packages-1536   200,000 x 1,536 made from them

All are asked with the same held-out real queries, which no base vector was made from; those of
`packages-1536` went through the same map as its base.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import asked, dataset, derive, hardness

QUERIES = 1_000
FILTERED_QUERIES = 200
TINY_ROWS = 10_000
LARGE_ROWS = 1_000_000
WIDE_ROWS = 200_000
WIDE_DIMENSION = 1_536
NAMES = ("tiny", "packages", "packages-1m", "packages-1536")


def main(name: str, source: Path, folder: Path) -> None:
    """Writes the set `name` into `folder`."""
    started = time.monotonic()
    real = halves(source / "base-100k.f16")
    queries = halves(source / "queries-1k.f16")[:QUERIES]
    # A real vector that is no query, so that queries have nothing to do with its neighbourhood.
    centre, origin = real[len(real) // 2], "real"
    if name == "tiny":
        base = real[:TINY_ROWS]
    elif name == "packages":
        base = real
    else:
        folder.mkdir(parents=True, exist_ok=True)
        _measure_hardness(folder.parent, real, queries)
        origin = "made from 100,000 real ones"
        wide = name == "packages-1536"
        rows, dimension = (WIDE_ROWS, WIDE_DIMENSION) if wide else (LARGE_ROWS, real.shape[1])
        grown = _grown(real, rows, folder)
        if wide:
            lift = derive.MoreDimensions(real.shape[1], dimension)
            base = _mapped(folder, rows, dimension)
            for start in range(0, rows, 20_000):
                base[start:start + 20_000] = lift(grown[start:start + 20_000])
            queries, centre = lift(queries), lift(centre[None])[0]
            (folder / "grown.f32").unlink()
        else:
            (folder / "grown.f32").rename(folder / "base.f32")
            base = grown
    shape = dataset.Shape(name, len(base), base.shape[1], len(queries), FILTERED_QUERIES, origin)
    dataset.write(folder, shape, base, queries, centre)
    other_queries(folder)
    print(f"{name}: {shape.rows} x {shape.dimension} in {time.monotonic() - started:.0f} s",
          file=sys.stderr)


def other_queries(folder: Path) -> None:
    """Adds the queries of other distributions to the set in `folder`."""
    data = dataset.Dataset(folder)
    for kind in asked.OTHERS:
        dataset.write_queries(data, kind, derive.other_queries(kind, data.queries, data.base))


def halves(path: Path) -> np.ndarray:
    """Vectors of 384 half floats, as unit vectors."""
    return derive.unit(np.fromfile(path, dtype="<f2").reshape(-1, 384))


def _grown(real: np.ndarray, rows: int, folder: Path) -> np.ndarray:
    out = np.memmap(folder / "grown.f32", dtype=np.float32, mode="w+",
                    shape=(rows, real.shape[1]))
    derive.more_rows(real, derive.neighbours(real), rows, 5, out)
    # In an order that says nothing of what was made from what.
    order = np.random.default_rng(6).permutation(rows)
    for column in range(0, real.shape[1], 96):
        out[:, column:column + 96] = out[order, column:column + 96]
    return out


def _mapped(folder: Path, rows: int, dimension: int) -> np.ndarray:
    return np.memmap(folder / "base.f32", dtype=np.float32, mode="w+", shape=(rows, dimension))


def _measure_hardness(folder: Path, real: np.ndarray, queries: np.ndarray) -> None:
    """How hard sets are that are made like this: measured once, kept in a file for the page."""
    path = folder / "hardness.json"
    if not path.exists():
        path.write_text(json.dumps(hardness.compare(real, queries), indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "queries":
        other_queries(Path(sys.argv[2]))
    else:
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
