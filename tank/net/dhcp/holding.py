"""The address of a lease on its interface, from within the pod's namespace: it ends with the lease, by itself.

The kernel counts the time. So an address that nobody renews any more goes, whoever has died (RFC 2131 4.4.5). It bears
our protocol number, as all that the daemon sets.
"""

from __future__ import annotations

import errno
import ipaddress
import math
import socket
import struct
from contextlib import suppress

from tank.net import rtnetlink as wire
from tank.net.dhcp.lease import Lease
from tank.net.rtnetlink import NETLINK, Conversation, attribute, attributes
from tank.net.seen import PROTOCOL

_IFADDR, _ROUTE = struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_PROTO = 1, 2, 4, 6, 11
_RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 4, 5, 6
_MAIN_TABLE, _UNICAST, _EVERYWHERE = 254, 1, 0
_FOR_EVER, _PERMANENT = 0xFFFFFFFF, 0x80


def lifetime(seconds: float | None) -> bytes:
    """The attribute that gives an address an end."""
    left = _FOR_EVER if seconds is None else max(1, min(math.ceil(seconds), _FOR_EVER - 1))
    return attribute(_IFA_CACHEINFO, struct.pack("=IIII", left, left, 0, 0))


def carry_over(interface: str, before: Lease | None, after: Lease | None, *, metric: int | None, now: float) -> None:
    """The interface has what `after` says, and of what `before` said nothing else. Raises OSError.

    `metric`: of the default route; None: the lease says nothing about it.
    """
    index = socket.if_nametoindex(interface)
    with Conversation(socket.socket(NETLINK[0], NETLINK[1] | socket.SOCK_CLOEXEC, NETLINK[2])) as talk:
        gone = before is not None and (after is None or before.address != after.address)
        if before and gone and not _is_stated(talk, index, before):
            with suppress(OSError):  # gone already
                talk.request(wire.DELADDR, _place(index, before.address))
        if after is None or not after.valid(now):
            return
        if not _is_stated(talk, index, after):
            talk.request(wire.NEWADDR, _given(index, after, now), wire.CREATE | wire.REPLACE)
        if before and before.router and metric is not None and before.router != after.router:
            with suppress(OSError):  # gone with its address
                talk.request(wire.DELROUTE, _way(index, before.router, metric))
        if after.router and metric is not None:
            try:
                talk.request(wire.NEWROUTE, _way(index, after.router, metric), wire.CREATE | wire.EXCL)
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise


def _is_stated(talk: Conversation, index: int, lease: Lease) -> bool:
    """Whether the address is there for ever though the lease ends: then it is the pod's by its spec."""
    if lease.until is None:
        return False
    own = ipaddress.IPv4Interface(lease.address)
    for each in talk.dump(wire.GETADDR, _IFADDR.pack(socket.AF_INET, 0, 0, 0, 0)):
        _, prefix, flags, _, link = _IFADDR.unpack_from(each)
        held = attributes(each[_IFADDR.size :]).get(_IFA_LOCAL)
        if (link, prefix, held) == (index, own.network.prefixlen, own.ip.packed) and flags & _PERMANENT:
            return True
    return False


def _given(index: int, lease: Lease, now: float) -> bytes:
    body = _place(index, lease.address) + attribute(_IFA_PROTO, bytes((PROTOCOL,))) + lifetime(lease.seconds(now))
    network = ipaddress.IPv4Interface(lease.address).network
    return body + (attribute(_IFA_BROADCAST, network.broadcast_address.packed) if network.prefixlen < 31 else b"")


def _place(index: int, address: str) -> bytes:
    found = ipaddress.IPv4Interface(address)
    header = _IFADDR.pack(socket.AF_INET, found.network.prefixlen, 0, 0, index)
    return header + attribute(_IFA_LOCAL, found.ip.packed) + attribute(_IFA_ADDRESS, found.ip.packed)


def _way(index: int, router: str, metric: int) -> bytes:
    body = _ROUTE.pack(socket.AF_INET, 0, 0, 0, _MAIN_TABLE, PROTOCOL, _EVERYWHERE, _UNICAST, 0)
    body += attribute(_RTA_OIF, index) + attribute(_RTA_GATEWAY, ipaddress.IPv4Address(router).packed)
    return body + (attribute(_RTA_PRIORITY, metric) if metric else b"")
