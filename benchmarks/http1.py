"""A kept HTTP/1.1 connection that sends ready-made requests: what a client in Python costs least."""

import json
import socket
import time


class Connection:
    """One request at a time."""

    def __init__(self, port: int, deadline: float | None = None):
        """`TimeoutError` is raised when a reply is not there at the deadline, a monotonic time."""
        self.port, self.deadline = port, deadline
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def prepare(self, method: str, path: str, body) -> bytes:
        """The bytes of a request with a JSON body."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n")
        return head.encode() + content

    def exchange(self, request: bytes) -> bytes:
        """Sends a request and returns the body of the reply."""
        self.socket.sendall(request)
        reply = b""
        while (end := reply.find(b"\r\n\r\n")) < 0:
            reply += self._read()
        head = reply[:end].lower()
        body = [reply[end + 4:]]
        if b"transfer-encoding: chunked" in head:
            content = self._chunks(body[0])
        else:
            at = head.index(b"content-length:") + 15
            length = int(head[at:].split(b"\r\n", 1)[0])
            missing = length - len(body[0])
            while missing > 0:
                body.append(self._read())
                missing -= len(body[-1])
            content = b"".join(body)
        if not reply.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"{reply[:end].decode(errors='replace')}\n{content[:1000]!r}")
        return content

    def call(self, method: str, path: str, body=None):
        """A request whose reply is JSON, or nothing."""
        content = self.exchange(self.prepare(method, path, body))
        return json.loads(content) if content else None

    def close(self) -> None:
        """Ends the connection."""
        self.socket.close()

    def _chunks(self, read: bytes) -> bytes:
        content = b""
        while True:
            while b"\r\n" not in read:
                read += self._read()
            size, read = read.split(b"\r\n", 1)
            length = int(size, 16)
            while len(read) < length + 2:
                read += self._read()
            if length == 0:
                return content
            content, read = content + read[:length], read[length + 2:]

    def _read(self) -> bytes:
        if self.deadline is not None:
            self.socket.settimeout(max(0.001, self.deadline - time.monotonic()))
        more = self.socket.recv(1 << 16)
        if not more:
            raise RuntimeError("the server has closed the connection")
        return more
