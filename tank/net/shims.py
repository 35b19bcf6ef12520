"""The host's own interfaces among its pods on the LAN: what there should be, and what differs. Pure.

The kernel leads no frame between an interface and the macvlans on it, so the host reaches its pods only by a macvlan
of its own on the same parent: the shim. It has the address that the host has on that network, or one of the pool's,
as a host address (/32, /128) of link scope that nobody else of the host chooses for a source; and one host route and
one stated neighbour for each pod. The host's own addresses and routes stay as they are, the parent is not touched.

The LAN must never take the shim for the host. So the shim asks nobody (its neighbours are stated), answers only who
is reached by it (arp_filter), and lets in no question and nothing for all that is not from a pod of ours.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tank.model.pools import Pool
from tank.net.drift import Parent
from tank.net.seen import Link, LinkAddress, LinkRoute, Neighbour, Seen
from tank.net.wanted import PROTOCOL, stable_mac


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a pod is on the LAN: an address with prefix, and its interface's MAC and parent; None: not known now."""

    address: str
    mac: str
    parent: Parent | None
    pool: str = ""

    @property
    def bare(self) -> str:
        """The address without its prefix."""
        return self.address.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One pod's address, the host's that goes out to it, and the MAC that it has."""

    to: str
    source: str
    mac: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shim:
    """The host's interface on one parent."""

    parent: Parent
    mark: str
    mac: str
    ways: tuple[Way, ...]

    @property
    def name(self) -> str:
        """What it is called: after its mark, so that it is found again before it bears that."""
        return f"tk{hashlib.sha256(self.mark.encode()).hexdigest()[:12]}"

    @property
    def addresses(self) -> frozenset[str]:
        """The host's own on it, with prefix."""
        return frozenset(_whole(each.source) for each in self.ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What stands on the host."""

    seen: Seen
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All shims there should be.

    `macs`: of every pod on the LAN. `undecided`: addresses whose parent is not known now; what leads there stays as it
    is, and so do shims that are `kept`. `lost`: addresses that no address of the host goes with.
    """

    shims: tuple[Shim, ...] = ()
    macs: tuple[str, ...] = ()
    undecided: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()
    lost: tuple[Seat, ...] = field(default=(), compare=False)

    @property
    def led(self) -> frozenset[str]:
        """The pods' addresses that the host reaches by a shim."""
        return frozenset(way.to for shim in self.shims for way in shim.ways)


def prefix(installation: str) -> str:
    """What the alias of every shim begins with."""
    return f"tank {installation}/shim/"


def plan(
    seats: Iterable[Seat],
    seen: Seen,
    pools: Mapping[str, Pool],
    given: Mapping[str, Collection[str]],
    installation: str,
) -> Plan:
    """What there should be for these pods. `given`: the addresses that pools gave to the host."""
    seats = sorted(seats, key=lambda each: each.address)
    taken = {each.bare for each in seats}
    ways: dict[Parent, list[Way]] = {}
    lost = []
    for each in seats:
        if each.parent is None:
            continue
        pool = pool_of(each, pools)
        own = [*_stated(pool), *_held(seen, each.parent), *(given.get(pool.name, ()) if pool else ())]
        source = next((one for one in own if _beside(one, each) and one not in taken), None)
        if source is None:
            lost.append(each)
        else:
            ways.setdefault(each.parent, []).append(Way(to=each.bare, source=source, mac=each.mac))
    found = tuple(
        Shim(
            parent=parent,
            mark=f"{prefix(installation)}{parent.name}",
            mac=stable_mac(installation, "shim", parent.name),
            ways=tuple(mine),
        )
        for parent, mine in sorted(ways.items(), key=lambda each: each[0].name)
    )
    undecided = frozenset(each.bare for each in seats if each.parent is None)
    planned = {each.name for each in found}
    standing = (each.name for each in seen.links if each.alias.startswith(prefix(installation)))
    return Plan(
        shims=found,
        macs=tuple(sorted({each.mac for each in seats})),
        undecided=undecided,
        kept=tuple(each for each in standing if undecided and each not in planned),
        lost=tuple(lost),
    )


def pool_of(seat: Seat, pools: Mapping[str, Pool]) -> Pool | None:
    """The pool that gave the address, else one that it could be of."""
    if found := pools.get(seat.pool):
        return found
    address = ipaddress.ip_address(seat.bare)
    lan = (each for each in pools.values() if each.mode == "macvlan")
    return next((each for each in lan if any(address in ipaddress.ip_network(net) for net in each.subnets)), None)


def _stated(pool: Pool | None) -> tuple[str, ...]:
    return pool.shims if pool else ()


def _held(seen: Seen, parent: Parent) -> list[str]:
    """The host's addresses on the parent, those that last first."""
    mine = [each for each in seen.addresses if each.index == parent.index]
    return [
        each.address.partition("/")[0] for each in sorted(mine, key=lambda each: (not each.lasting, not each.static))
    ]


def _beside(address: str, seat: Seat) -> bool:
    """Whether the pod reaches it without a router."""
    return ipaddress.ip_address(address) in ipaddress.ip_interface(seat.address).network


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not as it should be. `link`: the shim that it is about, where that stands."""

    words: str
    link: Link | None = None
    shim: Shim | None = None  # to be made, or to be set right and up
    address: str = ""
    way: Way | None = None
    route: LinkRoute | None = None
    neighbour: Neighbour | None = None
    gone: bool = False  # it is to go: the link, or what is named of it


def links_between(plan: Plan, look: Look, installation: str) -> Iterator[Difference]:
    """Shims that are missing, or one too many. A link that is half made is found by its name."""
    wanted = {each.name: each for each in plan.shims}
    found = {name: link for name in wanted if (link := standing(wanted[name], look.seen))}
    kept = {each.index for each in found.values()}
    for link in look.seen.links:
        if link.index not in kept and link.alias.startswith(prefix(installation)) and not plan.undecided:
            yield Difference(words=f"the shim {link.name} is not wanted", link=link, gone=True)
    for name, shim in wanted.items():
        other = found.get(name)
        if other and (other.kind != "macvlan" or other.lower != shim.parent.index):
            yield Difference(words=f"the shim on {shim.parent.name} is on another interface", link=other, gone=True)
            other = None
        if other is None:
            yield Difference(words=f"the shim on {shim.parent.name} is missing", shim=shim)


def standing(shim: Shim, seen: Seen) -> Link | None:
    """The shim as it is: by its mark, else by the name that it was born with."""
    marked = (each for each in seen.links if each.alias == shim.mark)
    born = (each for each in seen.links if each.name == shim.name and not each.alias)
    return next(marked, None) or next(born, None)


def settings_between(plan: Plan, look: Look) -> Iterator[Difference]:
    """Shims that stand and are not as they should be."""
    for shim in plan.shims:
        link = standing(shim, look.seen)
        if link is None:
            continue
        name = shim.parent.name
        faults = [
            (link.name != shim.name, f"the shim on {name} is called {link.name}"),
            (link.alias != shim.mark, f"the shim on {name} has lost its mark"),
            (link.mac != shim.mac, f"the shim on {name} has MAC {link.mac}, not {shim.mac}"),
            (link.mtu != shim.parent.mtu, f"the shim on {name} has MTU {link.mtu}, not {shim.parent.mtu}"),
            (not link.up, f"the shim on {name} is down"),
        ]
        if words := "; ".join(said for wrong, said in faults if wrong):
            yield Difference(words=words, link=link, shim=shim)


def places_between(plan: Plan, look: Look) -> Iterator[Difference]:
    """What should lie on shims that stand and does not, after what lies there and should not."""
    pairs = [(shim, link) for shim in plan.shims if (link := standing(shim, look.seen))]
    for shim, link in pairs:
        yield from _too_much(shim, link, look, plan.undecided)
    for shim, link in pairs:
        yield from _too_little(shim, link, look)


def _too_much(shim: Shim, link: Link, look: Look, undecided: Collection[str]) -> Iterator[Difference]:
    right = {(_whole(each.to), each.source) for each in shim.ways}
    here = f"on the shim on {shim.parent.name}"
    for route in look.seen.routes:
        mine = route.index == link.index and route.protocol == PROTOCOL
        if mine and (route.to, route.source) not in right and route.to.partition("/")[0] not in undecided:
            yield Difference(words=f"the route to {route.to} {here} is not wanted", link=link, route=route, gone=True)
    known = {(each.to, each.mac) for each in shim.ways}
    for each in look.neighbours:
        if (
            each.index == link.index
            and each.stated
            and (each.address, each.mac) not in known | {(address, each.mac) for address in undecided}
        ):
            words = f"the neighbour {each.address} {here} is not wanted"
            yield Difference(words=words, link=link, neighbour=each, gone=True)
    leading = {route.source for route in look.seen.routes if route.index == link.index}
    for held in _on(link, look.seen):
        bare = held.address.partition("/")[0]
        if held.address not in shim.addresses and not (undecided and bare in leading):
            yield Difference(
                words=f"the address {held.address} {here} is not wanted", link=link, address=held.address, gone=True
            )


def _too_little(shim: Shim, link: Link, look: Look) -> Iterator[Difference]:
    here = f"on the shim on {shim.parent.name}"
    held = {each.address for each in _on(link, look.seen)}
    for address in sorted(shim.addresses - held):
        yield Difference(words=f"the address {address} {here} is missing", link=link, address=address)
    known = {(each.address, each.mac) for each in look.neighbours if each.index == link.index and each.stated}
    led = {(each.to, each.source) for each in look.seen.routes if each.index == link.index}
    for way in shim.ways:
        if (way.to, way.mac) not in known:
            words = f"the neighbour {way.to} {here} is missing"
            neighbour = Neighbour(index=link.index, address=way.to, mac=way.mac, stated=True)
            yield Difference(words=words, link=link, neighbour=neighbour)
        if (_whole(way.to), way.source) not in led:
            yield Difference(words=f"the route to {way.to} {here} is missing", link=link, way=way)


def _on(link: Link, seen: Seen) -> Iterator[LinkAddress]:
    """Everything on the shim is ours, but what the kernel gives each link."""
    for each in seen.addresses:
        if each.index == link.index and not each.address.startswith("fe80:"):
            yield each


def _whole(address: str) -> str:
    """As the network of one that it is."""
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"
