"""What the tests of the Python frameworks share: a server's address, an embedding, exact answers.

The embedding is made up here, so that nothing is downloaded and every score can be worked out: each
word is a direction that its letters alone decide, and a text is the normalised sum of its words.
"""

import argparse
import hashlib
import math
import os
import sys
import time
import unittest
import uuid
from collections.abc import Iterable

DIMENSION = 16
SPARSE_SPACE = 100_000

# Six texts about two things, and what is known of each.
TEXTS = {
    "d1": ("the cat sleeps on the warm mat", {"kind": "cat", "year": 2019, "tags": ["home"]}),
    "d2": ("a cat hunts the small mouse", {"kind": "cat", "year": 2021, "tags": ["field"]}),
    "d3": ("the dog sleeps on the porch", {"kind": "dog", "year": 2019, "tags": ["home"]}),
    "d4": ("a dog chases the red ball", {"kind": "dog", "year": 2022, "tags": ["field", "home"]}),
    "d5": ("the red car waits on the road", {"kind": "car", "year": 2020, "tags": []}),
    "d6": ("カタカナ の テキスト 🌲", {"kind": "other", "year": 2020, "tags": ["漢字"]}),
}


def words(text: str) -> list[str]:
    return text.lower().split()


def direction(word: str) -> list[float]:
    digest = hashlib.sha256(word.encode()).digest()
    return [digest[place] / 127.5 - 1.0 for place in range(DIMENSION)]


def embed(text: str) -> list[float]:
    """A unit vector; texts that share words lie close to each other."""
    summed = [math.fsum(column) for column in zip(*map(direction, words(text)), strict=True)]
    length = math.hypot(*summed)
    return [value / length for value in summed]


def embed_sparse(text: str) -> dict[int, float]:
    """How often each word occurs, under a number that stands for it."""
    found: dict[int, float] = {}
    for word in words(text):
        place = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % SPARSE_SPACE
        found[place] = found.get(place, 0.0) + 1.0
    return found


def cosine(one: str, other: str) -> float:
    return math.fsum(a * b for a, b in zip(embed(one), embed(other), strict=True))


def nearest(query: str, among: Iterable[str]) -> list[tuple[str, float]]:
    """The right answer to a search among these of TEXTS: ids and cosines, best first."""
    scored = [(id, cosine(query, TEXTS[id][0])) for id in among]
    return sorted(scored, key=lambda hit: -hit[1])


class FrameworkTest(unittest.TestCase):
    """Indexes of its own, removed at the end."""

    def setUp(self) -> None:
        from pinecone import Pinecone

        self.client = Pinecone(api_key="any", host=os.environ["PINECONE_CONTROLLER_HOST"])
        self.made: list[str] = []
        self.addCleanup(self.remove_all)

    def remove_all(self) -> None:
        listed = {index.name for index in self.client.list_indexes()}
        for name in listed.intersection(self.made):
            self.client.delete_index(name)

    def new_name(self, hint: str) -> str:
        name = f"{hint}-{uuid.uuid4().hex[:8]}"
        self.made.append(name)
        return name

    def new_index(self, hint: str, metric: str = "cosine") -> str:
        from pinecone import ServerlessSpec

        name = self.new_name(hint)
        self.client.create_index(name=name, dimension=DIMENSION, metric=metric,
                                 spec=ServerlessSpec(cloud="aws", region="us-east-1"))
        return name

    def assert_scored(self, found: list[tuple[str, float]], right: list[tuple]) -> None:
        self.assertEqual([id for id, _ in found], [id for id, _ in right])
        for (_, score), (id, expected) in zip(found, right, strict=True):
            self.assertAlmostEqual(score, expected, delta=1e-5, msg=id)


class Report(unittest.TestResult):
    """One line a test, with its time."""

    def startTest(self, test) -> None:
        super().startTest(test)
        self.started = time.monotonic()

    def stopTest(self, test) -> None:
        failed = any(test is other for other, _ in self.failures + self.errors)
        seconds = time.monotonic() - self.started
        word = "FAIL" if failed else "ok  "
        print(f"{word} {seconds:6.2f} s  {test._testMethodName}", flush=True)
        super().stopTest(test)


def point_at_server() -> None:
    """Called before the framework is imported: these read the address from the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    os.environ["PINECONE_CONTROLLER_HOST"] = parser.parse_args().url
    os.environ["PINECONE_API_KEY"] = "any"


def run(versions: dict[str, str]) -> int:
    """Runs the tests of the calling program, and closes with the line that ./check reads."""
    print(", ".join(f"{name} {version}" for name, version in versions.items()), flush=True)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    report = suite.run(Report())
    for test, trace in report.failures + report.errors:
        print(f"\n---- {test.id()}\n{trace}")
    failed = len({test.id() for test, _ in report.failures + report.errors})
    print(f"{report.testsRun - failed} passed, {failed} failed")
    return 1 if failed or report.testsRun == 0 else 0
