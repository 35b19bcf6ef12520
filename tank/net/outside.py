"""A network namespace for one moment, behind a cable to the host: what a neighbour on the LAN could reach.

It lives as long as its descriptor, and its cable with it: a daemon that is killed in the middle leaves nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tank.errors import Failed
from tank.host.netns import Namespaces
from tank.net.links import Links, host_links
from tank.net.rtnetlink import NETLINK
from tank.net.wanted import CABLE_MTU, WantedRoute, plug_name, stable_mac

_ROOM = ipaddress.ip_network("169.254.64.0/18")  # link-local: never routed, whatever else the machine has


@asynccontextmanager
async def outside(namespaces: Namespaces, installation: str) -> AsyncIterator[tuple[Path, str]]:
    """(the namespace as a path, the host's address as it is seen from there). Raises Failed, Waiting."""
    with await namespaces.fresh() as kept:
        path = Path(f"/proc/self/fd/{kept.fileno()}")
        try:
            host, other = await asyncio.to_thread(_cable, kept.fileno(), installation)
            opened = await namespaces.socket(path, *NETLINK)
            await asyncio.to_thread(partial(_furnish, opened, host, other))
            yield path, host
        finally:
            await asyncio.to_thread(_unplug, installation)


def _mark(installation: str) -> str:
    return f"tank {installation}/outside"


def _cable(namespace: int, installation: str) -> tuple[str, str]:
    """The host's end, with the first address of a small network that the host does not know yet."""
    mark = _mark(installation)
    name = plug_name(mark)
    _unplug(installation)
    with host_links() as links:
        network = _free([each.address for each in links.look().addresses])
        host, other = (str(each) for each in network.hosts())
        mac = stable_mac(installation, "outside", "eth0")
        links.make_veth(name, peer="eth0", mac=mac, mtu=CABLE_MTU, peer_mtu=CABLE_MTU, namespace=namespace)
        found = next(each for each in links.links() if each.name == name)
        links.set_link(found.index, alias=mark)
        links.add_address(found.index, f"{host}/30")
    return host, other


def _free(held: Collection[str]) -> ipaddress.IPv4Network:
    taken = [ipaddress.ip_interface(each).network for each in held]
    for each in _ROOM.subnets(new_prefix=30):
        if isinstance(each, ipaddress.IPv4Network) and not any(
            other.version == 4 and other.overlaps(each) and other.prefixlen > 16 for other in taken
        ):
            return each
    raise Failed(f"cannot make a namespace to try from: no network of {_ROOM} is free")


def _furnish(opened: socket.socket, host: str, other: str) -> None:
    with Links(opened) as links:
        found = next(each for each in links.links() if each.name == "eth0")
        links.set_link(found.index)
        links.add_address(found.index, f"{other}/30")
        links.add_route(found.index, WantedRoute(to="0.0.0.0/0", via=host))


def _unplug(installation: str) -> None:
    name = plug_name(_mark(installation))
    with host_links() as links:
        for each in links.links():
            if each.name == name:
                links.drop_link(each.index)
