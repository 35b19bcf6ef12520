"""WebSocket frames (RFC 6455), the client's side. No I/O but the upgrade: bytes in, messages out.

Only what exec and attach need: binary and text messages, ping and pong, close. No extensions. The server's
frames must be unmasked, ours are masked; a frame that breaks the rules ends the connection with `Unavailable`.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
from typing import NamedTuple

from tank.client.wire import Endpoint, Query, refusal, send, target
from tank.errors import Unavailable

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE = 16 * 2**20
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Message(NamedTuple):
    """One whole message: `opcode` is TEXT, BINARY, CLOSE, PING or PONG."""

    opcode: int
    data: bytes


def encode(opcode: int, data: bytes, mask: bytes | None = None) -> bytes:
    """One message as one frame, masked with four random bytes (or with those of a test)."""
    mask = os.urandom(4) if mask is None else mask
    size = len(data)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 2**16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + mask + masked(data, mask)


def masked(data: bytes, mask: bytes) -> bytes:
    """`data` under the four bytes of `mask`; the same again takes it off. One long XOR: fast without C."""
    size = len(data)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data, "little") ^ key).to_bytes(size, "little")


class Decoder:
    """Puts the server's frames together. Feed it bytes, take messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._parts: list[bytes] = []  # of a message in fragments
        self._opcode = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now. Raises Unavailable on a frame that breaks the rules."""
        self._bytes += data
        messages = []
        while (frame := self._frame()) is not None:
            if (message := self._message(*frame)) is not None:
                messages.append(message)
        return messages

    def _frame(self) -> tuple[bool, int, bytes] | None:
        seen = self._bytes
        if len(seen) < 2:
            return None
        if seen[0] & 0x70 or seen[1] & 0x80:
            raise Unavailable("the daemon sent a broken stream: reserved bits or a mask")
        size, start = seen[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(seen) < start:
                return None
            size = int.from_bytes(seen[2:start], "big")
        if size > MAX_MESSAGE:
            raise Unavailable("the daemon sent a broken stream: a message is too long")
        if len(seen) < start + size:
            return None
        data = bytes(seen[start : start + size])
        final, opcode = bool(seen[0] & 0x80), seen[0] & 0x0F
        del seen[: start + size]
        return final, opcode, data

    def _message(self, final: bool, opcode: int, data: bytes) -> Message | None:
        if opcode >= CLOSE:
            if not final or opcode > PONG or len(data) > 125:
                raise Unavailable("the daemon sent a broken stream: a bad control frame")
            return Message(opcode, data)
        if (opcode == CONTINUATION) != bool(self._opcode) or opcode > BINARY:
            raise Unavailable("the daemon sent a broken stream: fragments out of order")
        self._opcode = self._opcode or opcode
        self._parts.append(data)
        if sum(map(len, self._parts)) > MAX_MESSAGE:
            raise Unavailable("the daemon sent a broken stream: a message is too long")
        if not final:
            return None
        message = Message(self._opcode, b"".join(self._parts))
        self._parts, self._opcode = [], 0
        return message


def upgrade(daemon: Endpoint, path: str, query: Query = None) -> tuple[socket.socket, bytes]:
    """Open a WebSocket: the connection, and the first bytes behind the head. Raises what the daemon answered."""
    key = base64.b64encode(os.urandom(16))
    head = {"Host": "tank", "Connection": "Upgrade", "Upgrade": "websocket"}
    head |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key.decode()}
    connection = daemon.connect(daemon.timeout)
    try:
        answer = send(connection, f"GET {target(path, query)}", head, b"")
        if answer.status != 101:
            raise refusal(answer.status, answer.read())
        if answer.headers.get("sec-websocket-accept") != accept(key):
            raise Unavailable("the daemon did not accept the stream as a WebSocket")
    except BaseException:
        connection.close()
        raise
    connection.settimeout(None)
    return connection, answer.rest()


def accept(key: bytes) -> str:
    """What the server must answer to `key`."""
    from hashlib import sha1

    return base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode()
