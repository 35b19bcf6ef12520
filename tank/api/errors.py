"""The one place where errors become answers, and where browsers are turned away.

Every error is JSON in the shape of `tank.errors.to_json`. An error that nobody foresaw is logged with its
traceback and leaves as "internal error" with its class alone: nothing of the daemon's inside leaks.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from tank.api.encode import plain
from tank.api.routes import Handler
from tank.errors import Denied, TankError, to_json

log = logging.getLogger(__name__)
_KINDS = {403: "Denied", 404: "NotFound", 405: "Unsupported", 413: "InvalidSpec"}


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what carries an `Origin` (S22, S23); answer every error as JSON."""
    try:
        if "Origin" in request.headers:
            raise Denied("cannot answer a web page: requests with an Origin are refused")
        return await handler(request)
    except TankError as error:
        return respond(error)
    except web.HTTPException as error:
        return _http(request, error)
    except Exception as error:
        log.exception("internal error in %s %s", request.method, request.path)
        message = f"internal error: {type(error).__name__}; the daemon's log says more"
        return _json(500, {"error": {"kind": "Failed", "message": message, "problems": []}})


def respond(error: TankError) -> web.Response:
    """The answer for `error`; a conflict over a plan carries the plan that holds now."""
    body = to_json(error)
    preview = getattr(error, "preview", None)
    if preview is not None:
        body["plan"] = plain(preview)
    return _json(error.http_status, body)


def _http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    messages = {
        404: f"no such path: {request.path[:200]}",
        405: f"{request.method} is not possible on {request.path[:200]}",
        413: "the request is larger than 1 MiB",
    }
    message = messages.get(error.status, (error.reason or "bad request").lower())
    body = {"error": {"kind": _KINDS.get(error.status, "Failed"), "message": message, "problems": []}}
    answer = _json(error.status, body)
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.json_response(body, status=status)
