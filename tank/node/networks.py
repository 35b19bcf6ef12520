"""The verbs of networks: what the API calls. They look and try; nothing is changed by them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from tank.errors import Conflict, NotFound, TankError
from tank.model.networks import NetworkStatus, Reach
from tank.model.pod import Network, Pod
from tank.model.pools import Wired
from tank.model.record import PodRecord
from tank.model.stats import NicStats, PodStats
from tank.node.observe import Machine


class Survey(Protocol):
    """What the network driver tells of pools, and of who reaches whom."""

    async def networks(self) -> Sequence[NetworkStatus]:
        """Every pool, by name, with its leases."""

    async def reach(self, pods: Sequence[tuple[Pod, Wired]]) -> Sequence[Reach]:
        """Everything tried for each pod, in order."""


class NetworkVerbs:
    """The networks of one machine. Every method may be called at any time from the daemon's loop."""

    def __init__(self, machine: Machine, survey: Survey) -> None:
        self._machine, self._survey = machine, survey

    async def list(self) -> Sequence[NetworkStatus]:
        """Every pool, by name; without its leases, which may be many."""
        return [replace(each, leases=()) for each in await self._survey.networks()]

    async def inspect(self, name: str) -> NetworkStatus:
        """One pool, with its leases. Raises NotFound."""
        found = await self._survey.networks()
        for each in found:
            if each.name == name:
                return each
        raise NotFound(f"no pool is called {name}; there are: {', '.join(each.name for each in found)}")

    async def check(self, pod: str | None = None) -> Sequence[Reach]:
        """Who reaches the pod, or each pod that has a network of its own, and whom it reaches. Takes seconds.

        Raises NotFound; Conflict when the pod has no network of its own now.
        """
        records = sorted(self._machine.records.pods().items(), key=lambda each: each[1].name)
        if pod is not None:
            records = [each for each in records if each[1].name == pod]
            if not records:
                raise NotFound(f"no pod is called {pod}")
            _check_has_network(records[0][1])
        return await self._survey.reach([self._wired(uid, each) for uid, each in records if _has_network(each)])

    async def stats(self, pod: str | None = None) -> Sequence[PodStats]:
        """What the interfaces of one pod have carried; else of each that has a network of its own. Raises NotFound."""
        records = sorted(self._machine.records.pods().items(), key=lambda each: each[1].name)
        if pod is None:
            records = [each for each in records if _has_network(each[1])]
        else:
            records = [each for each in records if each[1].name == pod and not each[1].deleting][:1]
            if not records:
                raise NotFound(f"no pod is called {pod}")
        return await asyncio.gather(*(self._stats(uid, record) for uid, record in records))

    async def _stats(self, uid: str, record: PodRecord) -> PodStats:
        """A pod that ends while it is looked at has carried nothing."""
        nics: Sequence[NicStats] = ()
        if _has_network(record):
            with contextlib.suppress(TankError, OSError):
                nics = await self._machine.net.counters(uid, record.spec, self._machine.namespace(uid))
        return PodStats(pod=record.name, uid=uid, nics=tuple(nics))

    def _wired(self, uid: str, record: PodRecord) -> tuple[Pod, Wired]:
        return record.spec, self._machine.net.wired(uid, record.spec, record.addresses, ready=True)


def _has_network(record: PodRecord) -> bool:
    return isinstance(record.spec.network, Network) and record.network_ready and not record.deleting


def _check_has_network(record: PodRecord) -> None:
    if not isinstance(record.spec.network, Network):
        raise Conflict(f"cannot check pod {record.name}: its network is {record.spec.network}, not its own")
    if not _has_network(record):
        raise Conflict(f"cannot check pod {record.name}: its network is not configured (tank why {record.name})")
