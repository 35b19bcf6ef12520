"""What a route is, and what every handler shares: the node, names, numbers and bodies of a request."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from tank.api.encode import plain
from tank.errors import InvalidSpec, Problem
from tank.model.parse import Defaults
from tank.plan.selector import matches

if TYPE_CHECKING:
    from tank.node.service import Node

log = logging.getLogger(__name__)
T = TypeVar("T")
_CREDENTIALS = struct.Struct("3i")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NODE: web.AppKey[Node] = web.AppKey("node")
DEFAULTS: web.AppKey[Defaults] = web.AppKey("defaults")
ENDLESS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("endless")
DEEDS: web.AppKey[set[asyncio.Task[Any]]] = web.AppKey("deeds")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MAX_WAIT = 7 * 86_400.0  # seconds
WANTED = ("ready", "running", "succeeded", "failed", "gone", "settled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a route for the OpenAPI document. `where`: path, query or header."""

    name: str
    about: str
    type: str = "string"
    where: str = "query"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `answers` is a schema's name, or a media type for streams.

    `body`: takes pods; `takes`: takes JSON of that schema.
    """

    method: str
    path: str
    handler: Handler
    about: str
    parameters: tuple[Parameter, ...] = ()
    answers: str = "Status"
    body: bool = False
    takes: str = ""


POD = Parameter(name="name", about="the pod", where="path")
TIMEOUT = Parameter(name="timeout", about="seconds, at most a week", type="number")
CONTAINER = Parameter(name="container", about="the container; the first of the pod, if left out")


def node(request: web.Request) -> Node:
    """The node that this application speaks for."""
    return request.app[NODE]


def name(request: web.Request) -> str:
    """The pod's name in the path. Raises InvalidSpec for what no pod can be called (S35)."""
    return checked(request.match_info["name"])


def checked(value: str) -> str:
    """`value`, if a pod can be called so. Raises InvalidSpec."""
    if not NAME.fullmatch(value):
        raise _wrong("name", f"{value[:80]!r} is no pod name", "lower-case letters, digits and '-', at most 63")
    return value


def text(request: web.Request, parameter: str) -> str | None:
    """A parameter of the query; None when it is missing or empty."""
    return request.query.get(parameter) or None


def selector(request: web.Request, parameter: str) -> str | None:
    """A label selector of the query, known to be sound. Raises InvalidSpec, for an empty one as well."""
    value = request.query.get(parameter)
    if value is not None and not value.strip():
        raise _wrong(parameter, "a selector cannot be empty", "write terms like a=b,c!=d,e,!f")
    if value is not None:
        matches(value, {})
    return value


def flag(request: web.Request, parameter: str) -> bool:
    """A yes or no of the query: `?x`, `?x=1`, `?x=true`. Raises InvalidSpec."""
    value = request.query.get(parameter, "0").lower()
    if value in ("", "1", "true", "yes"):
        return True
    if value in ("0", "false", "no"):
        return False
    raise _wrong(parameter, f"{value[:80]!r} is neither 1 nor 0")


def number(request: web.Request, parameter: str, most: float = math.inf) -> float | None:
    """A number of the query, 0 to `most`. Raises InvalidSpec."""
    value = text(request, parameter)
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 <= found <= most or math.isinf(found):
        raise _wrong(parameter, f"{value[:80]!r} is no number from 0 to {most:g}")
    return found


def whole(request: web.Request, parameter: str) -> int | None:
    """A whole number of the query, 0 or more. Raises InvalidSpec."""
    found = number(request, parameter, 2**53)
    if found is None:
        return None
    if not found.is_integer():
        raise _wrong(parameter, f"{found:g} is no whole number")
    return int(found)


def wanted(request: web.Request, parameter: str, default: str) -> str:
    """What is waited for. Raises InvalidSpec."""
    value = request.query.get(parameter, default)
    if value not in WANTED:
        raise _wrong(parameter, f"cannot wait for {value[:80]!r}", f"one of {', '.join(WANTED)}")
    return value


async def deed(request: web.Request, doing: Coroutine[Any, Any, T]) -> T:
    """Finish `doing` even when the client hangs up in the middle; the server's close waits for it."""
    log.info("%s %s by %s", request.method, request.path_qs[:500], _caller(request))
    task = asyncio.create_task(doing)
    deeds = request.app[DEEDS]
    deeds.add(task)
    task.add_done_callback(deeds.discard)
    return await asyncio.shield(task)


@contextmanager
def endless(request: web.Request) -> Iterator[None]:
    """What is done in this block may take for ever: the server's close does not wait for it, but cancels it."""
    task = asyncio.current_task()
    assert task is not None
    under_way = request.app[ENDLESS]
    under_way.add(task)
    try:
        yield
    finally:
        under_way.discard(task)


def _caller(request: web.Request) -> str:
    """Who is at the other end, for the log (S20)."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None:
        return "nobody any more"
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return f"uid {uid}, pid {pid}"


def answer(value: object, **options: Any) -> web.Response:
    """`value` as JSON."""
    return web.json_response(plain(value), **options)


def _wrong(parameter: str, message: str, suggestion: str = "") -> InvalidSpec:
    return InvalidSpec([Problem(parameter, message, suggestion)])
