"""About the daemon: what it is, what it takes, how to speak to it."""

from __future__ import annotations

from aiohttp import web

import tank
from tank.api.routes import Route, answer, node
from tank.model.schema import json_schema


async def info(request: web.Request) -> web.StreamResponse:
    """The daemon and its machine."""
    return answer({"version": tank.__version__, **await node(request).info()})


async def pod_schema(_request: web.Request) -> web.StreamResponse:
    """The JSON Schema of a pod."""
    return answer(json_schema())


async def healthz(_request: web.Request) -> web.StreamResponse:
    """Whether this process answers at all."""
    return answer({"ok": True})


ROUTES = (
    Route(method="GET", path="/v1/info", handler=info, about="The daemon and its machine", answers="object"),
    Route(method="GET", path="/v1/schema", handler=pod_schema, about="The JSON Schema of a pod", answers="object"),
    Route(method="GET", path="/healthz", handler=healthz, about="Whether the daemon answers", answers="object"),
)
