"""Interfaces that get addresses from their network: by DHCP, and from IPv6 routers (SLAAC).

Everything follows from what is there: the clients' files, the kernel's addresses, and what the pod was last told to
have. So it may be done again at any time, by whichever daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tank.config import Settings
from tank.errors import Waiting
from tank.host import files
from tank.host.netns import Namespaces
from tank.model.etcfiles import Resolver, pod_hostname
from tank.model.leased import RESOLVER, dumped
from tank.model.pod import Network, Pod
from tank.model.record import Address
from tank.net import asked, routers
from tank.net.dhcp.clients import Clients, Wish, boot
from tank.net.dhcp.lease import Lease
from tank.net.drift import find
from tank.net.links import REASON
from tank.net.newcomers import REASON as IN_USE
from tank.net.seen import Seen
from tank.net.together import together
from tank.net.wanted import Interface

WAIT = 4.0  # seconds in one attempt; the client asks on meanwhile
AGAIN = 1.0  # seconds until routers are asked again
HASTE = 0.05  # seconds in which a neighbour says that it has an address
PAUSE = 0.02  # seconds between two looks at what the kernel makes of a router's words
_TOLD = "asked"  # a file of the pod's run directory: the addresses that it was last said to have

Look = Callable[[], Awaitable[Seen]]


class Asking:
    """Has interfaces ask, and knows what they got."""

    def __init__(
        self, settings: Settings, installation: str, namespaces: Namespaces, nudge: Callable[[str], None]
    ) -> None:
        """`nudge(uid)`: something has changed for this pod."""
        self._settings, self._namespaces = settings, namespaces
        self._clients = Clients(settings, installation, nudge)

    def filled(self, uid: str, wanted: Sequence[Interface]) -> tuple[Interface, ...]:
        """The interfaces with what they have by now, and without what can only come after it."""
        leases = self._leases(uid, wanted)
        told = {nic for nic, address in self._told(uid) if ":" in address}
        found = []
        for each in asked.with_leases(wanted, leases, boot()):
            if "dhcp" in each.asks and each.name not in leases:
                each = asked.without_ways(each, 4)
            if "slaac" in each.asks and each.name not in told:
                each = asked.without_ways(each, 6)
            found.append(each)
        return tuple(found)

    async def settle(self, uid: str, pod: Pod, wanted: Sequence[Interface], namespace: Path) -> None:
        """Interfaces that ask no more give back what they have, while they have it. Raises Failed.

        Those that do not ask listen to no router, whoever made them listen (S32).
        """
        asking = {how: {each.name for each in wanted if how in each.asks} for how in ("dhcp", "slaac")}
        for nic in self._clients.nics(uid):
            if nic not in asking["dhcp"]:
                await self._clients.release(uid, nic)
        if deaf := {nic for nic, address in self._told(uid) if ":" in address} - asking["slaac"]:
            await self._namespaces.inside(namespace, partial(routers.ignore, sorted(deaf)))
        if silent := [name for name, listens in _heeds(pod, wanted).items() if not listens]:
            await self._namespaces.inside(namespace, partial(routers.silence, silent))
        if asking["slaac"] - {nic for nic, _ in self._told(uid)}:
            await self._namespaces.inside(namespace, routers.prepare)

    async def obtain(self, uid: str, pod: Pod, wanted: Sequence[Interface], namespace: Path, look: Look) -> None:
        """Have an address for every interface that asks. Raises Waiting, Failed."""
        asking = {how: [each for each in wanted if how in each.asks] for how in ("dhcp", "slaac")}
        if not any(asking.values()):
            self._tell(uid, ())
            return
        seen = await look()
        wishes = [(each, _wish(pod, each, wanted, seen)) for each in asking["dhcp"]]
        deeds = [self._lease(uid, wish, _place(each, seen), namespace) for each, wish in wishes]
        deeds += [self._hear(each, seen, namespace, look) for each in asking["slaac"]]
        await together(*deeds)
        self._tell(uid, self._held(uid, wanted, await look()))
        self._write_resolver(uid, wanted)

    async def _lease(self, uid: str, wish: Wish, where: str, namespace: Path) -> None:
        await self._clients.ensure(uid, wish, namespace)
        if await self._clients.obtained(uid, wish.nic, WAIT) is None:
            why = self._clients.state(uid, wish.nic).why
            raise Waiting(REASON, f"{why} {where}" if why else f"no DHCP server answers {where}")

    async def _hear(self, interface: Interface, seen: Seen, namespace: Path, look: Look) -> None:
        await self._namespaces.inside(namespace, partial(routers.heed, interface.name))
        asks = await self._namespaces.socket(namespace, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        await self._namespaces.inside(namespace, partial(routers.hasten, interface.name, HASTE))
        met = set[str]()
        try:
            with asks, contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT):
                    return await self._made(interface, asks, look, met)
        finally:
            await self._namespaces.inside(namespace, partial(routers.hasten, interface.name))
        if met:  # and found to be another's: else one could be used by now
            raise Waiting(IN_USE, f"cannot use {', '.join(sorted(met))}: another has it {_place(interface, seen)}")
        raise Waiting(REASON, f"no IPv6 router gives an address {_place(interface, seen)}")

    async def _made(self, interface: Interface, asks: socket.socket, look: Look, met: set[str]) -> None:
        """Routers are asked as soon as there is an address to ask from, and each second again.

        `met` gathers what the kernel has tried.
        """
        later = 0.0
        while not asked.made_by_kernel(interface, seen := await look()):
            index, tried = _index(interface, seen), asked.made_by_kernel(interface, seen, ready=False)
            met |= {each.partition("/")[0] for each in tried}
            if boot() >= later and any(
                each.index == index and each.ready and ":" in each.address for each in seen.addresses
            ):
                routers.solicit(asks, index)
                later = boot() + AGAIN
            await asyncio.sleep(PAUSE)

    def addresses(self, uid: str, wanted: Sequence[Interface]) -> tuple[Address, ...]:
        """What the pod has from its networks."""
        macs = {each.name: each.mac for each in wanted}
        return tuple(
            Address(nic=nic, ip=address, mac=macs[nic], source="slaac" if ":" in address else "dhcp")
            for nic, address in self._told(uid)
            if nic in macs
        )

    async def misled(self, pod: Pod, wanted: Sequence[Interface], namespace: Path) -> tuple[str, ...]:
        """What of the kernel's settings about routers is not as it should be, in words."""
        heeds = _heeds(pod, wanted)
        return await self._namespaces.inside(namespace, partial(routers.misled, heeds)) if heeds else ()

    def differences(self, uid: str, wanted: Sequence[Interface], seen: Seen, namespace: Path) -> Iterator[str]:
        """What is not as it was said to be, in words."""
        asking = [each for each in wanted if each.asks]
        if not asking:
            return
        held, told = self._held(uid, wanted, seen), self._told(uid)
        for each in asking:
            link = find(each, seen)
            if link is None:
                continue  # missed by others
            if "dhcp" in each.asks and not self._clients.runs(uid, each.name, link=link.index, namespace=namespace):
                yield f"the DHCP client of {each.name} has ended"
            elif "dhcp" in each.asks and (why := self._clients.fault(uid, each.name)):
                yield f"the DHCP client of {each.name} {why}"
            before, now = (sorted(address for nic, address in of if nic == each.name) for of in (told, held))
            if now != before:
                had = ", ".join(before) or "nothing"
                yield f"{each.name} has {', '.join(now) or 'nothing'} from its network now, and had {had}"

    def servers(self, uid: str, addresses: Sequence[Address]) -> tuple[str, ...]:
        """The name servers that came with these addresses."""
        leases = (self._clients.lease(uid, each.nic) for each in addresses if each.source == "dhcp")
        return tuple(dict.fromkeys(server for each in leases if each for server in each.dns))

    async def leave(self, uid: str, pod: Pod | None) -> None:
        """Ask no more where it asks now; give back what `pod`, which comes next, does not ask for. Raises Failed."""
        nics = pod.network.nics if pod and isinstance(pod.network, Network) else ()
        again = {nic.name for nic in nics if nic.asks("dhcp")}
        for nic in self._clients.nics(uid):
            await (self._clients.end(uid, nic) if nic in again else self._clients.release(uid, nic))

    def forget(self, uid: str) -> None:
        """Listen no more."""
        self._clients.forget(uid)

    def close(self) -> None:
        """Let go of all; the clients go on."""
        self._clients.close()

    def _leases(self, uid: str, wanted: Sequence[Interface]) -> Mapping[str, Lease]:
        found = {each.name: self._clients.lease(uid, each.name) for each in wanted if "dhcp" in each.asks}
        return {name: lease for name, lease in found.items() if lease is not None}

    def _held(self, uid: str, wanted: Sequence[Interface], seen: Seen) -> list[tuple[str, str]]:
        leases, stated = self._leases(uid, wanted), {address for each in wanted for address in each.addresses}
        found = [(name, lease.address) for name, lease in leases.items() if lease.address not in stated]
        made = ((each.name, asked.made_by_kernel(each, seen)) for each in wanted if "slaac" in each.asks)
        return found + [(name, address) for name, addresses in made for address in addresses]

    def _told(self, uid: str) -> list[tuple[str, str]]:
        try:
            found = json.loads(files.read(self._settings.pod_run_dir(uid) / _TOLD) or b"[]")
            return [(str(nic), str(ipaddress.ip_interface(address))) for nic, address in found]
        except (ValueError, TypeError):
            return []

    def _tell(self, uid: str, held: Sequence[tuple[str, str]]) -> None:
        if sorted(held) != sorted(self._told(uid)):
            files.write(self._settings.pod_run_dir(uid) / _TOLD, json.dumps(list(held)).encode())

    def _write_resolver(self, uid: str, wanted: Sequence[Interface]) -> None:
        """Where names are looked up by what the leases say: the runtime asks for it."""
        leases = self._leases(uid, wanted).values()
        servers = dict.fromkeys(server for each in leases for server in each.dns)
        search = dict.fromkeys(domain for each in leases for domain in each.search)
        text = dumped(Resolver(servers=tuple(servers), search=tuple(search)))
        path = self._settings.pod_run_dir(uid) / RESOLVER
        if files.read(path) != text:
            files.write(path, text)


def _heeds(pod: Pod, wanted: Sequence[Interface]) -> Mapping[str, bool]:
    """Whether each interface listens to routers; nothing, where the pod's own settings say so."""
    stated = any(name.endswith(".accept_ra") for name in pod.sysctls)
    return {} if stated else {each.name: "slaac" in each.asks for each in wanted}


def _wish(pod: Pod, interface: Interface, wanted: Sequence[Interface], seen: Seen) -> Wish:
    metric = asked.lead(interface, wanted)
    index = _index(interface, seen)
    return Wish(nic=interface.name, link=index, hostname=pod_hostname(pod), metric=metric)


def _index(interface: Interface, seen: Seen) -> int:
    link = find(interface, seen)
    if link is None:
        raise Waiting(REASON, f"cannot ask for addresses: interface {interface.name} has gone")
    return link.index


def _place(interface: Interface, seen: Seen) -> str:
    """Where it asks, in words."""
    link, parent = find(interface, seen), interface.parent
    with contextlib.suppress(OSError):
        parent = socket.if_indextoname(link.lower if link and link.lower else 0)
    return f"on {parent} ({interface.name})"
