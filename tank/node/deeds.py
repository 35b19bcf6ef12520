"""What is done to one container of a pod, step by step. Like all deeds: a mark, the effect, what came of it."""

from __future__ import annotations

import asyncio

from tank.errors import StartFailed, TankError
from tank.model.desired import Desired
from tank.model.health import Hook
from tank.model.inputs import Reaction
from tank.model.launch import Launch, Target
from tank.model.pod import Container
from tank.model.record import ContainerRecord
from tank.node.care import target_of
from tank.node.launching import launch_for
from tank.node.observe import Machine, pinned
from tank.node.report import Report
from tank.node.work import Work
from tank.plan import marks, settling
from tank.plan.aims import CERTAIN, fits
from tank.plan.steps import Impact, Step
from tank.plan.stops import EXTRA
from tank.runtime import command

EXIT_WAIT = 2.0  # seconds that conmon is given to write the exit file of a process that is gone
REACTION = 10.0  # seconds that a program may take to tell another that its files have changed


class ContainerDeeds:
    """The deeds of one container. Holds nothing of it between two calls."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine, self._report = machine, report

    def _container(self, work: Work, step: Step) -> ContainerRecord:
        held = self._machine.records.containers(work.uid).get(step.container)
        return held or ContainerRecord(name=step.container)

    def _wanted(self, work: Work, step: Step) -> tuple[Desired, Container]:
        """As it is desired; of a pod that is being removed, as it was (a sidecar may be wanted until its turn, C4)."""
        record = self._machine.records.pod(work.uid)
        desired = work.desired or (marks.desired_of(record) if record else None)
        assert desired is not None
        container = desired.spec.container(step.container)
        assert container is not None
        return desired, container

    async def create(self, work: Work, step: Step) -> None:
        """The mark of a new attempt, then the container, parked."""
        desired, container = self._wanted(work, step)
        runtime = self._machine.runtime
        before = self._container(work, step)
        if before.attempt is not None:
            await runtime.discard(work.uid, container.name, before.attempt.number)
        launch = await launch_for(self._machine, desired, container, before.last_number + 1)
        if passed := ", ".join(command.unusable(launch)):
            text = f"no variable can be made of key {passed}"
            self._report.warning(work.name, work.uid, "InvalidVariableNames", text, container.name)
        record = self._attempt(before, desired, launch)
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

    def _attempt(self, before: ContainerRecord, desired: Desired, launch: Launch) -> ContainerRecord:
        pod = self._machine.records.pod(desired.uid)
        digest, sandbox = launch.image.digest if launch.image else "", pod.sandbox if pod else 0
        return marks.attempt_mark(
            before,
            desired,
            launch.container,
            digest,
            self._machine.now(),
            sandbox=sandbox,
            inputs=launch.versions,
        )

    async def _start_failed(self, work: Work, record: ContainerRecord, error: StartFailed) -> None:
        """A program that cannot be started has ended, under the restart policy (C5); it is no trouble."""
        now = self._machine.now()
        ended = settling.failed_start_mark(record, error.code, str(error), now, work.backoff)
        await self._machine.records.save_container(work.uid, ended)
        await self._machine.runtime.discard(work.uid, record.name, record.last_number)

    async def start(self, work: Work, step: Step) -> None:
        """Let it run."""
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

    async def tune(self, work: Work, step: Step) -> None:
        """Its limits, live (C12)."""
        _, container = self._wanted(work, step)
        record = self._container(work, step)
        assert record.attempt is not None
        await self._machine.runtime.tune(work.uid, container.name, record.attempt.number, container.limits)
        await self._machine.records.save_container(work.uid, marks.tuned_mark(record, container))
        self._report.normal(work.name, work.uid, "Resized", step.why, step.container)

    async def stop(self, work: Work, step: Step) -> None:
        """The deadline, on record first; then the signal, unless it has to wait for something (C3)."""
        record, now = self._container(work, step), self._machine.now()
        assert record.attempt is not None
        if not fits(record.attempt.stop, step.aim, now):
            await self._check_successor(work, step)
        again = marks.signalled(record, step.aim, now)
        record = marks.stop_mark(record, step, now, signalled=False)
        await self._machine.records.save_container(work.uid, record)
        if not again and not step.until:
            await self._signal(work, step, record)

    async def _signal(self, work: Work, step: Step, record: ContainerRecord) -> None:
        assert record.attempt is not None
        signal = await self._stop_signal(work, record)
        heard = await self._machine.runtime.signal(work.uid, step.container, record.attempt.number, signal)
        record = marks.stop_mark(record, step, self._machine.now(), signalled=True)
        await self._machine.records.save_container(work.uid, record)
        self._report.normal(work.name, work.uid, "Killing", f"{step.why}; {signal} was sent", step.container)
        if not heard:
            text = f"its program neither catches nor blocks {signal}, so it runs until its grace is over (see `reaper`)"
            self._report.warning(work.name, work.uid, "StopSignalIgnored", text, step.container)

    async def _check_successor(self, work: Work, step: Step) -> None:
        """All that can fail is looked at before the old container is stopped."""
        container = work.desired.spec.container(step.container) if work.desired else None
        if step.aim not in CERTAIN and work.desired is not None and container is not None:
            await self._machine.runtime.check(await launch_for(self._machine, work.desired, container, 0))

    async def _stop_signal(self, work: Work, record: ContainerRecord) -> str:
        """From the spec wanted now (it changes live), else from the one the attempt was made from."""
        assert record.attempt is not None
        wanted = work.desired.spec.container(record.name) if work.desired else None
        container, image = wanted or record.attempt.spec, None
        if record.attempt.image and isinstance(record.attempt.spec.image, str):
            image = await self._machine.images.find(pinned(record.attempt.spec.image, record.attempt.image))
        return self._machine.runtime.stop_signal(container, image)

    async def hook(self, work: Work, step: Step) -> None:
        """Begin a hook; its end comes to a later pass (C3.7). One before a signal has its stop's time, and 2 s more."""
        record, now = self._container(work, step), self._machine.now()
        pod = self._machine.records.pod(work.uid)
        assert record.attempt is not None
        spec = work.desired.spec if work.desired else (pod.spec if pod else None)
        if spec is None:
            return
        target = target_of(work.uid, spec, record.attempt, pod.addresses if pod else ())
        if step.aim == "post_start":
            self._machine.care.begin(target, "post_start", float("inf"))
        elif record.attempt.stop is not None:
            self._machine.care.begin(target, "pre_stop", max(record.attempt.stop.deadline + EXTRA - now.boot, 0.0))

    async def react(self, work: Work, step: Step) -> None:
        """Tell the program that its files have changed, then write down that it knows: at least once, never not."""
        record, pod = self._container(work, step), self._machine.records.pod(work.uid)
        assert record.attempt is not None
        assert work.desired is not None
        assert step.change is not None
        target = target_of(work.uid, work.desired.spec, record.attempt, pod.addresses if pod else ())
        for reaction in step.change.reactions:
            await self._tell(work, target, reaction)
        await self._machine.records.save_container(work.uid, marks.reacted_mark(record, step.change.versions))

    async def _tell(self, work: Work, target: Target, reaction: Reaction) -> None:
        name = target.container.name
        if reaction.signal:
            heard = await self._machine.runtime.signal(work.uid, name, target.attempt, reaction.signal)
            text = f"its files changed; {reaction.signal} was sent"
            self._report.normal(work.name, work.uid, "Reloading", text, name)
            if not heard:
                text = f"its files changed, and its program neither catches nor blocks {reaction.signal}"
                self._report.warning(work.name, work.uid, "ReloadFailed", text, name)
        elif reaction.exec:
            answer = await self._machine.runtime.hook(target, Hook(exec=reaction.exec), REACTION)
            if not answer.good:
                text = f"its files changed, and {reaction.exec[0]} could not tell its program: {answer.message}"
                self._report.warning(work.name, work.uid, "ReloadFailed", text, name)

    async def kill(self, work: Work, step: Step) -> None:
        """All of it, now; how it ended is written down before what tells so is removed."""
        record = self._container(work, step)
        number = record.attempt.number if record.attempt else record.last_number
        await self._machine.runtime.kill(work.uid, step.container, number)
        settled = await self._exit_of(work, record)
        attempt = settled.attempt
        if attempt is not None and not (settled.exits and settled.exits[-1].attempt == attempt.number):
            if attempt.started_boot is None:
                settled = marks.unstarted_mark(settled)
            else:
                settled = settling.lost_mark(settled, self._machine.now(), work.backoff)
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
            settled = settling.settled(record, seen, self._machine.now(), work.backoff)
            waits = seen is not None and seen.monitored and not seen.exited and self._machine.now().boot < deadline
            if not waits:
                return settled
            await asyncio.sleep(0.005)

    async def drop(self, work: Work, step: Step) -> None:
        """What is left of it, and its record."""
        record = self._container(work, step)
        number = record.attempt.number if record.attempt else record.last_number
        await self._machine.runtime.discard(work.uid, step.container, number)
        await self._machine.records.drop_container(work.uid, step.container)
