"""Asking every running container how it is, again and again (C2).

The prober holds what probes have said of the attempts that run now. It is told of each by the pod's pass (`keep`),
asks through the runtime, and nudges the pod when its health changes; the pass writes that down. What is lost with
the daemon is a row of answers, never a standing result: a new prober goes on from the record, and asks for the
first time somewhere within a period, so that not everything is asked at once.

It is one loop over due times. A question that had to wait for its turn begins when it begins: its timeout counts
from there, and what was missed is not made up for (R56). What an answer means is decided in `tank.plan.health`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tank.model.health import Probe
from tank.model.launch import Answer, Target
from tank.model.record import Attempt, Health
from tank.node.lanes import Lanes
from tank.node.observe import Machine
from tank.node.report import Report
from tank.plan import health as plan
from tank.plan.aims import WITHDRAWN
from tank.plan.health import Kind, Tally

log = logging.getLogger("tank.node")


@dataclass(slots=True)
class _Watch:
    """One attempt that is asked. `due` has the questions that wait for their time, `asking` those under way."""

    target: Target
    health: Health
    started: float
    resumed: bool
    ending: bool = False
    tallies: dict[Kind, Tally] = field(default_factory=dict)
    due: dict[Kind, float] = field(default_factory=dict)
    asking: dict[Kind, asyncio.Task[None] | None] = field(default_factory=dict)


class Prober:
    """Asks what `keep` tells it to. `nudge` takes a pod's name; `chance` a number from 0 to 1."""

    def __init__(
        self,
        machine: Machine,
        report: Report,
        nudge: Callable[[str], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._machine, self._report, self._nudge, self._chance = machine, report, nudge, chance
        self._born = machine.now().boot
        self._watches: dict[tuple[str, str], _Watch] = {}
        self._line: list[tuple[float, int, _Watch, Kind]] = []  # a heap; what is stale in it is passed over
        self._count = itertools.count()
        self._wake = asyncio.Event()
        self._lanes = Lanes()
        self.answers: Counter[bool | None] = Counter()  # how many of each were heard so far
        self.lateness: deque[float] = deque(maxlen=1000)  # seconds between due and asked, of the last ones

    # What the passes tell and want to know

    def keep(self, target: Target, attempt: Attempt) -> None:
        """This attempt runs: ask it what is to be asked now. Called by every pass; nearly always changes nothing."""
        key = (target.uid, target.container.name)
        watch = self._watches.get(key)
        if watch is None or watch.target.attempt != target.attempt:
            self.forget(*key)
            if not plan.is_cared_for(target.container):
                return
            watch = self._watches[key] = self._watch(target, attempt)
        self._update(watch, target, attempt)
        self._schedule(watch)

    def forget(self, uid: str, name: str | None = None) -> None:
        """A pod, or one container of it, is not asked any more."""
        for key in [key for key in self._watches if key[0] == uid and name in (None, key[1])]:
            watch = self._watches.pop(key)
            watch.due.clear()
            for task in watch.asking.values():
                if task is not None:
                    task.cancel()

    def health(self, uid: str, name: str, attempt: int) -> Health | None:
        """What is known of this attempt by now; None: it is not asked."""
        watch = self._watches.get((uid, name))
        return watch.health if watch is not None and watch.target.attempt == attempt else None

    def _watch(self, target: Target, attempt: Attempt) -> _Watch:
        started = self._machine.now().boot if attempt.started_boot is None else attempt.started_boot
        return _Watch(target=target, health=attempt.health, started=started, resumed=started < self._born)

    def _update(self, watch: _Watch, target: Target, attempt: Attempt) -> None:
        """Probes may change while it runs: one that did begins a new row; its last result stands meanwhile."""
        for kind in Kind:
            if plan.probe_of(watch.target.container, kind) != plan.probe_of(target.container, kind):
                watch.tallies.pop(kind, None)
                watch.due.pop(kind, None)
        written = attempt.health
        merged = replace(watch.health, hooked=watch.health.hooked or written.hooked)
        if written.failed and not merged.failed:  # a hook, say
            merged = replace(merged, failed=written.failed, grace=written.grace)
        watch.target, watch.health = target, plan.begun(target.container, merged)
        watch.ending = attempt.stop is not None and attempt.stop.aim != WITHDRAWN

    def _schedule(self, watch: _Watch) -> None:
        """Every question of this moment has its time, and no other has."""
        wanted = plan.gates(watch.target.container, watch.health, ending=watch.ending)
        for kind in watch.due.keys() - set(wanted):
            del watch.due[kind]
        for kind in wanted:
            probe = plan.probe_of(watch.target.container, kind)
            if kind not in watch.due and kind not in watch.asking and probe is not None:
                chance = self._chance() if watch.resumed else None
                due = plan.first_due(probe, watch.started, self._machine.now().boot, chance)
                self._put(watch, kind, due)

    def _put(self, watch: _Watch, kind: Kind, due: float) -> None:
        watch.due[kind] = due
        heapq.heappush(self._line, (due, next(self._count), watch, kind))
        if self._line[0][2] is watch:
            self._wake.set()

    # Time

    def next_due(self) -> float | None:
        """The boot time of the next question; None: there is none."""
        while self._line and self._line[0][2].due.get(self._line[0][3]) != self._line[0][0]:
            heapq.heappop(self._line)
        return self._line[0][0] if self._line else None

    def _take(self) -> tuple[_Watch, Kind] | None:
        """The first question that is due, taken out of the line."""
        due = self.next_due()
        if due is None or due > self._machine.now().boot:
            return None
        _, _, watch, kind = heapq.heappop(self._line)
        watch.asking[kind] = None
        return watch, kind

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                while taken := self._take():
                    watch, kind = taken
                    watch.asking[kind] = tasks.create_task(self._in_lane(watch, kind))
                due = self.next_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if due is None else max(due - self._machine.now().boot, 0.0)):
                        await self._wake.wait()

    async def turn(self) -> int:
        """Ask what is due, one after the other: for those who hold the clock themselves. Returns how many."""
        count = 0
        while taken := self._take():
            await self._ask(*taken)
            count += 1
        return count

    async def close(self) -> None:
        """Let go of everything; whoever runs `run` cancels that."""
        for uid, name in list(self._watches):
            self.forget(uid, name)

    # One question

    async def _in_lane(self, watch: _Watch, kind: Kind) -> None:
        try:
            async with self._lanes.place():
                await self._ask(watch, kind)
        except Exception:  # a defect met by one question must not end the loop of all others; a pass begins it again
            log.exception("a question to pod %s failed inside", watch.target.pod.name)
        finally:
            watch.asking.pop(kind, None)

    async def _ask(self, watch: _Watch, kind: Kind) -> None:
        target, probe = watch.target, plan.probe_of(watch.target.container, kind)
        asked = self._machine.now().boot
        self.lateness.append(max(asked - watch.due.pop(kind, asked), 0.0))
        answer = await self._answer(target, probe) if probe is not None else None
        watch.asking.pop(kind, None)
        if self._watches.get((target.uid, target.container.name)) is not watch:
            return
        if probe is not None and answer is not None and plan.probe_of(watch.target.container, kind) == probe:
            self._hear(watch, kind, probe, answer)
            if kind in plan.gates(watch.target.container, watch.health, ending=watch.ending):
                self._put(watch, kind, plan.next_due(probe, asked, self._machine.now().boot))
        self._schedule(watch)

    async def _answer(self, target: Target, probe: Probe) -> Answer:
        try:
            return await self._machine.runtime.probe(target, probe)
        except Exception as error:  # what is wrong with us says nothing of the container
            log.exception("a probe of pod %s, container %s failed inside", target.pod.name, target.container.name)
            return Answer(good=None, message=str(error))

    def _hear(self, watch: _Watch, kind: Kind, probe: Probe, answer: Answer) -> None:
        self.answers[answer.good] += 1
        before, tally = watch.health, watch.tallies.get(kind, Tally())
        watch.tallies[kind] = after = plan.counted(tally, answer, probe)
        watch.health = plan.told(before, kind, after, probe, answer.message)
        watch.resumed = False
        self._tell(watch, kind, tally, after, answer)
        if watch.health != before:
            self._nudge(watch.target.pod.name)

    def _tell(self, watch: _Watch, kind: Kind, before: Tally, after: Tally, answer: Answer) -> None:
        """An event for the first answer of a bad row, and for a good one with a remark (a foreign redirect)."""
        target = watch.target
        if after.bad == 1 and before.bad == 0:
            text = f"the {kind.value} probe failed: {answer.message}"
            self._report.warning(target.pod.name, target.uid, "Unhealthy", text, target.container.name)
        elif after.good == 1 and answer.message:
            text = f"the {kind.value} probe succeeded with a warning: {answer.message}"
            self._report.warning(target.pod.name, target.uid, "ProbeWarning", text, target.container.name)
