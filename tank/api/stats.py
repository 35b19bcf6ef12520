"""What is counted of running pods."""

from __future__ import annotations

from aiohttp import web

from tank.api import routes
from tank.api.routes import POD, Route, answer, node


async def list_stats(request: web.Request) -> web.StreamResponse:
    """Every pod that has a network of its own."""
    return answer(await node(request).networks.stats())


async def pod_stats(request: web.Request) -> web.StreamResponse:
    """One pod."""
    [found] = await node(request).networks.stats(routes.name(request))
    return answer(found)


ROUTES = (
    Route(
        method="GET",
        path="/v1/stats",
        handler=list_stats,
        about="What the interfaces of every pod have carried",
        answers="PodStats[]",
    ),
    Route(
        method="GET",
        path="/v1/pods/{name}/stats",
        handler=pod_stats,
        about="What the interfaces of the pod have carried",
        parameters=(POD,),
        answers="PodStats",
    ),
)
