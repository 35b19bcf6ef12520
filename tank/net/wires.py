"""What lies on the host, or crosses pods: the host's tables, fences inside the pods, bridges that nobody needs.

It is told all of it at once, compares that with what it last did, and does only what differs. What may have been
changed by others is suspect, and looked at too. A daemon that was just started does everything once: each table is
replaced by its equal, and no packet notices.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path

from tank.config import Settings
from tank.errors import TankError
from tank.host.netns import pinned
from tank.model.network import Port
from tank.model.pools import Kept, Pool, Wired, Wiring
from tank.net import bridges, conntrack, policy
from tank.net.anchor import Anchor
from tank.net.bookkeeping import Bookkeeping
from tank.net.fences import fence_rules
from tank.net.flows import stale
from tank.net.grants import Grants
from tank.net.links import host_links
from tank.net.names.keeper import Names
from tank.net.ruleset import HostRules, host_rules, shim_rules
from tank.net.shimming import Shims
from tank.net.shims import Plan
from tank.net.tables import HOST, SHIMS, Tables
from tank.net.together import together
from tank.net.wanted import mark, plug_name

FENCES = 4  # of other pods, made anew at once


class Wires:
    """Carries out `Wiring`. One call at a time."""

    def __init__(self, settings: Settings, installation: str, grants: Grants, names: Names) -> None:
        self._settings, self._installation, self._grants, self._names = settings, installation, grants, names
        self._lock, self._anchor = asyncio.Lock(), Anchor(installation)
        self._bookkeeping = Bookkeeping(grants.leases)
        self._wiring: Wiring | None = None
        self._coming: dict[str, Wired] = {}  # by uid: pods whose records do not tell of their network yet
        self._gone: set[str] = set()  # whose records still tell of it
        self._admitted: dict[str, frozenset[Port]] = {}  # ports of the host that were free when they were asked for
        self._rules = HostRules()
        book = None if settings.repair else settings.run_dir / "rules.json"
        self._tables = Tables(installation, self._namespace, book)
        self.shims = Shims(settings, installation, grants)
        self._suspects = set(self._tables.keys)

    def suspect(self, *, fences: bool = False) -> None:
        """What stands on the host, and with `fences` in the pods, may have been changed by others."""
        self._suspects |= self._tables.keys if fences else {HOST, SHIMS}

    def suspect_pod(self, uid: str) -> None:
        """The same of one pod; of the host, where it is empty."""
        self._suspects |= {uid} if uid else {HOST, SHIMS}

    async def wire(self, wiring: Wiring) -> Kept:
        """Everything as `wiring` says; what cannot be, keeps nothing else from it."""
        async with self._lock:
            self._wiring = wiring = self._taken_in(wiring)
            suspects, self._suspects = self._suspects, set()  # what is suspected meanwhile is for the next time
            whole = False
            try:
                kept = await self._carried_out(wiring, suspects)
                whole = not kept.fault
            finally:
                self._suspects |= set() if whole else suspects
            return kept

    def _taken_in(self, wiring: Wiring) -> Wiring:
        self._admit(wiring)
        for pod in wiring.pods:
            self._coming.pop(pod.uid, None)
        self._gone &= wiring.uids
        standing = (pod for pod in wiring.pods if pod.uid not in self._gone)
        return replace(wiring, pods=(*standing, *self._coming.values()))

    async def _carried_out(self, wiring: Wiring, suspects: Set[str]) -> Kept:
        await asyncio.to_thread(self._settle_leases, wiring)
        pools = await asyncio.to_thread(self._grants.resolved)
        found, faults = list[str](), list[str]()
        works = [
            self._host(wiring, pools, suspects),
            *(self._fence(pod, wiring, pools, suspects) for pod in wiring.pods),
            self._names.tell(wiring, pools, look=suspects),
            self.shims.settle(wiring, pools, partial(self._walls, suspects)),
            asyncio.to_thread(self._settle_bridges, wiring, pools),
        ]
        for work in works:
            try:
                found += await work
            except (TankError, OSError) as error:
                faults.append(str(error))
        self._tables.forget({pod.uid for pod in wiring.pods})
        return Kept(changed=(*found, *self._tables.astray.values()), fault=next(iter(faults), ""))

    async def fence(self, pod: Wired) -> None:
        """One pod's fence and its part of the host's rules, before its first instruction (S32).

        They stay until `retire`, though a `wire` that knows nothing of the pod yet comes in between.
        """
        async with self._lock:
            self._gone.discard(pod.uid)
            self._coming[pod.uid] = pod
            self._admitted[pod.uid] = frozenset(pod.ports)
            known = self._wiring or Wiring()
            wiring = replace(known, pods=(*(each for each in known.pods if each.uid != pod.uid), pod))
            pools = await asyncio.to_thread(self._grants.resolved)
            works = [self._fence(pod, wiring, pools)]
            if pod.pools and self._wiring is not None:  # else the others' rules would go for this one's
                works.append(self._host(wiring, pools))
                self._wiring = wiring
            for fault in await asyncio.gather(*works, return_exceptions=True):
                if isinstance(fault, BaseException):
                    raise fault

    async def retire(self, uid: str) -> None:
        """Nothing leads to the pod any more, and no fence lets its addresses in, before they are another's.

        Raises Waiting, Failed.
        """
        self._gone.add(uid)  # who waits for its turn behind others that go, goes with the first of them
        self._coming.pop(uid, None)
        async with self._lock:
            self.shims.forget(uid)
            self._tables.doubt(uid)  # its fence goes with its namespace
            if self._wiring is not None and any(each.uid == uid for each in self._wiring.pods):
                pools = await asyncio.to_thread(self._grants.resolved)
                left = tuple(each for each in self._wiring.pods if each.uid not in self._gone)
                wiring = replace(self._wiring, pods=left)
                await self._refence([each for each in left if each.allow], wiring, pools)
                await self._host(wiring, pools)
                self._wiring = wiring

    async def _refence(self, pods: Iterable[Wired], wiring: Wiring, pools: Mapping[str, Pool]) -> None:
        turns = asyncio.Semaphore(FENCES)

        async def one(pod: Wired) -> None:
            async with turns:
                with contextlib.suppress(TankError):  # another pod's trouble, which the next `wire` tells of
                    await self._fence(pod, wiring, pools)

        await together(*map(one, pods))

    def close(self) -> None:
        """What stands, stands; only known flows are not held any more."""
        self._anchor.let_go()

    def published(self, uid: str) -> frozenset[Port]:
        """The ports by which the host's rules lead to the pod by now."""
        known = self._wiring.pods if self._wiring else ()
        ports = frozenset(port for pod in known if pod.uid == uid for port in pod.ports)
        return ports & self._admitted.get(uid, frozenset())

    def unpublished(self, uid: str, ports: Iterable[Port]) -> tuple[str, ...]:
        """Which of the ports wait for their leave, in words: those that came to a pod that runs."""
        new = [each for each in ports if each not in self._admitted.get(uid, ports)]
        return tuple(f"port {each.host}/{each.protocol} of the host does not lead to it" for each in new)

    def _admit(self, wiring: Wiring) -> None:
        """What led to pods when the daemon was started goes on; what is asked for later is looked at first (R48)."""
        fresh = {uid: self._admitted[uid] for uid in self._coming}  # what is told may be older than they are
        old = {each.uid: self._admitted.get(each.uid, frozenset(each.ports)) & {*each.ports} for each in wiring.pods}
        self._admitted = old | fresh

    def _namespace(self, uid: str) -> Path:
        return self._settings.pod_run_dir(uid) / "ns" / "net"

    async def _host(
        self, wiring: Wiring, pools: Mapping[str, Pool], suspects: Set[str] | None = None
    ) -> tuple[str, ...]:
        names = {name: self._grants.bridge(pool) for name, pool in pools.items() if pool.mode == "bridge"}
        marks = {
            f"{pod.uid}/{nic}": f"{mark(pod.uid, self._installation)}/{nic}" for pod in wiring.pods for nic in pod.pools
        }
        wiring = replace(wiring, pods=tuple(self._with_admitted(each) for each in wiring.pods))
        rules = policy.host_side(wiring, pools, names, {key: plug_name(each) for key, each in marks.items()})
        script = host_rules(self._installation, rules)
        if rules.bridges:
            await asyncio.to_thread(self._anchor.hold)
        else:
            await self._tables.nothing_stands(HOST, script)
        before = HOST in self._tables
        found = await self._tables.keep(HOST, script, "the host's rules", look=_among(HOST, suspects))
        if suspects is None:
            return found  # what flows go elsewhere now, is for the next `wire`: there may be many to look at
        moved = rules.publications != self._rules.publications
        if moved or found or (rules.bridges and not before):  # set anew: some may have come by in between
            await asyncio.to_thread(_forget_flows, self._rules, rules)
        if not rules.bridges:
            self._anchor.let_go()
        self._rules = rules
        return found

    async def _walls(self, suspects: Set[str], plan: Plan, anew: bool) -> tuple[str, ...]:
        """Those of the shims; a link that is new has none, whatever was done for one of its name."""
        script = shim_rules(self._installation, [*(each.name for each in plan.shims), *plan.kept], plan.macs)
        if anew:
            self._tables.doubt(SHIMS)
        elif not plan.shims:
            await self._tables.nothing_stands(SHIMS, script)
        return await self._tables.keep(SHIMS, script, "the rules of the shims", look=SHIMS in suspects)

    def _with_admitted(self, pod: Wired) -> Wired:
        admitted = self._admitted.get(pod.uid, frozenset())
        return replace(pod, ports=tuple(each for each in pod.ports if each in admitted))

    async def _fence(
        self, pod: Wired, wiring: Wiring, pools: Mapping[str, Pool], suspects: Set[str] | None = None
    ) -> tuple[str, ...]:
        if pod.pools.values() - pools.keys():
            return ()  # a pool that is not stated any more: what stands goes on
        fence = policy.fence(pod, wiring, pools)
        if not pinned(self._namespace(pod.uid)):
            return ()
        script, what = fence_rules(fence), f"the rules of pod {pod.name}"
        if fence is None and pod.uid not in self._tables:
            if suspects is None:
                return ()  # somebody waits, and what is new has no fence
            await self._tables.nothing_stands(pod.uid, script)  # one that was shut as an earlier daemon died
        return await self._tables.keep(pod.uid, script, what, look=_among(pod.uid, suspects))

    def _settle_leases(self, wiring: Wiring) -> None:
        self._bookkeeping.settle(wiring)
        self._grants.avoid = frozenset(
            each.ip.partition("/")[0] for pod in wiring.pods for each in pod.addresses if not each.source
        )

    def _settle_bridges(self, wiring: Wiring, pools: Mapping[str, Pool]) -> list[str]:
        """Those in use stand as they should; the others go."""
        used = {pool for pod in wiring.pods for pool in pod.pools.values()}
        with self._grants.bridging, host_links() as links:
            leased = {each.pool for each in self._grants.leases.all()}
            bridges.remove_others(links, self._installation, used | leased)
            if not used:
                return []
            seen = links.look()
            known = {name: pools[name] for name in sorted(used & pools.keys())}
            wrong = {name: list(bridges.differences(seen, pool, self._installation)) for name, pool in known.items()}
            for name in (name for name, words in wrong.items() if words and self._settings.repair):
                bridges.ensure(links, known[name], self._installation)
        return [each for words in wrong.values() for each in words]


def _among(key: str, suspects: Set[str] | None) -> bool | None:
    return None if suspects is None else key in suspects


def _forget_flows(before: HostRules, after: HostRules) -> None:
    with host_links() as links:
        local = {each.address.partition("/")[0] for each in links.addresses()}
    conntrack.forget(lambda flow: stale(flow, before, after, local))
