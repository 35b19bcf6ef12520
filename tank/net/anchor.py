"""What keeps the kernel translating known flows while somebody else's flush has taken our tables away (R44).

Flows that were led in or out once are remembered, rules or not; but with the last rule that needs it, the kernel
takes its own translator out of the packets' way. Then a packet of a connection that stands arrives untranslated, and
the host says that it knows no such connection, which ends it. A table with one rule that does nothing prevents that.
It has an owner, this process (NFT_TABLE_F_OWNER, Linux 5.12): no flush of others takes it, and it goes by itself when
we end. Blocks for less than a millisecond.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from tank.net.rtnetlink import attribute, nested

_NETFILTER = 12
_BEGIN, _END, _NEWTABLE, _NEWCHAIN, _NEWRULE = 16, 17, 0xA00, 0xA03, 0xA06
_REQUEST, _CREATE = 0x1, 0x400
_INET, _PREROUTING, _DSTNAT, _OWNER = 1, 0, -100, 2
_CT_STATE, _REGISTER = 0, 1
_HEADER, _SUBJECT = struct.Struct("=IHHII"), struct.Struct("!BBH")


class Anchor:
    """At most one table, held or not."""

    def __init__(self, installation: str) -> None:
        self._name = f"tank_{installation}_anchor"
        self._held: socket.socket | None = None

    def hold(self) -> None:
        """Have it. May be repeated; an older kernel has none, and loses connections at a flush."""
        if self._held is None:
            opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
            with contextlib.suppress(OSError):
                opened.settimeout(5)
                opened.send(batch(self._name))
            self._held = opened

    def let_go(self) -> None:
        """No flow needs it any more. May be repeated."""
        if self._held is not None:
            self._held.close()
            self._held = None


def batch(name: str) -> bytes:
    """The messages that make the table, whole or not at all. Pure."""
    hook = nested(4, attribute(1, _number(_PREROUTING)), attribute(2, _number(_DSTNAT)))
    look = nested(2, attribute(1, _number(_REGISTER)), attribute(2, _number(_CT_STATE)))
    rule = nested(4, nested(1, attribute(1, "ct"), look))
    return b"".join(
        (
            _message(_BEGIN, _SUBJECT.pack(0, 0, 10)),
            _message(_NEWTABLE, _about(attribute(1, name) + attribute(2, _number(_OWNER)))),
            _message(_NEWCHAIN, _about(attribute(1, name) + attribute(3, "known") + hook + attribute(7, "nat"))),
            _message(_NEWRULE, _about(attribute(1, name) + attribute(2, "known") + rule)),
            _message(_END, _SUBJECT.pack(0, 0, 10)),
        )
    )


def _message(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _CREATE, kind, 0) + body


def _about(attributes: bytes) -> bytes:
    return _SUBJECT.pack(_INET, 0, 0) + attributes


def _number(value: int) -> bytes:
    return struct.pack("!i", value)
