#!/usr/bin/env python3
"""Garbage on every port: nothing panics, memory stays, an ordinary client is served.

Goal: whatever bytes arrive, the server answers with a 4xx or closes the connection; it never
panics, never answers 5xx, and does not grow. Method: seeded connections of many kinds to the
control plane and to an index, half of them damaged from good requests: random bytes, HTTP/1.1 with
huge or broken heads, random frames of HTTP/2, streams that are reset as soon as they are opened,
floods of settings and pings, headers without an end, gzip that unpacks to gigabytes, JSON a million
levels deep, gRPC frames with wrong lengths. A client in a process of its own works meanwhile and
judges every answer (steady.py).

    garbage.py                  1,000 connections
    garbage.py --long           100,000
    garbage.py --seed S         the same bytes

Bounds: within 30 s of the last of it, memory is less than 16 MiB above what it was before (what
requests took is given back to the system some seconds later), and less than 256 MiB right after it;
every request of the ordinary client succeeds, its p99 at most 500 ms; each connection is answered or
closed within 20 s. `--self-test` alone shows that the judging can fail: a made-up server that answers
500, or says nothing at all.
"""

import gzip
import random
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import http2
from ledger import DIMENSION
from steady import Steady
from suite import MIB, Connection, Numbers, Report, Watched, begin, make_index

CONNECTIONS, LONG_CONNECTIONS = 1_000, 100_000
THREADS = 8
GROWTH_MAX_BYTES, GROWTH_AT_ONCE_MAX_BYTES = 16 * MIB, 256 * MIB
# The allocator returns pages that nobody uses after some 10 s.
SETTLE_S = 30
P99_MS = 500.0
ANSWER_S = 20
# How long the server waits for the rest of a head, and of a body.
HEAD_S, STALL_S = 2, 2
DEEP = 1_000_000


def main() -> int:
    options, report = begin("garbage", __doc__, lambda parser: parser.add_argument(
        "--connections", type=int, help=f"default {CONNECTIONS}, with --long {LONG_CONNECTIONS}"))
    self_test(report)
    if not options.self_test:
        with tempfile.TemporaryDirectory(prefix="lodgepole-garbage-") as folder:
            run(options, report, Path(folder))
    return report.end()


def run(options, report: Report, home: Path) -> None:
    """All of it against one server."""
    count = options.connections or (LONG_CONNECTIONS if options.long else CONNECTIONS)
    flags = ("--header-timeout-s", str(HEAD_S), "--stall-timeout-s", str(STALL_S))
    with Watched(options.binary, home, flags) as server:
        server.begin()
        port = make_index(server.port, "main", DIMENSION)
        with Steady(port, DIMENSION) as steady:
            time.sleep(1)
            alone, at_first = steady.seen(), server.numbers()
            began = time.monotonic()
            outcomes, complaints = throw(server.port, port, str(options.seed), count)
            took_s = time.monotonic() - began
            during, at_once = steady.seen(), server.numbers()
        after = settled(server, at_first.rss_bytes + GROWTH_MAX_BYTES)
        report.check("each connection is answered with no 5xx, or closed", not complaints,
                     (len(complaints), complaints[:4]))
        grown = after.rss_bytes - at_first.rss_bytes
        report.check(f"memory grows by less than {GROWTH_MAX_BYTES >> 20} MiB",
                     grown < GROWTH_MAX_BYTES, grown)
        grown_at_once = at_once.rss_bytes - at_first.rss_bytes
        report.check(f"and by less than {GROWTH_AT_ONCE_MAX_BYTES >> 20} MiB at once",
                     grown_at_once < GROWTH_AT_ONCE_MAX_BYTES, grown_at_once)
        report.check("the ordinary client was served", during.requests > 20, during)
        report.check("all of its requests were good", during.bad == 0, during.notes)
        report.check(f"its p99 is at most {P99_MS} ms", during.p99_ms <= P99_MS, during.p99_ms)
        control = Connection(server.port)
        names = [row["name"] for row in control.call("GET", "/indexes").expect().json["indexes"]]
        report.check("nothing was made or deleted", names == ["main"], names)
        failed = [line for line in server.lines() if "request failed" in line]
        report.check("no 5xx in the log", not failed, failed[:3])
        report.log(server)
        report.figures("thrown", connections=count, outcomes=dict(sorted(outcomes.items())),
                       requests=during.requests, p99_alone_ms=alone.p99_ms,
                       p99_ms=during.p99_ms, max_ms=during.max_ms,
                       rss_mib=at_first.rss_bytes / MIB, grown_mib=grown / MIB,
                       grown_at_once_mib=grown_at_once / MIB,
                       files=after.files - at_first.files, seconds=took_s)


def settled(server: Watched, most_bytes: int) -> Numbers:
    """The server's numbers as soon as it takes less than this, or after so long."""
    until = time.monotonic() + SETTLE_S
    while (now := server.numbers()).rss_bytes >= most_bytes and time.monotonic() < until:
        time.sleep(0.5)
    return now


def throw(control: int, data: int, seed: str, count: int) -> tuple[Counter, list[str]]:
    """Opens so many bad connections. Returns how they ended, and what must not be."""
    outcomes, complaints, lock = Counter(), [], threading.Lock()

    def one(number: int) -> None:
        rng = random.Random(f"{seed}/{number}")
        kind = KINDS[number % len(KINDS)]
        outcome = attack(rng.choice((control, data)), kind(rng))
        with lock:
            outcomes[outcome.partition(" ")[0]] += 1
            if outcome.startswith(("5", "silent", "refused")):
                complaints.append(f"{kind.__name__} {seed}/{number}: {outcome}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(count)))
    return outcomes, complaints


def attack(port: int, payload: bytes) -> str:
    """Sends it, and reads until the end. Returns the status of the first answer, `http2`, `closed`,
    or `silent` when nothing comes and nothing ends, with the first bytes after it."""
    try:
        peer = socket.create_connection(("127.0.0.1", port), ANSWER_S)
    except OSError as problem:
        return f"refused {problem}"
    said = bytearray()
    with peer:
        sender = threading.Thread(target=send, args=(peer, payload), daemon=True)
        sender.start()
        try:
            while len(said) < 1 << 16:
                piece = peer.recv(65_536)
                if not piece:
                    break
                said += piece
                if said.startswith(b"HTTP/1.1 ") and b"\r\n\r\n" in said:
                    break
        except TimeoutError:
            # Of HTTP/2 nobody expects that it ends; of HTTP/1.1 the head is timed.
            return "http2" if said[3:4] == b"\x04" else f"silent {bytes(said[:80])}"
        except OSError:
            pass
    sender.join(ANSWER_S)
    if said.startswith(b"HTTP/1.1 "):
        return said[9:120].decode(errors="replace")
    return "http2" if said[3:4] == b"\x04" else "closed"


def send(peer: socket.socket, payload: bytes) -> None:
    """All of it; then nothing more will come, unless it is a head that goes on."""
    try:
        peer.sendall(payload)
        peer.shutdown(socket.SHUT_WR)
    except OSError:
        # The server has closed: its right.
        pass


def head(rng: random.Random, body: bytes, more: str = "", path: str | None = None) -> bytes:
    """A good head for a body."""
    where = path or rng.choice(("/indexes", "/query", "/vectors/upsert", "/vectors/delete"))
    return (f"POST {where} HTTP/1.1\r\nHost: 127.0.0.1\r\nApi-Key: any\r\nContent-Type: "
            f"application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n").encode()


def random_bytes(rng: random.Random) -> bytes:
    """Anything, beginning like any of the protocols or like none."""
    begin = rng.choice((b"", b"GET ", b"\x16\x03\x01", b"\x16\x03\x03\x40\x00\x01",
                        b"PRI * HTTP/2.0\r\n\r\n", http2.PREFACE))
    return begin + rng.randbytes(rng.choice((0, 1, 9, 24, 100, 4_000, 70_000)))


def flipped_request(rng: random.Random) -> bytes:
    """A good request with some bytes changed."""
    body = b'{"vectors":[{"id":"a","values":[1,2,3,4,5,6,7,8]}],"namespace":"x","topK":3}'
    whole = bytearray(head(rng, body) + body)
    for _ in range(rng.randint(1, 8)):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole)


def huge_head(rng: random.Random) -> bytes:
    """One header that is too long, too many of them, or a path without an end."""
    kind = rng.randrange(3)
    if kind == 0:
        return b"GET /indexes HTTP/1.1\r\nHost: a\r\nX: " + b"a" * rng.randint(1 << 17, 1 << 20)
    if kind == 1:
        lines = b"".join(b"X-%d: y\r\n" % number for number in range(rng.randint(200, 50_000)))
        return b"GET /indexes HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
    return b"GET /" + b"%2e%2e/" * rng.randint(1_000, 100_000) + b" HTTP/1.1\r\nHost: a\r\n\r\n"


def wrong_lengths(rng: random.Random) -> bytes:
    """Lengths that contradict one another, or what comes."""
    lines = rng.sample(("Content-Length: 3", "Content-Length: 4", "Content-Length: -1",
                        "Content-Length: 99999999999999999999",
                        "Content-Length: 18446744073709551615",
                        "Transfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked",
                        "Transfer-Encoding: gzip, chunked", "Content-Encoding: br",
                        "Expect: 100-continue"), rng.randint(1, 3))
    body = rng.choice((b"abc", b"FFFFFFFFFFFFFFFFF\r\n", b"1;" + b"a" * 70_000, b"-1\r\n\r\n",
                       b"0\r\n" + b"T: x\r\n" * 5_000, b""))
    return ("POST /query HTTP/1.1\r\nHost: a\r\nApi-Key: any\r\n" + "\r\n".join(lines)
            + "\r\n\r\n").encode() + body


def bomb(rng: random.Random) -> bytes:
    """Gzip of zeros, spaces or a nest, much larger than what is taken."""
    content = rng.choice((b"\0", b" ", b"["))
    body = BOMBS.setdefault(content, gzip.compress(content * (64 * MIB), 1))
    if rng.random() < 0.3:
        body += body
    if rng.random() < 0.3:
        body = body[:rng.randrange(len(body))]
    return head(rng, body, "Content-Encoding: gzip\r\n") + body


def deep_json(rng: random.Random) -> bytes:
    """A million levels."""
    opening = rng.choice((b"[", b'{"a":', b'{"filter":{"$and":[', b'{"filter":{"$not":'))
    depth = DEEP // len(opening)
    body = opening * depth
    if rng.random() < 0.5:
        body = b'{"vector":[1,2,3,4,5,6,7,8],"topK":1,"filter":' + body
    return head(rng, body) + body


def random_frames(rng: random.Random) -> bytes:
    """Frames of any kind on any stream, with any flags."""
    whole = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    for _ in range(rng.randint(1, 60)):
        kind = rng.choice((*range(10), rng.randrange(256)))
        stream = rng.choice((0, 1, 3, 5, 2, rng.getrandbits(31)))
        payload = rng.randbytes(rng.choice((0, 4, 5, 6, 8, 50, 500)))
        if rng.random() < 0.3:
            payload = http2.get("/indexes", "a")
        whole += http2.frame(kind, rng.choice((0, 1, 4, 5, rng.randrange(256))), stream, payload)
    return whole


def wrong_frame_lengths(rng: random.Random) -> bytes:
    """Frames that say they are longer than is allowed, or than what comes."""
    length = rng.choice((1 << 14, (1 << 14) + 1, (1 << 24) - 1))
    said = struct.pack(">I", length)[1:] + struct.pack(">BBI", rng.randrange(10), 0, 1)
    return http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) + said + rng.randbytes(5_000)


def rapid_reset(rng: random.Random) -> bytes:
    """Streams that are opened and reset at once, many of them."""
    block, whole = http2.get("/indexes", "a"), [http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)]
    flags = http2.END_HEADERS | http2.END_STREAM
    for number in range(rng.randint(100, 3_000)):
        stream = 2 * number + 1
        whole.append(http2.frame(http2.HEADERS, flags, stream, block))
        whole.append(http2.frame(http2.RST_STREAM, 0, stream, b"\0\0\0\x08"))
    return b"".join(whole)


def flood(rng: random.Random) -> bytes:
    """Frames that each want an answer: settings, pings, empty data, windows."""
    one = rng.choice((http2.frame(http2.SETTINGS, 0, 0), http2.frame(http2.PING, 0, 0, b"12345678"),
                      http2.frame(http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 30)),
                      http2.frame(http2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)),
                      http2.frame(http2.PRIORITY, 0, 1, b"\0\0\0\0\0")))
    return http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) + one * rng.randint(1_000, 20_000)


def endless_headers(rng: random.Random) -> bytes:
    """A head that goes on in frame after frame; and one that unpacks to much more than it is."""
    whole = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    if rng.random() < 0.5:
        block = http2.get("/indexes", "a") + http2.header_block([(b"x", b"y" * 4_000)])
        return (whole + http2.frame(http2.HEADERS, http2.END_STREAM, 1, block)
                + http2.frame(http2.CONTINUATION, 0, 1, http2.header_block([(b"x", b"y" * 8_000)]))
                * rng.randint(100, 1_000))
    # One entry is put into the table, then named again and again, with one byte each.
    entry = b"\x40" + http2.header_block([(b"x", b"y" * 4_000)])[1:]
    block = http2.get("/indexes", "a") + entry + b"\xbe" * 12_000
    flags = http2.END_HEADERS | http2.END_STREAM
    return whole + b"".join(http2.frame(http2.HEADERS, flags, stream, block)
                            for stream in range(1, 2 * rng.randint(1, 20), 2))


def grpc_garbage(rng: random.Random) -> bytes:
    """A call of gRPC whose message is none, or says that it is longer, or is packed badly."""
    method = rng.choice(("Upsert", "Query", "Fetch", "Delete", "Nothing"))
    block = http2.header_block([
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"a"),
        (b":path", f"/VectorService/{method}".encode()), (b"api-key", b"any"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc"), (b"grpc-encoding", b"gzip")])
    message = rng.randbytes(rng.choice((0, 10, 1_000)))
    length = rng.choice((len(message), 0, 1 << 31, (1 << 32) - 1))
    data = struct.pack(">BI", rng.choice((0, 1, 7)), length) + message
    return (http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
            + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block)
            + http2.frame(http2.DATA, http2.END_STREAM, 1, data))


BOMBS: dict[bytes, bytes] = {}
KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    random_bytes, flipped_request, huge_head, wrong_lengths, bomb, deep_json, random_frames,
    wrong_frame_lengths, rapid_reset, flood, endless_headers, grpc_garbage)


def self_test(report: Report) -> None:
    """A server that answers 500, and one that says nothing, are noticed; one that closes is not."""
    global ANSWER_S
    usual, ANSWER_S = ANSWER_S, 1
    for what, answer, wanted in (("answers 500", b"HTTP/1.1 500 Oh\r\n\r\n", "500"),
                                 ("says nothing", None, "silent"), ("closes", b"", "closed")):
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            peer, _ = listener.accept()
            if answer is None:
                time.sleep(2)
            else:
                peer.recv(100)
                peer.sendall(answer)
            peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        outcome = attack(listener.getsockname()[1], b"GET / HTTP/1.1\r\n")
        report.check(f"self-test: a server that {what}", outcome.startswith(wanted), outcome)
        listener.close()
    ANSWER_S = usual


if __name__ == "__main__":
    sys.exit(main())
