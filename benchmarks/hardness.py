"""How hard a set is to search: local intrinsic dimension, contrast, and the effort of two indexes.

The local intrinsic dimension is the maximum-likelihood estimate of Levina and Bickel over the 100
nearest rows of a query: the mean over queries. Relative contrast is the mean distance to all rows
divided by that to the tenth nearest: near 1 means that everything is equally far. Neither says all,
so two indexes of other kinds, with fixed settings, search the sets that are compared: the more of
the answers they find, the easier.
"""

import numpy as np

from benchmarks import derive

NEAREST = 100
QUERIES = 300
TOP_K = 10
GRAPH_EFFORTS = (20, 50, 100, 200)
LIST_EFFORTS = (2, 8, 20, 60)
LISTS_ROWS = 250


def distances(base: np.ndarray, queries: np.ndarray) -> dict:
    """Local intrinsic dimension, distance to the tenth row, and relative contrast."""
    queries = queries[:QUERIES]
    products = np.concatenate([queries @ base[start:start + 20_000].T
                               for start in range(0, len(base), 20_000)], axis=1)
    top = -np.sort(-np.partition(products, -NEAREST, axis=1)[:, -NEAREST:], axis=1)
    near = np.sqrt(np.maximum(2 - 2 * top, 1e-9))
    logs = np.log(near[:, -1:] / near[:, :-1])
    dimension = 1 / np.maximum(logs.mean(axis=1), 1e-9)
    mean = np.sqrt(np.maximum(2 - 2 * products, 0)).mean()
    return {"rows": len(base), "dimension": base.shape[1],
            "intrinsic": float(np.median(dimension)),
            "tenth": float(near[:, TOP_K - 1].mean()),
            "contrast": float((mean / near[:, TOP_K - 1]).mean())}


def efforts(base: np.ndarray, queries: np.ndarray) -> dict:
    """Recall of a graph by its search width and of lists by the lists looked at."""
    import faiss
    import hnswlib

    queries = queries[:QUERIES]
    exact = np.concatenate([queries @ base[start:start + 20_000].T
                            for start in range(0, len(base), 20_000)], axis=1)
    wanted = np.partition(exact, -TOP_K, axis=1)[:, -TOP_K]

    def recall(ids: np.ndarray) -> float:
        return float((np.take_along_axis(exact, ids.astype(np.int64), 1)
                      >= wanted[:, None] - 1e-5).mean())

    graph = hnswlib.Index("ip", base.shape[1])
    graph.init_index(len(base), M=16, ef_construction=100)
    graph.add_items(base)
    found = {"graph": [], "lists": []}
    for effort in GRAPH_EFFORTS:
        graph.set_ef(effort)
        found["graph"].append(recall(graph.knn_query(queries, TOP_K)[0]))
    lists = faiss.index_factory(base.shape[1], f"IVF{len(base) // LISTS_ROWS},Flat",
                                faiss.METRIC_INNER_PRODUCT)
    lists.train(np.ascontiguousarray(base))
    lists.add(np.ascontiguousarray(base))
    for effort in LIST_EFFORTS:
        lists.nprobe = effort
        found["lists"].append(recall(np.maximum(lists.search(queries, TOP_K)[1], 0)))
    return found


def compare(real: np.ndarray, queries: np.ndarray) -> dict:
    """Real sets of growing size beside sets that were made: the rows of the page's table.

    The test of the method is the pair `real`, `made from a tenth`: as many vectors, asked with the
    same queries. Whatever differs is the method's fault.
    """
    part = real[:len(real) // derive.PART]
    grown = np.empty_like(real)
    derive.more_rows(part, derive.neighbours(part), len(real), 7, grown)
    # Training looks at the first rows: they must be like all others.
    grown = grown[np.random.default_rng(8).permutation(len(grown))]
    lift = derive.MoreDimensions(real.shape[1], 1_536)
    wide, wide_queries = lift(real[:20_000]), lift(queries)
    named = [("real, an eighth", real[:len(real) // 8], queries, False),
             ("real, a quarter", real[:len(real) // 4], queries, False),
             ("real, half", real[:len(real) // 2], queries, False),
             ("real", real, queries, True),
             ("made from a tenth", grown, queries, True),
             ("real, a fifth", real[:20_000], queries, True),
             ("the same in 1,536 dimensions", wide, wide_queries, True)]
    table = []
    for name, base, asked, indexed in named:
        row = {"name": name, **distances(base, asked)}
        if indexed:
            row.update(efforts(base, asked))
        table.append(row)
    return {"rows": table, "graph_efforts": GRAPH_EFFORTS, "list_efforts": LIST_EFFORTS}
