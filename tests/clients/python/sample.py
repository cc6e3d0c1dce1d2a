"""Records for the tests, and what a right answer to a query is.

Values have four decimals, so that a number which the server stores as f32 and prints as the
shortest decimal comes back as the very number that was sent.
"""

import math
import random
import struct

DIMENSION = 8
METRICS = ("cosine", "euclidean", "dotproduct")

# Every kind of metadata value, and text that is easily damaged on the way.
METADATA = [
    {"title": "plain", "year": 1999, "price": 12.5, "in_stock": True, "tags": ["a", "b"]},
    {"title": "Ünïcödé 漢字 🌲", "year": -3, "price": 1e-7, "in_stock": False, "tags": ["ж"]},
    {"title": "quote \" backslash \\ line\nbreak\ttab", "year": 2**53, "tags": []},
    {"title": "", "price": -0.001},
    {"with space": "x", "dotted.key": "y", "é": "z"},
    {},
]
ODD_IDS = ["a/b", "a.b:c@d!", "[0]", "a b&c=d?e#f%20", "+plus", "\"quoted\""]


def records(seed: int, count: int, prefix: str) -> list[dict]:
    """`count` records with metadata of every kind. The same seed gives the same ones."""
    rng = random.Random(seed)
    return [{"id": f"{prefix}{number:04}", "values": vector(rng),
             "metadata": METADATA[number % len(METADATA)]} for number in range(count)]


def vector(rng: random.Random) -> list[float]:
    """Random values between -1 and 1 with four decimals, never zero."""
    return [(2 * rng.randrange(-1000, 1000) + 1) / 2000 for _ in range(DIMENSION)]


def as_f32(values) -> list[float]:
    """What remains of numbers that were stored with 32 bits."""
    return [struct.unpack("f", struct.pack("f", value))[0] for value in values]


def score(metric: str, query: list[float], values: list[float]) -> float:
    """As the API defines it: euclidean is the squared distance."""
    product = math.fsum(a * b for a, b in zip(query, values, strict=True))
    if metric == "dotproduct":
        return product
    if metric == "euclidean":
        return math.fsum((a - b) ** 2 for a, b in zip(query, values, strict=True))
    return product / (math.hypot(*query) * math.hypot(*values))


def best(metric: str, query: list[float], among: list[dict], top_k: int) -> list[tuple]:
    """The right answer to a query: ids and scores, best first."""
    scored = [(record["id"], score(metric, query, record["values"])) for record in among]
    return sorted(scored, key=lambda hit: hit[1], reverse=metric != "euclidean")[:top_k]
