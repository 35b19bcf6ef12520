"""The OpenAPI document, generated from the route table and the value classes themselves."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from aiohttp import web

import tank
from tank.api.routes import Parameter, Route, answer
from tank.client.values import Event, LogLine, Plan, Revision, Why
from tank.model.images import DiskUsage, ImageDetail, ImageStatus, Removed
from tank.model.networks import NetworkStatus, Reach
from tank.model.schema import json_schema
from tank.model.stats import PodStats
from tank.model.status import Status
from tank.model.stored import InputStatus
from tank.model.volumes import VolumeStatus

TABLE: web.AppKey[tuple[Route, ...]] = web.AppKey("routes")
JSON = "application/json"
_PRIMITIVES = {str: "string", int: "integer", float: "number", bool: "boolean"}
_BODIES = (JSON, "application/yaml", "application/toml", "application/vnd.tank.documents+json")


async def openapi(request: web.Request) -> web.StreamResponse:
    """This document."""
    return answer(document(request.app[TABLE]))


def document(table: tuple[Route, ...]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a route table."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tank", "version": tank.__version__, "description": (__doc__ or "").strip()},
        "servers": [{"url": "http://tank", "description": "a unix socket: any host name will do"}],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": _schemas()},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.about,
        "operationId": f"{route.method.lower()}_{route.handler.__name__.strip('_')}",
        "parameters": [_parameter(each) for each in route.parameters],
        "responses": {"2XX": _answer(route.answers), "default": _content("an error", JSON, "Error")},
    }
    if route.body:
        content = {kind: {"schema": _ref("Pod") if kind == JSON else {"type": "string"}} for kind in _BODIES}
        operation["requestBody"] = {"required": True, "content": content}
    if route.takes:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(route.takes)}}}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.about,
        "schema": {"type": parameter.type},
    }


def _answer(answers: str) -> dict[str, Any]:
    if answers == "websocket":
        return {"description": "the upgrade to a WebSocket"}
    name, _, media = answers.partition(" ")
    return _content("a line each" if media else "done", media or JSON, name)


def _content(about: str, media: str, name: str) -> dict[str, Any]:
    listed = name.endswith("[]")
    schema = {"type": "object"} if name == "object" else _ref(name.removesuffix("[]"))
    return {
        "description": about,
        "content": {media: {"schema": {"type": "array", "items": schema} if listed else schema}},
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = {"Pod": {"$id": "tank:pod", **json_schema()}, "Error": _ERROR, "Desired": _DESIRED}
    found["InputData"] = _INPUT_DATA
    images = (ImageStatus, ImageDetail, Removed, DiskUsage)
    more = (InputStatus, VolumeStatus, NetworkStatus, Reach, PodStats)
    for cls in (Status, Why, Plan, Event, Revision, LogLine, *images, *more):
        _add(cls, found)
    return found


def _add(cls: type, found: dict[str, Any]) -> None:
    if cls.__name__ in found:
        return
    found[cls.__name__] = {}
    hints = get_type_hints(cls)
    properties = {each.name: _type(hints[each.name], found) for each in fields(cls)}
    about = (cls.__doc__ or "").strip().splitlines()[0]
    found[cls.__name__] = {"type": "object", "description": about, "properties": properties}


def _type(hint: Any, found: dict[str, Any]) -> dict[str, Any]:
    if hint in _PRIMITIVES:
        return {"type": _PRIMITIVES[hint]}
    if hint is Any:
        return {}
    if is_dataclass(hint):
        _add(hint, found)  # type: ignore[arg-type]
        return _ref(hint.__name__)  # type: ignore[union-attr]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union):
        return {"anyOf": [_type(each, found) for each in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], found)}
    return {"type": "null"} if hint is type(None) else {"type": "object"}


_PROBLEM = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "message": {"type": "string"},
        "suggestion": {"type": "string"},
        "line": {"type": ["integer", "null"]},
        "column": {"type": ["integer", "null"]},
        "source": {"type": "string"},
    },
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "message": {"type": "string"},
                "problems": {"type": "array", "items": _PROBLEM},
            },
        },
        "plan": _ref("Plan"),
    },
}
_DESIRED = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uid": {"type": "string"},
        "revision": {"type": "integer"},
        "created_at": {"type": "string"},
        "spec": _ref("Pod"),
    },
}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_INPUT_DATA = {"type": "object", "properties": {"data": {**_TEXTS, "description": "base64"}, "text": _TEXTS}}
ROUTES = (Route(method="GET", path="/v1/openapi.json", handler=openapi, about="This document", answers="object"),)
