"""Compares a server that was started again with what it must hold.

The first thing is a read of a record that had been acknowledged, tried from the moment the process
is started: the first read that succeeds must already be right. Then everything is read: indexes and
their addresses, backups, restore jobs, every record of every index by fetch, by query and by the
list of ids, and the counts. Then one backup is restored under a new name and compared. What is
unknown because its answer never came must be there whole or not at all. Last, the server is asked
to look for damage itself.
"""

import random

import verify
from client import Control, Data, Refused, Unanswered, always, port_of, stamps
from load import copy_of, forget_copy
from oracle import Backup, Oracle, State, Story, Tally
from server import Server


class Audit:
    """One comparison, after one end of the server. `deep`: verify reads everything."""

    def __init__(self, server: Server, oracle: Oracle, tally: Tally, rng: random.Random,
                 *, deep: bool = False):
        self.server, self.oracle, self.tally, self.rng = server, oracle, tally, rng
        self.deep = deep
        self.control = Control(server.port)

    def run(self) -> None:
        """Raises `ServerGone` or `Refused` when the server cannot be asked."""
        try:
            self.first_read()
            self.server.wait_ready()
            self.settle_pending()
            self.check_indexes()
            self.check_backups()
            self.check_jobs()
            self.check_index(self.oracle.main)
            for copy in list(self.oracle.copies.values()):
                self.check_index(copy)
            if self.oracle.backups:
                self.check_restore(self.rng.choice(list(self.oracle.backups.values())))
            verify.look(self.server.data, self.tally, "after the restart", deep=self.deep)
        except Unanswered as problem:
            self.tally.add("wrong", f"no answer from the server after its restart: {problem}")
        finally:
            self.control.close()

    def first_read(self) -> None:
        """Reads what one writer wrote last, as soon as anything can be read."""
        stories = [story for story in self.oracle.main.stories.values() if certain(story)]
        if not stories:
            return self.server.wait_ready()
        story = self.rng.choice(stories)
        wanted = certain(story)
        namespace = story.last.namespace
        data = Data(self.oracle.hosts[self.oracle.main.name], always)
        found: list = []

        def attempt() -> bool:
            try:
                found[:] = data.fetch(namespace, [key[1] for key in wanted])
            except Refused as problem:
                if problem.status == 503:
                    return False
                raise
            return True

        try:
            self.server.retry(attempt)
        finally:
            data.close()
        seen = stamps(namespace, found, "first read", self.tally)
        for key, stamp in wanted.items():
            if seen.get(key) != stamp:
                self.tally.add("lost", f"first read {key}: {seen.get(key)}, must be {stamp}")

    def settle_pending(self) -> None:
        """Finds out what came of what the keeper had asked for."""
        pending, self.oracle.pending = self.oracle.pending, None
        if pending is None:
            return
        kind, name, *rest = pending
        names = {index["name"] for index in self.control.indexes()}
        if kind == "backup":
            for row in self.control.backups():
                if row.get("name") == name and row["status"] == "Ready":
                    made = Backup(row["backup_id"], name, rest[0])
                    self.oracle.backups[made.backup_id] = made
        elif kind == "copy":
            self._settle_copy(name, rest[0], name in names)
        elif kind == "drop copy" and name not in names:
            forget_copy(self.oracle, name)
        elif kind == "drop backup":
            if name not in {row["backup_id"] for row in self.control.backups()}:
                del self.oracle.backups[name]

    def _settle_copy(self, name: str, backup: Backup, exists: bool) -> None:
        # Half of the time it is asked for again, as a client does that had no answer.
        if self.rng.random() < 0.5:
            reply = self.control.create_index_from_backup(backup.backup_id, name)
            if reply.status != 202 and not (exists and reply.status == 409):
                text = f"status {reply.status} {reply.text[:200]}"
                self.tally.add("wrong", f"repeated creation of {name} from its backup: {text}")
            exists = exists or reply.status == 202
        if exists:
            self.oracle.copies[name] = copy_of(name, backup)

    def check_indexes(self) -> None:
        """All indexes are listed, ready, under their addresses; no others."""
        oracle, listed = self.oracle, {row["name"]: row for row in self.control.indexes()}
        for name in [oracle.main.name, *oracle.copies]:
            row = listed.pop(name, None)
            if row is None:
                self.tally.add("lost", f"index {name}")
                oracle.copies.pop(name, None)
                continue
            if not row["status"]["ready"]:
                self.tally.add("wrong", f"index {name} is not ready: {row['status']}")
            if row["host"] != self.control.describe_index(name)["host"]:
                self.tally.add("wrong", f"index {name} has two hosts")
            known = oracle.hosts.setdefault(name, row["host"])
            if port_of(known) != port_of(row["host"]):
                text = f"moved from {known} to {row['host']}"
                self.tally.add("wrong", f"index {name} {text}")
        for name in listed:
            self.tally.add("wrong", f"index {name} is there; nobody made it, or it was deleted")

    def check_backups(self) -> None:
        """Every backup is listed, Ready, with counts that can be true; no others."""
        rows = self.control.backups()
        listed = {row["backup_id"]: row for row in rows}
        if len(listed) != len(rows):
            self.tally.add("wrong", "a backup is listed twice")
        for backup in list(self.oracle.backups.values()):
            row = listed.pop(backup.backup_id, None)
            if row is None or row["status"] != "Ready":
                what = f"is {row['status']}" if row else "is not listed"
                self.tally.add("lost", f"backup {backup.name} {what}")
                del self.oracle.backups[backup.backup_id]
                continue
            least, most = backup.contents.count_range()
            if not least <= row["record_count"] <= most:
                text = f"{row['record_count']} records, must be {least} to {most}"
                self.tally.add("wrong", f"backup {backup.name} is listed with {text}")
        for backup_id, row in listed.items():
            if row["status"] != "Failed":
                self.tally.add("wrong", f"backup {row['name']} is {row['status']}, must be absent")
            # What a kill has cut off is thrown away, as its owner would.
            self.control.delete_backup(backup_id)

    def check_jobs(self) -> None:
        for job in self.control.restore_jobs():
            if job["status"] not in ("Completed", "Failed"):
                self.tally.add("wrong", f"restore of {job['target_index_name']} {job['status']}")

    def check_index(self, index) -> None:
        """Reads all of an index in every way there is; `index` says what must be there."""
        data = Data(self.oracle.hosts[index.name])
        try:
            index.settle(self.read_all(data, index.name), f"index {index.name}", self.tally)
        finally:
            data.close()

    def read_all(self, data: Data, name: str) -> State:
        """All records, by query; compared with counts, lists of ids and fetches."""
        counts, state = data.counts(), {}
        for namespace, count in counts.items():
            where = f"index {name} namespace {namespace!r}"
            found = stamps(namespace, data.query(namespace), f"{where} by query", self.tally)
            ids = data.ids(namespace)
            if len(ids) != len(set(ids)) or len(ids) != count:
                self.tally.add("wrong", f"{where}: {len(ids)} ids listed, counted {count}")
            fetched = {}
            for start in range(0, len(ids), 100):
                some = data.fetch(namespace, ids[start:start + 100])
                fetched |= stamps(namespace, some, f"{where} by fetch", self.tally)
            if found != fetched or len(found) != count:
                differ = sorted(found.items() ^ fetched.items())[:3]
                text = f"{len(found)} by query, {len(fetched)} by fetch, {count} counted: {differ}"
                self.tally.add("wrong", f"{where}: {text}")
            state |= fetched
        return state

    def check_restore(self, backup: Backup) -> None:
        """A backup restores to exactly its contents, and its counts are true."""
        row = self.control.call("GET", f"/backups/{backup.backup_id}").expect().json
        name = f"probe-{self.rng.getrandbits(40):010x}"
        self.control.create_index_from_backup(backup.backup_id, name).expect(202)
        data = Data(self.control.describe_index(name)["host"])
        try:
            state = self.read_all(data, name)
            namespaces = data.namespace_count()
        finally:
            data.close()
        if row["namespace_count"] != namespaces:
            text = f"says {row['namespace_count']} namespaces and holds {namespaces}"
            self.tally.add("wrong", f"backup {backup.name} {text}")
        backup.contents.settle(state, f"backup {backup.name} restored", self.tally)
        if row["record_count"] != len(state):
            text = f"says {row['record_count']} records and holds {len(state)}"
            self.tally.add("wrong", f"backup {backup.name} {text}")
        self.tally.compared += 1
        self.control.delete_index(name)


def certain(story: Story) -> dict:
    """What the last acknowledged request of a writer left, as far as it is certain. A deleted
    record stands there as None."""
    if story.last is None or not story.last.ids:
        return {}
    pending = story.pending
    blurred = set() if pending is None or pending.namespace != story.last.namespace else (
        set(pending.ids) if pending.ids else set(story.last.ids))
    namespace = story.last.namespace
    return {(namespace, record_id): story.state.get((namespace, record_id))
            for record_id in story.last.ids if record_id not in blurred}
