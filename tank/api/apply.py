"""Apply and plan: many pods in one transaction, and what it would do.

With `losses` the answer also tells what Kubernetes documents say that means nothing here.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tank.api import routes
from tank.api.documents import read_stated
from tank.api.encode import plain
from tank.api.routes import TIMEOUT, Parameter, Route, answer, deed, node
from tank.api.waiting import wait_all
from tank.errors import Problem
from tank.model.parse import Stated
from tank.node.stating import apply_stated


async def apply(request: web.Request) -> web.StreamResponse:
    """Create or replace all the pods, or none; what they take as secrets and configs is stored before them."""
    stated, told = await read_stated(request), routes.flag(request, "losses")
    prune, token = routes.selector(request, "prune"), routes.text(request, "plan")
    if routes.flag(request, "dry_run"):
        return await _planned(request, stated)
    statuses = await deed(request, apply_stated(node(request), stated, token=token, prune=prune))
    if routes.flag(request, "wait"):
        statuses = await wait_all(request, [each.name for each in statuses], "settled")
    return answer({"pods": statuses, **_beside(stated)} if told else statuses)


async def plan(request: web.Request) -> web.StreamResponse:
    """What apply would do, step by step."""
    return await _planned(request, await read_stated(request))


async def _planned(request: web.Request, stated: Stated) -> web.StreamResponse:
    found = await node(request).plan(stated.pods, prune=routes.selector(request, "prune"))
    return answer({**plain(found), **_beside(stated)} if routes.flag(request, "losses") else found)


def _beside(stated: Stated) -> dict[str, Any]:
    return {"inputs": [each.key for each in stated.stored], "losses": told(stated.losses)}


def told(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    """Faults or losses as JSON."""
    return [each._asdict() for each in problems]


_FORMAT = Parameter(name="format", about="yaml, toml or json, where the Content-Type does not say")
_LOSSES = Parameter(
    name="losses",
    about="answer also what Kubernetes documents lose here, and the secrets and configs that they state",
    type="boolean",
)
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
            _LOSSES,
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
        parameters=(_FORMAT, _PRUNE, _LOSSES),
        answers="Plan",
        body=True,
    ),
)
