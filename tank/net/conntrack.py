"""Flows that the kernel remembers, and forgetting those that lead to where nobody is any more (R46).

A datagram of a known flow is never asked of the rules again: without this, what came to a published port goes on to
the pod that had it before. Blocking, of the host's namespace.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable

from tank.net.flows import Flow
from tank.net.rtnetlink import Conversation, attribute, attributes

_GET, _DELETE = 0x101, 0x102  # IPCTNL_MSG_CT_GET, _DELETE of the subsystem CTNETLINK
_ORIGINAL, _REPLY, _STATUS, _IP, _PROTO = 1, 2, 3, 1, 2  # CTA_*
_SEEN_REPLY = 2  # IPS_SEEN_REPLY
_ANY, _FAMILY = 0, struct.Struct("=BBH")
_NESTED = 0x8000


def forget(gone: Callable[[Flow], bool]) -> int:
    """Forget every flow that `gone` says so of; returns how many. A kernel without them has none."""
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12)
    except OSError:
        return 0
    count = 0
    with Conversation(opened) as talk:
        for family in (socket.AF_INET, socket.AF_INET6):
            header = _FAMILY.pack(family, _ANY, 0)
            try:
                flows = talk.dump(_GET, header)
            except OSError:  # no conntrack, or none for this family
                continue
            for body in flows:
                told = attributes(body[_FAMILY.size :])
                if _ORIGINAL in told and gone(_flow(told)):
                    with contextlib.suppress(OSError):  # it ended by itself meanwhile
                        talk.request(_DELETE, header + attribute(_ORIGINAL | _NESTED, told[_ORIGINAL]))
                        count += 1
    return count


def _flow(told: dict[int, bytes]) -> Flow:
    original, reply = attributes(told[_ORIGINAL]), attributes(told.get(_REPLY, b""))
    asked, answering = attributes(original.get(_PROTO, b"")), attributes(reply.get(_PROTO, b""))
    return Flow(
        protocol=int.from_bytes(asked.get(1, b""), "big"),
        source=_address(original, destination=False),
        to=_address(original, destination=True),
        port=int.from_bytes(asked.get(3, b""), "big"),
        answers=_address(reply, destination=False),
        answering=int.from_bytes(answering.get(2, b""), "big"),
        returns=_address(reply, destination=True),
        replied=bool(int.from_bytes(told.get(_STATUS, b""), "big") & _SEEN_REPLY),
    )


def _address(tuple_: dict[int, bytes], *, destination: bool) -> str:
    ip = attributes(tuple_.get(_IP, b""))
    found = ip.get(2) or ip.get(4) if destination else ip.get(1) or ip.get(3)
    return str(ipaddress.ip_address(found)) if found else ""
