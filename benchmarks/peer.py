"""What a system must be able to do to be measured.

A peer is built once and asked with many settings of its search knob. It answers through `Client`s,
each used by one thread or process at a time: what can be prepared before a query is asked, and what
is decoded after, is not timed, so that a client in Python costs as little as it can.
"""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.dataset import Dataset, Filter
from benchmarks.progress import Progress

# The same graph for every system that builds one.
GRAPH_LINKS = 16
GRAPH_BUILD_EFFORT = 200
GRAPH_EFFORTS = (10, 16, 24, 32, 40, 50, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800,
                 1000)

Setting = dict


class NotPossible(Exception):
    """The system cannot do this at all; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where a peer keeps its data, the threads it may use, and how far its load has come."""

    folder: Path
    threads: int
    progress: Progress = field(default_factory=Progress)


class Client(ABC):
    """Asks one query after the other, each for the ten nearest ids."""

    @abstractmethod
    def request(self, vector: np.ndarray):
        """What is sent for this vector; not timed."""

    @abstractmethod
    def ask(self, request):
        """The answer as it comes; timed."""

    @abstractmethod
    def ids(self, answer) -> list:
        """The ids in it; not timed."""

    def close(self) -> None:
        """Ends its connection."""


class Peer(ABC):
    """A system under measurement. Everything happens in one process, or in servers it starts."""

    # What `processes` names is not this process.
    is_server = False
    # Seconds without work after which a server has come to rest.
    rest_s = 1
    # It may be copied into other processes and asked there: a library without threads of its own.
    can_fork = False
    # Later settings cost more and find more, so a sweep may stop.
    is_ordered = True
    # What is used when nothing is set; only for ourselves.
    default_setting: Setting | None = None

    def __init__(self, data: Dataset, place: Place):
        self.data = data
        self.place = place

    @abstractmethod
    def ingest(self) -> None:
        """Stores every row with its attributes: acknowledged, and durable where it can be.

        Servers tell `place.progress` what is done, so that a load can be stopped.
        """

    def index(self) -> None:
        """Returns when everything is indexed."""

    def abandon(self) -> None:
        """Stops a server whose data is not wanted any more: as fast as it can."""
        self.close()

    @abstractmethod
    def settings(self, chosen: Filter | None) -> list[Setting]:
        """Settings of the search knob, the cheapest first."""

    @abstractmethod
    def client(self, setting: Setting, chosen: Filter | None) -> Client:
        """A client that asks with this setting; `NotPossible` when filters are not known."""

    def prepare(self, setting: Setting) -> None:
        """Makes a setting take effect that is not part of a query."""

    def batch(self, queries: np.ndarray, setting: Setting, threads: int):
        """The ids for many queries in one call, for libraries that have such a call."""
        raise NotPossible("no batches")

    def processes(self) -> list[int]:
        """The processes whose time and memory count, without their children."""
        return [os.getpid()]

    def disk_bytes(self) -> int:
        """What it takes on disk."""
        return sum(path.stat().st_blocks * 512 for path in self.place.folder.rglob("*")
                   if path.is_file())

    def back_up(self) -> None:
        """Makes a backup that later changes do not touch."""
        raise NotPossible("it has none")

    def restore(self, query: np.ndarray) -> list:
        """Makes a second copy from the backup and returns what it answers to a query."""
        raise NotPossible("it has none")

    def close(self) -> None:
        """Stops what it started."""


class NativePeer(Peer):
    """A peer whose queries are asked and timed by a program of its own, in the same manner."""

    def client(self, setting: Setting, chosen: Filter | None) -> Client:
        raise NotPossible("a program of its own asks the queries")

    @abstractmethod
    def answers(self, setting: Setting, chosen: Filter | None, queries: int) -> tuple:
        """Asks the first queries once, one after the other: ids, seconds, processor seconds."""

    def default_answers(self, asked: str) -> list:
        """The ids that each query of a distribution finds when nothing is set."""
        raise NotPossible("its defaults are not what users get")

    @abstractmethod
    def drive(self, setting: Setting, chosen: Filter | None, threads: int,
              seconds: float) -> dict:
        """Asks for so long on so many threads or connections: what `measure.drive` gives."""
