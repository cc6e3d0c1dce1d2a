"""A prepared set of vectors on disk: base, held-out queries, filters, exact answers.

Invariant: every system measured reads the same bytes. Vectors have unit length, so that cosine,
inner product and Euclidean distance rank alike; a row's id is its position. Files are raw
little-endian arrays, so that programs in any language can read them:

    base.f32      rows x dimension       queries.f32   queries x dimension
    random.u16, region.u16               the two attributes of each row, 0 to 999
    truth-NAME.u32, truth-NAME.f32       exact ids and inner products, queries x TRUTH_K
    queries-ASKED.f32, truth-queries-ASKED.u32 and .f32        the same for other queries
    set.json                             sizes, origin, filters

A filter is `random < n` or `region < n`: rows drawn at random, or the n/1000 of all rows that are
nearest to one fixed vector, to which queries have no relation.

Other queries are like no row (`derive.other_queries`): what is calibrated with rows has to hold for
them too.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.asked import REAL

TRUTH_K = 10
ATTRIBUTE_VALUES = 1000
# Inner products of float32 vectors computed in another order differ by about this much.
TIE = 1e-5


@dataclass(frozen=True)
class Filter:
    """Rows whose `field` is below `below`."""

    name: str
    field: str
    below: int

    @property
    def share(self) -> float:
        """The part of all rows that it lets through."""
        return self.below / ATTRIBUTE_VALUES


FILTERS = tuple(Filter(f"{field}-{share}", field, below) for field in ("random", "region")
                for share, below in (("50%", 500), ("10%", 100), ("1%", 10), ("0.1%", 1)))


@dataclass(frozen=True)
class Shape:
    """Sizes of a set."""

    name: str
    rows: int
    dimension: int
    queries: int
    filtered_queries: int
    origin: str


class Dataset:
    """A set that was prepared. Arrays are mapped, not read."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.shape = Shape(**json.loads((folder / "set.json").read_text()))

    @cached_property
    def base(self) -> np.ndarray:
        return self._map("base.f32", np.float32, (self.shape.rows, self.shape.dimension))

    @cached_property
    def queries(self) -> np.ndarray:
        shape = (self.shape.queries, self.shape.dimension)
        return np.array(self._map("queries.f32", np.float32, shape))

    def attribute(self, field: str) -> np.ndarray:
        """The value of this attribute in each row."""
        return self._map(f"{field}.u16", np.uint16, (self.shape.rows,))

    def matches(self, chosen: Filter) -> np.ndarray:
        """A flag for each row."""
        return self.attribute(chosen.field) < chosen.below

    def queries_for(self, chosen: Filter | None) -> np.ndarray:
        """The queries that are asked with this filter; all when there is none."""
        return self.queries if chosen is None else self.queries[:self.shape.filtered_queries]

    def queries_like(self, asked: str) -> np.ndarray:
        """The queries of one of the distributions `ASKED`."""
        shape = (self.shape.queries, self.shape.dimension)
        return np.array(self._map(queries_file(asked), np.float32, shape))

    def truth(self, chosen: Filter | None, asked: str = REAL) -> np.ndarray:
        """The inner products of the exact answers, best first; -inf where there are fewer."""
        rows = len(self.queries_for(chosen))
        name = _truth_name(chosen) if asked == REAL else f"queries-{asked}"
        return self._map(f"truth-{name}.f32", np.float32, (rows, TRUTH_K))

    def recall(self, answers: list, chosen: Filter | None, asked: str = REAL) -> float:
        """The part of the exact answers that was found: recall@10.

        An id counts when its row passes the filter and is as near as the last exact answer, so
        that equal rows may stand for each other. `answers` may repeat the queries in order.
        """
        queries = self.queries_for(chosen) if asked == REAL else self.queries_like(asked)
        truth = self.truth(chosen, asked)
        passes = None if chosen is None else self.matches(chosen)
        found = wanted = 0
        for number, ids in enumerate(answers):
            query = number % len(queries)
            exact = truth[query][np.isfinite(truth[query])]
            unique = np.unique(np.asarray(list(ids)[:TRUTH_K], dtype=np.int64))
            unique = unique[(unique >= 0) & (unique < self.shape.rows)]
            if passes is not None:
                unique = unique[passes[unique]]
            near = self.base[unique] @ queries[query] >= exact[-1] - TIE
            found += min(int(near.sum()), len(exact))
            wanted += len(exact)
        return found / wanted

    def _map(self, name: str, kind, shape: tuple) -> np.ndarray:
        return np.memmap(self.folder / name, dtype=kind, mode="r", shape=shape)


def queries_file(asked: str) -> str:
    """The file with the queries of a distribution."""
    return "queries.f32" if asked == REAL else f"queries-{asked}.f32"


def _truth_name(chosen: Filter | None) -> str:
    return "all" if chosen is None else chosen.name.replace("%", "")


def write(folder: Path, shape: Shape, base: np.ndarray, queries: np.ndarray,
          centre: np.ndarray) -> None:
    """Writes a set with its filters and exact answers. `centre` is what `region` is near to."""
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(base, np.memmap):
        base.astype("<f4").tofile(folder / "base.f32")
    queries.astype("<f4").tofile(folder / "queries.f32")
    ranks = {"random": np.random.default_rng(2).permutation(shape.rows),
             "region": np.argsort(np.argsort(-(base @ centre), kind="stable"), kind="stable")}
    for field, rank in ranks.items():
        value = rank.astype(np.int64) * ATTRIBUTE_VALUES // shape.rows
        value.astype("<u2").tofile(folder / f"{field}.u16")
    # Written last: a set that was cut off has none, and is made again.
    (folder / "set.json.new").write_text(json.dumps(asdict(shape), indent=1))
    unfinished = Dataset.__new__(Dataset)
    unfinished.folder, unfinished.shape = folder, shape
    for chosen in (None, *FILTERS):
        ids, products = exact(unfinished, chosen)
        ids.astype("<u4").tofile(folder / f"truth-{_truth_name(chosen)}.u32")
        products.astype("<f4").tofile(folder / f"truth-{_truth_name(chosen)}.f32")
    (folder / "set.json.new").rename(folder / "set.json")


def write_queries(data: Dataset, asked: str, queries: np.ndarray) -> None:
    """Adds queries of another distribution, with their exact answers, to a set."""
    queries.astype("<f4").tofile(data.folder / queries_file(asked))
    ids, products = exact(data, None, queries)
    ids.astype("<u4").tofile(data.folder / f"truth-queries-{asked}.u32")
    # Under its name once it is whole: it says that these queries are there.
    unfinished = data.folder / "truth.new"
    products.astype("<f4").tofile(unfinished)
    unfinished.rename(data.folder / f"truth-queries-{asked}.f32")


def exact(data: Dataset, chosen: Filter | None, queries: np.ndarray | None = None,
          block: int = 20_000) -> tuple:
    """Ids and inner products of the nearest rows that pass the filter, by looking at them all."""
    queries = data.queries_for(chosen) if queries is None else queries
    allowed = None if chosen is None else data.matches(chosen)
    ids = np.zeros((len(queries), 0), dtype=np.int64)
    best = np.zeros((len(queries), 0), dtype=np.float32)
    for start in range(0, data.shape.rows, block):
        numbers = np.arange(start, min(start + block, data.shape.rows))
        if allowed is not None:
            numbers = numbers[allowed[numbers]]
        products = queries @ data.base[numbers].T
        best = np.concatenate([best, products], axis=1)
        ids = np.concatenate([ids, np.broadcast_to(numbers, products.shape)], axis=1)
        keep = min(TRUTH_K, best.shape[1])
        top = np.argpartition(-best, keep - 1, axis=1)[:, :keep] if keep else ids[:, :0]
        best, ids = np.take_along_axis(best, top, 1), np.take_along_axis(ids, top, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    best, ids = np.take_along_axis(best, order, 1), np.take_along_axis(ids, order, 1)
    missing = TRUTH_K - best.shape[1]
    ids = np.pad(ids, ((0, 0), (0, missing)), constant_values=0)
    return ids, np.pad(best, ((0, 0), (0, missing)), constant_values=-np.inf)
