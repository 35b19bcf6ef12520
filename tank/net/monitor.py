"""Hears of changes in a pod's network, and only ever nudges: what happened is found out by looking.

Of the kernel's messages only those count by which something of ours may have gone or changed. What is added is
foreign or our own doing, but for addresses of a router's prefix. When more comes than the socket holds, the kernel
says so and drops messages: that is a nudge too, and another once the rest is read, so nothing needs to be counted or
listed again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Collection

from tank.net.rtnetlink import attributes, number

_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_: LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE
_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 21, 24, 25
_ROUTE, _OIF = 12, 4  # bytes of a route's head, and its attribute that says the interface
_ADDRESS, _PROTO, _ROUTERS = 8, 11, 2  # bytes of an address's head, IFA_PROTO, IFAPROT_KERNEL_RA
_REPLACED = 0x100  # NLM_F_REPLACE: the route that stood there is gone
_SO_RCVBUFFORCE, _BUFFER = 33, 1 << 20
_HEADER = struct.Struct("=IHHII")
_BATCH = 256  # datagrams per wake-up, so that a storm in one pod delays nobody


class Monitor:
    """A subscribed socket on the event loop. It keeps its namespace alive until it is closed.

    `overrun`: messages were dropped, and not all that came before is read yet.
    """

    def __init__(
        self, opened: socket.socket, nudge: Callable[[], None], matters: Callable[[bytes], bool] | None = None
    ) -> None:
        """Subscribe `opened`, an rtnetlink socket of the namespace. `matters`: which news count. Raises OSError."""
        self._socket, self._nudge, self._concerns = opened, nudge, matters or concerns
        self.overrun = False
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        opened.bind((0, _GROUPS))
        asyncio.get_running_loop().add_reader(opened.fileno(), self._heard)

    def close(self) -> None:
        """Let go of the namespace. May be repeated."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _heard(self) -> None:
        if self._drain():
            self._nudge()

    def _drain(self) -> bool:
        """Whether anything matters. After an overrun the kernel drops on, in silence, until all is read."""
        matters = False
        for _ in range(_BATCH):
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                matters, self.overrun = matters or self.overrun, False
                break
            except OSError:  # ENOBUFS
                matters = self.overrun = True
            else:
                matters = matters or self._concerns(datagram)
        return matters


def concerns(datagram: bytes) -> bool:
    """Whether something may have gone or changed, by the kernel's messages. Pure; what is garbled matters too."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, _, _ = _HEADER.unpack_from(datagram, offset)
        if kind in (_NEWLINK, _DELLINK, _DELADDR, _DELROUTE) or (kind == _NEWROUTE and flags & _REPLACED):
            return True
        if length < _HEADER.size:
            return True
        if kind == _NEWADDR and _by_router(datagram[offset + _HEADER.size : offset + length]):
            return True
        offset += (length + 3) & ~3
    return False


def _by_router(body: bytes) -> bool:
    """Whether the kernel has made an address of what a router said; kernels before 5.18 do not tell."""
    return number(attributes(body[_ADDRESS:]).get(_PROTO)) == _ROUTERS


def touches(datagram: bytes, indexes: Collection[int]) -> bool:
    """Whether one of these interfaces may have changed, or an address or route of it. Pure.

    New addresses count: the host has one where it had none.
    """
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size:
            return True
        if _index(kind, datagram[offset + _HEADER.size : offset + length]) in indexes:
            return True
        offset += (length + 3) & ~3
    return False


def _index(kind: int, body: bytes) -> int | None:
    """The interface that a message is about. Of routes only those that go count; None: nothing that counts."""
    if kind in (_NEWLINK, _DELLINK, _NEWADDR, _DELADDR) and len(body) >= 8:
        return int.from_bytes(body[4:8], sys.byteorder)
    if kind == _DELROUTE and len(body) > _ROUTE:
        return number(attributes(body[_ROUTE:]).get(_OIF))
    return None
