"""Addresses that are about to come to the LAN: held back until nobody there has claimed them.

An address that a pod was seen to hold, or had by this daemon before, is not asked about again: healing it is not
slowed down. On a bridge of ours nobody is asked, for there the book of leases decides; about what a DHCP server gave,
its client has asked already, and told the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tank.errors import TankError, Waiting
from tank.host.netns import Namespaces
from tank.net.conflicts import LISTEN, WAIT, Inquiry, open_prober
from tank.net.drift import find
from tank.net.links import host_links
from tank.net.seen import Seen
from tank.net.wanted import Interface

REASON = "AddressInUse"


class Claimed(Waiting):
    """Somebody has `address` already."""

    def __init__(self, address: str, owner: str, *, then: str = "") -> None:
        self.address, self.owner = address, owner
        super().__init__(REASON, f"cannot use {address}: {owner}{then}")


def newcomers(wanted: Iterable[Interface], seen: Seen, known: frozenset[str]) -> tuple[Interface, ...]:
    """The interfaces on the LAN that are to get addresses which are new here, with these alone. Pure."""
    found = []
    for interface in wanted:
        held = _held(interface, seen) | known
        fresh = tuple(each for each in interface.addresses if each not in held and each not in interface.leased)
        if fresh and interface.kind in ("macvlan", "ipvlan"):
            found.append(replace(interface, addresses=fresh))
    return tuple(found)


def held_back(wanted: Iterable[Interface], fresh: Iterable[Interface], seen: Seen) -> tuple[Interface, ...]:
    """The interfaces without their new addresses, and without routes that may hang on these. Pure."""
    waiting = {each.name: each.addresses for each in fresh}
    standing = {(each.to, each.via) for each in seen.routes}
    return tuple(
        replace(
            each,
            addresses=tuple(address for address in each.addresses if address not in waiting[each.name]),
            routes=tuple(route for route in each.routes if (route.to, route.via) in standing and _held(each, seen)),
        )
        if each.name in waiting
        else each
        for each in wanted
    )


def _held(interface: Interface, seen: Seen) -> frozenset[str]:
    link = find(interface, seen)
    return frozenset(each.address for each in seen.addresses if link and each.index == link.index)


class Newcomers:
    """Who asks, and remembers what was answered. All of it on the event loop."""

    def __init__(self, namespaces: Namespaces, nudge: Callable[[str], None]) -> None:
        """`nudge(uid)`: somebody claimed an address of this pod after it was taken into use."""
        self._namespaces, self._nudge = namespaces, nudge
        self._known: dict[str, frozenset[str]] = {}
        self._asking: dict[str, list[Inquiry]] = {}
        self._doubted: dict[str, frozenset[str]] = {}  # by uid: what somebody claimed when it was last asked about

    def known(self, uid: str) -> frozenset[str]:
        """The addresses of the pod that need no question."""
        contested = self._contested(uid)
        return frozenset(each for each in self._known.get(uid, ()) if _bare(each) not in contested)

    def contested(self, uid: str, wanted: Iterable[Interface]) -> tuple[str, ...]:
        """What others have claimed since, in words."""
        mine = {_bare(address) for each in wanted for address in each.addresses}
        return tuple(
            f"address {address} is used by {mac} too"
            for address, mac in self._contested(uid).items()
            if address in mine
        )

    def undisputed(self, uid: str, seen: Seen) -> Seen:
        """What is there, but for addresses that somebody claimed and the routes that go with them."""
        contested = self._contested(uid)
        kept = tuple(each for each in seen.addresses if _bare(each.address) not in contested)
        return replace(seen, addresses=kept, routes=()) if len(kept) < len(seen.addresses) else seen

    async def ask(self, uid: str, namespace: Path, fresh: Sequence[Interface]) -> None:
        """Whether these addresses are nobody's. Raises Claimed, with the MAC of the owner."""
        if not fresh:
            return
        doubted = self._doubted.get(uid, frozenset()) | self._contested(uid).keys()
        self.forget(uid)
        self._doubted[uid] = doubted
        await asyncio.to_thread(_check_host, fresh)
        asking = self._asking[uid] = []
        for each in fresh:
            asking += await self._inquire(uid, namespace, each, doubted)
        for answer in await asyncio.gather(*(each.answer() for each in asking)):
            for address, mac in sorted(answer.items()):
                self.forget(uid)
                self._doubted[uid] = doubted | {address}
                raise Claimed(address, f"{mac} has it on that network")
        self._doubted.pop(uid, None)

    async def _inquire(self, uid: str, namespace: Path, fresh: Interface, doubted: frozenset[str]) -> list[Inquiry]:
        """That nobody can be asked is no reason to fail."""
        addresses = [_bare(each) for each in fresh.addresses]
        versions = {ipaddress.ip_address(each).version for each in addresses}
        with contextlib.suppress(TankError, OSError):
            if fresh.kind == "ipvlan":  # answers to an address that it has not yet go to its parent
                opened = await asyncio.to_thread(open_prober, fresh.parent, versions)
            else:
                opened = await self._namespaces.inside(namespace, partial(open_prober, fresh.name, versions))
            wait = LISTEN if doubted.intersection(addresses) else WAIT
            return [Inquiry(opened, fresh.mac, addresses, partial(self._nudge, uid), wait)]
        return []

    def settled(self, uid: str, wanted: Iterable[Interface]) -> None:
        """The pod has all of these now."""
        self._known[uid] = frozenset(address for each in wanted for address in each.addresses)

    def forget(self, uid: str) -> None:
        """Ask and remember no more; may be repeated."""
        self._known.pop(uid, None)
        self._doubted.pop(uid, None)
        for each in self._asking.pop(uid, ()):
            each.close()

    def close(self) -> None:
        """Ask nobody any more."""
        for uid in tuple(self._asking):
            self.forget(uid)

    def _contested(self, uid: str) -> Mapping[str, str]:
        return {address: mac for each in self._asking.get(uid, ()) for address, mac in each.found.items()}


def _check_host(fresh: Sequence[Interface]) -> None:
    """The host does not hear its own pods' questions, so it is looked at. Raises Claimed."""
    with host_links() as links:
        held = {_bare(each.address) for each in links.addresses()}
    for interface in fresh:
        for address in interface.addresses:
            if _bare(address) in held:
                raise Claimed(_bare(address), "the host itself has it")


def _bare(address: str) -> str:
    return address.partition("/")[0]
