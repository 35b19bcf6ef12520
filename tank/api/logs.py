"""The output of containers, as lines of JSON."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.routes import CONTAINER, POD, Parameter, Route, node
from tank.api.streaming import MEDIA, stream


async def logs(request: web.Request) -> web.StreamResponse:
    """One stream over all restarts; bytes that are no UTF-8 stand as surrogate escapes."""
    lines = node(request).logs(
        routes.name(request),
        container=routes.text(request, "container"),
        tail=routes.whole(request, "tail"),
        since=routes.number(request, "since"),
        previous=routes.flag(request, "previous"),
        follow=routes.flag(request, "follow"),
    )
    return await stream(request, lines)


ROUTES = (
    Route(
        method="GET",
        path="/v1/pods/{name}/logs",
        handler=logs,
        about="The output of a container over all its restarts, a line of JSON each",
        parameters=(
            POD,
            CONTAINER,
            Parameter(name="tail", about="only the last so many lines", type="integer"),
            Parameter(name="since", about="only lines after this time, in seconds of the wall clock", type="number"),
            Parameter(name="previous", about="of the attempt before the current one", type="boolean"),
            Parameter(name="follow", about="go on with new lines", type="boolean"),
        ),
        answers=f"LogLine {MEDIA}",
    ),
)
