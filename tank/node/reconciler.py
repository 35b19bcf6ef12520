"""The loop: one queue keyed by pod name, each with the time it is due; the latest nudge wins.

A pass observes, plans and executes, and asks again until the plan is empty. Passes of one pod never overlap;
those of different pods run side by side, up to a limit. The store's watch, exits, netlink news, pulls and
deadlines only ever call `nudge`: losing all of them costs latency, since the resync converges. There is no
second path: start-up is a nudge for every name.

Unknown is never absence: a store that cannot be read makes no plan at all, and a pod that cannot be observed is
skipped and tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace

from tank.errors import NotFound, TankError
from tank.model.desired import Desired
from tank.model.facts import PodFacts
from tank.node.astray import Astray
from tank.node.draining import drained
from tank.node.execute import Executor
from tank.node.flights import Flights
from tank.node.hooks import Hooks
from tank.node.observe import Look, Machine, observe
from tank.node.prober import Prober
from tank.node.pulse import Pulse
from tank.node.report import Report
from tank.node.work import Work
from tank.plan.claims import entangled, held_clashes
from tank.plan.pod import plan_pod
from tank.plan.removal import plan_drain
from tank.plan.steps import Action, Plan, Step
from tank.store.base import Store

RESYNC = 30.0  # seconds between two looks at everything
AGAIN = 0.05  # seconds before a pass that could not do all is repeated; back-off is on the records
RETRY_FIRST, RETRY_MOST = 0.5, 30.0  # seconds, when a pass itself fails
SIDE_BY_SIDE = 4 * (os.cpu_count() or 1)  # passes at once (R59)
ORPHAN = "uid:"  # queue names of what bears our mark and has no record to give it a name

log = logging.getLogger("tank.node")


class Reconciler:
    """Makes this machine match the store, and keeps it matching."""

    def __init__(
        self, machine: Machine, store: Store, report: Report, pulse: Pulse, *, recovering: bool = False
    ) -> None:
        self.machine, self.store, self.pulse = machine, store, pulse
        self.flights = Flights(machine, store, report, self.nudge)
        machine.care.prober = self.prober = Prober(machine, report, self.nudge)
        machine.care.hooks = self.hooks = Hooks(machine, report, self.nudge)
        self.astray = Astray(machine, report, self.nudge)
        self._executor = Executor(machine, store, report, self.flights, self.nudge)
        self._due: dict[str, float] = {}
        self._active: set[str] = set()
        self._failures: dict[str, int] = {}
        self._unfinished: dict[str, tuple[tuple[Step, ...], int]] = {}  # the last steps, and how often in vain
        self._blocked: set[str] = set()
        self._wake = asyncio.Event()
        self._limit = asyncio.Semaphore(SIDE_BY_SIDE)
        self._recovering = recovering
        self.draining = False

    def nudge(self, name: str, *, at: float | None = None) -> None:
        """Look at the pod soon, or at boot time `at`; an earlier time wins."""
        due = self.machine.now().boot if at is None else at
        if due < self._due.get(name, float("inf")):
            self._due[name] = due
            self._wake.set()

    def nudge_uid(self, uid: str) -> None:
        """The same, for those who know only the pod's uid."""
        record = self.machine.records.pod(uid)
        self.nudge(record.name if record else ORPHAN + uid)

    async def run(self) -> None:
        """Run until cancelled. Passes under way end first; what they started in the background is let go."""
        self.machine.runtime.watch(self.nudge_uid)
        contents = await self.store.read()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(contents.revision))
                tasks.create_task(self._resync())
                tasks.create_task(self.prober.run())
                await self._dispatch(tasks)
        finally:
            await self.flights.close()
            await self.hooks.close()
            await self.prober.close()

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            now = self.machine.now().boot
            for name in [name for name, due in self._due.items() if due <= now and name not in self._active]:
                del self._due[name]
                self._active.add(name)
                tasks.create_task(self._work(name), name=f"pass {name}")
            ahead = [due for name, due in self._due.items() if name not in self._active]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(min(ahead) - now, 0.0) if ahead else None):
                    await self._wake.wait()

    async def turn(self, most: int = 100) -> int:
        """Do the passes that are due, one after the other: for those who hold the clock themselves.

        Ends when none is due, or after `most` passes; returns how many that were.
        """
        taken = 0
        while due := [name for name, at in self._due.items() if at <= self.machine.now().boot]:
            for name in due[: most - taken]:
                del self._due[name]
                await self._work(name)
                taken += 1
            if taken >= most:
                break
        return taken

    async def _watch(self, since: int) -> None:
        async for change in self.store.watch(since):
            self.nudge(change.name)
            self.pulse.publish(change.name)

    async def _resync(self) -> None:
        """Everything that is wanted, on record, or bears our mark is looked at; first at once, then now and then."""
        while True:
            try:
                for name in await self._names():
                    self.nudge(name)
            except Exception as error:  # the next look may be luckier; without any, nothing would heal
                log.warning(
                    "cannot look at everything: %s", error, exc_info=not isinstance(error, (TankError, OSError))
                )
            await asyncio.sleep(RESYNC)

    async def _names(self) -> set[str]:
        contents = await self.store.read()
        records = self.machine.records.pods()
        known = {record.name for record in records.values()} | set(contents.pods)
        wanted = {desired.uid for desired in contents.pods.values()}
        marked = await self.machine.runtime.uids()
        orphans = marked - records.keys() - wanted
        buried = contents.tombstones.keys() - records.keys() - marked
        for uid in buried:  # gone, but the daemon was killed before it could say so
            with contextlib.suppress(TankError):
                await self.store.bury(uid)
        return known | (set() if self._recovering else {ORPHAN + uid for uid in orphans})

    async def _work(self, name: str) -> None:
        try:
            async with self._limit:
                await self._pass(name)
            self._failures.pop(name, None)
        except (TankError, OSError) as error:
            log.warning("pod %s cannot be looked at, tried again in %.1f s: %s", name, self._retry(name), error)
        except Exception:  # a defect met by one pod must not end the loop of all others (P9)
            log.exception("pod %s cannot be looked at, tried again in %.1f s", name, self._retry(name))
        finally:
            self._active.discard(name)
            self._wake.set()
            self.pulse.publish(name)

    def _retry(self, name: str) -> float:
        """Look again after a while that grows; in how many seconds."""
        count = self._failures[name] = self._failures.get(name, 0) + 1
        wait = min(RETRY_FIRST * 2.0 ** min(count - 1, 10), RETRY_MOST)
        self.nudge(name, at=self.machine.now().boot + wait)
        return wait

    async def _pass(self, name: str) -> None:
        """Every uid that goes by this name: the former ones are removed, the present one is kept as wanted."""
        if name.startswith(ORPHAN):
            await self._sweep(name.removeprefix(ORPHAN))
            return
        desired = await self._desired(name)
        for uid in list(self._uids(name)):
            if desired is None or uid != desired.uid:
                await self._remove(Work(uid=uid, name=name, desired=None))
        if desired is not None:
            await self._keep(Work(uid=desired.uid, name=name, desired=desired), desired)

    async def _sweep(self, uid: str) -> None:
        """What bears our mark, has no record and no owner is removed; not while a lost database is recovered."""
        pods = (await self.store.read()).pods.values()
        owner = next((each.name for each in pods if each.uid == uid), None)
        if owner is not None:
            self.nudge(owner)
        elif not self._recovering and not self.machine.records.is_damaged(uid):
            await self._remove(Work(uid=uid, name=ORPHAN + uid, desired=None))

    async def _desired(self, name: str) -> Desired | None:
        try:
            return await self.store.get(name)
        except NotFound:
            return None

    def _uids(self, name: str) -> Iterator[str]:
        return iter([uid for uid, record in self.machine.records.pods().items() if record.name == name])

    async def _remove(self, work: Work) -> None:
        tombstone = (await self.store.read()).tombstones.get(work.uid)
        grace = tombstone.grace if tombstone else None
        now = self.machine.now()
        seen = replace(await observe(self.machine, work.uid, None, now, look=Look.KEEP), marked=True)
        self._attend(work, seen)
        await self._act(plan_pod(None, seen, now, grace=grace), work)
        if self.machine.records.pod(work.uid) is None:
            self.astray.forget(work.uid)
            self._unblock()

    def _attend(self, work: Work, seen: PodFacts) -> None:
        """What runs is probed, by what is wanted now."""
        record = self.machine.records.pod(work.uid)
        spec = work.desired.spec if work.desired else (record.spec if record else None)
        if spec is not None:
            self.machine.care.attend(work.uid, spec, seen.containers, record.addresses if record else ())

    def _unblock(self) -> None:
        """Something that others may wait for is free."""
        blocked, self._blocked = self._blocked, set()
        for name in blocked:
            self.nudge(name)

    async def _keep(self, work: Work, desired: Desired) -> None:
        now = self.machine.now()
        blocked = self.blocker(desired)
        if blocked:
            self._blocked.add(work.name)
        await self.flights.settle(work.uid)
        flying = self.flights.of(work.uid)
        seen = await observe(self.machine, work.uid, desired, now, blocked=blocked, flying=flying, look=Look.KEEP)
        self._attend(work, seen)
        self.astray.attend(work, seen, desired.spec)
        if blocked:
            seen = replace(seen, entangled=entangled(work.uid, self.machine.records.pods()))
        await self._act(plan_drain(seen, now) if self.draining else plan_pod(desired, seen, now), work)
        if (record := self.machine.records.pod(work.uid)) and seen.record and record.held != seen.record.held:
            self._unblock()

    def blocker(self, desired: Desired) -> str:
        """Which other pod has to end first: nothing is ever held twice."""
        others = [record for uid, record in self.machine.records.pods().items() if uid != desired.uid]
        for record in others:
            if record.name == desired.name:
                return f"the pod of this name that was deleted before ({record.uid}) is still ending"
        for what, holder in held_clashes(desired.spec, others):
            return f"{what} is still held by pod {holder}"
        return ""

    async def _act(self, plan: Plan, work: Work) -> None:
        if plan.steps:
            done = await self._executor.run(plan, work)
            if not (done and any(step.action is Action.FORGET for step in plan.steps)):
                self.nudge(work.name, at=self.machine.now().boot + self._pause(work.uid, plan, done))
        else:
            self._unfinished.pop(work.uid, None)
        if plan.wake_at is not None:
            self.nudge(work.name, at=plan.wake_at)

    def _pause(self, uid: str, plan: Plan, done: bool) -> float:
        """Seconds until the next look: none after progress, more and more while the same steps come to nothing."""
        steps, count = self._unfinished.get(uid, ((), 0))
        if done and steps != plan.steps:
            self._unfinished[uid] = plan.steps, 0
            return 0.0
        self._unfinished[uid] = plan.steps, count + 1
        return min(AGAIN * 2.0 ** min(count, 10), RETRY_MOST)

    async def drain(self) -> None:
        """Stop every container with its grace, and return when none is left: the machine goes down."""
        self.draining = True
        await drained(self.machine, self.pulse, self.nudge)
