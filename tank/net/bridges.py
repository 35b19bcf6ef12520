"""Bridges of ours on the host, one for each bridge pool in use, and what the host needs for them.

A bridge is born under a name that is its mark and gets name, alias and addresses afterwards, so that one left half
made is found again. One that stands under the wanted name and is not ours is never touched. All of it blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path

from tank.errors import Failed, Waiting
from tank.model.pools import Pool
from tank.net.drift import Parent
from tank.net.links import REASON, Links
from tank.net.seen import Link, Seen
from tank.net.wanted import CABLE_MTU, PROTOCOL, stable_mac

_SYSCTL = Path("/proc/sys/net")


def bridge_mark(installation: str, pool: str) -> str:
    """What the alias of a pool's bridge is."""
    return f"tank {installation}/bridge/{pool}"


def bridge_name(installation: str, pool: Pool) -> str:
    """What the pool's bridge is called: as its pool says, else after its mark."""
    return pool.parent or f"tk{hashlib.sha256(bridge_mark(installation, pool.name).encode()).hexdigest()[:12]}"


def ensure(links: Links, pool: Pool, installation: str, *, repair: bool = True) -> Parent:
    """The bridge of a resolved pool stands, up, with its addresses. Raises Waiting, Failed.

    Without `repair` one that stands is left as it is.
    """
    mark, name = bridge_mark(installation, pool.name), bridge_name(installation, pool)
    standing = links.links()
    link = next((each for each in standing if each.alias == mark), None)
    if link is not None and not repair:
        return Parent(name=link.name, index=link.index, mtu=link.mtu)
    link = _ours(standing, name, mark) or _made(links, pool, installation)
    if not link.up or link.mtu != CABLE_MTU or link.name != name or link.alias != mark:
        links.set_link(link.index, name=name, alias=mark, mtu=CABLE_MTU)
    seen = links.look()
    for address in _strange(pool, link, seen):
        links.drop_address(link.index, address)
    for address in _missing(pool, link, seen):
        links.add_address(link.index, address)
    for path, value in _settings(name):
        _set(path, value)
    return Parent(name=name, index=link.index, mtu=link.mtu)


def differences(seen: Seen, pool: Pool, installation: str) -> Iterator[str]:
    """What of the bridge of a resolved pool does not stand, in words."""
    mark, name = bridge_mark(installation, pool.name), bridge_name(installation, pool)
    link = next((each for each in seen.links if each.alias == mark), None)
    if link is None or link.name != name:
        yield f"the bridge of pool {pool.name} is missing"
        return
    if not link.up:
        yield f"the bridge {name} is down"
    if link.mtu != CABLE_MTU:
        yield f"the bridge {name} has MTU {link.mtu}, not {CABLE_MTU}"
    for address in _missing(pool, link, seen):
        yield f"the bridge {name} has lost its address {address}"
    for address in _strange(pool, link, seen):
        yield f"the bridge {name} has the address {address} of an earlier setting"
    for path, value in _settings(name):
        with contextlib.suppress(OSError):
            if (_SYSCTL / path).read_text().strip() != value:
                yield f"net/{path} is not {value}"


def remove_others(links: Links, installation: str, kept: set[str]) -> tuple[str, ...]:
    """Take away every bridge of ours whose pool is not in use. Answers with their names."""
    gone = []
    for link in links.links():
        pool = link.alias.removeprefix(bridge_mark(installation, ""))
        if link.kind == "bridge" and pool != link.alias and pool not in kept:
            links.drop_link(link.index)
            gone.append(link.name)
    return tuple(gone)


def _ours(links: tuple[Link, ...], name: str, mark: str) -> Link | None:
    link = next((each for each in links if each.alias == mark), None)
    other = next((each for each in links if each.name == name), None)
    if (
        link is None
        and other is not None
        and not (other.kind == "bridge" and not other.alias and name.startswith("tk"))
    ):
        raise Waiting(
            REASON, f"the host has an interface called {name} that is not Tank's: rename it, or the pool's parent"
        )
    return link or other


def _made(links: Links, pool: Pool, installation: str) -> Link:
    name = f"tk{hashlib.sha256(bridge_mark(installation, pool.name).encode()).hexdigest()[:12]}"
    links.make_bridge(name, mac=stable_mac(installation, "bridge", pool.name))
    return next(each for each in links.links() if each.name == name)


def _missing(pool: Pool, link: Link, seen: Seen) -> list[str]:
    held = {each.address for each in seen.addresses if each.index == link.index}
    return [each for each in _own(pool) if each not in held]


def _strange(pool: Pool, link: Link, seen: Seen) -> list[str]:
    """What we gave it, by an earlier setting of its pool."""
    ours = (each.address for each in seen.addresses if each.index == link.index and each.protocol == PROTOCOL)
    own = set(_own(pool))
    return [each for each in ours if each not in own]


def _own(pool: Pool) -> Iterator[str]:
    for gateway in pool.gateways:
        for subnet in map(ipaddress.ip_network, pool.subnets):
            if ipaddress.ip_address(gateway) in subnet:
                yield f"{gateway}/{subnet.prefixlen}"


def _settings(bridge: str) -> Iterator[tuple[str, str]]:
    """What the host must let pass. The bridge takes no address from what a pod says (S32)."""
    yield f"ipv6/conf/{bridge}/accept_ra", "0"
    yield f"ipv4/conf/{bridge}/route_localnet", "1"
    yield "ipv4/ip_forward", "1"
    yield "ipv6/conf/all/forwarding", "1"


def _set(path: str, value: str) -> None:
    """Where it is not so already. A host that learns its own IPv6 route from routers goes on doing so."""
    file = _SYSCTL / path
    if not file.exists() and path.startswith("ipv6"):
        return  # a kernel without it
    try:
        if file.read_text().strip() == value:
            return
        if path == "ipv6/conf/all/forwarding":
            _keep_listening_to_routers()
        file.write_text(value)
    except OSError as error:
        raise Failed(f"cannot set net/{path}: {error.strerror}") from error


def _keep_listening_to_routers() -> None:
    """A forwarding host ignores routers where accept_ra is 1; with 2 it does not."""
    for file in (_SYSCTL / "ipv6/conf").glob("*/accept_ra"):
        if file.parent.name not in ("all", "default", "lo") and file.read_text().strip() == "1":
            file.write_text("2")
