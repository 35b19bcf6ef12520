"""Waiting for one pod or for several at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from tank.api import routes
from tank.api.routes import POD, TIMEOUT, Parameter, Route, answer, node
from tank.errors import Failed
from tank.model.status import Status

if TYPE_CHECKING:
    from tank.node.service import Node

DEFAULT = 300.0  # seconds
MAX_PODS = 1000


async def one(request: web.Request) -> web.StreamResponse:
    """The status once it is as wanted: a long poll."""
    [found] = await wait_all(request, [routes.name(request)], routes.wanted(request, "for", "ready"))
    return answer(found)


async def many(request: web.Request) -> web.StreamResponse:
    """The statuses once all are as wanted; the first that cannot be any more ends it."""
    names = [routes.checked(each) for each in dict.fromkeys(request.query.getall("pod", []))]
    return answer(await wait_all(request, names[:MAX_PODS], routes.wanted(request, "for", "settled")))


async def wait_all(request: web.Request, names: list[str], wanted: str) -> list[Status]:
    """Wait for all of them side by side. Raises the first Failed or Timeout, with the pod in its words.

    A pod that was as wanted and then failed for good, while another was waited for, ends it too.
    """
    timeout = routes.number(request, "timeout", routes.MAX_WAIT)
    waits = _Waits(node(request), wanted, DEFAULT if timeout is None else timeout)
    tasks = [asyncio.create_task(waits.follow(name, len(names))) for name in names]
    everything = asyncio.create_task(waits.complete.wait())
    try:
        with routes.endless(request):
            while names and not everything.done():
                done, _ = await asyncio.wait((*tasks, everything), return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                tasks = [task for task in tasks if not task.done()]
        return [waits.found[name] for name in names]
    finally:
        for each in (*tasks, everything):
            each.cancel()
        await asyncio.gather(*tasks, everything, return_exceptions=True)


class _Waits:
    """Several waits under way. `found`: each pod that was as wanted, `complete` once all were."""

    def __init__(self, node: Node, wanted: str, limit: float) -> None:
        self._node, self._wanted, self._limit = node, wanted, limit
        self.found: dict[str, Status] = {}
        self.complete = asyncio.Event()

    async def follow(self, name: str, count: int) -> None:
        """Until the pod is as wanted; then, while others are not, until it fails. Raises Failed, Timeout."""
        self.found[name] = await self._node.wait(name, self._wanted, self._limit)
        if len(self.found) == count:
            self.complete.set()
        elif self._wanted in ("ready", "running", "settled"):
            await self._guard(name)

    async def _guard(self, name: str) -> None:
        try:
            status = await self._node.wait(name, "failed", self._limit)
        except Failed:
            return  # it has succeeded, and cannot fail any more
        raise Failed(f"pod {name} has failed: {status.reason} {status.message}".rstrip())


_FOR = Parameter(name="for", about=f"one of {', '.join(routes.WANTED)}")
ROUTES = (
    Route(
        method="GET",
        path="/v1/pods/{name}/wait",
        handler=one,
        about="The status once it is as wanted",
        parameters=(POD, _FOR, TIMEOUT),
    ),
    Route(
        method="GET",
        path="/v1/wait",
        handler=many,
        about="The statuses once all are as wanted, or the first that cannot be",
        parameters=(Parameter(name="pod", about="a pod; may stand several times"), _FOR, TIMEOUT),
        answers="Status[]",
    ),
)
