"""Writes the Parquet files that `imports.scenario` reads. They are kept, so that the tests need no
Python: run this with pyarrow after a change."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
ID, TEXT = ("id", pa.string()), ("metadata", pa.string())
VALUES = ("values", pa.list_(pa.float32()))


def write(path, columns, rows):
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(columns)
    table = pa.table([list(column) for column in zip(*rows)], schema=schema)
    pq.write_table(table, target, compression="none", write_statistics=False)


plain = [ID, VALUES, TEXT]
write("good/first/0.parquet", plain, [("a", [1, 0], '{"genre": "drama"}'), ("b", [0, 1], None)])
write("good/first/more/1.parquet", plain, [("c", [1, 1], '{"tags": ["x", "y"], "n": 1}')])
write("good/__default__/0.parquet", plain, [("d", [2, 0], None)])
write("row/n/0.parquet", plain, [("a", [1, 0], None), ("b", [1, 2, 3], None)])
write("all-rows/n/0.parquet", plain, [("a", [1], None), ("", [1, 2], None)])
write("json/n/0.parquet", plain, [("a", [1, 0], "{no json")])
write("nested/n/0.parquet", plain, [("a", [1, 0], '{"a": {"b": 1}}')])
write("twice/n/0.parquet", plain, [("a", [1, 0], None), ("a", [0, 1], None)])
write("no-values/n/0.parquet", [ID, TEXT], [("a", None)])
write("no-id/n/0.parquet", [VALUES], [([1, 0],)])
write("more-columns/n/0.parquet", [ID, VALUES, ("color", pa.string())], [("a", [1, 0], "red")])
write("types/n/0.parquet", [ID, ("values", pa.list_(pa.float64()))], [("a", [1, 0])])
write("flat/0.parquet", plain, [("a", [1, 0], None)])
(HERE / "broken/n").mkdir(parents=True, exist_ok=True)
(HERE / "broken/n/0.parquet").write_bytes(b"this is no Parquet file")
(HERE / "nothing/n").mkdir(parents=True, exist_ok=True)
(HERE / "nothing/n/readme.txt").write_text("no Parquet here\n")
