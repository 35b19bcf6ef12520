"""What the pools of this machine are like now, and who reaches whom: looked at and tried, nothing is changed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tank.config import Settings
from tank.errors import TankError, Waiting
from tank.host.netns import Namespaces, pinned
from tank.model.etcfiles import parse_resolv_conf
from tank.model.networks import LeaseStatus, NetworkStatus, Reach
from tank.model.pod import Pod
from tank.model.pools import DEFAULT, Pool, Wired
from tank.net import bridges, uplink
from tank.net.book import Lease
from tank.net.choosing import room
from tank.net.grants import Grants
from tank.net.knocks import knock
from tank.net.links import host_links
from tank.net.outside import outside
from tank.net.questions import Question, questions
from tank.net.seen import Seen
from tank.net.shimming import Shims, is_shim
from tank.net.shims import prefix

AT_ONCE = 32  # tries under way
COUNTED = 2**24  # addresses beyond which nobody counts what is free


class Survey:
    """Looks at pools, and tries who reaches whom."""

    def __init__(self, settings: Settings, installation: str, grants: Grants, shims: Shims) -> None:
        self._settings, self._installation, self._grants, self._shims = settings, installation, grants, shims
        self._trying = asyncio.Lock()

    async def networks(self) -> tuple[NetworkStatus, ...]:
        """Every pool, by name, with its leases. Raises Failed."""
        return await asyncio.to_thread(self._networks)

    def _networks(self) -> tuple[NetworkStatus, ...]:
        leases, resolved = self._grants.leases.all(), self._grants.resolved()
        known = {each.name: each for each in (Pool(name=DEFAULT), *self._settings.pools)} | dict(resolved)
        with host_links() as links:
            seen = links.look()
        return tuple(self._status(pool, leases, seen) for _, pool in sorted(known.items()))

    def _status(self, pool: Pool, leases: Sequence[Lease], seen: Seen) -> NetworkStatus:
        mine = [each for each in leases if each.pool == pool.name]
        first = ipaddress.ip_network(pool.subnets[0]) if pool.subnets else None
        used = sum(ipaddress.ip_address(each.address) in first for each in mine) if first else 0
        free = room(pool, pool.subnets[0], [each.address for each in mine]) if pool.subnets else None
        state, faults = self._state(pool, seen, in_use=bool(mine))
        return NetworkStatus(
            name=pool.name,
            mode=pool.mode,
            parent=self._grants.bridge(pool) if pool.mode == "bridge" else pool.parent,
            subnets=pool.subnets,
            gateways=pool.gateways,
            used=used,
            free=free if free is None or free < COUNTED else None,
            pods=tuple(sorted({each.pod for each in mine if not is_shim(each.uid)})),
            state=state,
            faults=tuple(faults),
            shim=_shim(pool, seen, prefix(self._installation)),
            leases=tuple(_lease(each) for each in mine),
        )

    def _state(self, pool: Pool, seen: Seen, *, in_use: bool) -> tuple[str, list[str]]:
        if pool.mode != "bridge":
            return _parent_state(pool, self._settings.uplink)
        if not in_use:
            return "unused", []
        faults = list(bridges.differences(seen, pool, self._installation))
        mark = bridges.bridge_mark(self._installation, pool.name)
        link = next((each for each in seen.links if each.alias == mark), None)
        return ("missing" if link is None else "up" if link.up else "down"), faults

    async def reach(self, pods: Sequence[tuple[Pod, Wired]]) -> tuple[Reach, ...]:
        """Everything tried for each pod, in order. One survey at a time. Raises Failed, Waiting."""
        async with self._trying, AsyncExitStack() as stack:
            pools = await asyncio.to_thread(self._grants.resolved)
            asked = [(wired, each) for pod, wired in pods for each in self._questions(pod, wired, pools)]
            namespaces = Namespaces()
            stack.push_async_callback(namespaces.close)
            neighbour, why = None, ""
            if any(each.source == "outside" for _, each in asked):
                try:
                    neighbour = await stack.enter_async_context(outside(namespaces, self._installation))
                except TankError as error:
                    why = str(error)
            trying = _Trying(self._settings, namespaces, neighbour, why)
            return tuple(await asyncio.gather(*(trying.ask(wired, each) for wired, each in asked)))

    def _questions(self, pod: Pod, wired: Wired, pools: Mapping[str, Pool]) -> Iterator[Question]:
        file = self._settings.pod_run_dir(wired.uid) / "etc" / "resolv.conf"
        servers = parse_resolv_conf(file.read_text()).servers if file.is_file() else ()
        yield from questions(pod, wired, pools, servers, self._shims.led)


class _Trying:
    """Asks questions, each from where it comes."""

    def __init__(
        self, settings: Settings, namespaces: Namespaces, neighbour: tuple[Path, str] | None, why: str
    ) -> None:
        self._settings, self._namespaces, self._neighbour, self._why = settings, namespaces, neighbour, why
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, wired: Wired, question: Question) -> Reach:
        async with self._turns:
            begun = time.monotonic()
            address = question.address or (self._neighbour[1] if self._neighbour else "")
            state, message = await self._knock(wired, question, address)
        good = question.wanted is None or question.wanted == (state in ("open", "refused"))
        if question.wanted is False:  # the host itself may say that nobody listens
            good = state in ("refused", "silent")
        where = f"[{address}]" if ":" in address else address
        return Reach(
            pod=wired.name,
            source=question.source,
            target=where if question.protocol == "echo" else f"{where}:{question.port}",
            what=question.what,
            state=state,
            wanted=question.wanted,
            good=good,
            message=message,
            seconds=round(time.monotonic() - begun, 4),
        )

    async def _knock(self, wired: Wired, question: Question, address: str) -> tuple[str, str]:
        if question.source == "host":
            return await knock(_here, question, address)
        if question.source == "outside" and self._neighbour is None:
            return "failed", self._why
        namespace = self._settings.pod_run_dir(wired.uid) / "ns" / "net"
        if question.source == "pod" and not pinned(namespace):
            return "failed", "the pod has no network namespace"
        path = self._neighbour[0] if self._neighbour and question.source == "outside" else namespace

        async def opener(family: int, kind: int, protocol: int) -> socket.socket:
            return await self._namespaces.socket(path, family, kind, protocol)

        return await knock(opener, question, address)


async def _here(family: int, kind: int, protocol: int) -> socket.socket:
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)


def _parent_state(pool: Pool, configured: str | None) -> tuple[str, list[str]]:
    try:
        uplink.find(pool.parent, configured)
    except Waiting as error:
        return "missing", [error.message]
    return "up", []


def _shim(pool: Pool, seen: Seen, marked: str) -> str:
    """The addresses by which the host is among the pods of a LAN, where it has any by now."""
    if pool.mode != "macvlan":
        return ""
    shims = {each.index for each in seen.links if each.alias.startswith(marked)}
    held = [each.address.partition("/")[0] for each in seen.addresses if each.index in shims]
    subnets = [ipaddress.ip_network(each) for each in pool.subnets]
    return ", ".join(each for each in held if any(ipaddress.ip_address(each) in subnet for subnet in subnets))


def _lease(lease: Lease) -> LeaseStatus:
    return LeaseStatus(address=lease.address, pod=lease.pod, nic=lease.nic, uid=lease.uid)
