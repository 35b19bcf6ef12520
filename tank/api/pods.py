"""Pods, one by one and as a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from tank.api import routes
from tank.api.documents import read_pods
from tank.api.encode import plain
from tank.api.routes import CONTAINER, POD, Parameter, Route, answer, deed, node
from tank.api.streaming import stream
from tank.errors import Conflict, InvalidSpec, Problem
from tank.plan.selector import matches


async def list_pods(request: web.Request) -> web.StreamResponse:
    """Every pod's status, or the changes as they come."""
    chosen = routes.selector(request, "l")
    if routes.flag(request, "watch"):
        return await stream(request, _changes(request, chosen))
    return answer(await node(request).list(chosen))


async def get(request: web.Request) -> web.StreamResponse:
    """The desired spec with its revision, which is the ETag."""
    desired = await node(request).get(routes.name(request))
    return answer(desired, headers={"ETag": f'"{desired.revision}"'})


async def put(request: web.Request) -> web.StreamResponse:
    """Create or replace one pod; with If-Match only at that revision, 0 for a free name."""
    called = routes.name(request)
    pods = await read_pods(request)
    if len(pods) != 1 or pods[0].name != called:
        raise InvalidSpec([Problem("name", f"expected exactly the pod {called}, as the path says")])
    if routes.flag(request, "dry_run"):
        return answer(await node(request).plan(pods))
    expected = _expected(request)
    wanted = None if expected is None else {called: expected}
    [status] = await deed(request, node(request).apply(pods, expected=wanted))
    return answer(status)


async def delete(request: web.Request) -> web.StreamResponse:
    """Delete the pod; answered when accepted."""
    called, expected = routes.name(request), _expected(request)
    grace = routes.number(request, "grace", routes.MAX_WAIT)
    if expected is not None and (current := (await node(request).get(called)).revision) != expected:
        raise Conflict(f"pod {called} is at revision {current}, not {expected}")
    return answer(await deed(request, node(request).delete(called, grace=grace)), status=202)


async def status(request: web.Request) -> web.StreamResponse:
    """All that is observed of the pod."""
    return answer(await node(request).status(routes.name(request)))


async def why(request: web.Request) -> web.StreamResponse:
    """One causal answer."""
    return answer(await node(request).why(routes.name(request)))


async def restart(request: web.Request) -> web.StreamResponse:
    """Restart all containers or one; answered when accepted."""
    called, pull = routes.name(request), routes.flag(request, "pull")
    container = routes.text(request, "container")
    return answer(await deed(request, node(request).restart(called, container=container, pull=pull)), status=202)


async def _changes(request: web.Request, chosen: str | None) -> AsyncIterator[Mapping[str, Any]]:
    """`{"status": …}` for each change, `{"gone": name}` for a pod that is no more or no longer matches.

    First comes every pod, or with `since` those with a later revision.
    """
    since, met, shown = routes.whole(request, "since"), set[str](), set[str]()
    values = node(request).watch()
    try:
        async for each in values:
            first = each.name not in met
            met.add(each.name)
            if each.phase != "gone" and matches(chosen or "", each.labels or {}):
                shown.add(each.name)
                if not first or since is None or each.revision > since:
                    yield {"status": plain(each)}
            elif each.name in shown:
                shown.discard(each.name)
                yield {"gone": each.name}
    finally:
        await _aclose(values)


async def _aclose(values: Any) -> None:
    if hasattr(values, "aclose"):
        await values.aclose()


def _expected(request: web.Request) -> int | None:
    """The revision of If-Match (or 0 for `If-None-Match: *`). Raises InvalidSpec."""
    if request.headers.get("If-None-Match") == "*":
        return 0
    said = request.headers.get("If-Match")
    if said is None:
        return None
    digits = said.removeprefix("W/").strip('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise InvalidSpec([Problem("If-Match", f"{said[:80]!r} is no revision")])
    return int(digits)


_IF_MATCH = Parameter(name="If-Match", about="only at this revision", where="header")
_DRY_RUN = Parameter(name="dry_run", about="answer the plan, change nothing", type="boolean")
_GRACE = Parameter(name="grace", about="seconds from the stop signal to the kill, instead of the spec's", type="number")
_PULL = Parameter(name="pull", about="resolve the image anew", type="boolean")
ROUTES = (
    Route(
        method="GET",
        path="/v1/pods",
        handler=list_pods,
        about="Every pod's status, or with `watch` the changes as lines",
        parameters=(
            Parameter(name="l", about="label selector: a=b,c!=d,e,!f"),
            Parameter(name="watch", about="go on with each change", type="boolean"),
            Parameter(name="since", about="only changes after this revision", type="integer"),
        ),
        answers="Status[]",
    ),
    Route(
        method="GET",
        path="/v1/pods/{name}",
        handler=get,
        about="The desired spec",
        parameters=(POD,),
        answers="Desired",
    ),
    Route(
        method="PUT",
        path="/v1/pods/{name}",
        handler=put,
        about="Create or replace one pod",
        parameters=(POD, _IF_MATCH, _DRY_RUN),
        body=True,
    ),
    Route(
        method="DELETE",
        path="/v1/pods/{name}",
        handler=delete,
        about="Delete the pod; answered when accepted",
        parameters=(POD, _IF_MATCH, _GRACE),
    ),
    Route(method="GET", path="/v1/pods/{name}/status", handler=status, about="All that is observed", parameters=(POD,)),
    Route(
        method="GET",
        path="/v1/pods/{name}/why",
        handler=why,
        about="What it waits for or why it died",
        parameters=(POD,),
        answers="Why",
    ),
    Route(
        method="POST",
        path="/v1/pods/{name}/restart",
        handler=restart,
        about="Restart all containers or one; answered when accepted",
        parameters=(POD, CONTAINER, _PULL),
    ),
)
