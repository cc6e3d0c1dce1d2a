"""A Pinecone client of the smallest kind, over one connection that is kept.

It never sends a request twice: whether a request was carried out when no answer came is what the
crash suites are about. `Unanswered` means that the outcome is unknown.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from oracle import DIMENSION, Key, Request, State, Tally, record, stamp_of

HEADERS = {"Api-Key": "any", "X-Pinecone-API-Version": "2025-10",
           "Content-Type": "application/json"}
TIMEOUT_S = 20
PAGE = 100


class Unanswered(Exception):
    """No whole answer came: the request may have been carried out or not."""

    def __init__(self, text: str, began_at: float):
        super().__init__(text)
        # When the request was begun, on the monotonic clock.
        self.began_at = began_at


class Refused(Exception):
    """An answer that is no success where only success will do."""

    def __init__(self, reply: "Reply", text: str = ""):
        super().__init__(f"{text}status {reply.status}: {reply.text[:300]}")
        self.status, self.began_at = reply.status, reply.began_at


class ServerErrors:
    """Answers in the 500s, from all connections of this program: there must be none.

    A 503 is excused while the server starts or stops, when it is what it has to say; each
    connection is told when that is.
    """

    def __init__(self):
        self.count = 0
        self.first = ""
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        with self._lock:
            self.count += 1
            self.first = self.first or text


SERVER_ERRORS = ServerErrors()


def never() -> bool:
    """For a connection to a server that neither starts nor stops."""
    return False


def always() -> bool:
    """For a connection to a server that starts."""
    return True


@dataclass(frozen=True)
class Reply:
    """An answer: status, and the body as text or as the JSON it holds."""

    status: int
    text: str
    began_at: float

    @property
    def json(self) -> dict:
        return json.loads(self.text)

    def expect(self, *statuses: int) -> "Reply":
        if self.status not in (statuses or (200,)):
            raise Refused(self)
        return self


class Connection:
    """One keep-alive connection to a port of this machine.

    `may_be_unready` says whether a 503 is in order now.
    """

    def __init__(self, port: int, timeout_s: float = TIMEOUT_S,
                 may_be_unready: Callable[[], bool] = never):
        self.port = port
        self.may_be_unready = may_be_unready
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)

    def call(self, method: str, path: str, body: dict | None = None) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        began_at = time.monotonic()
        try:
            self._http.request(method, path, data, HEADERS)
            answer = self._http.getresponse()
            reply = Reply(answer.status, answer.read().decode(), began_at)
        except (OSError, http.client.HTTPException) as problem:
            self._http.close()
            text = f"{method} {path}: {type(problem).__name__} {problem}"
            raise Unanswered(text, began_at) from None
        if answer.will_close:
            self._http.close()
        if reply.status >= 500 and not (reply.status == 503 and self.may_be_unready()):
            SERVER_ERRORS.add(f"{method} {path}: {reply.status} {reply.text[:200]}")
        return reply

    def close(self) -> None:
        self._http.close()


class Control:
    """The control plane."""

    def __init__(self, port: int, may_be_unready: Callable[[], bool] = never):
        self.connection = Connection(port, may_be_unready=may_be_unready)
        self.call = self.connection.call

    def create_index(self, name: str) -> dict:
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": name, "dimension": DIMENSION, "metric": "dotproduct", "spec": spec}
        return self.call("POST", "/indexes", body).expect(201).json

    def describe_index(self, name: str) -> dict:
        return self.call("GET", f"/indexes/{name}").expect().json

    def indexes(self) -> list[dict]:
        return self.call("GET", "/indexes").expect().json["indexes"]

    def delete_index(self, name: str) -> None:
        self.call("DELETE", f"/indexes/{name}").expect(202)

    def create_backup(self, index: str, name: str) -> dict:
        return self.call("POST", f"/indexes/{index}/backups", {"name": name}).expect().json

    def delete_backup(self, backup_id: str) -> None:
        self.call("DELETE", f"/backups/{backup_id}").expect(202)

    def backups(self) -> list[dict]:
        return self._pages("/backups")

    def restore_jobs(self) -> list[dict]:
        """The newest page of them."""
        return self.call("GET", f"/restore-jobs?limit={PAGE}").expect().json["data"]

    def create_index_from_backup(self, backup_id: str, name: str) -> Reply:
        return self.call("POST", f"/backups/{backup_id}/create-index", {"name": name})

    def _pages(self, path: str) -> list[dict]:
        found, token = [], ""
        while True:
            query = {"limit": PAGE} | ({"paginationToken": token} if token else {})
            page = self.call("GET", f"{path}?{urlencode(query)}").expect().json
            found += page["data"]
            token = (page.get("pagination") or {}).get("next", "")
            if not token:
                return found

    def close(self) -> None:
        self.connection.close()


class Data:
    """The data plane of one index."""

    def __init__(self, host: str, may_be_unready: Callable[[], bool] = never):
        self.connection = Connection(port_of(host), may_be_unready=may_be_unready)
        self.call = self.connection.call

    def send(self, request: Request) -> Reply:
        """Sends a write as it stands."""
        return self.call("POST", *wire(request))

    def counts(self) -> dict[str, int]:
        """Records by namespace, without the empty ones."""
        reply = self.call("GET", "/describe_index_stats").expect()
        stats = reply.json
        counts = {name: entry["vectorCount"] for name, entry in stats["namespaces"].items()}
        if sum(counts.values()) != stats["totalVectorCount"]:
            raise Refused(reply, "the counts do not add up: ")
        return {"" if name == "__default__" else name: n for name, n in counts.items() if n}

    def namespace_count(self) -> int:
        """Namespaces, with the empty ones."""
        return len(self.call("GET", "/describe_index_stats").expect().json["namespaces"])

    def ids(self, namespace: str) -> list[str]:
        """All ids of a namespace, page by page."""
        found, token = [], ""
        while True:
            query = {"namespace": namespace, "limit": PAGE}
            query |= {"paginationToken": token} if token else {}
            page = self.call("GET", f"/vectors/list?{urlencode(query)}").expect().json
            found += [entry["id"] for entry in page["vectors"]]
            token = (page.get("pagination") or {}).get("next", "")
            if not token:
                return found

    def fetch(self, namespace: str, ids: list[str]) -> list[dict]:
        """Records by id; those that do not exist are missing."""
        words = [("ids", record_id) for record_id in ids] + [("namespace", namespace)]
        reply = self.call("GET", f"/vectors/fetch?{urlencode(words, quote_via=quote)}")
        return list(reply.expect().json["vectors"].values())

    def query(self, namespace: str) -> list[dict]:
        """All records of a namespace, by way of search."""
        body = {"namespace": namespace, "topK": 10_000, "vector": [1.0] * DIMENSION,
                "includeValues": True, "includeMetadata": True}
        return self.call("POST", "/query", body).expect().json["matches"]

    def close(self) -> None:
        self.connection.close()


def wire(request: Request) -> tuple[str, dict]:
    """Path and body of a write."""
    if request.kind == "upsert":
        records = [record((request.namespace, record_id), request.stamp)
                   for record_id in request.ids]
        return "/vectors/upsert", {"namespace": request.namespace, "vectors": records}
    if request.kind == "update":
        new = record((request.namespace, request.ids[0]), request.stamp)
        return "/vectors/update", {"namespace": request.namespace, "id": new["id"],
                                   "values": new["values"], "setMetadata": new["metadata"],
                                   "sparseValues": new["sparseValues"]}
    body = {"namespace": request.namespace}
    body |= {"ids": list(request.ids)} if request.kind == "delete" else {"deleteAll": True}
    return "/vectors/delete", body


def port_of(host: str) -> int:
    """The port in an index's host, which may come with a scheme or without."""
    return urlsplit(host if "//" in host else f"//{host}").port


def stamps(namespace: str, records: list[dict], where: str, tally: Tally) -> State:
    """The state that some records show. Each record must be whole, and there once."""
    state: State = {}
    for seen in records:
        key: Key = (namespace, seen["id"])
        stamp, problem = stamp_of(namespace, seen)
        if problem:
            tally.add("torn", f"{where} {key}: {problem}")
        if key in state:
            tally.add("wrong", f"{where} {key}: shown twice")
        state[key] = stamp
    return state
