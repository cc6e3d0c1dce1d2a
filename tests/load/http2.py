"""Frames of HTTP/2 (RFC 9113) and headers without compression (RFC 7541, section 6.2.2).

Just enough to be an idle client, and to be a bad one.
"""

import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    range(10)
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
HEAD_BYTES = 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(read: bytearray) -> Iterator[tuple[int, int, int, bytes]]:
    """The whole frames in what was read, taken out of it: kind, flags, stream, payload."""
    while len(read) >= HEAD_BYTES:
        length = int.from_bytes(read[:3], "big")
        if len(read) < HEAD_BYTES + length:
            return
        kind, flags, stream = struct.unpack(">BBI", read[3:HEAD_BYTES])
        payload = bytes(read[HEAD_BYTES:HEAD_BYTES + length])
        del read[:HEAD_BYTES + length]
        yield kind, flags, stream & 0x7FFFFFFF, payload


def header_block(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Headers, each as a literal that is not remembered."""
    block = b""
    for name, value in headers:
        block += b"\x00" + _text(name) + _text(value)
    return block


def _text(text: bytes) -> bytes:
    """A text with its length, an integer with a prefix of seven bits."""
    rest = len(text)
    if rest < 127:
        return bytes([rest]) + text
    rest, words = rest - 127, [127]
    while rest >= 128:
        words.append(rest % 128 + 128)
        rest //= 128
    return bytes([*words, rest]) + text


def get(path: str, authority: str) -> bytes:
    """The header block of a GET."""
    return header_block([(b":method", b"GET"), (b":scheme", b"http"), (b":path", path.encode()),
                         (b":authority", authority.encode()), (b"api-key", b"any")])
