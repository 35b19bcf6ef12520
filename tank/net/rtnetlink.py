"""rtnetlink on a plain socket: requests, answers and dumps of exactly the messages that a pod's interfaces need.

Why not the library that knows them all: with pyroute2 an interface took 8 ms of a 30 ms start, each look at a
pod 4 ms of CPU, the first use 0.1 s, and 20 MB stayed. This takes 2 ms and 0.6 ms; a test holds it against what
the library reads.

The kernel works a request off within the send, so the answer is there when send returns. Hence blocking
sockets: a conversation runs in a worker thread, for some requests wait long for the kernel's lock (removing a
link takes 30 ms).
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

NETLINK = (socket.AF_NETLINK, socket.SOCK_RAW, 0)  # NETLINK_ROUTE
SECONDS = 10.0  # for one answer
TRIES = 10  # of a dump that changes under the reading

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWQDISC, DELQDISC, GETQDISC = 36, 37, 38
NEWTFILTER, DELTFILTER, GETTFILTER = 44, 45, 46
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
REPLACE, EXCL, CREATE = 0x100, 0x200, 0x400

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DUMP_INTERRUPTED, _ACK_TLVS = 0x10, 0x200
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK, _STRICT = 270, 10, 11, 12
_NESTED, _KIND_BITS = 0x8000, 0x3FFF
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_SAID = 1  # NLMSGERR_ATTR_MSG

Attributes = dict[int, bytes]


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute: bytes as they are, text with its end, a number of 32 bits."""
    data = value if isinstance(value, bytes) else _plain(value)
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute made of others."""
    return attribute(kind | _NESTED, b"".join(inner))


def attributes(data: bytes) -> Attributes:
    """The attributes in `data` by kind; of one kind the last."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _KIND_BITS] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def text(value: bytes | None) -> str:
    """A text attribute; empty when there is none."""
    return (value or b"").rstrip(b"\0").decode(errors="replace")


def number(value: bytes | None) -> int:
    """An attribute that is a number of 8 or 32 bits; 0 when there is none."""
    return int.from_bytes(value or b"", sys.byteorder)


class Conversation:
    """Requests and answers on one socket, which is closed at the end. Every call raises OSError.

    The error holds the kernel's own words where it gave some.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket, self._numbers = opened, itertools.count(1)
        opened.settimeout(SECONDS)
        for option in (_CAP_ACK, _EXT_ACK, _STRICT):
            with suppress(OSError):  # an older kernel says less and filters less
                opened.setsockopt(_SOL_NETLINK, option, 1)

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Have something done."""
        for _ in self._answers(kind, body, flags | _ACK):
            pass

    def get(self, kind: int, body: bytes) -> bytes:
        """The one object that is asked for."""
        return next(iter(self._answers(kind, body, _ACK)))

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """All objects of a kind, again if they changed meanwhile."""
        for _ in range(TRIES):
            with suppress(InterruptedError):
                return self._answers(kind, body, _DUMP)
        raise OSError(errno.EAGAIN, "it changes faster than it can be read")

    def _answers(self, kind: int, body: bytes, flags: int) -> list[bytes]:
        mine = next(self._numbers)
        self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, mine, 0) + body)
        found, interrupted = [], False
        while True:
            for answer, marks, whose, rest in _messages(self._socket.recv(1 << 16)):
                if whose != mine:
                    continue
                interrupted = interrupted or bool(marks & _DUMP_INTERRUPTED)
                if answer not in (_ERROR, _DONE):
                    found.append(rest)
                    continue
                _raise_unless_done(rest, marks)
                if interrupted:
                    raise InterruptedError
                return found


def _messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, sequence number and body of each message."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(datagram, offset)
        yield kind, flags, sequence, datagram[offset + _HEADER.size : offset + length]
        offset += max((length + 3) & ~3, _HEADER.size)


def _raise_unless_done(body: bytes, flags: int) -> None:
    code = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if code:
        said = text(attributes(body[20:]).get(_SAID)) if flags & _ACK_TLVS else ""
        raise OSError(code, said or os.strerror(code))


def _plain(value: str | int) -> bytes:
    return value.encode() + b"\0" if isinstance(value, str) else struct.pack("=I", value)
