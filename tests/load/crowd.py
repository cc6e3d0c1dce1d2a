"""Clients that a server must bear: idle ones, slow ones, stuck ones.

Each is one connection with three parts: `begin` opens it, `hold` lasts until the crowd is told to
go (or the server has cut it off), `finish` says what was wrong with the way the server treated it.
All of them run in one thread, however many they are.
"""

import asyncio
import json
import socket
import time

import http2
from suite import Report

OPENING_AT_ONCE = 200
# A drop of a slow sender, so often.
DROP_S = 0.3
# A slow reader takes this much, so often.
SIP_BYTES, SIP_S = 64 << 10, 0.02
SMALL_BUFFER_BYTES = 4_096
ANSWER_TIMEOUT_S = 20


class Crowd:
    """What its members share: addresses, the times that the server was told, the end."""

    def __init__(self, control_port: int, data_port: int, head_s: float, stall_s: float,
                 dimension: int, rows: int):
        self.control_port, self.data_port = control_port, data_port
        self.head_s, self.stall_s = head_s, stall_s
        self.dimension, self.rows = dimension, rows
        # How late anything may be: the machine is busy with all of them.
        self.late_s = 5.0
        self.over = asyncio.Event()
        self.members: list[Member] = []

    async def open(self, kind: type["Member"], count: int) -> None:
        """Opens more connections of a kind."""
        gate = asyncio.Semaphore(OPENING_AT_ONCE)

        async def begin(member: Member) -> None:
            async with gate:
                await member.guarded(member.begin())

        fresh = [kind(self) for _ in range(count)]
        self.members += fresh
        await asyncio.gather(*map(begin, fresh))

    def hold(self) -> list[asyncio.Task]:
        """Lets all of them be as they are, until `over` is set."""
        return [asyncio.create_task(member.guarded(member.hold())) for member in self.members]

    async def finish(self) -> None:
        """Ends the ones that the server may not have cut off, and closes all."""
        await asyncio.gather(*(member.guarded(member.finish()) for member in self.members))
        for member in self.members:
            if member.listener is not None:
                member.listener.cancel()
        # The cancelled ones let go of their sockets.
        await asyncio.sleep(0)
        for member in self.members:
            member.socket.close()

    def judge(self, report: Report) -> None:
        """One test for each kind."""
        for kind in sorted({type(member) for member in self.members}, key=lambda one: one.__name__):
            mine = [member for member in self.members if type(member) is kind]
            bad = [member.complaint for member in mine if member.complaint]
            report.check(f"{len(mine)} x {kind.__doc__.splitlines()[0]}", not bad,
                         (len(bad), bad[:3]))

    def times(self, kind: type["Member"]) -> list[float]:
        """When those of a kind were cut off, in seconds after their beginning."""
        return [member.cut_s for member in self.members
                if type(member) is kind and member.cut_s is not None]


class Member:
    """One connection."""

    to_data = False
    receive_bytes = 0

    def __init__(self, crowd: Crowd):
        self.crowd, self.complaint = crowd, ""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if self.receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
        self.began_at, self.cut_s = 0.0, None
        # What goes on beside `hold`.
        self.listener: asyncio.Task | None = None
        self.loop = asyncio.get_running_loop()

    async def guarded(self, part) -> None:
        """Runs a part; what goes wrong is a complaint."""
        if self.complaint:
            return part.close()
        try:
            await part
        except (OSError, asyncio.TimeoutError, ValueError, LookupError) as problem:
            self.complaint = f"{type(problem).__name__} {problem}"

    async def begin(self) -> None:
        await self.connect()

    async def hold(self) -> None:
        await self.crowd.over.wait()

    async def finish(self) -> None:
        pass

    async def connect(self) -> None:
        port = self.crowd.data_port if self.to_data else self.crowd.control_port
        await asyncio.wait_for(self.loop.sock_connect(self.socket, ("127.0.0.1", port)),
                               ANSWER_TIMEOUT_S)
        self.began_at = time.monotonic()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.socket, data)

    async def receive(self, size: int = 65_536) -> bytes:
        """Nothing at the end of the connection."""
        try:
            return await self.loop.sock_recv(self.socket, size)
        except ConnectionResetError:
            return b""

    async def answer(self, sip_s: float = 0.0) -> tuple[int, bytes]:
        """One whole answer of HTTP/1.1: status and body. Status 0 when it is cut off."""
        read = bytearray()
        while b"\r\n\r\n" not in read:
            piece = await asyncio.wait_for(self.receive(), ANSWER_TIMEOUT_S)
            if not piece:
                return 0, bytes(read)
            read += piece
        head, _, body = bytes(read).partition(b"\r\n\r\n")
        status, wanted = int(head.split()[1]), 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                wanted = int(line.split(b":")[1])
        body = bytearray(body)
        while len(body) < wanted:
            await asyncio.sleep(sip_s)
            piece = await asyncio.wait_for(self.receive(SIP_BYTES), ANSWER_TIMEOUT_S)
            if not piece:
                return 0, bytes(body)
            body += piece
        return status, bytes(body)

    def head(self, method: str, path: str, more: str = "") -> bytes:
        return (f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nApi-Key: any\r\n"
                f"{more}\r\n").encode()

    def query(self) -> bytes:
        """A query with a long answer."""
        body = json.dumps({"vector": [0.5] * self.crowd.dimension, "topK": self.crowd.rows,
                           "includeMetadata": True, "namespace": "large"}).encode()
        return self.head("POST", "/query", f"Content-Length: {len(body)}\r\n") + body

    async def cut_off(self, within_s: float) -> bytes:
        """Waits until the server ends the connection; what it said before."""
        said = b""
        while True:
            left_s = self.began_at + within_s - time.monotonic()
            piece = await asyncio.wait_for(self.receive(), max(left_s, 0.01))
            if not piece:
                self.cut_s = time.monotonic() - self.began_at
                return said
            said += piece


class IdleHttp1(Member):
    """idle connections of HTTP/1.1, which are kept: a second request is answered"""

    async def ask(self) -> None:
        await self.send(self.head("GET", "/indexes"))
        status, body = await self.answer()
        if status != 200:
            raise ValueError(f"status {status} {body[:200]}")

    async def begin(self) -> None:
        await self.connect()
        await self.ask()

    async def finish(self) -> None:
        await self.ask()


class IdleHttp2(Member):
    """idle connections of HTTP/2, which are kept: a ping is answered"""

    to_data = True

    async def begin(self) -> None:
        await self.connect()
        await self.send(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0))
        self.read, self.pong = bytearray(), asyncio.Event()

    async def hold(self) -> None:
        self.listener = asyncio.create_task(self.listen())
        await self.crowd.over.wait()

    async def listen(self) -> None:
        while piece := await self.receive():
            self.read += piece
            for kind, flags, _, payload in http2.frames(self.read):
                if kind == http2.PING and flags & http2.ACK:
                    self.pong.set()
                elif kind in (http2.PING, http2.SETTINGS) and not flags & http2.ACK:
                    kept = payload if kind == http2.PING else b""
                    await self.send(http2.frame(kind, http2.ACK, 0, kept))

    async def finish(self) -> None:
        await self.send(http2.frame(http2.PING, 0, 0, b"are-you?"))
        await asyncio.wait_for(self.pong.wait(), ANSWER_TIMEOUT_S)


class SlowHead(Member):
    """senders of a head byte by byte, which are told 408 and cut off in time"""

    async def hold(self) -> None:
        whole = self.head("GET", "/indexes", f"X-Long: {'a' * 4_000}\r\n")
        # The first byte is sent now.
        self.began_at = time.monotonic()
        self.listener = asyncio.create_task(self.drip(whole))
        said = await self.cut_off(self.crowd.head_s + self.crowd.late_s)
        if not said.startswith(b"HTTP/1.1 408 ") or self.cut_s < self.crowd.head_s - 0.5:
            raise ValueError(f"cut off after {self.cut_s:.1f} s with {said[:80]}")

    async def drip(self, whole: bytes) -> None:
        for byte in whole:
            try:
                await self.send(bytes([byte]))
            except OSError:
                return
            await asyncio.sleep(DROP_S)


class SilentPeer(Member):
    """peers that say nothing at all, which are cut off in time"""

    async def hold(self) -> None:
        await self.cut_off(self.crowd.head_s + self.crowd.late_s)


class HalfBody(Member):
    """senders of half a body, which are told 400 in time"""

    to_data = True

    async def begin(self) -> None:
        await self.connect()
        await self.send(self.head("POST", "/query", "Content-Length: 100\r\n") + b'{"vector": [')

    async def hold(self) -> None:
        status, body = await asyncio.wait_for(self.answer(), self.crowd.stall_s + self.crowd.late_s)
        self.cut_s = time.monotonic() - self.began_at
        if status != 400 or b"did not arrive in full" not in body:
            raise ValueError(f"status {status} {body[:100]}")


class StuckReader(Member):
    """readers that take nothing of a long answer, which are cut off in time"""

    to_data, receive_bytes = True, SMALL_BUFFER_BYTES

    async def begin(self) -> None:
        await self.connect()
        await self.send(self.query())

    async def hold(self) -> None:
        # Nobody can see from here when it happens: what arrives late shows that it did.
        await asyncio.sleep(self.crowd.stall_s + 3)
        status, body = await self.answer()
        if status != 0:
            raise ValueError(f"the whole answer came: {status}, {len(body)} bytes")


class SlowReader(Member):
    """readers that take a long answer in small sips, which get all of it"""

    to_data, receive_bytes = True, SIP_BYTES

    async def begin(self) -> None:
        await self.connect()
        await self.send(self.query())

    async def hold(self) -> None:
        status, body = await self.answer(SIP_S)
        if status != 200 or len(json.loads(body)["matches"]) != self.crowd.rows:
            raise ValueError(f"status {status}, {len(body)} bytes")
