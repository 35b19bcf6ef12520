"""The application: every route, the middleware, and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tank.api import (
    apply,
    errors,
    events,
    history,
    images,
    info,
    inputs,
    kube,
    logs,
    networks,
    openapi,
    pods,
    stats,
    streams,
    volumes,
    waiting,
)
from tank.api.routes import DEEDS, DEFAULTS, ENDLESS, NODE, Route
from tank.model.parse import Defaults

if TYPE_CHECKING:
    from tank.node.service import Node

MAX_BODY = 2**20  # bytes (S24)
NOUNS = (
    apply, events, history, images, info, inputs, kube, logs, networks, openapi, pods, stats, streams, volumes, waiting,
)  # fmt: skip


def routes() -> tuple[Route, ...]:
    """The whole route table."""
    return tuple(route for noun in NOUNS for route in noun.ROUTES)


def make_app(node: Node, defaults: Defaults | None = None) -> web.Application:
    """The API of `node`. `defaults` fill what a spec leaves out, by the machine's settings."""
    app = web.Application(middlewares=[errors.middleware], client_max_size=MAX_BODY)
    app[NODE], app[DEFAULTS] = node, defaults or Defaults()
    app[DEEDS], app[ENDLESS], app[streams.SOCKETS] = set(), set(), {}
    app[openapi.TABLE] = routes()
    for route in routes():
        app.router.add_route(route.method, route.path, route.handler)
    return app
