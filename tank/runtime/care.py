"""The part of the runtime driver that asks a container how it is, and runs its hooks (C2, C3).

Questions over the network are asked from inside the pod's namespace (`tank.runtime.asking`), programs are run in the
container (`tank.runtime.errands`). Whatever cannot be asked is answered by None, which says nothing of the container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cached_property

from tank.model.health import Hook, Probe
from tank.model.launch import Answer, Target
from tank.runtime.asking import Place, ask_tcp, in_time
from tank.runtime.errands import Errands
from tank.runtime.ground import Ground


class Care(Ground):
    """Probes and hooks."""

    async def probe(self, target: Target, probe: Probe) -> Answer:
        """Ask one question of the running container, within its timeout (C2)."""
        if probe.exec:
            return await self._run(target, probe.exec, probe.timeout)
        return await in_time(self._ask(target, probe), probe.timeout)

    async def hook(self, target: Target, hook: Hook, limit: float) -> Answer:
        """Run one hook of the running container, for `limit` seconds at most (C3)."""
        if hook.exec:
            return await self._run(target, hook.exec, limit)
        if hook.http is not None:
            return await in_time(self._ask(target, hook), limit)
        return await in_time(_sleep(hook.sleep or 0.0), limit)

    async def let_care_go(self) -> None:
        """End what was run for probes and hooks."""
        if "_errands" in self.__dict__:
            await self._errands.close()

    @cached_property
    def _errands(self) -> Errands:
        return Errands(self._crun, self._groups)

    async def _run(self, target: Target, argv: tuple[str, ...], seconds: float) -> Answer:
        attempt = self._attempt(target.uid, target.container.name, target.attempt)
        return await self._errands.run(attempt, argv, seconds)

    def _ask(self, target: Target, asked: Probe | Hook) -> Coroutine[None, None, Answer]:
        """The question over the network; its client is loaded when it is first needed."""
        pinned = self._settings.pod_run_dir(target.uid) / "ns" / "net"
        place = Place(self._namespaces, None if target.pod.network == "host" else pinned)
        if asked.http is not None:
            from tank.runtime.http_probe import ask_http

            return ask_http(place, target, asked.http)
        if isinstance(asked, Probe) and asked.grpc is not None:
            from tank.runtime.grpc_probe import ask_grpc

            return ask_grpc(place, target, asked.grpc)
        return ask_tcp(place, target, asked.tcp if isinstance(asked, Probe) and asked.tcp is not None else 0)


async def _sleep(seconds: float) -> Answer:
    await asyncio.sleep(seconds)
    return Answer(good=True)
