"""Doing what a plan says. A step has no opinion: it writes its mark, acts through a driver, writes what came of it.

Every step may be repeated, and a crash between any two instructions is healed by the next pass, which sees the
mark. Failures are values: they become a trouble or an end on the record, an event, and the pass goes on with
the other containers.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from tank.errors import TankError
from tank.model.digest import nics_digest
from tank.model.pod import Pod
from tank.model.record import Address, ContainerRecord, PodRecord
from tank.node.deeds import ContainerDeeds
from tank.node.flights import Flights
from tank.node.observe import Machine
from tank.node.report import Report
from tank.node.work import Troubles, Work
from tank.plan import marks
from tank.plan.steps import Action, Plan, Step
from tank.store.base import Store

log = logging.getLogger("tank.node")


class Executor:
    """Runs plans. Holds nothing of a pod between two calls."""

    def __init__(
        self, machine: Machine, store: Store, report: Report, flights: Flights, nudge: Callable[[str], None]
    ) -> None:
        self._machine, self._store, self._report = machine, store, report
        self._flights, self._nudge = flights, nudge
        self._troubles = Troubles(machine, report)
        containers = ContainerDeeds(machine, report)
        self._deeds: Mapping[Action, Callable[[Work, Step], Awaitable[None]]] = {
            Action.MARK: self._mark,
            Action.RESOLVE: self._resolve,
            Action.SANDBOX: self._sandbox,
            Action.REPIN: self._repin,
            Action.REFRESH: self._refresh,
            Action.NETWORK: self._network,
            Action.REFILL: self._refill,
            Action.CREATE: containers.create,
            Action.START: containers.start,
            Action.HOOK: containers.hook,
            Action.TUNE: containers.tune,
            Action.REACT: containers.react,
            Action.STOP: containers.stop,
            Action.KILL: containers.kill,
            Action.DROP: containers.drop,
            Action.RELEASE: self._release,
            Action.REMOVE: self._remove,
            Action.FORGET: self._forget,
        }

    async def run(self, plan: Plan, work: Work) -> bool:
        """Run the plan, stage by stage. True when every step was done."""
        failed: set[str] = set()
        for _, stage in itertools.groupby(plan.steps, key=lambda step: step.stage):
            chains: dict[str, list[Step]] = {}
            for step in stage:
                if step.container not in failed:
                    chains.setdefault(step.container, []).append(step)
            async with asyncio.TaskGroup() as tasks:
                running = {name: tasks.create_task(self._chain(work, steps)) for name, steps in chains.items()}
            failed |= {name for name, task in running.items() if not task.result()}
            if "" in failed:
                return False
        return not failed

    async def _chain(self, work: Work, steps: list[Step]) -> bool:
        for step in steps:
            try:
                await self._deeds[step.action](work, step)
            except (TankError, OSError) as error:
                await self._troubles.note(work, step, error)
                return False
        return True

    # What the steps work on

    def _spec(self, work: Work) -> Pod | None:
        record = self._machine.records.pod(work.uid)
        return work.desired.spec if work.desired else (record.spec if record else None)

    def _record(self, work: Work) -> PodRecord:
        record = self._machine.records.pod(work.uid)
        assert record is not None
        return record

    # The pod

    async def _mark(self, work: Work, step: Step) -> None:
        records, now = self._machine.records, self._machine.now()
        record = records.pod(work.uid)
        if step.container:
            held = records.containers(work.uid).get(step.container) or ContainerRecord(name=step.container)
            await records.save_container(work.uid, marks.unstopped_mark(held, now))
        elif step.failed:
            await records.save_pod(marks.failed_mark(self._record(work), step.failed))
            self._report.warning(work.name, work.uid, step.failed, step.why)
        elif work.desired is not None:
            await records.save_pod(marks.pod_mark(record, work.desired, self._machine.installation, now, step.held))
        elif record is not None:
            await records.save_pod(replace(record, deleting=True))

    async def _resolve(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        container = work.desired.spec.container(step.container)
        assert container is not None
        await self._flights.resolve(work.desired, container)

    async def _sandbox(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        record = marks.sandbox_mark(self._record(work), work.desired, self._machine.now())
        await self._machine.records.save_pod(record)
        await self._machine.runtime.make_sandbox(work.uid, work.desired.spec)

    async def _repin(self, work: Work, step: Step) -> None:
        record = self._record(work)
        await self._machine.runtime.repin_sandbox(work.uid, record.spec, step.pid)
        if any(each.source for each in record.addresses):
            await self._machine.runtime.refresh_sandbox(work.uid, record.spec, record.addresses)
        await self._machine.records.save_pod(replace(self._record(work), trouble=None))
        self._report.warning(work.name, work.uid, "SandboxRepaired", step.why)

    async def _refresh(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        await self._machine.runtime.refresh_sandbox(work.uid, work.desired.spec, self._record(work).addresses)

    async def _refill(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        given = await self._machine.inputs.files(work.desired)
        await self._machine.runtime.refill(work.uid, work.desired.spec, given.values)
        self._report.normal(work.name, work.uid, "Refilled", step.why)

    async def _network(self, work: Work, step: Step) -> None:
        spec = self._spec(work)
        assert spec is not None
        namespace = self._machine.namespace(work.uid)
        record = self._record(work)
        addresses = await self._machine.net.configure(work.uid, spec, namespace)
        if any(each.source for each in addresses):  # its /etc files could not name them, nor a lease's servers, before
            await self._machine.runtime.refresh_sandbox(work.uid, spec, addresses)
        self._machine.net.watch(work.uid, namespace, lambda: self._nudge(work.name))
        self._tell_network(work, step, record, addresses)
        digest = nics_digest(spec)
        ready = replace(record, addresses=addresses, network_ready=True, nics_digest=digest, trouble=None)
        await self._machine.records.save_pod(ready)

    def _tell_network(self, work: Work, step: Step, record: PodRecord, addresses: tuple[Address, ...]) -> None:
        """What was done to a network that stood: asked for by the spec, or put right."""
        if not record.network_ready:
            return
        if nics_digest(record.spec) == record.nics_digest:
            self._report.warning(work.name, work.uid, "NetworkRepaired", step.why)
        else:
            self._report.normal(work.name, work.uid, "NetworkChanged", step.why)
        if moved := ", ".join(_moved(record.addresses, addresses)):
            self._report.normal(work.name, work.uid, "AddressChanged", moved)

    async def _release(self, work: Work, step: Step) -> None:
        self._machine.net.unwatch(work.uid)
        spec = self._spec(work)
        if spec is not None:
            await self._machine.net.release(work.uid, spec, self._machine.namespace(work.uid))

    async def _remove(self, work: Work, step: Step) -> None:
        await self._machine.net.vacate(work.uid, self._spec(work), self._machine.namespace(work.uid))
        await self._machine.runtime.remove_sandbox(work.uid)

    async def _forget(self, work: Work, step: Step) -> None:
        self._flights.cancel(work.uid)
        self._machine.care.forget(work.uid)
        await self._machine.runtime.forget(work.uid)
        await self._machine.records.forget(work.uid)
        await self._store.bury(work.uid)
        self._report.normal(work.name, work.uid, "Deleted", "the pod is gone")


def _moved(before: Iterable[Address], after: Iterable[Address]) -> Iterator[str]:
    """The addresses that a network gave in the place of others, in words."""
    had = {(each.nic, each.source): each.ip for each in before}
    for each in after:
        last = had.get((each.nic, each.source))
        if each.source in ("dhcp", "slaac") and last not in (None, each.ip):
            yield f"{each.nic} has {each.ip} now, and had {last}"
