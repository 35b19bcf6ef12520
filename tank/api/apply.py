"""Apply and plan: many pods in one transaction, and what it would do."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.documents import read_pods
from tank.api.routes import TIMEOUT, Parameter, Route, answer, deed, node
from tank.api.waiting import wait_all


async def apply(request: web.Request) -> web.StreamResponse:
    """Create or replace all the pods, or none."""
    pods = await read_pods(request)
    prune, token = routes.selector(request, "prune"), routes.text(request, "plan")
    if routes.flag(request, "dry_run"):
        return answer(await node(request).plan(pods, prune=prune))
    statuses = await deed(request, node(request).apply(pods, token=token, prune=prune))
    if routes.flag(request, "wait"):
        statuses = await wait_all(request, [each.name for each in statuses], "settled")
    return answer(statuses)


async def plan(request: web.Request) -> web.StreamResponse:
    """What apply would do, step by step."""
    pods = await read_pods(request)
    return answer(await node(request).plan(pods, prune=routes.selector(request, "prune")))


_FORMAT = Parameter(name="format", about="yaml, toml or json, where the Content-Type does not say")
_PRUNE = Parameter(name="prune", about="delete the pods that match this selector and are not in the body")
ROUTES = (
    Route(
        method="POST",
        path="/v1/apply",
        handler=apply,
        about="Create or replace pods, all or none",
        parameters=(
            _FORMAT,
            _PRUNE,
            Parameter(name="plan", about="a plan's token: 409 with the new plan when it no longer holds"),
            Parameter(name="dry_run", about="answer the plan, change nothing", type="boolean"),
            Parameter(name="wait", about="answer when all are ready or have succeeded", type="boolean"),
            TIMEOUT,
        ),
        answers="Status[]",
        body=True,
    ),
    Route(
        method="POST",
        path="/v1/plan",
        handler=plan,
        about="What apply would do",
        parameters=(_FORMAT, _PRUNE),
        answers="Plan",
        body=True,
    ),
)
