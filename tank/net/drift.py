"""What differs between the interfaces a pod should have and those it has, as things to be done. Pure.

One comparison serves both ends: `configure` carries the changes out, `observe` reports their words. The changes
of one answer can be done in its order without another look. Links come before what lies on them, and removals
before additions: where an address goes, the kernel may take its neighbours and their routes along, and a moved
address is never held twice. So the caller looks and asks again until there is nothing to do.

Foreign links, addresses and routes are left alone. On kernels that do not keep who added an address (before
5.18), any static address on a link of ours that the spec does not name goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tank.net.seen import Link, LinkAddress, LinkRoute, Seen
from tank.net.wanted import PROTOCOL, TEMPORARY, V6, Interface, WantedRoute, family


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The host's interface below one of ours."""

    name: str
    index: int
    mtu: int
    mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeLink:
    """Make the interface with all that belongs to it."""

    words: str
    interface: Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLink:
    """Remove a link of ours."""

    words: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLink:
    """Put a link right and up; None leaves as it is. `down`: it must be taken down first."""

    words: str
    index: int
    down: bool = False
    name: str | None = None
    alias: str | None = None
    mac: str | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAddress:
    """Remove an address of ours."""

    words: str
    index: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """Add an address."""

    words: str
    index: int
    address: str
    interface: Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRoute:
    """Remove a route of ours."""

    words: str
    route: LinkRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute:
    """Add a route."""

    words: str
    index: int
    route: WantedRoute


Change = MakeLink | DropLink | SetLink | DropAddress | AddAddress | DropRoute | AddRoute
ADDITIONS = (MakeLink, AddAddress, AddRoute)  # after these alone, no other look is needed


def compare(wanted: Sequence[Interface], seen: Seen, prefix: str, parents: Mapping[str, Parent]) -> tuple[Change, ...]:
    """What is to be done next; empty when all is as it should be.

    `prefix` begins the alias of every link of this pod; `parents` has, by the name of the interface, its
    parent where that is known. An `auto` interface that stands keeps the parent that it has.
    """
    have = {interface.name: find(interface, seen) for interface in wanted}
    removals = (*_stray_links(have, seen, prefix), *_wrong_links(wanted, have, parents))
    if removals:
        return removals
    if settings := (*_loopback(seen), *_settings(wanted, have, parents)):
        return settings
    if strays := (*_stray_addresses(wanted, have, seen), *_stray_routes(wanted, have, seen)):
        return strays
    return (
        *_missing_links(wanted, have),
        *_missing_addresses(wanted, have, seen),
        *_missing_routes(wanted, have, seen),
    )


def borrowing(wanted: Sequence[Interface], parents: Mapping[str, Parent]) -> tuple[Interface, ...]:
    """An ipvlan has the MAC of its parent, and is asked about there."""
    found = {each.name: parents[each.name] for each in wanted if each.kind == "ipvlan" and each.name in parents}
    return tuple(
        replace(each, mac=found[each.name].mac, parent=found[each.name].name) if each.name in found else each
        for each in wanted
    )


def on_the_lan(wanted: Sequence[Interface], parents: Mapping[str, Parent]) -> Mapping[str, Parent]:
    """The parents of macvlans."""
    return {each.name: parents[each.name] for each in wanted if each.kind == "macvlan" and each.name in parents}


def find(interface: Interface, seen: Seen) -> Link | None:
    """Our link for this interface: by its mark, else by what nobody else would give it all at once."""
    for link in seen.links:
        if link.alias == interface.mark:
            return link
    return next((link for link in seen.links if _alike(link, interface)), None)


def bears(link: Link, prefix: str) -> bool:
    """Whether the link is ours: by its alias, or by the name that it has until it gets one."""
    return link.alias.startswith(f"{prefix}/") or (not link.alias and bool(TEMPORARY.fullmatch(link.name)))


def _alike(link: Link, interface: Interface) -> bool:
    return link.kind == interface.kind and link.name == interface.name and link.mac == interface.mac


def _stray_links(have: Mapping[str, Link | None], seen: Seen, prefix: str) -> Iterator[Change]:
    kept = {link.index for link in have.values() if link}
    funnels = {f"{link.alias}/in" for link in have.values() if link and link.alias}  # see tank.net.shapes
    for link in seen.links:
        if link.index not in kept and link.alias not in funnels and bears(link, prefix):
            yield DropLink(words=f"interface {link.name} is not wanted", index=link.index)


def _wrong_links(
    wanted: Sequence[Interface], have: Mapping[str, Link | None], parents: Mapping[str, Parent]
) -> Iterator[Change]:
    for interface in wanted:
        link, parent = have[interface.name], parents.get(interface.name)
        if link is None:
            continue
        if link.kind != interface.kind:
            yield DropLink(words=f"interface {interface.name} is no {interface.kind}", index=link.index)
        elif parent and link.kind != "veth" and link.lower != parent.index:
            yield DropLink(words=f"interface {interface.name} has a parent other than {parent.name}", index=link.index)


def _loopback(seen: Seen) -> Iterator[Change]:
    for link in seen.links:
        if link.name == "lo" and not link.up:
            yield SetLink(words="loopback is down", index=link.index)


def _settings(
    wanted: Sequence[Interface], have: Mapping[str, Link | None], parents: Mapping[str, Parent]
) -> Iterator[Change]:
    for interface in wanted:
        link, parent = have[interface.name], parents.get(interface.name)
        if link is None:
            continue
        most = parent.mtu if parent else link.mtu
        mtu = interface.mtu or min(most, interface.offered_mtu or most)
        name, mac, alias = interface.name, interface.mac, interface.mark
        faults = [
            (link.name != name, f"interface {name} is called {link.name}"),
            (link.alias != alias, f"interface {name} has lost its mark"),
            (link.mac != mac and link.kind != "ipvlan", f"interface {name} has MAC {link.mac}, not {mac}"),
            (link.mtu != mtu, f"interface {name} has MTU {link.mtu}, not {mtu}"),
            (not link.up, f"interface {name} is down"),
        ]
        if words := "; ".join(said for wrong, said in faults if wrong):
            yield SetLink(
                words=words,
                index=link.index,
                down=link.up and link.name != name,
                name=name if link.name != name else None,
                alias=alias if link.alias != alias else None,
                mac=mac if link.mac != mac and link.kind != "ipvlan" else None,
                mtu=mtu if link.mtu != mtu else None,
            )


def _stray_addresses(wanted: Sequence[Interface], have: Mapping[str, Link | None], seen: Seen) -> Iterator[Change]:
    named = {link.index: interface for interface in wanted if (link := have[interface.name])}
    for each in seen.addresses:
        interface = named.get(each.index)
        if interface and each.address not in interface.addresses and _ours(each, seen, interface):
            words = f"address {each.address} on {interface.name} is not wanted"
            yield DropAddress(words=words, index=each.index, address=each.address)


def _ours(address: LinkAddress, seen: Seen, interface: Interface) -> bool:
    """Where nobody keeps who made it, an IPv6 address may be the kernel's, made of what a router says for ever."""
    made = "slaac" in interface.asks and family(address.address) == V6
    return address.protocol == PROTOCOL if seen.keeps_protocols else address.static and not made


def _stray_routes(wanted: Sequence[Interface], have: Mapping[str, Link | None], seen: Seen) -> Iterator[Change]:
    right = {
        (link.index, route.to, route.via, _metric(route))
        for interface in wanted
        if (link := have[interface.name])
        for route in interface.routes
    }
    for each in seen.routes:
        if each.protocol == PROTOCOL and (each.index, each.to, each.via, each.metric) not in right:
            yield DropRoute(words=f"route {_path(each.to, each.via)} is not wanted", route=each)


def _missing_links(wanted: Sequence[Interface], have: Mapping[str, Link | None]) -> Iterator[Change]:
    for interface in wanted:
        if have[interface.name] is None:
            yield MakeLink(words=f"interface {interface.name} is missing", interface=interface)


def _missing_addresses(wanted: Sequence[Interface], have: Mapping[str, Link | None], seen: Seen) -> Iterator[Change]:
    held = {(each.index, each.address) for each in seen.addresses}
    for interface in wanted:
        link = have[interface.name]
        for address in interface.addresses if link else ():
            if link and (link.index, address) not in held:
                words = f"address {address} on {interface.name} is missing"
                yield AddAddress(words=words, index=link.index, address=address, interface=interface)


def _missing_routes(wanted: Sequence[Interface], have: Mapping[str, Link | None], seen: Seen) -> Iterator[Change]:
    held = {(each.index, each.to, each.via) for each in seen.routes}
    for interface in wanted:
        link = have[interface.name]
        for route in interface.routes if link else ():
            if link and (link.index, route.to, route.via) not in held:
                words = f"route {_path(route.to, route.via)} on {interface.name} is missing"
                yield AddRoute(words=words, index=link.index, route=route)


def _metric(route: WantedRoute) -> int:
    """As the kernel tells it: it reads 0 as 1024 for IPv6."""
    return route.metric + 1024 if family(route.to) == V6 else route.metric


def _path(to: str, via: str | None) -> str:
    return f"to {to}" + (f" by {via}" if via else "")
