"""Links, addresses and routes of one network namespace, as typed functions.

A conversation runs on a socket that was opened in the namespace beforehand (`tank.host.netns`), so nothing here
enters one. All functions block and may be repeated; every refusal of the kernel becomes Waiting with its words.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from tank.errors import Waiting
from tank.net import rtnetlink as wire
from tank.net.dhcp.holding import lifetime
from tank.net.rtnetlink import Conversation, attribute, attributes, nested, number, text
from tank.net.seen import Link, LinkAddress, LinkRoute, Seen
from tank.net.wanted import PROTOCOL, V4, V6, WantedRoute, family

REASON = "NetworkNotReady"

_IFINFO, _IFADDR, _ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
_ADDRESS, _NAME, _MTU, _LINK, _QUEUE, _LINKINFO, _ALIAS, _NET_NS_FD, _EXT_MASK = 1, 3, 4, 5, 6, 18, 20, 28, 29  # IFLA_*
_INFO_KIND, _INFO_DATA, _MACVLAN_MODE, _BRIDGE = 1, 2, 1, 4
_MASTER, _IPVLAN_MODE, _VETH_PEER, _NESTED, _FORWARD_DELAY, _SPANNING_TREE = 10, 1, 1, 0x8000, 1, 5
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_PROTO = 1, 2, 4, 8, 11
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 6, 7, 15
_UP, _NO_STATISTICS = 1, 8
_PERMANENT, _NODAD, _UNREADY = 0x80, 0x02, 0x40 | 0x08  # the last: tentative, or found to be somebody else's
_PASSING = 0x01 | 0x20 | 0x40  # secondary or temporary, deprecated, tentative
_MAIN_TABLE, _UNICAST, _EVERYWHERE, _ON_LINK = 254, 1, 0, 253

_CURES = {
    errno.EBUSY: "it belongs to a bridge or a bond: name that as the parent; or it carries another kind",
    errno.EINVAL: "it is no Ethernet interface that can carry others",
    errno.EOPNOTSUPP: "this kernel lacks the macvlan driver (modprobe macvlan)",
}
_VETH_CURES = {errno.EOPNOTSUPP: "this kernel lacks the veth driver (modprobe veth)"}
_CLASHES = {
    errno.EADDRINUSE: "another interface on the same parent has this MAC",
    errno.EEXIST: "the pod has an interface of that name that is not ours",
}
_NO_INET6 = {errno.EACCES: "IPv6 is switched off (sysctl net.ipv6.conf.default.disable_ipv6)"}


def host_links() -> Links:
    """A conversation about the host's own links."""
    return Links(socket.socket(wire.NETLINK[0], wire.NETLINK[1] | socket.SOCK_CLOEXEC, wire.NETLINK[2]))


class Links:
    """A conversation about one namespace, over a socket of it that is closed at the end."""

    def __init__(self, opened: socket.socket) -> None:
        self._talk = Conversation(opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._talk.__exit__()

    @property
    def conversation(self) -> Conversation:
        """What it is held over, for other requests."""
        return self._talk

    def look(self) -> Seen:
        """All links, addresses, and routes of the main table."""
        links, addresses = self.links(), self.addresses()
        with refused("look at the routes"):
            routes = [_route(each) for version in (V4, V6) for each in self._routes(version)]
        return Seen(links=links, addresses=addresses, routes=tuple(route for route in routes if route is not None))

    def addresses(self) -> tuple[LinkAddress, ...]:
        """All addresses of all links."""
        with refused("look at the addresses"):
            return tuple(_address(each) for each in self._talk.dump(wire.GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)))

    def links(self) -> tuple[Link, ...]:
        """All links."""
        with refused("look at the interfaces"):
            body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_EXT_MASK, _NO_STATISTICS)
            return tuple(_link(each) for each in self._talk.dump(wire.GETLINK, body))

    def index(self, name: str) -> int:
        """The index of the link called `name`."""
        with refused(f"find the interface {name}"):
            body = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_NAME, name)
            return _link(self._talk.get(wire.GETLINK, body)).index

    def make_macvlan(self, name: str, *, parent: int, mac: str, mtu: int | None, namespace: int) -> None:
        """A macvlan link on the link with index `parent`, born in the namespace of the descriptor, down."""
        data = nested(_INFO_DATA, attribute(_MACVLAN_MODE, _BRIDGE))
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _stated(name, None, mac, mtu)
        body += attribute(_LINK, parent) + attribute(_NET_NS_FD, namespace)
        body += nested(_LINKINFO, attribute(_INFO_KIND, "macvlan"), data)
        with refused(f"put an interface on {_name(parent)}", cures=_CURES):
            self._talk.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)

    def make_ipvlan(self, name: str, *, parent: int, mtu: int | None, namespace: int) -> None:
        """An ipvlan link in the mode of a switch, with the parent's MAC, born in that namespace, down."""
        data = nested(_INFO_DATA, attribute(_IPVLAN_MODE, struct.pack("=H", 0)))
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _stated(name, None, None, mtu)
        body += attribute(_LINK, parent) + attribute(_NET_NS_FD, namespace)
        body += nested(_LINKINFO, attribute(_INFO_KIND, "ipvlan"), data)
        cures = _CURES | {errno.EOPNOTSUPP: "this kernel lacks the ipvlan driver (modprobe ipvlan)"}
        with refused(f"put an interface on {_name(parent)}", cures=cures):
            self._talk.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)

    def supports(self, kind: str) -> bool:
        """Whether the kernel has this kind of interface on others, by now: what is asked for is too little to be made.

        Its module is loaded, where there is one. What cannot be told is taken for yes.
        """
        body = _IFINFO.pack(0, 0, 0, 0, 0) + nested(_LINKINFO, attribute(_INFO_KIND, kind))
        try:
            self._talk.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)
        except OSError as error:
            return error.errno != errno.EOPNOTSUPP
        return True

    def make_veth(self, name: str, *, mtu: int, peer: str, mac: str, peer_mtu: int, namespace: int) -> None:
        """A cable: its end here, down; the other end, with that MAC, is born in that namespace, down."""
        inner = _IFINFO.pack(0, 0, 0, 0, 0) + _stated(peer, None, mac, peer_mtu) + attribute(_NET_NS_FD, namespace)
        data = nested(_INFO_DATA, attribute(_VETH_PEER | _NESTED, inner))
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _stated(name, None, None, mtu)
        body += nested(_LINKINFO, attribute(_INFO_KIND, "veth"), data)
        with refused("make a cable to the bridge", cures=_VETH_CURES):
            self._talk.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)

    def make_bridge(self, name: str, *, mac: str) -> None:
        """A bridge, down. It forwards at once and has no spanning tree: every port of it is a pod."""
        data = nested(_INFO_DATA, attribute(_FORWARD_DELAY, 0), attribute(_SPANNING_TREE, 0))
        body = _IFINFO.pack(0, 0, 0, 0, 0) + _stated(name, None, mac, None)
        body += nested(_LINKINFO, attribute(_INFO_KIND, "bridge"), data)
        cures = {errno.EOPNOTSUPP: "this kernel lacks the bridge driver (modprobe bridge)"}
        with refused(f"make the bridge {name}", done=(errno.EEXIST,), cures=cures):
            self._talk.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)

    def plug_in(self, index: int, bridge: int, mark: str, *, mtu: int) -> None:
        """Put a link on a bridge, with its mark, and up. `mtu`: a bridge takes the least that one of its links has."""
        body = _IFINFO.pack(0, 0, index, _UP, _UP) + _stated(None, mark, None, mtu) + attribute(_MASTER, bridge)
        with refused("plug a cable into its bridge"):
            self._talk.request(wire.NEWLINK, body)

    def set_link(
        self,
        index: int,
        *,
        name: str | None = None,
        alias: str | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        up: bool = True,
    ) -> None:
        """Change what is given, in one request, and bring the link up or down."""
        stated = {"name": name, "MAC": mac, "MTU": mtu, "state": "up" if up else "down"}
        about = ", ".join(f"{what} {value}" for what, value in stated.items() if value is not None)
        body = _IFINFO.pack(0, 0, index, _UP if up else 0, _UP) + _stated(name, alias, mac, mtu)
        with refused(f"set {about} on an interface of the pod", cures=_CLASHES):
            self._talk.request(wire.NEWLINK, body)

    def drop_link(self, index: int) -> None:
        """Remove the link; gone already is success."""
        with refused("remove an interface", done=(errno.ENODEV,)):
            self._talk.request(wire.DELLINK, _IFINFO.pack(0, 0, index, 0, 0))

    def add_address(self, index: int, address: str, *, seconds: float | None = None) -> None:
        """Add an address, usable at once (no duplicate address detection), for so many `seconds`; None: for ever."""
        found = ipaddress.ip_interface(address)
        body = _place(index, address) + attribute(_IFA_PROTO, bytes((PROTOCOL,)))
        body += lifetime(seconds) if seconds is not None else b""
        if isinstance(found, ipaddress.IPv4Interface) and found.network.prefixlen < 31:
            body += attribute(_IFA_BROADCAST, found.network.broadcast_address.packed)
        if found.version == 6:
            body += attribute(_IFA_FLAGS, _NODAD)
        with refused(f"add the address {address}", done=(errno.EEXIST,), cures=_NO_INET6):
            self._talk.request(wire.NEWADDR, body, wire.CREATE | wire.EXCL)

    def drop_address(self, index: int, address: str) -> None:
        """Remove an address; gone already is success."""
        with refused(f"remove the address {address}", done=(errno.EADDRNOTAVAIL, errno.ENODEV)):
            self._talk.request(wire.DELADDR, _place(index, address))

    def add_route(self, index: int, route: WantedRoute) -> None:
        """Add a route to the main table, in the place of any other to the same destination and metric."""
        by = f" by {route.via}" if route.via else ""
        with refused(f"add the route to {route.to}{by}"):
            body = _way(index, route.to, route.via, route.metric)
            self._talk.request(wire.NEWROUTE, body, wire.CREATE | wire.REPLACE)

    def drop_route(self, route: LinkRoute) -> None:
        """Remove a route; gone already is success."""
        with refused(f"remove the route to {route.to}", done=(errno.ESRCH, errno.ENODEV)):
            self._talk.request(wire.DELROUTE, _way(route.index or 0, route.to, route.via, route.metric))

    def _routes(self, version: int) -> list[bytes]:
        return self._talk.dump(wire.GETROUTE, _ROUTE.pack(version, 0, 0, 0, _MAIN_TABLE, 0, 0, 0, 0))


@contextmanager
def refused(deed: str, *, done: tuple[int, ...] = (), cures: dict[int, str] | None = None) -> Iterator[None]:
    """Turn the kernel's refusal of `deed` into Waiting; the errors in `done` say that it was done before."""
    try:
        yield
    except OSError as error:
        if error.errno in done:
            return
        words = (error.strerror or str(error)).rstrip(". ").lower()
        cure = (cures or {}).get(error.errno or 0)
        raise Waiting(REASON, f"cannot {deed}: {words}" + (f"; {cure}" if cure else "")) from error


def _stated(name: str | None, alias: str | None, mac: str | None, mtu: int | None) -> bytes:
    hardware = bytes.fromhex(mac.replace(":", "")) if mac else None
    told = {_NAME: name, _ALIAS: alias, _ADDRESS: hardware, _MTU: mtu}
    return b"".join(attribute(kind, value) for kind, value in told.items() if value is not None)


def _place(index: int, address: str) -> bytes:
    found = ipaddress.ip_interface(address)
    header = _IFADDR.pack(family(address), found.network.prefixlen, 0, 0, index)
    return header + attribute(_IFA_LOCAL, found.ip.packed) + attribute(_IFA_ADDRESS, found.ip.packed)


def _way(index: int, to: str, via: str | None, metric: int) -> bytes:
    network = ipaddress.ip_network(to)
    scope = _EVERYWHERE if via or network.version == 6 else _ON_LINK
    body = _ROUTE.pack(family(to), network.prefixlen, 0, 0, _MAIN_TABLE, PROTOCOL, scope, _UNICAST, 0)
    body += attribute(_RTA_OIF, index)
    if network.prefixlen:
        body += attribute(_RTA_DST, network.network_address.packed)
    if via:
        body += attribute(_RTA_GATEWAY, ipaddress.ip_address(via).packed)
    return body + (attribute(_RTA_PRIORITY, metric) if metric else b"")


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    told = attributes(body[_IFINFO.size :])
    return Link(
        index=index,
        name=text(told.get(_NAME)),
        alias=text(told.get(_ALIAS)),
        kind=text(attributes(told.get(_LINKINFO, b"")).get(_INFO_KIND)),
        mac=told.get(_ADDRESS, b"").hex(":"),
        mtu=number(told.get(_MTU)),
        up=bool(flags & _UP),
        lower=number(told[_LINK]) if _LINK in told else None,
        master=number(told[_MASTER]) if _MASTER in told else None,
        queue=text(told.get(_QUEUE)),
    )


def _address(body: bytes) -> LinkAddress:
    _, prefix, flags, scope, index = _IFADDR.unpack_from(body)
    told = attributes(body[_IFADDR.size :])
    flags = number(told[_IFA_FLAGS]) if _IFA_FLAGS in told else flags
    return LinkAddress(
        index=index,
        address=f"{ipaddress.ip_address(told.get(_IFA_LOCAL) or told[_IFA_ADDRESS])}/{prefix}",
        static=bool(flags & _PERMANENT) and scope != _ON_LINK,
        protocol=number(told.get(_IFA_PROTO)),
        lasting=not flags & _PASSING,
        ready=not flags & _UNREADY,
    )


def _route(body: bytes) -> LinkRoute | None:
    """A unicast route of the main table; None for any other, which older kernels mix in."""
    version, prefix, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(body)
    told = attributes(body[_ROUTE.size :])
    if (number(told.get(_RTA_TABLE)) or table) != _MAIN_TABLE or kind != _UNICAST:
        return None
    to = told.get(_RTA_DST) or bytes(16 if version == V6 else 4)
    via, source = told.get(_RTA_GATEWAY), told.get(_RTA_PREFSRC)
    return LinkRoute(
        index=number(told[_RTA_OIF]) if _RTA_OIF in told else None,
        to=f"{ipaddress.ip_address(to)}/{prefix}",
        via=str(ipaddress.ip_address(via)) if via else None,
        metric=number(told.get(_RTA_PRIORITY)),
        protocol=protocol,
        source=str(ipaddress.ip_address(source)) if source else "",
    )


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"interface {index}"
