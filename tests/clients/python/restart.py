"""A restart as a client sees it: `restart.py write|compare --url URL --seen FILE`.

Goal: after a stop, clean or not, everything is there again, addresses of indexes included. Method:
`write` makes indexes, backups and restored indexes and notes down everything a client can read;
the server is stopped and started on the same data by whoever calls this; `compare` reads everything
again and compares. `write` may be called again: it adds to what is there.
"""

import argparse
import json
import sys
import uuid
from pathlib import Path

import dialect
import sample


def write(client) -> None:
    """An index with a past: records replaced and deleted, a backup, more changes, a restore."""
    mark = uuid.uuid4().hex[:8]
    source = f"source-{mark}"
    client.create_index(name=source, dimension=sample.DIMENSION, metric="euclidean",
                        spec=dialect.SPEC, tags={"mark": mark})
    index = client.Index(source)
    for namespace in ("", "books"):
        index.upsert(vectors=sample.records(1, 150, "r"), namespace=namespace)
    index.delete(ids=[f"r{number:04}" for number in range(0, 150, 3)])
    backup = client.create_backup(index_name=source, backup_name=f"b-{mark}", description="d")
    index.delete(delete_all=True, namespace="books")
    index.upsert(vectors=sample.records(2, 40, "later"))
    client.create_index_from_backup(name=f"restored-{mark}", backup_id=backup.backup_id)
    client.create_index(name=f"gone-{mark}", dimension=3, metric="cosine", spec=dialect.SPEC)
    client.delete_index(f"gone-{mark}")
    client.create_index(name=f"empty-{mark}", dimension=3, metric="cosine", spec=dialect.SPEC)


def everything(client) -> dict:
    """All that a client can read, in a form that JSON keeps."""
    indexes = {index.name: described(client, index.name) for index in client.list_indexes()}
    backups = [[backup.backup_id, backup.name, backup.source_index_name, backup.status,
                backup.record_count, backup.namespace_count, backup.size_bytes,
                str(backup.created_at)] for backup in client.list_backups(limit=100)]
    jobs = [[job.restore_job_id, job.backup_id, job.target_index_name, job.status,
             str(job.created_at), str(job.completed_at)]
            for job in client.list_restore_jobs(limit=100)]
    return {"indexes": indexes, "backups": backups, "jobs": jobs}


def described(client, name: str) -> dict:
    about = client.describe_index(name)
    index = client.Index(name)
    found = {"host": about.host, "shape": dialect.shape_of(about), "ready": about.status.ready,
             "tags": dialect.plain(about.tags), "counts": dialect.counts(index), "records": {}}
    for namespace in found["counts"]:
        ids = [id for page in index.list(namespace=namespace) for id in ids_of(page)]
        records = {}
        for start in range(0, len(ids), 50):
            fetched = index.fetch(ids=ids[start:start + 50], namespace=namespace).vectors
            records |= {id: [list(vector.values), dialect.plain(vector.metadata)]
                        for id, vector in fetched.items()}
        hits = index.query(vector=[0.5] * about.dimension, top_k=20, namespace=namespace).matches
        found["records"][namespace] = [records, [[hit.id, hit.score] for hit in hits]]
    return found


def ids_of(page) -> list[str]:
    """Older clients give a page as a list of ids, newer ones as the reply."""
    return page if isinstance(page, list) else [entry.id for entry in page.vectors]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("phase", choices=("write", "compare"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--seen", type=Path, required=True)
    options = parser.parse_args()
    client = dialect.control(dialect.Server(options.url))
    if options.phase == "write":
        write(client)
        options.seen.write_text(json.dumps(everything(client)))
        return 0
    before = json.loads(options.seen.read_text())
    now = json.loads(json.dumps(everything(client)))
    same = before == now and len(now["indexes"]) >= 3
    for kind in before if not same else ():
        print(f"{kind} before: {json.dumps(before[kind])[:2000]}")
        print(f"{kind} after:  {json.dumps(now[kind])[:2000]}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
