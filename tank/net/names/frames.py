"""What daemon and server say to each other: a length, how many descriptors come along, and one JSON object. Pure but
for taking descriptors off a socket.

Descriptors arrive no later than the bytes that they were sent with, and in order; so a frame that is whole has its
own among those that arrived.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 2
OTHERS = "others"  # no pod's uid looks like that: those who ask at an address of the host
_HEADER = struct.Struct("!IB")
LONGEST = 64 * 2**20  # bytes
_MOST_FDS = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Its descriptors belong to whoever takes it."""

    body: Mapping[str, Any]
    fds: tuple[int, ...] = ()


def packed(body: Mapping[str, Any], fds: int = 0) -> bytes:
    """The bytes of a frame that `fds` descriptors come along with."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return _HEADER.pack(len(text), fds) + text


@dataclass(slots=True)
class Inbox:
    """Puts frames together from what arrives on one socket."""

    _bytes: bytearray = field(default_factory=bytearray)
    _fds: list[int] = field(default_factory=list)

    def receive(self, opened: socket.socket) -> bool:
        """Take what is there. False: the other end is gone. Raises OSError."""
        data, fds, _, _ = socket.recv_fds(opened, 2**16, _MOST_FDS)
        for each in fds:
            os.set_inheritable(each, False)
        self._fds += fds
        self._bytes += data
        return bool(data)

    def frames(self) -> Iterator[Frame]:
        """The whole ones so far. Raises ValueError for what is none."""
        while len(self._bytes) >= _HEADER.size:
            length, count = _HEADER.unpack_from(self._bytes)
            end = _HEADER.size + length
            if length > LONGEST:
                raise ValueError("a message is too long")
            if len(self._bytes) < end:
                return
            if count > len(self._fds):
                raise ValueError("a descriptor is missing")
            fds, self._fds = tuple(self._fds[:count]), self._fds[count:]
            body = json.loads(bytes(self._bytes[_HEADER.size : end]))
            del self._bytes[:end]
            yield Frame(body, fds)

    def close(self) -> None:
        """Let go of descriptors that nobody took."""
        for each in self._fds:
            with contextlib.suppress(OSError):
                os.close(each)
        self._fds.clear()
