"""Hooks under way: they may take long, so they run beside the passes, never inside one (C3).

A hook is begun by the pod's pass and its answer is fetched by a later one, which writes it down. Losing one with
the daemon loses nothing: what is not on record as done is begun again, so a hook runs at least once (C3.7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tank.model.health import Hook
from tank.model.launch import Answer, Target
from tank.node.observe import Machine
from tank.node.report import Report

Moment = Literal["post_start", "pre_stop"]
Key = tuple[str, str, int, Moment]  # uid, container, attempt, moment

_REASONS = {"post_start": "FailedPostStartHook", "pre_stop": "FailedPreStopHook"}

log = logging.getLogger("tank.node")


@dataclass(slots=True)
class _Run:
    """One hook: under way, or over with an answer."""

    task: asyncio.Task[None]
    answer: Answer | None = None


class Hooks:
    """At most one run of each hook of each attempt. `nudge` takes a pod's name."""

    def __init__(self, machine: Machine, report: Report, nudge: Callable[[str], None]) -> None:
        self._machine, self._report, self._nudge = machine, report, nudge
        self._runs: dict[Key, _Run] = {}

    def start(self, target: Target, kind: Moment, limit: float) -> None:
        """Begin a hook, for `limit` seconds at most (infinity: as long as it takes). Nothing when it has begun."""
        key = (target.uid, target.container.name, target.attempt, kind)
        hook: Hook | None = getattr(target.container.hooks, kind)
        if key in self._runs or hook is None:
            return
        for old in [old for old in self._runs if old[:2] == key[:2] and old[2] < target.attempt]:
            self._drop(old)
        task = asyncio.create_task(self._run(key, target, hook, limit), name=f"{kind} of {target.pod.name}")
        self._runs[key] = _Run(task)

    def running(self, uid: str, name: str, attempt: int, kind: Moment) -> bool:
        """Whether it is under way."""
        run = self._runs.get((uid, name, attempt, kind))
        return run is not None and run.answer is None

    def result(self, uid: str, name: str, attempt: int, kind: Moment) -> Answer | None:
        """What it came to; None: it was not begun, or is under way."""
        run = self._runs.get((uid, name, attempt, kind))
        return run.answer if run is not None else None

    def renew(self, uid: str, name: str, attempt: int, kind: Moment) -> None:
        """Forget what it came to: the stop that it was run for was taken back, and the next one runs it again."""
        key = (uid, name, attempt, kind)
        if self.result(*key) is not None:
            self._drop(key)

    def cancel(self, uid: str, name: str | None = None) -> None:
        """End and forget the hooks of a pod, or of one container of it."""
        for key in [key for key in self._runs if key[0] == uid and name in (None, key[1])]:
            self._drop(key)

    async def landed(self) -> int:
        """Wait until no hook is under way. Returns how many there were."""
        tasks = [run.task for run in self._runs.values() if run.answer is None]
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def close(self) -> None:
        """End every hook; what is not on record as done runs again."""
        tasks = [run.task for run in self._runs.values()]
        for key in list(self._runs):
            self._drop(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, key: Key) -> None:
        self._runs.pop(key).task.cancel()

    async def _run(self, key: Key, target: Target, hook: Hook, limit: float) -> None:
        answer = await self._answer(target, hook, limit)
        run = self._runs.get(key)
        if run is None or run.task is not asyncio.current_task():
            return
        run.answer = answer
        if not answer.good:
            text = f"the {key[3]} hook failed: {answer.message}"
            self._report.warning(target.pod.name, target.uid, _REASONS[key[3]], text, target.container.name)
        self._nudge(target.pod.name)

    async def _answer(self, target: Target, hook: Hook, limit: float) -> Answer:
        try:
            return await self._machine.runtime.hook(target, hook, limit)
        except Exception as error:  # a defect met by one hook must not leave its pod waiting for ever
            log.exception("a hook of pod %s, container %s failed inside", target.pod.name, target.container.name)
            return Answer(good=None, message=str(error))
