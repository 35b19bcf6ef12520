"""Links, addresses and routes over rtnetlink: typed functions over pyroute2, which nobody else imports.

A conversation runs on a socket that was opened in the namespace beforehand (`tank.host.netns`), so it is
ordinary input and output of the event loop; pyroute2's own ways into a namespace fork, and are never used.
The library takes 0.1 s and 20 MB to load: that is done once, in a thread, when the first interface is made.
Every refusal of the kernel becomes Waiting with the kernel's words. Each function may be repeated.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import ipaddress
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from tank.errors import Timeout, Waiting
from tank.net.seen import Link, LinkAddress, LinkRoute, Seen
from tank.net.wanted import PROTOCOL, V4, V6, WantedRoute, family

REASON = "NetworkNotReady"
SECONDS = 10.0  # for a whole conversation; an answer takes well below a millisecond

NETLINK = (socket.AF_NETLINK, socket.SOCK_DGRAM, 0)  # NETLINK_ROUTE
_MAIN_TABLE, _UNICAST, _UP = 254, 1, 1
_IFA_F_PERMANENT, _IFA_F_NODAD, _SCOPE_LINK = 0x80, 0x02, 253
_NO_STATISTICS = 8  # RTEXT_FILTER_SKIP_STATS
_CURES = {
    errno.EBUSY: "it belongs to a bridge or a bond: name that as the parent",
    errno.EINVAL: "it is no Ethernet interface that can carry others",
    errno.EOPNOTSUPP: "this kernel lacks the macvlan driver (modprobe macvlan)",
}

_CLASHES = {
    errno.EADDRINUSE: "another interface on the same parent has this MAC",
    errno.EEXIST: "the pod has an interface of that name that is not ours",
}


@asynccontextmanager
async def conversation(opened: socket.socket) -> AsyncIterator[Links]:
    """Talk to the kernel over `opened`, which is closed afterwards."""
    library = await _library()
    talk = library.AsyncIPRoute(use_socket=opened, ext_ack=True, strict_check=True)
    try:
        async with asyncio.timeout(SECONDS):
            yield Links(talk)
    except TimeoutError as error:
        raise Timeout(f"cannot configure the network: the kernel gave no answer within {SECONDS:g} s") from error
    finally:
        talk.close()
        opened.close()


def host_socket() -> socket.socket:
    """A socket for a conversation about the host's own links."""
    return socket.socket(NETLINK[0], NETLINK[1] | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, NETLINK[2])


class Links:
    """A conversation about one namespace."""

    def __init__(self, talk: Any) -> None:
        self._talk = talk

    async def look(self) -> Seen:
        """All links, addresses, and routes of the main table."""
        links = await self.links()
        with _refused("look at the addresses and routes"):
            addresses = [_address(each) async for each in await self._talk.get_addr()]
            routes = [
                _route(each)
                for version in (V4, V6)
                async for each in await self._talk.get_routes(family=version, table=_MAIN_TABLE)
                if each["type"] == _UNICAST
            ]
        return Seen(links=links, addresses=tuple(addresses), routes=tuple(routes))

    async def links(self) -> tuple[Link, ...]:
        """All links."""
        with _refused("look at the interfaces"):
            found = await self._talk.get_links(ext_mask=_NO_STATISTICS)
            return tuple([_link(each) async for each in found])

    async def make_macvlan(self, name: str, *, parent: int, mac: str, mtu: int | None, namespace: int) -> None:
        """A macvlan link on the link with index `parent`, born in the namespace of the descriptor, down."""
        with _refused(f"put an interface on {_name(parent)}", cures=_CURES):
            await self._talk.link(
                "add",
                ifname=name,
                kind="macvlan",
                macvlan_mode="bridge",
                link=parent,
                address=mac,
                net_ns_fd=namespace,
                **({"mtu": mtu} if mtu else {}),
            )

    async def set_link(
        self,
        index: int,
        *,
        name: str | None = None,
        alias: str | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        up: bool | None = None,
    ) -> None:
        """Change what is given, in one request."""
        stated = {"ifname": name, "ifalias": alias, "address": mac, "mtu": mtu}
        wanted: dict[str, Any] = {key: value for key, value in stated.items() if value is not None}
        if up is not None:
            wanted["state"] = "up" if up else "down"
        about = ", ".join(f"{key} {value}" for key, value in wanted.items() if key != "ifalias")
        with _refused(f"set {about} on an interface of the pod", cures=_CLASHES):
            await self._talk.link("set", index=index, **wanted)

    async def drop_link(self, index: int) -> None:
        """Remove the link; gone already is success."""
        with _refused("remove an interface", done=(errno.ENODEV,)):
            await self._talk.link("del", index=index)

    async def add_address(self, index: int, address: str) -> None:
        """Add a static address, usable at once: no duplicate address detection keeps it tentative."""
        found = ipaddress.ip_interface(address)
        more: dict[str, Any] = {"flags": _IFA_F_NODAD} if found.version == 6 else {}
        if isinstance(found, ipaddress.IPv4Interface) and found.network.prefixlen < 31:
            more["broadcast"] = str(found.network.broadcast_address)
        with _refused(f"add the address {address}", done=(errno.EEXIST,)):
            await self._talk.addr("add", **_place(index, address), proto=PROTOCOL, **more)

    async def drop_address(self, index: int, address: str) -> None:
        """Remove an address; gone already is success."""
        with _refused(f"remove the address {address}", done=(errno.EADDRNOTAVAIL, errno.ENODEV)):
            await self._talk.addr("del", **_place(index, address))

    async def add_route(self, index: int, route: WantedRoute) -> None:
        """Add a route to the main table, in the place of any other to the same destination and metric."""
        by = f" by {route.via}" if route.via else ""
        with _refused(f"add the route to {route.to}{by}"):
            await self._talk.route("replace", **_way(index, route.to, route.via, route.metric))

    async def drop_route(self, route: LinkRoute) -> None:
        """Remove a route; gone already is success."""
        with _refused(f"remove the route to {route.to}", done=(errno.ESRCH, errno.ENODEV)):
            await self._talk.route("del", **_way(route.index, route.to, route.via, route.metric))


async def _library() -> Any:
    if "pyroute2" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "pyroute2")
    return importlib.import_module("pyroute2")


@contextmanager
def _refused(deed: str, *, done: tuple[int, ...] = (), cures: dict[int, str] | None = None) -> Iterator[None]:
    """Turn the kernel's refusal of `deed` into Waiting; the errors in `done` say that it was done before."""
    library = importlib.import_module("pyroute2.netlink.exceptions")
    try:
        yield
    except library.NetlinkError as error:
        if error.code in done:
            return
        cure = (cures or {}).get(error.code)
        words = _kernels_words(error)
        raise Waiting(REASON, f"cannot {deed}: {words}" + (f"; {cure}" if cure else "")) from error
    except OSError as error:
        raise Waiting(REASON, f"cannot {deed}: {error.strerror or error}") from error


def _kernels_words(error: Any) -> str:
    said = str(error.args[1]) if len(error.args) > 1 else ""
    return (said or os.strerror(error.code)).rstrip(". ").lower()


def _place(index: int, address: str) -> dict[str, Any]:
    found = ipaddress.ip_interface(address)
    return {"index": index, "address": str(found.ip), "prefixlen": found.network.prefixlen}


def _way(index: int | None, to: str, via: str | None, metric: int) -> dict[str, Any]:
    way: dict[str, Any] = {"family": family(to), "dst": to, "oif": index, "proto": PROTOCOL, "table": _MAIN_TABLE}
    if via:
        way["gateway"] = via
    else:
        way["scope"] = 0 if family(to) == V6 else _SCOPE_LINK
    if metric:
        way["priority"] = metric
    return way


def _link(message: Any) -> Link:
    return Link(
        index=message["index"],
        name=message.get("ifname") or "",
        alias=message.get("ifalias") or "",
        kind=message.get(("linkinfo", "kind")) or "",
        mac=message.get("address") or "",
        mtu=message.get("mtu") or 0,
        up=bool(message["flags"] & _UP),
        lower=message.get("link"),
    )


def _address(message: Any) -> LinkAddress:
    bare = message.get("local") or message.get("address")
    flags = message.get("flags") or 0
    return LinkAddress(
        index=message["index"],
        address=f"{ipaddress.ip_address(bare)}/{message['prefixlen']}",
        static=bool(flags & _IFA_F_PERMANENT) and message["scope"] != _SCOPE_LINK,
        protocol=message.get("proto") or 0,
    )


def _route(message: Any) -> LinkRoute:
    anywhere = "::" if message["family"] == V6 else "0.0.0.0"  # noqa: S104  the destination, not a listener
    return LinkRoute(
        index=message.get("oif"),
        to=f"{message.get('dst') or anywhere}/{message['dst_len']}",
        via=message.get("gateway"),
        metric=message.get("priority") or 0,
        protocol=message["proto"],
    )


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"interface {index}"
