"""What the server must hold after a crash, kept by the client side.

Goal: say exactly which acknowledged requests are lost and which requests are torn. Method: every
writer sends one request at a time and writes only its own record ids (`w3-17` is writer w3's), so
the state of its records is a sequence of requests, and what the server shows must be the state
after one of them: not before the last acknowledged one, not after the last one sent. A request
whose answer never came is unknown: all of it or nothing of it.

All records of a request carry its stamp. All that a record holds follows from place and stamp, so
the oracle keeps only stamps, and a record that mixes two versions is noticed.
"""

import random
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field

DIMENSION = 8
# (namespace, record id)
Key = tuple[str, str]
# The stamp of every record that exists.
State = dict[Key, int]

_TEXT = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz ", k=6_000))


def _f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def record(key: Key, stamp: int) -> dict:
    """The record that a request with this stamp writes at `key`, as it is sent."""
    namespace, record_id = key
    noise = random.Random(zlib.crc32(f"{namespace}/{record_id}/{stamp}".encode()))
    values = [float(stamp)] + [_f32(noise.uniform(-9, 9)) for _ in range(DIMENSION - 1)]
    sent = {"id": record_id, "values": values}
    # Some records have no sparse values or no metadata: those of the version before must not shine
    # through.
    if stamp % 3 == 0:
        indices = sorted(noise.sample(range(1 << 32), 1 + stamp % 4))
        weights = [_f32(noise.uniform(0.1, 9)) for _ in indices]
        sent["sparseValues"] = {"indices": indices, "values": weights}
    if stamp % 5:
        start = noise.randrange(1_000)
        length = 4_000 if noise.random() < 0.02 else noise.randrange(60)
        sent["metadata"] = {"stamp": stamp, "even": stamp % 2 == 0, "half": stamp / 2,
                            "tags": [record_id, namespace], "text": _TEXT[start:start + length]}
    return sent


def owner(record_id: str) -> str:
    """The writer of a record."""
    return record_id.partition("-")[0]


def stamp_of(namespace: str, seen: dict) -> tuple[int, str]:
    """The stamp of a record as the server shows it, and what is wrong with the rest of it."""
    values = [_f32(value) for value in seen.get("values", [])]
    stamp = int(values[0]) if values else -1
    wanted = record((namespace, seen["id"]), stamp)
    if values != wanted["values"]:
        return stamp, f"values {values} instead of {wanted['values']}"
    if sparse_of(seen) != sparse_of(wanted):
        return stamp, f"sparse values {sparse_of(seen)} instead of {sparse_of(wanted)}"
    if (seen.get("metadata") or {}) != wanted.get("metadata", {}):
        return stamp, f"metadata {seen.get('metadata')} instead of {wanted.get('metadata')}"
    return stamp, ""


def sparse_of(shown: dict) -> dict[int, float]:
    """The sparse values of a record."""
    sparse = shown.get("sparseValues") or {"indices": [], "values": []}
    return {index: _f32(value) for index, value in
            zip(sparse["indices"], sparse["values"], strict=True)}


@dataclass(frozen=True)
class Request:
    """One write. `ids` is empty for "delete all in the namespace"."""

    kind: str
    namespace: str
    ids: tuple[str, ...]
    stamp: int

    def apply(self, state: State) -> None:
        """What the state of the writer's records is afterwards."""
        if self.kind == "upsert":
            for record_id in self.ids:
                state[self.namespace, record_id] = self.stamp
        elif self.kind == "update":
            # A record that does not exist is not made.
            for record_id in self.ids:
                if (self.namespace, record_id) in state:
                    state[self.namespace, record_id] = self.stamp
        elif self.kind == "delete":
            for record_id in self.ids:
                state.pop((self.namespace, record_id), None)
        else:
            for key in [key for key in state if key[0] == self.namespace]:
                del state[key]


class Tally:
    """Violations, counted by kind; safe to use from many threads.

    `lost`: an acknowledged write or deletion is not there. `torn`: half of a request, a record of
    two versions, or a backup of two moments. `wrong`: anything else.
    """

    def __init__(self, quiet: bool = False):
        self.lost = self.torn = self.wrong = 0
        # Backups that were restored and compared; how often `verify` had its say, and the most
        # segments that it saw.
        self.compared = self.verified = self.segments = 0
        self.notes: list[str] = []
        self._quiet = quiet
        self._lock = threading.Lock()

    def add(self, kind: str, text: str) -> None:
        with self._lock:
            setattr(self, kind, getattr(self, kind) + 1)
            self.notes.append(f"{kind}: {text}")
            if not self._quiet and len(self.notes) <= 40:
                print(f"  {kind}: {text}", flush=True)

    @property
    def total(self) -> int:
        return self.lost + self.torn + self.wrong


@dataclass
class Span:
    """When a request was begun, and when its answer was there."""

    began_at: float
    answered_at: float = float("inf")


@dataclass
class Part:
    """The records of one writer at some moment: `start`, then some of `requests`, in order.

    Once the server has been seen to hold one of these states, that one it must hold for ever.
    `spans` has the times of the requests; `moment` is what all parts of one backup share.
    """

    start: State
    requests: list[Request]
    spans: list[Span] = field(default_factory=list)
    moment: object = None

    def settle(self, seen: State, where: str, tally: Tally) -> None:
        """Compares, tells what is wrong, and goes on with what was seen."""
        if not self.cuts(seen):
            self._explain(seen, where, tally)
        self.start, self.requests, self.spans = dict(seen), [], []

    def cuts(self, seen: State) -> list[int]:
        """After how many of the requests the records are as seen."""
        state = dict(self.start)
        found = [0] if state == seen else []
        for number, request in enumerate(self.requests, start=1):
            request.apply(state)
            if state == seen:
                found.append(number)
        return found

    def _explain(self, seen: State, where: str, tally: Tally) -> None:
        possible = {key: {stamp} for key, stamp in self.start.items()}
        state, newest = dict(self.start), 0
        for request in self.requests:
            request.apply(state)
            newest = max(newest, request.stamp)
            for key in state.keys() | possible.keys():
                possible.setdefault(key, {None}).add(state.get(key))
        single = False
        for key in sorted(possible.keys() | seen.keys()):
            may, has = possible.get(key, {None}), seen.get(key)
            if has in may:
                continue
            single = True
            wanted = " or ".join("absent" if s is None else f"stamp {s}" for s in may)
            shown = "absent" if has is None else f"stamp {has}"
            is_late = has is not None and has > max([newest, *self.start.values()])
            tally.add("wrong" if is_late else "lost", f"{where} {key}: {shown}, must be {wanted}")
        if not single:
            requests = [(request.kind, request.stamp) for request in self.requests]
            tally.add("torn", f"{where}: the state lies between requests {requests}")


class Story:
    """What one writer has done to one index."""

    def __init__(self):
        self.state: State = {}
        self.acknowledged_count = 0
        self.last: Request | None = None
        self._stamp = 0
        self._sent: list[Request] = []
        self._spans: list[Span] = []
        self._acknowledged = 0
        self._lock = threading.Lock()

    @property
    def pending(self) -> Request | None:
        """The request whose outcome is not known."""
        with self._lock:
            return self._sent[-1] if len(self._sent) > self._acknowledged else None

    def next_stamp(self) -> int:
        """A stamp that was never used by this writer."""
        self._stamp += 1
        return self._stamp

    def begin(self, request: Request) -> None:
        """To be called before anything of the request is sent."""
        with self._lock:
            assert len(self._sent) == self._acknowledged, "one request at a time"
            self._sent.append(request)
            self._spans.append(Span(time.monotonic()))

    def acknowledge(self) -> None:
        """The request under way was answered with success."""
        with self._lock:
            self.last = self._sent[-1]
            self.last.apply(self.state)
            self._spans[-1].answered_at = time.monotonic()
            self._acknowledged += 1
            self.acknowledged_count += 1

    def refuse(self) -> None:
        """The request under way was refused: it has no effect."""
        with self._lock:
            self._sent.pop()
            self._spans.pop()

    def mark(self, moment: object) -> "Mark":
        """Begins to watch: a backup is about to be asked for."""
        with self._lock:
            return Mark(self, dict(self.state), self._acknowledged, moment)

    def settle(self, seen: State, where: str, tally: Tally) -> None:
        """Compares with what a server shows after a crash, and goes on with that."""
        pending = self.pending
        Part(dict(self.state), [pending] if pending else []).settle(seen, where, tally)
        with self._lock:
            self.state, self.last, self._acknowledged = dict(seen), None, 0
            self._sent, self._spans = [], []

    def sent_since(self, count: int) -> tuple[list[Request], list[Span]]:
        """What was sent after the first `count` requests, and when."""
        with self._lock:
            return self._sent[count:], self._spans[count:]


@dataclass
class Mark:
    """The moment at which a backup was asked for, as one writer saw it."""

    story: Story
    state: State
    acknowledged: int
    moment: object

    def close(self) -> Part:
        """Now the backup is answered (or the server dead): it holds no request sent later."""
        return Part(self.state, *self.story.sent_since(self.acknowledged), self.moment)


@dataclass
class Contents:
    """What a backup, and every index made from it, holds: a part for each writer."""

    parts: dict[str, Part] = field(default_factory=dict)

    def settle(self, seen: State, where: str, tally: Tally) -> None:
        """Compares with the records that are not anybody's since."""
        by_owner = split(seen)
        self._check_moment(by_owner, where, tally)
        for name in sorted(by_owner.keys() | self.parts.keys()):
            part = self.parts.setdefault(name, Part({}, []))
            part.settle(by_owner.get(name, {}), f"{where}, writer {name},", tally)

    def _check_moment(self, by_owner: dict[str, State], where: str, tally: Tally) -> None:
        """A backup shows all writers at one moment: none of its requests was begun after a request
        was answered that it leaves out."""
        left_out: dict[object, tuple[float, str]] = {}
        taken_in: dict[object, tuple[float, str]] = {}
        nothing_left, nothing_taken = (float("inf"), ""), (float("-inf"), "")
        for name, part in self.parts.items():
            cuts = part.cuts(by_owner.get(name, {}))
            # Where several cuts look the same, only what all of them say is certain.
            if cuts and cuts[-1] < len(part.spans):
                first = (part.spans[cuts[-1]].answered_at, name)
                left_out[part.moment] = min(first, left_out.get(part.moment, nothing_left))
            if cuts and 0 < cuts[0] <= len(part.spans):
                last = (part.spans[cuts[0] - 1].began_at, name)
                taken_in[part.moment] = max(last, taken_in.get(part.moment, nothing_taken))
        for moment in left_out.keys() & taken_in.keys():
            (answered_at, without), (began_at, has) = left_out[moment], taken_in[moment]
            if answered_at < began_at:
                text = f"a request of {has} but not one of {without} answered before it was begun"
                tally.add("torn", f"{where} holds {text}")

    def count_range(self) -> tuple[int, int]:
        """The least and the most records that it can hold."""
        least = most = 0
        for part in self.parts.values():
            state, counts = dict(part.start), [len(part.start)]
            for request in part.requests:
                request.apply(state)
                counts.append(len(state))
            least, most = least + min(counts), most + max(counts)
        return least, most


def split(state: State) -> dict[str, State]:
    """A state by the writers of its records."""
    parts: dict[str, State] = {}
    for key, stamp in state.items():
        parts.setdefault(owner(key[1]), {})[key] = stamp
    return parts


@dataclass
class Backup:
    """A backup that was acknowledged."""

    backup_id: str
    name: str
    contents: Contents


@dataclass
class Copy:
    """An index made from a backup, and what its one writer did to it since."""

    name: str
    contents: Contents
    writer: str
    story: Story = field(default_factory=Story)

    def settle(self, seen: State, where: str, tally: Tally) -> None:
        mine = {key: stamp for key, stamp in seen.items() if owner(key[1]) == self.writer}
        rest = {key: stamp for key, stamp in seen.items() if owner(key[1]) != self.writer}
        self.story.settle(mine, f"{where}, writer {self.writer},", tally)
        self.contents.settle(rest, where, tally)

    def marks(self) -> dict[str, Mark]:
        return {self.writer: self.story.mark(object())}


@dataclass
class Main:
    """The index that all writers write to."""

    name: str
    stories: dict[str, Story]
    contents: Contents = field(default_factory=Contents)

    def settle(self, seen: State, where: str, tally: Tally) -> None:
        by_owner = split(seen)
        for writer, story in self.stories.items():
            story.settle(by_owner.pop(writer, {}), f"{where}, writer {writer},", tally)
        for writer in by_owner:
            tally.add("wrong", f"{where} holds records of {writer}, which never wrote there")

    def marks(self) -> dict[str, Mark]:
        moment = object()
        return {writer: story.mark(moment) for writer, story in self.stories.items()}


@dataclass
class Oracle:
    """Everything that the server must hold. Only one thread changes backups and copies."""

    main: Main
    backups: dict[str, Backup] = field(default_factory=dict)
    copies: dict[str, Copy] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    # What the keeper had asked for when the server died: ("backup", name, contents), ("copy",
    # name, backup), ("drop copy", name) or ("drop backup", id).
    pending: tuple | None = None
    # Acknowledged writes to indexes that are gone by now.
    retired: int = 0

    def server_died(self) -> None:
        """To be called once after each end of the server, when no request can be sent any more."""
        if self.pending and self.pending[0] == "backup":
            kind, name, contents, marks = self.pending
            contents.parts |= {writer: mark.close() for writer, mark in marks.items()}
            self.pending = (kind, name, contents)

    @property
    def acknowledged(self) -> int:
        """Write requests acknowledged so far."""
        stories = [*self.main.stories.values(), *(copy.story for copy in self.copies.values())]
        return self.retired + sum(story.acknowledged_count for story in stories)
