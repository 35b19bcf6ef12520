"""What only the host's own interfaces need: addresses and routes of one host, and neighbours that are stated."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct

from tank.errors import Waiting
from tank.net import rtnetlink as wire
from tank.net.links import REASON, Links, refused
from tank.net.rtnetlink import attribute, attributes
from tank.net.seen import Neighbour
from tank.net.wanted import PROTOCOL, V4, V6, family

_IFADDR, _ROUTE, _NEIGHBOUR = struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI"), struct.Struct("=BxxxiHBB")
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_PROTO = 1, 2, 8, 11
_RTA_DST, _RTA_OIF, _RTA_PREFSRC = 1, 4, 7
_NDA_DST, _NDA_LLADDR, _PERMANENT = 1, 2, 0x80
_NODAD, _NO_PREFIX_ROUTE = 0x02, 0x200
_MAIN_TABLE, _UNICAST, _ON_LINK = 254, 1, 253


class HostLinks(Links):
    """A conversation about the host's links."""

    def __init__(self) -> None:
        super().__init__(socket.socket(wire.NETLINK[0], wire.NETLINK[1] | socket.SOCK_CLOEXEC, wire.NETLINK[2]))

    def make_shim(self, name: str, *, parent: int, mac: str, mtu: int) -> None:
        """A macvlan of the host's own, down."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.make_macvlan(name, parent=parent, mac=mac, mtu=mtu, namespace=here)
        finally:
            os.close(here)

    def neighbours(self) -> tuple[Neighbour, ...]:
        """Whose MAC is known or stated, on all links."""
        with refused("look at the neighbours"):
            told = [each for version in (V4, V6) for each in self._talk.dump(wire.GETNEIGH, _neighbour(version, 0, 0))]
        return tuple(found for each in told if (found := _known(each)))

    def state_neighbour(self, each: Neighbour) -> None:
        """Its MAC is never asked for."""
        with refused(f"state the neighbour {each.address}"):
            self._talk.request(wire.NEWNEIGH, _of(each), wire.CREATE | wire.REPLACE)

    def drop_neighbour(self, each: Neighbour) -> None:
        """Nothing is known of it; so already is success."""
        with refused(f"forget the neighbour {each.address}", done=(errno.ENOENT, errno.ENODEV)):
            self._talk.request(wire.DELNEIGH, _of(each))

    def add_host_address(self, index: int, address: str) -> None:
        """An address of the host that it also has elsewhere, or has for the link alone; no route comes of it."""
        found = ipaddress.ip_interface(address)
        body = _IFADDR.pack(family(address), found.network.prefixlen, 0, _ON_LINK if found.version == 4 else 0, index)
        body += attribute(_IFA_LOCAL, found.ip.packed) + attribute(_IFA_ADDRESS, found.ip.packed)
        flags = _NO_PREFIX_ROUTE | (_NODAD if found.version == 6 else 0)
        body += attribute(_IFA_PROTO, bytes((PROTOCOL,))) + attribute(_IFA_FLAGS, flags)
        with refused(f"add the address {address} to the shim", done=(errno.EEXIST,)):
            self._talk.request(wire.NEWADDR, body, wire.CREATE | wire.EXCL)

    def add_host_route(self, index: int, to: str, source: str) -> None:
        """A route to one address. Raises Waiting also where somebody else has one."""
        target = ipaddress.ip_address(to)
        scope = _ON_LINK if target.version == 4 else 0
        body = _ROUTE.pack(family(to), target.max_prefixlen, 0, 0, _MAIN_TABLE, PROTOCOL, scope, _UNICAST, 0)
        body += attribute(_RTA_OIF, index) + attribute(_RTA_DST, target.packed)
        body += attribute(_RTA_PREFSRC, ipaddress.ip_address(source).packed)
        cure = "the host has a route to it that is not Tank's: remove that, or state shim = false in [net] of tank.toml"
        cures = {errno.EEXIST: cure}
        with refused(f"add the route to {to}", cures=cures):
            self._talk.request(wire.NEWROUTE, body, wire.CREATE | wire.EXCL)


def host_talk() -> HostLinks:
    """A conversation about the host's links."""
    try:
        return HostLinks()
    except OSError as error:
        raise Waiting(REASON, f"cannot look at the interfaces: {(error.strerror or '').lower()}") from error


def _neighbour(version: int, index: int, state: int) -> bytes:
    return _NEIGHBOUR.pack(version, index, state, 0, 0)


def _of(each: Neighbour) -> bytes:
    body = _neighbour(family(each.address), each.index, _PERMANENT)
    body += attribute(_NDA_DST, ipaddress.ip_address(each.address).packed)
    return body + attribute(_NDA_LLADDR, bytes.fromhex(each.mac.replace(":", "")))


def _known(body: bytes) -> Neighbour | None:
    version, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
    told = attributes(body[_NEIGHBOUR.size :])
    if version not in (V4, V6) or _NDA_DST not in told:
        return None
    mac = told.get(_NDA_LLADDR, b"").hex(":")
    address = str(ipaddress.ip_address(told[_NDA_DST]))
    return Neighbour(index=index, address=address, mac=mac, stated=bool(state & _PERMANENT))
