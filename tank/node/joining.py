"""Joining a container: its log, its streams, a program beside its own. Nothing that is desired changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypedDict

from tank.errors import Failed, NotFound
from tank.model.desired import Desired
from tank.model.pod import Container, Pod
from tank.node.observe import Machine
from tank.store.base import Store

if TYPE_CHECKING:
    from tank.runtime.logs import LogLine
    from tank.runtime.session import ExecRequest, Session


class LogOptions(TypedDict, total=False):
    """Which lines: `since` is wall clock in seconds, `tail` a number of lines."""

    container: str | None
    tail: int | None
    since: float | None
    previous: bool
    follow: bool


class Joining:
    """Finds the container that is meant, and joins it."""

    def __init__(self, machine: Machine, store: Store) -> None:
        self._machine, self._store = machine, store

    async def logs(
        self,
        name: str,
        *,
        container: str | None = None,
        tail: int | None = None,
        since: float | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> AsyncIterator[LogLine]:
        """The container's output over its attempts. Raises NotFound."""
        uid, spec = await self._spec(name)
        chosen = choose(spec, container)
        lines = self._machine.runtime.logs(uid, chosen.name, tail=tail, since=since, previous=previous, follow=follow)
        async for line in lines:
            yield line

    async def _spec(self, name: str) -> tuple[str, Pod]:
        with contextlib.suppress(NotFound):
            desired = await self._store.get(name)
            return desired.uid, desired.spec
        for uid, record in self._machine.records.pods().items():
            if record.name == name:
                return uid, record.spec
        raise NotFound(f"no pod is called {name}")

    async def exec(self, name: str, container: str | None, request: ExecRequest) -> Session:
        """Run a program beside the container's own. Raises NotFound, Failed when it does not run."""
        uid, desired, chosen, attempt = await self._running(name, container)
        return await self._machine.runtime.exec(uid, chosen, desired.spec, attempt, request)

    async def attach(self, name: str, container: str | None) -> Session:
        """Join the container's own streams."""
        uid, _, chosen, attempt = await self._running(name, container)
        return await self._machine.runtime.attach(uid, chosen.name, attempt)

    async def _running(self, name: str, container: str | None) -> tuple[str, Desired, Container, int]:
        desired = await self._store.get(name)
        chosen = choose(desired.spec, container)
        seen = (await self._machine.runtime.observe(desired.uid)).get(chosen.name)
        if seen is None or not seen.alive or not seen.started:
            raise Failed(f"container {chosen.name} of pod {name} does not run")
        record = self._machine.records.containers(desired.uid).get(chosen.name)
        made_from = record.attempt.spec if record and record.attempt else chosen
        return desired.uid, desired, made_from, seen.attempt


def choose(spec: Pod, container: str | None) -> Container:
    """The container that is named, else the first (C13). Raises NotFound."""
    if container is None:
        return spec.containers[0]
    found = spec.container(container)
    if found is None:
        raise NotFound(f"pod {spec.name} has no container {container}; it has: {', '.join(names(spec))}")
    return found


def names(spec: Pod) -> list[str]:
    """Every container, those of `init` first, in the spec's order."""
    return [each.name for each in spec.everyone]
