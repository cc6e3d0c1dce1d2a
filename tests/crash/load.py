"""The load under which the server is killed: writers, and a keeper of backups.

Each writer sends one request at a time to the main index: upserts of several records with one
stamp, updates of one, deletions of several ids, and now and then "delete all" in a namespace of its
own; between them it reads, by id and by search. The keeper takes backups, makes indexes from them,
writes to those and deletes both. Every action is drawn from a seeded generator. `hold` makes all of
them stop between two requests, so that a kill can be placed after a pause in which nothing is under
way.
"""

import random
import threading
import time

from client import Control, Data, Refused, Unanswered, stamps
from oracle import Backup, Contents, Copy, Main, Oracle, Request, Tally

SHARED_NAMESPACES = ("", "books", "films")
IDS_PER_NAMESPACE = 40
BATCH_MAX = 12
COPIES_MAX = 2
BACKUPS_MAX = 3
HOLD_TIMEOUT_S = 15


class Load:
    """All the threads. `calm_s`: how long a worker rests after each acknowledged request.

    `dying` is set by whoever ends the server, just before: until then every request must succeed.
    Without `keeps` nobody takes backups by itself.
    """

    def __init__(self, port: int, oracle: Oracle, tally: Tally, seed: str, calm_s: float = 0.0,
                 *, keeps: bool = True):
        self.port, self.oracle, self.tally, self.calm_s = port, oracle, tally, calm_s
        self.dying = threading.Event()
        self._held, self._stopped = threading.Event(), threading.Event()
        host = oracle.hosts[oracle.main.name]
        self.workers: list[Worker] = [
            Writer(self, name, host, random.Random(f"{seed}/{name}"))
            for name in oracle.main.stories]
        if keeps:
            self.workers.append(Keeper(self, random.Random(f"{seed}/keeper")))

    def start(self) -> None:
        for worker in self.workers:
            worker.start()

    def hold(self) -> None:
        """Returns when every request has been answered and no new one begins."""
        self._held.set()
        until = time.monotonic() + HOLD_TIMEOUT_S
        while any(worker.is_alive() and not worker.parked for worker in self.workers):
            if time.monotonic() > until:
                self.tally.add("wrong", f"a request had no answer for {HOLD_TIMEOUT_S} s")
                return
            time.sleep(0.001)

    def finish(self) -> None:
        """Lets every worker end after the request it is at, or at once if the server is dead."""
        self._stopped.set()
        for worker in self.workers:
            worker.join()

    def may_go_on(self, worker: "Worker") -> bool:
        """Asked before each request; returns late while the load is held."""
        while self._held.is_set() and not self._stopped.is_set():
            worker.parked = True
            time.sleep(0.001)
        worker.parked = False
        return not self._stopped.is_set()


class Worker(threading.Thread):
    """A thread that repeats one action until the server goes away."""

    def __init__(self, load: Load, name: str, rng: random.Random):
        super().__init__(name=name, daemon=True)
        self.load, self.rng = load, rng
        # True while it has nothing under way and waits to be let on.
        self.parked = False
        # The request that the end of the server has cut off.
        self.ended_by: Unanswered | Refused | None = None

    def run(self) -> None:
        try:
            while self.load.may_go_on(self):
                self.act()
                time.sleep(self.load.calm_s or (self.rng.random() < 0.1) * 0.004)
        except (Unanswered, Refused) as problem:
            # A server that is stopping may say so with 503; the outcome is unknown then, too.
            self.ended_by = problem
            is_end = isinstance(problem, Unanswered) or problem.status == 503
            if not (is_end and self.load.dying.is_set()):
                text = f"{self.name}: no success from a live server: {problem}"
                self.load.tally.add("wrong", text)
        except Exception as problem:
            # An error of this harness must fail the suite too.
            self.load.tally.add("wrong", f"{self.name}: {type(problem).__name__}: {problem}")
        finally:
            self.close()

    def act(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def write(self, data: Data, story, request: Request) -> None:
        """Sends a write and notes down what came of it."""
        story.begin(request)
        reply = data.send(request)
        if reply.status == 200:
            return story.acknowledge()
        if reply.status == 404 and request.kind != "upsert":
            # Nothing was ever written to the namespace.
            story.refuse()
            touched = [key for key in story.state if key[0] == request.namespace]
            if touched:
                self.load.tally.add("lost", f"namespace {request.namespace!r} is not found")
            return None
        raise Refused(reply, f"{request.kind} {request.stamp}: ")


class Writer(Worker):
    """Writes to the main index."""

    def __init__(self, load: Load, name: str, host: str, rng: random.Random):
        super().__init__(load, name, rng)
        self.story = load.oracle.main.stories[name]
        self.data = Data(host, load.dying.is_set)

    def act(self) -> None:
        request = self.draw()
        self.write(self.data, self.story, request)
        chance = self.rng.random()
        if chance < 0.05:
            self.read_back(request)
        elif chance < 0.07:
            # What others write meanwhile may be seen or not, but no record may be half of it.
            namespace = self.rng.choice(SHARED_NAMESPACES)
            found = self.data.query(namespace)
            stamps(namespace, found, f"query by {self.name}", self.load.tally)

    def draw(self) -> Request:
        rng, chance, stamp = self.rng, self.rng.random(), self.story.next_stamp()
        own = f"own-{self.name}"
        if chance < 0.02:
            return Request("delete_all", own, (), stamp)
        namespace = own if chance < 0.2 else rng.choice(SHARED_NAMESPACES)
        # An update leaves alone what it does not name: only one that names all there is has a
        # whole record behind it.
        if chance > 0.6 and stamp % 5 and stamp % 3 == 0:
            record_id = f"{self.name}-{rng.randrange(IDS_PER_NAMESPACE)}"
            return Request("update", namespace, (record_id,), stamp)
        numbers = rng.sample(range(IDS_PER_NAMESPACE), rng.randint(1, BATCH_MAX))
        kind = "upsert" if rng.random() < 0.75 else "delete"
        return Request(kind, namespace, tuple(f"{self.name}-{n}" for n in numbers), stamp)

    def read_back(self, request: Request) -> None:
        """A read sees what was acknowledged before it."""
        if not request.ids:
            return
        where = f"read after write by {self.name}"
        fetched = self.data.fetch(request.namespace, list(request.ids))
        seen = stamps(request.namespace, fetched, where, self.load.tally)
        keys = [(request.namespace, record_id) for record_id in request.ids]
        wanted = {key: self.story.state[key] for key in keys if key in self.story.state}
        if seen != wanted:
            self.load.tally.add("lost", f"{where}: {seen} after {request.kind} {request.stamp}")

    def close(self) -> None:
        self.data.close()


class Keeper(Worker):
    """Takes backups, makes indexes from them, and deletes both. Alone in doing so."""

    def __init__(self, load: Load, rng: random.Random):
        super().__init__(load, "keeper", rng)
        self.oracle = load.oracle
        self.control = Control(load.port, load.dying.is_set)
        self.data: dict[str, Data] = {}

    def act(self) -> None:
        oracle, chance = self.oracle, self.rng.random()
        if len(oracle.backups) > BACKUPS_MAX:
            self.drop_backup()
        elif chance < 0.3 or not oracle.backups:
            self.back_up()
        elif chance < 0.5 and len(oracle.copies) < COPIES_MAX:
            self.make_copy()
        elif chance < 0.6 and oracle.copies:
            self.drop_copy()
        elif oracle.copies:
            self.write_to_copy()
        time.sleep(self.rng.uniform(0.005, 0.04))

    def back_up(self) -> None:
        self.back_up_of(self.rng.choice([self.oracle.main, *self.oracle.copies.values()]))

    def back_up_of(self, source: Main | Copy) -> Backup:
        """Takes a backup, and notes down what it may hold."""
        name = self.fresh_name("backup")
        # Shared with the source, so that what is once seen of it holds for all its descendants.
        contents, marks = Contents(dict(source.contents.parts)), source.marks()
        self.oracle.pending = ("backup", name, contents, marks)
        made = self.control.create_backup(source.name, name)
        contents.parts |= {writer: mark.close() for writer, mark in marks.items()}
        backup = Backup(made["backup_id"], name, contents)
        self.oracle.backups[backup.backup_id] = backup
        self.oracle.pending = None
        return backup

    def make_copy(self) -> None:
        backup = self.rng.choice(list(self.oracle.backups.values()))
        name = self.fresh_name("copy")
        self.oracle.pending = ("copy", name, backup)
        self.control.create_index_from_backup(backup.backup_id, name).expect(202)
        self.oracle.copies[name] = copy_of(name, backup)
        self.oracle.pending = None
        self.oracle.hosts[name] = self.control.describe_index(name)["host"]

    def write_to_copy(self) -> None:
        copy = self.rng.choice(list(self.oracle.copies.values()))
        if copy.name not in self.oracle.hosts:
            self.oracle.hosts[copy.name] = self.control.describe_index(copy.name)["host"]
        if copy.name not in self.data:
            self.data[copy.name] = Data(self.oracle.hosts[copy.name], self.load.dying.is_set)
        numbers = self.rng.sample(range(IDS_PER_NAMESPACE), self.rng.randint(1, BATCH_MAX))
        kind = "upsert" if self.rng.random() < 0.7 else "delete"
        namespace = self.rng.choice(("", "books", "new"))
        ids = tuple(f"{copy.writer}-{number}" for number in numbers)
        request = Request(kind, namespace, ids, copy.story.next_stamp())
        self.write(self.data[copy.name], copy.story, request)

    def drop_copy(self) -> None:
        name = self.rng.choice(list(self.oracle.copies))
        self.oracle.pending = ("drop copy", name)
        self.control.delete_index(name)
        forget_copy(self.oracle, name)
        self.oracle.pending = None
        if name in self.data:
            self.data.pop(name).close()

    def drop_backup(self) -> None:
        backup_id = self.rng.choice(list(self.oracle.backups))
        self.oracle.pending = ("drop backup", backup_id)
        self.control.delete_backup(backup_id)
        del self.oracle.backups[backup_id]
        self.oracle.pending = None

    def fresh_name(self, word: str) -> str:
        return f"{word}-{self.rng.getrandbits(40):010x}"

    def close(self) -> None:
        self.control.close()
        for data in self.data.values():
            data.close()


def copy_of(name: str, backup: Backup) -> Copy:
    """What an index that was just made from a backup holds."""
    return Copy(name, backup.contents, writer=f"k{name.partition('-')[2]}")


def forget_copy(oracle: Oracle, name: str) -> None:
    """An index is gone."""
    oracle.retired += oracle.copies.pop(name).story.acknowledged_count
    oracle.hosts.pop(name, None)
