"""Secrets and configs. Values come in the body and never in a path; a secret's leave by no route at all (S37).

A body may be larger than other bodies, as its values are base64: twice the largest secret.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from typing import Any

from aiohttp import web

from tank.api import routes
from tank.api.documents import read_json
from tank.api.encode import plain
from tank.api.routes import Handler, Parameter, Route, answer, deed, node
from tank.errors import InvalidSpec, Problem
from tank.model.stored import InputStatus
from tank.model.uses import CONFIG, SECRET

MAX_BODY = 2 * 2**20
_NAME = Parameter(name="name", about="the secret or config", where="path")
_FORCE = Parameter(name="force", about="also when a pod needs it", type="boolean")


def _list(kind: str) -> Handler:
    async def list_inputs(request: web.Request) -> web.StreamResponse:
        return answer([_shown(each) for each in await node(request).inputs.list(kind)])

    return _called(list_inputs, kind)


def _get(kind: str) -> Handler:
    async def get_input(request: web.Request) -> web.StreamResponse:
        return answer(_shown(await node(request).inputs.get(kind, request.match_info["name"])))

    return _called(get_input, kind)


def _put(kind: str) -> Handler:
    async def put_input(request: web.Request) -> web.StreamResponse:
        data = _data(await _body(request))
        return answer(_shown(await deed(request, node(request).inputs.set(kind, request.match_info["name"], data))))

    return _called(put_input, kind)


def _delete(kind: str) -> Handler:
    async def delete_input(request: web.Request) -> web.StreamResponse:
        name, force = request.match_info["name"], routes.flag(request, "force")
        await deed(request, node(request).inputs.delete(kind, name, force=force))
        return answer({"name": name})

    return _called(delete_input, kind)


def _called(handler: Handler, kind: str) -> Handler:
    """An operation of the OpenAPI document needs a name of its own."""
    handler.__name__ = handler.__name__.replace("input", kind)
    return handler


async def _body(request: web.Request) -> bytes:
    """The whole body. Raises the error of one that is too large."""
    pieces, held = [], 0
    async for piece in request.content.iter_chunked(65536):
        held += len(piece)
        if held > MAX_BODY:
            raise InvalidSpec([Problem("", "the values are larger than 1 MiB together")])
        pieces.append(piece)
    return b"".join(pieces)


def _data(body: bytes) -> dict[str, bytes]:
    """`{"data": {KEY: base64}, "text": {KEY: text}}`. Raises InvalidSpec, which quotes keys alone."""
    said = read_json(body)
    if not isinstance(said, dict) or not said or said.keys() - {"data", "text"}:
        raise InvalidSpec([Problem("", "expected {data: {KEY: base64}} or {text: {KEY: text}}")])
    data, text = _mapping(said, "data"), _mapping(said, "text")
    if twice := sorted(data.keys() & text.keys()):
        raise InvalidSpec([Problem(f"text.{twice[0]}", "stands in data too")])
    try:
        return {key: _bytes(key, value) for key, value in data.items()} | {
            key: value.encode() for key, value in text.items()
        }
    except UnicodeEncodeError:
        raise InvalidSpec([Problem("text", "no UTF-8: send such a value as base64, in data")]) from None


def _mapping(said: dict[str, Any], name: str) -> dict[str, str]:
    found = said.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise InvalidSpec([Problem(name, "expected a mapping of keys to texts")])
    return found


def _bytes(key: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSpec([Problem(f"data.{key}", "is no base64")]) from None  # the cause quotes nothing either


def _shown(status: InputStatus) -> dict[str, Any]:
    shown: dict[str, Any] = plain(dataclasses.replace(status, data=None))
    del shown["data"]
    if status.data is not None:
        shown["data"] = {key: base64.b64encode(value).decode() for key, value in status.data.items()}
    return shown


def _routes(kind: str, path: str, about: str) -> tuple[Route, ...]:
    one, each = f"{path}/{{name}}", f"Every {kind} and who uses it, without values"
    whole = "Its keys and sizes, and who uses it; never a value" if kind == SECRET else "All of it, values as base64"
    gone = f"Delete it; 409 when a pod needs it. {about}"
    return (
        Route(method="GET", path=path, handler=_list(kind), about=each, answers="InputStatus[]"),
        Route(method="GET", path=one, handler=_get(kind), about=whole, parameters=(_NAME,), answers="InputStatus"),
        Route(
            method="PUT",
            path=one,
            handler=_put(kind),
            about="Create or replace it, all keys at once",
            parameters=(_NAME,),
            answers="InputStatus",
            takes="InputData",
        ),
        Route(
            method="DELETE",
            path=one,
            handler=_delete(kind),
            about=gone,
            parameters=(_NAME, _FORCE),
            answers="object",
        ),
    )


_KEPT = "What runs keeps what it has"
ROUTES = (*_routes(SECRET, "/v1/secrets", _KEPT), *_routes(CONFIG, "/v1/configs", _KEPT))
