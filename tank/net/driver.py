"""The network driver: a pod's interfaces made, compared and released in its pinned namespace.

It holds no memory of what it made: each call looks at the namespace, compares it with the spec and carries out
the difference, so a first start, a live change, a flushed address and a restarted daemon are one and the same.
Watches are hints; losing them costs latency only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import tank
from tank.config import Settings
from tank.errors import TankError, Waiting
from tank.host.netns import Namespaces, pinned
from tank.model.pod import Network, Pod
from tank.model.pools import Kept, Wired, Wiring
from tank.model.record import Address
from tank.model.stats import NicStats
from tank.net import parents as below_them
from tank.net.announce import Announcements
from tank.net.asking import Asking
from tank.net.counters import counters
from tank.net.deeds import Scene, carry_out
from tank.net.drift import ADDITIONS, Change, bears, borrowing, compare, on_the_lan
from tank.net.ears import HostEars
from tank.net.grants import Grants, check_ports
from tank.net.links import REASON, Links
from tank.net.names.keeper import Names
from tank.net.newcomers import Claimed, Newcomers, held_back, newcomers
from tank.net.plugs import cabling, plug_in
from tank.net.policy import wired
from tank.net.rtnetlink import NETLINK
from tank.net.seen import Seen
from tank.net.shaper import shape, unshaped
from tank.net.survey import Survey
from tank.net.together import together
from tank.net.trial import Trial
from tank.net.wanted import Grant, Interface, interfaces, mark
from tank.net.watches import Watches
from tank.net.wires import Wires

T = TypeVar("T")

THREADS = 4
ROUNDS = 6  # links go, links are set, addresses go, all is added: each shows in the next look


class NetDriver:
    """Implements `tank.node.drivers.Net` with macvlan interfaces."""

    def __init__(self, settings: Settings, installation: str) -> None:
        """`installation` is the id of this data directory. Threads of its own enter namespaces and talk."""
        self._settings = settings
        self._uplink, self._installation, self._namespaces = settings.uplink, installation, Namespaces()
        self._grants, self._trial = Grants(settings, installation), Trial(self._namespaces)
        self._names = Names(settings, installation, self._namespaces, tank.__version__)
        self._wires = Wires(settings, installation, self._grants, self._names)
        self._rewire: Callable[[], None] = lambda: None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tank-net")  # never behind an image being unpacked
        self._watches = Watches(self._namespaces, self._ruled)
        self._ears = HostEars(
            self._watches.nudge,
            self._ruled,
            lambda: self._rewire(),
            lambda: self._wires.shims.indexes,
            table=f"tank_{installation}",
        )
        self._announcements = Announcements(self._namespaces)
        self._newcomers = Newcomers(self._namespaces, self._watches.nudge)
        self._asking = Asking(settings, installation, self._namespaces, self._watches.nudge)

    async def configure(self, uid: str, pod: Pod, namespace: Path) -> tuple[Address, ...]:
        """Make every interface, address and route as the pod says, and remove ours that it does not.

        Raises Waiting: NetworkNotReady when the parent or the kernel refuses, with its words and the cure;
        AddressInUse with the MAC of who has an address already; PortInUse.
        """
        if not isinstance(pod.network, Network):
            return ()
        grants = await self._beside(partial(self._granted, pod, uid))
        wanted = interfaces(pod, uid, self._installation, grants)
        if any(each.kind == "ipvlan" for each in wanted):
            parents = await self._talk(namespace, lambda links: below_them.found(wanted, links.look(), self._uplink))
            wanted = borrowing(wanted, parents)
        addresses = tuple(
            Address(nic=each.name, ip=address, mac=each.mac, source=_source(grants.get(each.name), address))
            for each in wanted
            for address in each.addresses
        )
        wired = self.wired(uid, pod, addresses)
        deeds = [self._connect(uid, pod, wanted, namespace), self._wires.fence(wired)]
        deeds += [self._names.admit(uid, namespace)] if wired.asks else []
        try:
            await together(*deeds)
        except Claimed as error:
            if pool := await self._beside(partial(self._grants.shun, grants, error.address)):
                raise Claimed(error.address, error.owner, then=f"; pool {pool} gives another") from error
            raise
        await self._beside(partial(self._grants.settle, pod, uid, grants))
        return addresses + self._asking.addresses(uid, wanted)

    async def _connect(self, uid: str, pod: Pod, wanted: Sequence[Interface], namespace: Path) -> None:
        if self._newcomers.contested(uid, wanted):
            self._announcements.hush(uid)  # it may be another's
        await self._asking.settle(uid, pod, wanted, namespace)
        known, look = self._asking.filled(uid, wanted), partial(self._talk, namespace, Links.look)
        scene, fresh = await self._talk(namespace, lambda links: self._begin(uid, known, links, namespace))
        asking = self._asking.obtain(uid, pod, wanted, namespace, look)
        await together(self._newcomers.ask(uid, namespace, fresh), asking)
        if fresh or any(each.asks for each in wanted):
            known = self._asking.filled(uid, wanted)
            await self._talk(namespace, lambda links: self._settle(uid, known, links, scene))
        self._newcomers.settled(uid, wanted)
        await self._announcements.tell(uid, scene.namespace, scene.arrived)

    def _granted(self, pod: Pod, uid: str) -> Mapping[str, Grant]:
        """What the pools give, with ports of the host that are free: nothing is made for a pod that has to wait."""
        known, ports = self._wires.published(uid), pod.network.ports if isinstance(pod.network, Network) else ()
        check_ports([each for each in ports if each not in known])
        return self._grants.of(pod, uid)

    def survey(self) -> Survey:
        """Who looks at the pools and tries who reaches whom."""
        return Survey(self._settings, self._installation, self._grants, self._wires.shims)

    async def refusal(self, pod: Pod) -> str:
        """What of the pod's network the pools and the kernel of this machine cannot do; empty when they can do all."""
        return await self._beside(partial(self._grants.refusal, pod)) or await self._trial.refusal(pod)

    def wired(self, uid: str, pod: Pod, addresses: tuple[Address, ...], *, ready: bool = False) -> Wired:
        """The pod as the rest of the machine's network sees it."""
        lan, dns = self._grants.lan(pod), self._asking.servers(uid, addresses)
        return wired(uid, pod, addresses, pools=self._grants.bridged(pod), ready=ready, lan=lan, dns=dns)

    async def wire(self, wiring: Wiring) -> Kept:
        """Host tables, fences and bridges as `wiring` says, as far as it can be."""
        return await self._wires.wire(wiring)

    def suspect(self, *, fences: bool = False) -> None:
        """What stands may have been changed by others: the next `wire` looks."""
        self._wires.suspect(fences=fences)

    def watch_wiring(self, nudge: Callable[[], None]) -> None:
        """Call `nudge()` when our rules on the host or in a pod were changed, or interfaces. A hint only."""
        self._rewire = nudge
        self._ears.open()

    def _ruled(self, uid: str = "") -> None:
        self._wires.suspect_pod(uid)
        self._rewire()

    async def observe(self, uid: str, pod: Pod, namespace: Path) -> Sequence[str]:
        """What differs from the spec, in words; empty when all is as it should be."""
        if not isinstance(pod.network, Network):
            return ()
        try:
            grants = await self._beside(partial(self._grants.foreseen, pod, uid))
        except Waiting as error:  # a pool that is gone, or gives nothing: no reason not to see the pod, nor to keep it
            return (error.message,)
        wanted = interfaces(pod, uid, self._installation, grants)
        seen, slow = await self._talk(namespace, partial(_look, wanted))
        parents = below_them.standing(wanted, seen, self._uplink)
        wanted = borrowing(wanted, parents)
        filled = self._asking.filled(uid, wanted)
        if self._wires.shims.note(uid, on_the_lan(filled, parents)):
            self._rewire()
        changes = compare(filled, seen, mark(uid, self._installation), parents)
        contested = self._newcomers.contested(uid, wanted)
        unpublished = self._wires.unpublished(uid, pod.network.ports)
        asked = self._asking.differences(uid, wanted, seen, namespace)
        misled = await self._asking.misled(pod, wanted, namespace)
        cables = cabling(wanted)
        self._ears.learn(uid, cables)
        return (*contested, *(each.words for each in changes), *asked, *misled, *slow, *cables.wrong, *unpublished)

    async def counters(self, uid: str, pod: Pod, namespace: Path) -> Sequence[NicStats]:
        """What each interface of the pod has carried, in the order of the spec; those that are not there left out."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        marks = {nic.name: f"{mark(uid, self._installation)}/{nic.name}" for nic in nics}
        limited = {marks[nic.name] for nic in nics if nic.rate.incoming is not None}
        return await self._talk(namespace, lambda links: counters(links, marks, limited))

    async def release(self, uid: str, pod: Pod, namespace: Path) -> None:
        """Take the pod's interfaces away, so that its addresses are free at once."""
        await self.vacate(uid, None, namespace)
        await self._beside(partial(self._grants.leases.release, uid))

    async def vacate(self, uid: str, pod: Pod | None, namespace: Path) -> None:
        """Let go of a namespace that is about to go, and of all in it.

        `pod`: as it is to be next, if at all. What it asks for then stays its own, of pools and of DHCP servers.
        """
        self.unwatch(uid)
        with contextlib.suppress(TankError):  # the next `wire` tells of it; a pod can go all the same
            await self._wires.retire(uid)
        await self._asking.leave(uid, pod)
        if pinned(namespace):
            prefix = mark(uid, self._installation)
            await self._talk(namespace, lambda links: _drop(links, prefix))
        await self._names.forget(uid)
        if pod is not None:
            await self._beside(partial(self._grants.yield_rest, pod, uid))

    def watch(self, uid: str, namespace: Path, nudge: Callable[[], None]) -> None:
        """Call `nudge()` when a link, address or route in that namespace changes. A hint only."""
        self._watches.watch(uid, namespace, nudge)

    def watches(self, uid: str) -> bool:
        """Whether changes are heard by now."""
        return self._watches.listening(uid)

    def unwatch(self, uid: str) -> None:
        """Let go of the namespace: no socket of ours keeps it alive."""
        self._newcomers.forget(uid)
        self._asking.forget(uid)
        self._announcements.hush(uid)
        self._watches.forget(uid)
        self._ears.forget(uid)

    async def close(self) -> None:
        """Let go of every socket and end the threads."""
        for each in (self._announcements, self._newcomers, self._asking, self._ears, self._wires):
            each.close()
        await self._watches.close()
        await self._names.close()
        await asyncio.to_thread(self._pool.shutdown)
        await self._namespaces.close()

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _talk(self, namespace: Path, work: Callable[[Links], T]) -> T:
        """Do blocking work in a thread. It is waited for even when cancelled: two never work on one pod."""
        opened = await self._namespaces.socket(namespace, *NETLINK)
        working = asyncio.get_running_loop().run_in_executor(self._pool, _converse, opened, work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working])
            working.exception()  # told to nobody any more
            raise

    def _begin(
        self, uid: str, wanted: Sequence[Interface], links: Links, namespace: Path
    ) -> tuple[Scene, Sequence[Interface]]:
        """Everything but the addresses that somebody on the LAN may have already: these are answered too."""
        scene, seen = Scene(namespace=namespace), self._newcomers.undisputed(uid, links.look())
        fresh = newcomers(wanted, seen, self._newcomers.known(uid))
        self._settle(uid, held_back(wanted, fresh, seen) if fresh else wanted, links, scene)
        return scene, fresh

    def _settle(self, uid: str, wanted: Sequence[Interface], links: Links, scene: Scene) -> None:
        prefix, changes = mark(uid, self._installation), tuple[Change, ...]()
        for _ in range(ROUNDS):
            seen = links.look()
            parents = below_them.found(wanted, seen, self._uplink)
            changes = compare(wanted, seen, prefix, parents)
            for change in changes:
                carry_out(change, links, scene, parents)
            if all(isinstance(change, ADDITIONS) for change in changes):
                plug_in(wanted, parents)
                shape(wanted, links)
                self._wires.shims.note(uid, on_the_lan(wanted, parents))
                return
        raise Waiting(REASON, f"cannot settle the network: {'; '.join(each.words for each in changes)}")


def _source(grant: Grant | None, address: str) -> str:
    return grant.pool if grant and address in grant.addresses else ""


def _converse(opened: socket.socket, work: Callable[[Links], T]) -> T:
    with Links(opened) as links:
        return work(links)


def _look(wanted: Sequence[Interface], links: Links) -> tuple[Seen, tuple[str, ...]]:
    """What is there, and what of it is not limited as it should be."""
    seen = links.look()
    return seen, unshaped(wanted, links, seen.links)


def _drop(links: Links, prefix: str) -> None:
    for link in links.links():
        if bears(link, prefix):
            links.drop_link(link.index)
