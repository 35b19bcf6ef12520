"""Keeping the host's shims as they should be: see `tank.net.shims`.

A shim is born down, under a name that is its mark, and gets its walls before it goes up and before anything leads
to it; killed anywhere in between, the next pass finds the half of it and goes on. A parent that is gone or down
keeps what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from functools import partial
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, TankError, Waiting
from tank.model.pools import Pool, Wiring
from tank.net import shims, uplink
from tank.net.conflicts import Inquiry, open_prober
from tank.net.drift import Parent
from tank.net.grants import Grants
from tank.net.hostlinks import HostLinks, host_talk
from tank.net.shims import Difference, Look, Plan, Seat, Shim

REASON = "AddressInUse"
_SYSCTL = Path("/proc/sys/net")
_LEASED = "shim/"  # begins the uid of an address that the host has of a pool

# Makes the walls of these shims stand, or takes them away. `anew`: whatever is remembered of them.
Walls = Callable[[Plan, bool], Awaitable[tuple[str, ...]]]


class Shims:
    """One for each parent of pods on the LAN. One call of `settle` at a time."""

    def __init__(self, settings: Settings, installation: str, grants: Grants) -> None:
        self._settings, self._installation, self._grants = settings, installation, grants
        self._seats: dict[str, Mapping[str, str]] = {}  # by uid: the parent of each interface, as it was seen
        self._plan: Plan | None = None
        self._asked: set[str] = set()
        self.indexes = frozenset[int]()  # of the host's interfaces whose changes matter: parents, and the shims

    @property
    def led(self) -> frozenset[str]:
        """The pods' addresses that the host should reach by a shim."""
        return self._plan.led if self._plan else frozenset()

    def note(self, uid: str, parents: Mapping[str, Parent]) -> bool:
        """On which parents the pod's interfaces really are: `auto` keeps what it had once. Whether that is news."""
        found = {nic: parent.name for nic, parent in parents.items()}
        known, self._seats[uid] = self._seats.get(uid), found
        return known != found

    def forget(self, uid: str) -> None:
        """The pod's interfaces are gone."""
        self._seats.pop(uid, None)

    async def settle(self, wiring: Wiring, pools: Mapping[str, Pool], walls: Walls) -> tuple[str, ...]:
        """What there should be for these pods stands. Answers what others had changed, in words.

        Raises Waiting, Failed; then the rest was done all the same.
        """
        pods = any(pod.lan for pod in wiring.pods) and self._settings.shim
        if not pods and self._plan == Plan():
            return ()
        plan, look = await asyncio.to_thread(self._planned, wiring if pods else Wiring(), pools)
        if plan == self._plan and not self._settings.repair:
            return (*_said(plan, look, self._installation), *await walls(plan, False))
        words = await asyncio.to_thread(self._between_links, plan, look)
        words += await walls(plan, bool(words))
        faults = list[TankError]()
        words += await self._place(plan, faults)
        await asyncio.to_thread(self._give_back, plan)
        self.indexes = frozenset(_indexes(plan))
        known, self._plan = self._plan, plan
        if faults:
            raise faults[0]
        return words if plan == known else ()

    def _planned(self, wiring: Wiring, pools: Mapping[str, Pool]) -> tuple[Plan, Look]:
        look = _look()
        seats = list(self._all_seats(wiring))
        plan = shims.plan(seats, look.seen, pools, self._given(), self._installation)
        needed = {pool.name: pool for seat in plan.lost if (pool := shims.pool_of(seat, pools))}
        if not needed:
            return plan, look
        for pool in needed.values():
            with contextlib.suppress(Waiting):  # a full pool is for pods, not for the host
                avoid = partial(self._grants.avoided, pool)
                self._grants.leases.take(pool, uid=f"{_LEASED}{pool.name}", pod="", nic="shim", avoid=avoid)
        return shims.plan(seats, look.seen, pools, self._given(), self._installation), look

    def _all_seats(self, wiring: Wiring) -> Iterator[Seat]:
        parents: dict[str, Parent | None] = {}
        for pod in wiring.pods:
            for each in pod.addresses:
                if each.nic in pod.lan:
                    name = self._seats.get(pod.uid, {}).get(each.nic) or pod.lan[each.nic]
                    if name not in parents:
                        parents[name] = _parent(name, self._settings.uplink)
                    yield Seat(address=each.ip, mac=each.mac, parent=parents[name], pool=each.source)

    def _given(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in self._grants.leases.all():
            if is_shim(each.uid):
                found.setdefault(each.pool, []).append(each.address)
        return found

    def _give_back(self, plan: Plan) -> None:
        """Addresses of pools that no shim has any more."""
        held = {way.source for shim in plan.shims for way in shim.ways}
        for uid in {each.uid for each in self._grants.leases.all() if is_shim(each.uid) and each.address not in held}:
            mine = {each.address for each in self._grants.leases.all() if each.uid == uid}
            if not plan.undecided and not mine & held:
                self._grants.leases.release(uid)

    def _between_links(self, plan: Plan, look: Look) -> tuple[str, ...]:
        found = list(shims.links_between(plan, look, self._installation))
        if found:
            with host_talk() as links:
                for each in found:
                    _change_link(links, each)
        return tuple(each.words for each in found)

    async def _place(self, plan: Plan, faults: list[TankError]) -> tuple[str, ...]:
        words = await asyncio.to_thread(_raise_up, plan)
        look = await asyncio.to_thread(_look)
        found = list(shims.places_between(plan, look))
        refused = await self._refused(plan, found, look, faults)
        done = await asyncio.to_thread(_lay, [each for each in found if not _hangs_on(each, refused)], faults)
        return (*words, *done)

    async def _refused(
        self, plan: Plan, found: Iterable[Difference], look: Look, faults: list[TankError]
    ) -> frozenset[str]:
        """New addresses of pools that somebody else on the LAN has; those of the host's own it need not ask for.

        The parent asks: answers to the shim end at its walls.
        """
        parents = {shim.parent.index: shim.parent for shim in plan.shims}
        own = {each.address.partition("/")[0] for each in look.seen.addresses}
        refused = set[str]()
        for each in found:
            bare = each.address.partition("/")[0]
            parent = parents.get((each.link and each.link.lower) or 0)
            if parent and bare and not each.gone and bare not in own | self._asked:
                if owner := await _owner(parent, bare):
                    refused.add(bare)
                    then = await asyncio.to_thread(self._shun, bare)
                    why = f"cannot use {bare} for the host: {owner} has it on that network{then}"
                    faults.append(Waiting(REASON, why))
                else:
                    self._asked.add(bare)
        return frozenset(refused)

    def _shun(self, address: str) -> str:
        """What becomes of it, in words; nothing, where a person has stated it."""
        pool = next((name for name, given in self._given().items() if address in given), "")
        if not pool:
            return ""
        self._grants.leases.shun(pool, address)
        return f"; pool {pool} gives another"


def is_shim(uid: str) -> bool:
    """Whether a lease of this uid is the host's own."""
    return uid.startswith(_LEASED)


def _indexes(plan: Plan) -> Iterator[int]:
    """Those of shims, of their parents, and of parents that may yet get an address."""
    yield from (seat.parent.index for seat in plan.lost if seat.parent)
    for shim in plan.shims:
        yield shim.parent.index
        with contextlib.suppress(OSError):
            yield uplink.existing(shim.name).index


def _said(plan: Plan, look: Look, installation: str) -> Iterator[str]:
    """Everything that differs, in words."""
    kinds = shims.links_between(plan, look, installation), shims.settings_between(plan, look)
    for each in (*kinds, shims.places_between(plan, look)):
        yield from (one.words for one in each)


def _parent(name: str, configured: str | None) -> Parent | None:
    try:
        return uplink.find(name, configured)
    except (Waiting, OSError):
        return None


def _look() -> Look:
    with host_talk() as links:
        return Look(seen=links.look(), neighbours=links.neighbours())


def _change_link(links: HostLinks, change: Difference) -> None:
    if change.gone and change.link:
        links.drop_link(change.link.index)
    elif shim := change.shim:
        links.make_shim(shim.name, parent=shim.parent.index, mac=shim.mac, mtu=shim.parent.mtu)
        links.set_link(links.index(shim.name), alias=shim.mark, up=False)


def _raise_up(plan: Plan) -> tuple[str, ...]:
    """What stands gets its settings, then goes up."""
    words = [each for shim in plan.shims for each in _settings(shim)]
    with host_talk() as links:
        for each in shims.settings_between(plan, Look(seen=links.look())):
            words.append(each.words)
            if each.link and (shim := each.shim):
                renamed = each.link.name != shim.name
                if renamed:
                    links.set_link(each.link.index, up=False)
                mac = shim.mac if each.link.mac != shim.mac else None
                name = shim.name if renamed else None
                links.set_link(each.link.index, name=name, alias=shim.mark, mac=mac, mtu=shim.parent.mtu)
    return tuple(words)


def _settings(shim: Shim) -> Iterator[str]:
    """It answers only who is reached by it, believes no router, and has no address but ours."""
    wanted = {"ipv4/conf/{}/arp_filter": "1", "ipv6/conf/{}/accept_ra": "0", "ipv6/conf/{}/addr_gen_mode": "1"}
    for path, value in wanted.items():
        file = _SYSCTL / path.format(shim.name)
        try:
            if file.read_text().strip() != value:
                file.write_text(value)
                yield f"net/{path.format(shim.name)} was not {value}"
        except FileNotFoundError:
            continue  # a kernel without IPv6
        except OSError as error:
            raise Failed(f"cannot set {file}: {error.strerror}") from error


async def _owner(parent: Parent, address: str) -> str:
    """The MAC of who has it; empty: nobody, or nobody can be asked."""
    try:
        opened = await asyncio.to_thread(open_prober, parent.name, [6 if ":" in address else 4])
    except OSError:
        return ""
    inquiry = Inquiry(opened, parent.mac, [address], lambda: None)
    try:
        return (await inquiry.answer()).get(address, "")
    finally:
        inquiry.close()


def _hangs_on(change: Difference, refused: Set[str]) -> bool:
    return change.address.partition("/")[0] in refused or bool(change.way and change.way.source in refused)


def _lay(found: Iterable[Difference], faults: list[TankError]) -> tuple[str, ...]:
    """One after the other; what cannot be keeps nothing else from being done."""
    words = []
    with host_talk() as links:
        for each in found:
            try:
                _change_place(links, each)
            except TankError as error:
                faults.append(error)
            else:
                words.append(each.words)
    return tuple(words)


def _change_place(links: HostLinks, change: Difference) -> None:
    assert change.link is not None
    index = change.link.index
    match change:
        case Difference(route=route) if route is not None:
            links.drop_route(route)
        case Difference(way=way) if way is not None:
            links.add_host_route(index, way.to, way.source)
        case Difference(neighbour=neighbour) if neighbour is not None:
            (links.drop_neighbour if change.gone else links.state_neighbour)(neighbour)
        case Difference(gone=True):
            links.drop_address(index, change.address)
        case _:
            links.add_host_address(index, change.address)
