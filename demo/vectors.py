"""The data of the demo: vectors with ids and metadata, and the queries asked about them.

Two sources: the handwritten digits that scikit-learn ships, and a folder given with --data. Vectors
are read when they are needed, so that a large folder does not fill the memory.
"""

import csv
import gzip
import importlib.util
import itertools
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUERIES_OF_DIGITS = 100
QUERIES_OF_FOLDER = 200


class DataError(Exception):
    """The data is not as it should be. The text names the file."""


@dataclass(frozen=True)
class Data:
    """What is loaded and asked. `records` may be called more than once."""

    name: str
    what: str
    dimension: int
    count: int
    records: object  # () -> Iterator[dict] with id, values and metadata
    queries: list[list[float]]
    are_pictures: bool


def digits() -> Data:
    """1,797 images of handwritten digits, 8 by 8 pixels with 17 shades of grey each."""
    # Only the file is read: importing scikit-learn itself would need numpy and scipy.
    package = importlib.util.find_spec("sklearn")
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    with gzip.open(file, "rt") as lines:
        rows = [[float(cell) for cell in row] for row in csv.reader(lines)]
    vectors = [row[:-1] for row in rows]

    def records() -> Iterator[dict]:
        for number, row in enumerate(rows):
            yield {"id": f"digit-{number:04}", "values": row[:-1],
                   "metadata": {"label": int(row[-1]), "position": number}}

    step = len(vectors) // QUERIES_OF_DIGITS
    queries = vectors[::step][:QUERIES_OF_DIGITS]
    return Data("digits", "images of handwritten digits", 64, len(rows), records, queries, True)


def folder(path: Path) -> Data:
    """`base-NAME.f16` and `base-NAME.jsonl.gz`, and `queries-NAME` likewise."""
    base, base_rows = _pair(path, "base")
    asked, _ = _pair(path, "queries")
    count = sum(1 for _ in _json_lines(base_rows))
    dimension, rest = divmod(base.stat().st_size, 2 * count)
    if rest or not dimension:
        raise DataError(f"{base}: its size does not fit the {count} lines of {base_rows.name}")

    def records() -> Iterator[dict]:
        rows = zip(_half_floats(base, dimension), _json_lines(base_rows), strict=True)
        for values, row in rows:
            metadata = {key: value for key, value in row.items() if key != "id"}
            yield {"id": row["id"], "values": values, "metadata": metadata}

    queries = list(itertools.islice(_half_floats(asked, dimension), QUERIES_OF_FOLDER))
    name = re.sub(r"[^a-z0-9]+", "-", path.resolve().name.lower()).strip("-")[:30] or "vectors"
    return Data(name, f"vectors of {base.name}", dimension, count, records,
                queries, False)


def _pair(path: Path, kind: str) -> tuple[Path, Path]:
    found = sorted(path.glob(f"{kind}-*.f16"))
    if len(found) != 1:
        raise DataError(f"{path}: one {kind}-NAME.f16 is wanted, {len(found)} are there")
    return found[0], found[0].with_suffix(".jsonl.gz")


def _json_lines(file: Path) -> Iterator[dict]:
    with gzip.open(file, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def _half_floats(file: Path, dimension: int) -> Iterator[list[float]]:
    row = struct.Struct(f"<{dimension}e")
    with open(file, "rb") as source:
        while chunk := source.read(row.size):
            yield list(row.unpack(chunk))
