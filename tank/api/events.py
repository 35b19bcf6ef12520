"""What happened to pods, as lines of JSON."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.routes import POD, Parameter, Route, node
from tank.api.streaming import MEDIA, stream

_FOLLOW = Parameter(name="follow", about="go on with new events", type="boolean")


async def of_all(request: web.Request) -> web.StreamResponse:
    """The events of all pods, or of one, oldest first."""
    pod = routes.text(request, "pod")
    called = None if pod is None else routes.checked(pod)
    return await stream(request, node(request).events(called, follow=routes.flag(request, "follow")))


async def of_pod(request: web.Request) -> web.StreamResponse:
    """The events of one pod, oldest first."""
    called = routes.name(request)
    return await stream(request, node(request).events(called, follow=routes.flag(request, "follow")))


ROUTES = (
    Route(
        method="GET",
        path="/v1/events",
        handler=of_all,
        about="What happened, oldest first, a line of JSON each",
        parameters=(Parameter(name="pod", about="only of this pod"), _FOLLOW),
        answers=f"Event {MEDIA}",
    ),
    Route(
        method="GET",
        path="/v1/pods/{name}/events",
        handler=of_pod,
        about="What happened to one pod",
        parameters=(POD, _FOLLOW),
        answers=f"Event {MEDIA}",
    ),
)
