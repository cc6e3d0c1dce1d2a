"""Larger sets made from real vectors, as hard to search as real ones.

More rows: each new vector is a real one, moved at random. One part of the move stays inside the
neighbourhood that the vector has among the real ones: a Gaussian mixture of the directions to its
nearest neighbours. The other part leads anywhere that two real vectors differ: without it the new
vectors gather around the old ones, and indexes that cut space into cells find them too easily. How
far both go was chosen with `hardness.py`, so that vectors made from a tenth of the real ones are
as hard to search as all real ones.

More dimensions: a fixed smooth map, cosines of random projections (a Gaussian kernel's features).
It keeps the order of distances up to a small distortion, and unlike padding or a rotation it
spreads the variance over all dimensions.

Other queries, from the real ones: moved by noise that varies as the rows do (`noisy`), or the
middle of two that have nothing to do with each other (`mixed`). Both lie where no rows are.

`hardness.py` measures what became of it.
"""

import numpy as np

NEIGHBOURS = 24
# How far a new vector lies from the real one: as a part of the distance to a neighbour, and of the
# difference of two vectors drawn at random.
SPREAD = 0.3
DRIFT = 0.4
PART = 10
# How much the map into more dimensions bends: a little harder, never easier.
SHARPNESS = 0.5
BLOCK_ROWS = 10_000
# How much noise a query gets, beside its own length of one.
NOISE = 0.6
# Rows that say how all vary.
SAMPLE_ROWS = 20_000


def unit(vectors: np.ndarray) -> np.ndarray:
    """The same directions with length one, as float32."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def neighbours(vectors: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """The nearest other vectors of each, found with a clustered index: nearly all are right."""
    import faiss

    index = faiss.index_factory(vectors.shape[1], f"IVF{max(1, len(vectors) // 400)},Flat",
                                faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:50_000])
    index.add(vectors)
    index.nprobe = 24
    _, found = index.search(vectors, count + 1)
    own = found == np.arange(len(vectors))[:, None]
    # A vector with many equals may not find itself; then the last one goes.
    own[~own.any(axis=1), -1] = True
    return found[~own].reshape(len(vectors), count)


def more_rows(real: np.ndarray, near: np.ndarray, rows: int, seed: int, out: np.ndarray) -> None:
    """Fills `out` with the real vectors and then new ones, each real one the seed of as many."""
    out[:len(real)] = real
    rng = np.random.default_rng(seed)
    for start in range(len(real), rows, BLOCK_ROWS):
        numbers = np.arange(start, min(start + BLOCK_ROWS, rows)) % len(real)
        origin = real[numbers]
        weights = rng.standard_normal((len(numbers), NEIGHBOURS)).astype(np.float32)
        weights *= SPREAD / np.sqrt(NEIGHBOURS)
        directions = real[near[numbers]] - origin[:, None, :]
        moved = origin + np.einsum("nk,nkd->nd", weights, directions)
        pairs = rng.integers(0, len(real), (2, len(numbers)))
        moved += DRIFT * (real[pairs[0]] - real[pairs[1]])
        out[start:start + len(numbers)] = unit(moved)


def other_queries(kind: str, queries: np.ndarray, base: np.ndarray) -> np.ndarray:
    """As many queries of another distribution than the rows: `noisy` or `mixed`."""
    if kind == "mixed":
        # Each with the next one, in an order that says nothing.
        order = np.random.default_rng(12).permutation(len(queries))
        return unit(queries[order] + queries[np.roll(order, 1)])
    if kind != "noisy":
        raise ValueError(f"no queries of the kind {kind}")
    sample = np.array(base[::max(1, len(base) // SAMPLE_ROWS)], dtype=np.float32)
    sample -= sample.mean(axis=0)
    # Sums of rows with normal weights: a Gaussian with the covariance of the rows.
    weights = np.random.default_rng(11).standard_normal((len(queries), len(sample)))
    noise = weights.astype(np.float32) @ sample / np.float32(np.sqrt(len(sample)))
    return unit(queries + np.float32(NOISE) * noise)


class MoreDimensions:
    """The map into more dimensions. Larger `sharpness` bends more."""

    def __init__(self, source: int, target: int, sharpness: float = SHARPNESS):
        rng = np.random.default_rng(4)
        self.projection = (rng.standard_normal((source, target)) * sharpness).astype(np.float32)
        self.phase = rng.uniform(0, 2 * np.pi, target).astype(np.float32)
        # What a vector of length one gives on average: without it all would point one way.
        self.mean = np.cos(self.phase) * np.exp(np.float32(-sharpness**2 / 2))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        return unit(np.cos(vectors @ self.projection + self.phase) - self.mean)
