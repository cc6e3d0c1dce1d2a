"""Writes the Parquet files next to it again: `python3 make.py`, with pyarrow installed.

They are made by a writer that is not ours, and small enough to be kept: `good` has two namespaces,
`skipped` one with rows that cannot be imported, `broken` a column that nobody knows.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
COLUMNS = [("id", pa.string()), ("values", pa.list_(pa.float32())), ("metadata", pa.string())]


def write(place: str, rows: list[tuple], columns: list = COLUMNS) -> None:
    file = HERE / place
    file.parent.mkdir(parents=True, exist_ok=True)
    named = [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(named, schema=pa.schema(columns)), file)


def rows(prefix: str, count: int) -> list[tuple]:
    """The n-th of them lies n + 1 steps from the origin, and says so."""
    return [(f"{prefix}{number:03}", [number + 1.0, 0.0], f'{{"n": {number}}}')
            for number in range(count)]


def main() -> None:
    write("good/__default__/part-0.parquet", rows("d", 20))
    write("good/books/part-0.parquet", rows("a", 100))
    write("good/books/part-1.parquet", [*rows("b", 50), ("none", [0.5, 0.5], None)])
    bad = [("short", [1.0], None), ("list", [1.0, 1.0], "[1]"), ("zero", [0.0, 0.0], None)]
    write("skipped/books/part-0.parquet", [*rows("a", 5), *bad])
    more = [*COLUMNS, ("extra", pa.string())]
    write("broken/books/part-0.parquet", [(*row, "x") for row in rows("a", 3)], more)


if __name__ == "__main__":
    main()
