"""Hears of changes in a pod's network, and only ever nudges: what happened is found out by looking.

Of the kernel's messages only those count by which something of ours may have gone or changed. What is added is
foreign or our own doing, but for addresses of a router's prefix, and for queues and filters, which take each other's
place. When more comes than the socket holds, the kernel says so and drops messages: that is a nudge too, and another
once the rest is read, so nothing needs to be counted or listed again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Callable, Collection, Iterator

from tank.net.rtnetlink import attributes, number

_GROUPS = 0x1 | 0x8 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_: LINK, TC, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, …ROUTE
_HOST_GROUPS = 0x1 | 0x8 | 0x10 | 0x100 | 1 << 23 | 1 << 24  # LINK, TC, addresses, and settings of both families
_NEWNETCONF, _OF_ALL = 80, struct.pack("=HHi", 8, 1, -1)  # settings of all links: NETCONFA_IFINDEX
_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 21, 24, 25
_NEWQDISC, _DELQDISC, _NEWTFILTER, _DELTFILTER = 36, 37, 44, 45
_MATTER = frozenset({_NEWLINK, _DELLINK, _DELADDR, _DELROUTE, _NEWQDISC, _DELQDISC, _NEWTFILTER, _DELTFILTER})
_ROUTE, _OIF, _AT = 12, 4, 4  # bytes of a route's head, its attribute that says the interface; where others say it
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
        self,
        opened: socket.socket,
        nudge: Callable[[], None],
        matters: Callable[[bytes], bool] | None = None,
        *,
        groups: int = _GROUPS,
    ) -> None:
        """Subscribe `opened`, an rtnetlink socket of the namespace. `matters`: which news count. Raises OSError."""
        self._socket, self._nudge, self._concerns = opened, nudge, matters or concerns
        self.overrun = False
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        opened.bind((0, groups))
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
                matters = self._concerns(datagram) or matters
        return matters


def concerns(datagram: bytes) -> bool:
    """Whether something may have gone or changed, by the kernel's messages. Pure; what is garbled matters too."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, _, _ = _HEADER.unpack_from(datagram, offset)
        if kind in _MATTER or (kind == _NEWROUTE and flags & _REPLACED):
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


class HostMonitor:
    """Hears of changes on the host: of the bridges, of the pods' cables, and of what is forwarded."""

    def __init__(self, opened: socket.socket, heard: Callable[[int], None], lost: Callable[[], None]) -> None:
        """`heard(index)`: that link may have changed, 0 a setting; `lost()`: anything may. Raises OSError."""
        self._heard = heard
        self._monitor = Monitor(opened, lost, groups=_HOST_GROUPS, matters=self._read)

    def close(self) -> None:
        """May be repeated."""
        self._monitor.close()

    def _read(self, datagram: bytes) -> bool:
        for index in concerned(datagram):
            self._heard(index)
        return False


def concerned(datagram: bytes) -> Iterator[int]:
    """The links that may have lost something or changed, and 0 for a setting, by the kernel's messages. Pure."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, _, _, _ = _HEADER.unpack_from(datagram, offset)
        if kind == _NEWNETCONF:
            yield from (0,) if datagram[offset + _HEADER.size + 4 :].startswith(_OF_ALL) else ()
        elif kind in _MATTER and kind != _DELROUTE and offset + _HEADER.size + 8 <= len(datagram):
            yield int.from_bytes(datagram[offset + _HEADER.size + _AT :][:4], sys.byteorder)
        offset += max((length + 3) & ~3, _HEADER.size)


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
        return int.from_bytes(body[_AT : _AT + 4], sys.byteorder)
    if kind == _DELROUTE and len(body) > _ROUTE:
        return number(attributes(body[_ROUTE:]).get(_OIF))
    return None
