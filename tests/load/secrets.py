#!/usr/bin/env python3
"""Secrets stay where they belong: keys with the client, records in the data, neither in a log.

Goal: the text of an API key is in no log line, no answer, no file of the data folder and in no list
of processes, whatever happens and at every level of logging; values, metadata and ids of records
are in no log line and on no page of metrics. Method: two keys (one revoked later) and records with
words that stand nowhere else; use of every kind, with right and wrong keys, good and bad requests,
on REST and gRPC, with logging of everything; backups, `verify`, `keys list`, a kill and a restart.
Then every place is searched for the words, also in base64, in hex and as f32.

    secrets.py                  the same every time, but for the words
    secrets.py --long           three times, with JSON logs and with TLS too

`--self-test` alone shows that the search can fail: each word is hidden in a place, plainly and
packed, and must be found; it also runs before.
"""

import base64
import gzip
import http.client
import json
import random
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import http2
from suite import Report, Watched, begin, port_of

# Also what the libraries below say.
LEVELS = ("trace", "debug", "info")
DIMENSION = 8


class Words:
    """The words that are looked for, each in every form it may take."""

    def __init__(self):
        self.forms: dict[str, list[bytes]] = {}

    def add(self, name: str, text: bytes) -> None:
        plain = [text, text.hex().encode(), text.hex().upper().encode(), text[::-1]]
        # In base64 a text looks different at each of three places.
        for skip in range(3):
            code = base64.b64encode(b"\0" * skip + text)
            plain.append(code[4 if skip else 0:len(code) // 4 * 4 - 4])
        self.forms[name] = plain

    def add_number(self, name: str, value: float) -> None:
        """A number, as it is printed and as it is stored."""
        packed = struct.pack("<f", value)
        shown = struct.unpack("<f", packed)[0]
        self.forms[name] = [repr(value).encode(), f"{shown:.9g}".encode()]

    def found_in(self, content: bytes, names: set[str]) -> list[str]:
        """The names of the words that are in there."""
        return [name for name, forms in self.forms.items() if name in names
                and any(form in content for form in forms)]


class Place:
    """What was seen in one place, to be searched at the end."""

    def __init__(self):
        self.contents: dict[str, bytes] = {}

    def add(self, name: str, content: bytes) -> None:
        self.contents[name] = self.contents.get(name, b"") + content + b"\n"

    def search(self, words: Words, names: set[str]) -> list[str]:
        found = []
        for name, content in self.contents.items():
            found += [f"{word} in {name}" for word in words.found_in(content, names)]
        return found


def main() -> int:
    options, report = begin("secrets", __doc__)
    self_test(report)
    if not options.self_test:
        runs = [(LEVELS[0], ())]
        if options.long:
            runs += [(LEVELS[1], ("--log-format", "json")), (LEVELS[2], ("--tls", "local"))]
        for number, (level, flags) in enumerate(runs):
            with tempfile.TemporaryDirectory(prefix="lodgepole-secrets-") as folder:
                Run(options, report, Path(folder), level, flags, number).run()
    return report.end()


class Run:
    """One server, used in every way."""

    def __init__(self, options, report: Report, home: Path, level: str, flags: tuple, number: int):
        self.report, self.level, self.flags = report, level, flags
        self.server = Watched(options.binary, home, flags, level=level)
        self.binary, self.home = options.binary, home
        rng = random.Random(f"{options.seed}/{number}")
        self.words, self.answers, self.processes = Words(), Place(), Place()
        self.made = Place()
        self.metadata = f"canary-{rng.getrandbits(64):016x}"
        self.record_id = f"record-{rng.getrandbits(64):016x}"
        self.value = struct.unpack("<f", struct.pack("<f", rng.uniform(1_000, 9_000)))[0]
        self.wrong = f"pckey_wrongkey_{rng.getrandbits(160):040x}"
        for name, text in (("metadata", self.metadata), ("id", self.record_id),
                           ("wrong key", self.wrong)):
            self.words.add(name, text.encode())
        self.words.add_number("value", self.value)
        self.requests = 0

    def run(self) -> None:
        self.key("first")
        with self.server:
            self.server.begin()
            self.key("second")
            self.use()
            self.metrics()
            self.revoke("second")
            self.call(self.server.port, "GET", "/indexes", key="second", expect=(401,))
            self.look_at_processes()
            self.tools()
            self.server.kill()
            self.server.begin()
            self.call(self.server.port, "GET", "/indexes")
            self.fail_inside()
            self.report.check("a clean stop", self.server.stop() == 0, self.server.tail())
        self.tools()
        self.search()

    def key(self, name: str) -> None:
        """Makes a key: its text is shown once, and only there."""
        done = self.tool("keys", "create", "--name", name)
        text = done.stdout.strip()
        self.report.check(f"the {name} key is shown when it is made", text.startswith("pckey_"),
                          done.stderr)
        self.words.add(f"key {name}", text.encode())
        # The part that is not its id is the secret; half of it would be too much as well.
        secret = text.rpartition("_")[2]
        self.words.add(f"half of key {name}", secret[-len(secret) // 2:].encode())
        setattr(self, f"key_{name}", text)
        self.made.add("keys create, on stderr", done.stderr.encode())

    def revoke(self, name: str) -> None:
        done = self.tool("keys", "revoke", name)
        self.made.add("keys revoke", (done.stdout + done.stderr).encode())
        self.report.check("a key can be revoked", done.returncode == 0, done.stderr)

    def tool(self, *words: str) -> subprocess.CompletedProcess:
        command = [str(self.binary), *words, "--data-dir", str(self.server.data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def use(self) -> None:
        """Every kind of request, right and wrong."""
        control = self.server.port
        spec = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": "main", "dimension": DIMENSION, "metric": "dotproduct", "spec": spec}
        made = self.call(control, "POST", "/indexes", body, expect=(201,))
        self.data_port = data = port_of(json.loads(made)["host"])
        record = {"id": self.record_id, "values": [self.value] * DIMENSION,
                  "metadata": {"word": self.metadata, self.metadata: True}}
        fetch = f"/vectors/fetch?ids={self.record_id}"
        query = {"vector": [self.value] * DIMENSION, "topK": 3, "includeValues": True,
                 "includeMetadata": True, "filter": {"word": {"$eq": self.metadata}}}
        good = (("POST", "/vectors/upsert", {"vectors": [record]}), ("POST", "/query", query),
                ("GET", fetch, None), ("GET", f"/vectors/list?prefix={self.record_id[:20]}", None),
                ("POST", "/vectors/update", {"id": self.record_id,
                                             "setMetadata": {"more": self.metadata}}),
                ("POST", "/vectors/fetch_by_metadata", {"filter": {"word": self.metadata}}),
                ("POST", "/describe_index_stats", {}))
        for method, path, sent in good:
            self.call(data, method, path, sent, expect=(200,))
        bad = (("POST", "/vectors/upsert", {"vectors": [record | {"values": [self.value] * 7}]}),
               ("POST", "/vectors/upsert", {"vectors": [record | {"metadata": {
                   self.metadata: {"nested": self.metadata}}}]}),
               ("POST", "/query", query | {"filter": {"word": {f"${self.metadata}": 1}}}),
               ("POST", "/query", query | {"topK": 0}), ("POST", "/query", {"id": self.metadata}),
               ("POST", "/vectors/delete", {"ids": [self.record_id], "filter": {"a": 1}}),
               ("POST", "/nothing", {}), ("PUT", "/query", query))
        for method, path, sent in bad:
            self.call(data, method, path, sent)
        for key in ("wrong", "none", "broken"):
            for port, method, path, sent in ((control, "GET", "/indexes", None),
                                             (data, *good[0]), (data, *good[1])):
                self.call(port, method, path, sent, key=key, expect=(401,))
        # A key in the wrong place, where careless programs log it.
        self.call(control, "GET", "/indexes", more={"Authorization": f"Bearer {self.key_first}"})
        self.call(control, "GET", "/indexes", more={"X-Request-Id": "plain"})
        self.raw(data, f"POST /query HTTP/1.1\r\nHost: a\r\nApi-Key: {self.key_first}\r\n"
                       "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabc".encode())
        self.grpc(data)
        backup = json.loads(self.call(control, "POST", "/indexes/main/backups", {"name": "b"},
                                      expect=(200,)))
        self.call(control, "POST", f"/backups/{backup['backup_id']}/create-index",
                  {"name": "again"}, expect=(202,))
        self.call(control, "GET", "/backups", expect=(200,))

    def grpc(self, port: int) -> None:
        """Calls with a right and a wrong key, and messages that are none."""
        if "--tls" in self.flags:
            return
        for key in (self.key_first, self.wrong):
            block = http2.header_block([
                (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"),
                (b":path", b"/VectorService/Query"), (b"api-key", key.encode()),
                (b"te", b"trailers"), (b"content-type", b"application/grpc")])
            for message in (b"", b"\x0a" + self.metadata.encode()):
                data = struct.pack(">BI", 0, len(message)) + message
                self.raw(port, http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
                         + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block)
                         + http2.frame(http2.DATA, http2.END_STREAM, 1, data))

    def fail_inside(self) -> None:
        """A failure of the server's own: the files of an index are taken away, and put back."""
        moved = self.server.data / "ix.away"
        # What is open already may still be read: a fresh index must be opened from its files.
        self.server.kill()
        self.server.begin()
        (self.server.data / "ix").rename(moved)
        record = {"id": self.record_id, "values": [self.value] * DIMENSION,
                  "metadata": {"word": self.metadata}}
        self.call(self.data_port, "POST", "/vectors/upsert", {"vectors": [record]},
                  expect=(500, 503))
        self.call(self.data_port, "GET", f"/vectors/fetch?ids={self.record_id}", expect=(500, 503))
        self.server.kill()
        shutil.rmtree(self.server.data / "ix", ignore_errors=True)
        moved.rename(self.server.data / "ix")
        self.server.begin()
        self.call(self.data_port, "GET", f"/vectors/fetch?ids={self.record_id}", expect=(200,))

    def metrics(self) -> None:
        self.made.add("metrics", self.call(self.server.port, "GET", "/metrics",
                                           expect=(200,)).encode())

    def look_at_processes(self) -> None:
        folder = Path("/proc", str(self.server.process.pid))
        for name in ("cmdline", "environ"):
            self.processes.add(name, (folder / name).read_bytes())

    def tools(self) -> None:
        """What the command line says about the data."""
        for words in (("verify",), ("verify", "--deep"), ("keys", "list", "--all")):
            done = self.tool(*words)
            self.made.add(" ".join(words), (done.stdout + done.stderr).encode())
            self.report.check(f"{' '.join(words)} works", done.returncode == 0, done.stderr)
        for words in (("--help",), ("serve", "--help"), ("config", "--defaults")):
            done = subprocess.run([str(self.binary), *words], capture_output=True)
            self.made.add(" ".join(words), done.stdout + done.stderr)

    def call(self, port: int, method: str, path: str, body: dict | None = None,
             key: str = "first", more: dict | None = None, expect: tuple = ()) -> str:
        """One request; its answer is kept, with its headers, to be searched."""
        keys = {"wrong": self.wrong, "none": None, "broken": "pckey_"}
        text = keys[key] if key in keys else getattr(self, f"key_{key}")
        headers = {"X-Pinecone-API-Version": "2025-10", "Content-Type": "application/json"}
        headers |= ({"Api-Key": text} if text else {}) | (more or {})
        if "--tls" in self.flags:
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.requests += 1
        self.answers.add(f"answer to {method} {path}",
                         f"{answer.status} {answer.headers}".encode() + content)
        if expect:
            self.report.check(f"{method} {path.partition('?')[0]} with the {key} key",
                              answer.status in expect, (answer.status, content[:300]))
        return content.decode()

    def raw(self, port: int, payload: bytes) -> None:
        """Bytes as they are; the answer is kept."""
        if "--tls" in self.flags:
            return
        with socket.create_connection(("127.0.0.1", port), 5) as peer:
            peer.sendall(payload)
            peer.settimeout(0.3)
            said = b""
            try:
                while piece := peer.recv(65_536):
                    said += piece
            except OSError:
                pass
        self.requests += 1
        self.answers.add("answer to raw bytes", said)

    def search(self) -> None:
        """Every place, for every word that must not be there."""
        keys = {name for name in self.words.forms if "key" in name}
        everything = set(self.words.forms)
        log = Place()
        log.add("the log", self.server.log.read_bytes())
        files = Place()
        count = 0
        for file in sorted(self.server.data.rglob("*")):
            if file.is_file():
                content = file.read_bytes()
                files.add(str(file.relative_to(self.server.data)), content + unpacked(content))
                count += 1
        for what, place, names in (
                ("the log", log, everything), ("an answer", self.answers, keys),
                ("the data folder", files, keys), ("the list of processes", self.processes, keys),
                ("metrics and tools", self.made, everything)):
            found = place.search(self.words, names)
            self.report.check(f"no secret is in {what} ({self.level})", not found, found[:5])
        self.report.check("the log is not empty, and has every request",
                          log.contents["the log"].count(b"request_id") >= self.requests // 2
                          or self.level == "info", len(log.contents["the log"]))
        self.report.log(self.server, allowed_errors=("request failed",))
        # The search finds what is there: answers hold the metadata that was asked for.
        there = self.answers.search(self.words, {"metadata", "id", "value"})
        self.report.check("the search finds what must be there", len(there) >= 3, there)
        self.report.figures("searched", level=self.level, requests=self.requests,
                            log_bytes=len(log.contents["the log"]), files=count,
                            words=len(everything), answers=len(self.answers.contents))


def unpacked(content: bytes) -> bytes:
    """What is packed with gzip or zlib in there, as far as it can be found."""
    out = b""
    for start in (index for index in range(len(content) - 2) if content[index:index + 2]
                  in (b"\x1f\x8b", b"\x78\x9c")):
        try:
            out += zlib.decompressobj(47).decompress(content[start:])
        except zlib.error:
            pass
    return out


def self_test(report: Report) -> None:
    """Each form of a word is found where it is hidden; where it is not, nothing is found."""
    words = Words()
    words.add("key", b"pckey_abcdefgh_0123456789abcdefghij")
    words.add_number("value", 1234.5677490234375)
    text = b"pckey_abcdefgh_0123456789abcdefghij"
    hidden = {"plainly": b"x " + text + b" y", "in hex": text.hex().encode(),
              "in base64": base64.b64encode(b"Bearer " + text + b" and so on"),
              "in base64, elsewhere": base64.b64encode(b"Bearer x" + text + b" and so on"),
              "in base64, at a third place": base64.b64encode(b"Bearer xy" + text + b" and so on"),
              "packed": unpacked(b"junk" + gzip.compress(b"a" + text))}
    for how, content in hidden.items():
        found = words.found_in(content, {"key"})
        report.check(f"self-test: a key {how} is found", found == ["key"], found)
    report.check("self-test: a value is found",
                 words.found_in(b"values: [1234.5677490234375]", {"value"}) == ["value"])
    report.check("self-test: nothing is found where nothing is",
                 not words.found_in(b"pckey_abcdefgh_01234", {"key", "value"}))


if __name__ == "__main__":
    sys.exit(main())
