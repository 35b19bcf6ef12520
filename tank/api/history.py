"""Every applied revision of a pod, and the way back to one (C17)."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.routes import POD, Parameter, Route, answer, deed, node


async def history(request: web.Request) -> web.StreamResponse:
    """The kept revisions, newest first."""
    return answer(await node(request).history(routes.name(request)))


async def rollback(request: web.Request) -> web.StreamResponse:
    """Apply an earlier revision again; without `to` the one before the current."""
    called, to = routes.name(request), routes.whole(request, "to")
    return answer(await deed(request, node(request).rollback(called, to)))


ROUTES = (
    Route(
        method="GET",
        path="/v1/pods/{name}/history",
        handler=history,
        about="Every kept revision, newest first",
        parameters=(POD,),
        answers="Revision[]",
    ),
    Route(
        method="POST",
        path="/v1/pods/{name}/rollback",
        handler=rollback,
        about="Apply an earlier revision again",
        parameters=(POD, Parameter(name="to", about="the revision; else the one before", type="integer")),
    ),
)
