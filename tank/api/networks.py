"""Pools of addresses, and who reaches whom."""

from __future__ import annotations

from aiohttp import web

from tank.api.routes import Parameter, Route, answer, checked, node, text


async def list_networks(request: web.Request) -> web.StreamResponse:
    """Every pool, without its leases."""
    return answer(await node(request).networks.list())


async def inspect_network(request: web.Request) -> web.StreamResponse:
    """One pool with its leases."""
    return answer(await node(request).networks.inspect(request.match_info["name"]))


async def check_networks(request: web.Request) -> web.StreamResponse:
    """Try who reaches whom."""
    pod = text(request, "pod")
    return answer(await node(request).networks.check(checked(pod) if pod else None))


ROUTES = (
    Route(
        method="GET",
        path="/v1/networks",
        handler=list_networks,
        about="Every pool of addresses, without its leases",
        answers="NetworkStatus[]",
    ),
    Route(
        method="GET",
        path="/v1/networks/{name}",
        handler=inspect_network,
        about="One pool, with its leases",
        parameters=(Parameter(name="name", about="the pool", where="path"),),
        answers="NetworkStatus",
    ),
    Route(
        method="POST",
        path="/v1/networks/check",
        handler=check_networks,
        about="Open connections from pods, the host and a throw-away namespace, and tell which came through",
        parameters=(Parameter(name="pod", about="this pod alone; else each with a network of its own"),),
        answers="Reach[]",
    ),
)
