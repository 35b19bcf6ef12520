"""Doing what a plan says. A step has no opinion: it writes its mark, acts through a driver, writes what came of it.

Every step may be repeated, and a crash between any two instructions is healed by the next pass, which sees the
mark. Failures are values: they become a trouble or an end on the record, an event, and the pass goes on with
the other containers.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from tank.errors import StartFailed, TankError
from tank.model.desired import Desired
from tank.model.pod import Container, Pod
from tank.model.record import ContainerRecord, PodRecord
from tank.node.flights import Flights
from tank.node.launching import launch_for
from tank.node.observe import Machine, pinned
from tank.node.report import Report
from tank.node.work import Troubles, Work
from tank.plan import marks
from tank.plan.steps import Action, Impact, Plan, Step
from tank.plan.wish import DRAIN
from tank.store.base import Store

EXIT_WAIT = 2.0  # seconds that conmon is given to write the exit file of a process that is gone

log = logging.getLogger("tank.node")


class Executor:
    """Runs plans. Holds nothing of a pod between two calls."""

    def __init__(
        self, machine: Machine, store: Store, report: Report, flights: Flights, nudge: Callable[[str], None]
    ) -> None:
        self._machine, self._store, self._report = machine, store, report
        self._flights, self._nudge = flights, nudge
        self._troubles = Troubles(machine, report)
        self._deeds: Mapping[Action, Callable[[Work, Step], Awaitable[None]]] = {
            Action.MARK: self._mark,
            Action.RESOLVE: self._resolve,
            Action.SANDBOX: self._sandbox,
            Action.REPIN: self._repin,
            Action.REFRESH: self._refresh,
            Action.NETWORK: self._network,
            Action.CREATE: self._create,
            Action.START: self._start,
            Action.TUNE: self._tune,
            Action.STOP: self._stop,
            Action.KILL: self._kill,
            Action.DROP: self._drop,
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

    def _container(self, work: Work, step: Step) -> ContainerRecord:
        held = self._machine.records.containers(work.uid).get(step.container)
        return held or ContainerRecord(name=step.container)

    def _wanted(self, work: Work, step: Step) -> tuple[Desired, Container]:
        assert work.desired is not None
        container = work.desired.spec.container(step.container)
        assert container is not None
        return work.desired, container

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
            await records.save_container(work.uid, marks.unstopped_mark(self._container(work, step), now))
        elif work.desired is not None:
            await records.save_pod(marks.pod_mark(record, work.desired, self._machine.installation, now, step.held))
        elif record is not None:
            await records.save_pod(replace(record, deleting=True))

    async def _resolve(self, work: Work, step: Step) -> None:
        await self._flights.resolve(*self._wanted(work, step))

    async def _sandbox(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        record = marks.sandbox_mark(self._record(work), work.desired, self._machine.now())
        await self._machine.records.save_pod(record)
        await self._machine.runtime.make_sandbox(work.uid, work.desired.spec)

    async def _repin(self, work: Work, step: Step) -> None:
        await self._machine.runtime.repin_sandbox(work.uid, self._record(work).spec, step.pid)
        await self._machine.records.save_pod(replace(self._record(work), trouble=None))
        self._report.warning(work.name, work.uid, "SandboxRepaired", step.why)

    async def _refresh(self, work: Work, step: Step) -> None:
        assert work.desired is not None
        await self._machine.runtime.refresh_sandbox(work.uid, work.desired.spec)

    async def _network(self, work: Work, step: Step) -> None:
        spec = self._spec(work)
        assert spec is not None
        namespace = self._machine.namespace(work.uid)
        record = self._record(work)
        addresses = await self._machine.net.configure(work.uid, spec, namespace)
        self._machine.net.watch(work.uid, namespace, lambda: self._nudge(work.name))
        if record.network_ready:
            self._report.warning(work.name, work.uid, "NetworkRepaired", step.why)
        await self._machine.records.save_pod(replace(record, addresses=addresses, network_ready=True, trouble=None))

    async def _release(self, work: Work, step: Step) -> None:
        self._machine.net.unwatch(work.uid)
        spec = self._spec(work)
        if spec is not None:
            await self._machine.net.release(work.uid, spec, self._machine.namespace(work.uid))

    async def _remove(self, work: Work, step: Step) -> None:
        self._machine.net.unwatch(work.uid)
        await self._machine.runtime.remove_sandbox(work.uid)

    async def _forget(self, work: Work, step: Step) -> None:
        self._flights.cancel(work.uid)
        await self._machine.runtime.forget(work.uid)
        await self._machine.records.forget(work.uid)
        await self._store.bury(work.uid)
        self._report.normal(work.name, work.uid, "Deleted", "the pod is gone")

    # One container

    async def _create(self, work: Work, step: Step) -> None:
        desired, container = self._wanted(work, step)
        runtime = self._machine.runtime
        before = self._container(work, step)
        if before.attempt is not None:
            await runtime.discard(work.uid, container.name, before.attempt.number)
        launch = await launch_for(self._machine, desired, container, before.last_number + 1)
        digest = launch.image.digest if launch.image else ""
        record = marks.attempt_mark(before, desired, container, digest, self._machine.now())
        await self._machine.records.save_container(work.uid, record)
        try:
            await runtime.create(launch)
        except StartFailed as error:
            await self._start_failed(work, record, error)
            raise
        except (TankError, OSError):
            await runtime.discard(work.uid, container.name, record.last_number)
            await self._machine.records.save_container(work.uid, marks.unstarted_mark(record))
            raise

    async def _start_failed(self, work: Work, record: ContainerRecord, error: StartFailed) -> None:
        """A program that cannot be started has ended, under the restart policy (C5); it is no trouble."""
        now = self._machine.now()
        ended = marks.failed_start_mark(record, error.code, str(error), now, work.backoff)
        await self._machine.records.save_container(work.uid, ended)
        await self._machine.runtime.discard(work.uid, record.name, record.last_number)

    async def _start(self, work: Work, step: Step) -> None:
        record = self._container(work, step)
        assert record.attempt is not None
        try:
            await self._machine.runtime.start(work.uid, step.container, record.attempt.number)
        except StartFailed as error:
            await self._start_failed(work, record, error)
            raise
        now = self._machine.now()
        await self._machine.records.save_container(work.uid, marks.started_mark(record, now.boot, now.wall))
        self._report.normal(work.name, work.uid, "Started", step.why, step.container)

    async def _tune(self, work: Work, step: Step) -> None:
        _, container = self._wanted(work, step)
        record = self._container(work, step)
        assert record.attempt is not None
        await self._machine.runtime.tune(work.uid, container.name, record.attempt.number, container.limits)
        await self._machine.records.save_container(work.uid, marks.tuned_mark(record, container))
        self._report.normal(work.name, work.uid, "Resized", step.why, step.container)

    async def _stop(self, work: Work, step: Step) -> None:
        record = self._container(work, step)
        assert record.attempt is not None
        again = marks.signalled(record, step.aim, self._machine.now())
        if not again:
            await self._check_successor(work, step)
        record = marks.stop_mark(record, step.grace, self._machine.now(), signalled=False, aim=step.aim)
        await self._machine.records.save_container(work.uid, record)
        if again or record.attempt is None:
            return
        signal = await self._stop_signal(work, record)
        heard = await self._machine.runtime.signal(work.uid, step.container, record.attempt.number, signal)
        record = marks.stop_mark(record, step.grace, self._machine.now(), signalled=True, aim=step.aim)
        await self._machine.records.save_container(work.uid, record)
        self._report.normal(work.name, work.uid, "Killing", f"{step.why}; {signal} was sent", step.container)
        if not heard:
            text = f"its program neither catches nor blocks {signal}, so it runs until its grace is over (see `reaper`)"
            self._report.warning(work.name, work.uid, "StopSignalIgnored", text, step.container)

    async def _check_successor(self, work: Work, step: Step) -> None:
        """All that can fail is looked at before the old container is stopped."""
        container = work.desired.spec.container(step.container) if work.desired else None
        if step.aim != DRAIN and work.desired is not None and container is not None:
            await self._machine.runtime.check(await launch_for(self._machine, work.desired, container, 0))

    async def _stop_signal(self, work: Work, record: ContainerRecord) -> str:
        """From the spec wanted now (it changes live), else from the one the attempt was made from."""
        assert record.attempt is not None
        wanted = work.desired.spec.container(record.name) if work.desired else None
        container, image = wanted or record.attempt.spec, None
        if record.attempt.image and isinstance(record.attempt.spec.image, str):
            image = await self._machine.images.find(pinned(record.attempt.spec.image, record.attempt.image))
        return self._machine.runtime.stop_signal(container, image)

    async def _kill(self, work: Work, step: Step) -> None:
        record = self._container(work, step)
        number = record.attempt.number if record.attempt else record.last_number
        await self._machine.runtime.kill(work.uid, step.container, number)
        settled = await self._exit_of(work, record)
        attempt = settled.attempt
        if attempt is not None and not (settled.exits and settled.exits[-1].attempt == attempt.number):
            if attempt.started_boot is None:
                settled = marks.unstarted_mark(settled)
            else:
                settled = marks.lost_mark(settled, self._machine.now(), work.backoff)
        if settled.attempt is not None:  # how it ended is written down before what tells so is removed
            await self._machine.records.save_container(work.uid, settled)
        await self._machine.runtime.discard(work.uid, step.container, number)
        await self._machine.records.save_container(work.uid, settled)
        ended_by_itself = bool(settled.exits and settled.exits[-1].code is not None) and step.impact is Impact.NONE
        if not ended_by_itself:
            self._report.warning(work.name, work.uid, "Killed", step.why, step.container)

    async def _exit_of(self, work: Work, record: ContainerRecord) -> ContainerRecord:
        """The record with the end that conmon wrote, if it lives and writes one in time."""
        deadline = self._machine.now().boot + EXIT_WAIT
        while True:
            seen = (await self._machine.runtime.observe(work.uid)).get(record.name)
            settled = marks.settled(record, seen, self._machine.now(), work.backoff)
            waits = seen is not None and seen.monitored and not seen.exited and self._machine.now().boot < deadline
            if not waits:
                return settled
            await asyncio.sleep(0.005)

    async def _drop(self, work: Work, step: Step) -> None:
        record = self._container(work, step)
        number = record.attempt.number if record.attempt else record.last_number
        await self._machine.runtime.discard(work.uid, step.container, number)
        await self._machine.records.drop_container(work.uid, step.container)
