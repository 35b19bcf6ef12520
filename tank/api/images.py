"""Images: what is here and who uses it, pulling with progress, archives, passwords of registries."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tank.api import routes
from tank.api.routes import Parameter, Route, answer, deed, node
from tank.api.streaming import MEDIA, archive, stream
from tank.errors import InvalidSpec, Problem

_PIECE = 256 * 1024
FORMATS = ("oci", "docker")
POLICIES = ("always", "if_missing", "prefer_fresh")


async def list_images(request: web.Request) -> web.StreamResponse:
    """Every image, with who uses it."""
    return answer(await node(request).images.list())


async def inspect(request: web.Request) -> web.StreamResponse:
    """All of one image."""
    return answer(await node(request).images.inspect(_said(request, "reference")))


async def pull(request: web.Request) -> web.StreamResponse:
    """Bring an image, a line of progress now and then, the image at last."""
    reference, policy = _said(request, "reference"), request.query.get("policy", POLICIES[0])
    if policy not in POLICIES:
        raise InvalidSpec([Problem("policy", f"{policy[:80]!r} is no pull policy", f"one of {', '.join(POLICIES)}")])
    return await stream(request, node(request).images.pull(reference, policy))


async def delete(request: web.Request) -> web.StreamResponse:
    """Remove a name, and the image with its last one."""
    return answer(await deed(request, node(request).images.delete(_said(request, "reference"))))


async def prune(request: web.Request) -> web.StreamResponse:
    """Remove images that no pod needs."""
    everything = routes.flag(request, "all")
    return answer(await deed(request, node(request).images.prune(everything=everything)))


async def tag(request: web.Request) -> web.StreamResponse:
    """Give an image one more name."""
    reference, target = _said(request, "reference"), _said(request, "target")
    return answer(await deed(request, node(request).images.tag(reference, target)))


async def login(request: web.Request) -> web.StreamResponse:
    """Keep a password of a registry, if the registry takes it. The body is never logged."""
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise InvalidSpec([Problem("", "the body is not JSON")]) from error
    said = [body.get(key) if isinstance(body, dict) else None for key in ("registry", "username", "password")]
    registry, username, password = (each if isinstance(each, str) else "" for each in said)
    if not (registry and username and password):
        raise InvalidSpec([Problem("", "registry, username and password are needed, as texts")])
    await deed(request, node(request).images.login(registry, username, password))
    return answer({"registry": registry})


async def logout(request: web.Request) -> web.StreamResponse:
    """Forget a password."""
    registry = _said(request, "registry")
    await deed(request, node(request).images.logout(registry))
    return answer({"registry": registry})


async def load(request: web.Request) -> web.StreamResponse:
    """Take the images of an archive in, as it comes."""
    return answer(await node(request).images.load(_pieces(request), request.query.get("name", "")))


async def save(request: web.Request) -> web.StreamResponse:
    """An archive of images."""
    names, format_ = request.query.getall("reference", []), request.query.get("format", FORMATS[0])
    if not names or format_ not in FORMATS:
        raise InvalidSpec([Problem("reference", f"is needed, and a format of {', '.join(FORMATS)}")])
    pieces = node(request).images.save(names, "docker" if format_ == "docker" else "oci")
    return await archive(request, pieces)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece


async def df(request: web.Request) -> web.StreamResponse:
    """The owner of every byte below the data directory."""
    return answer(await node(request).disk.usage())


def _said(request: web.Request, parameter: str) -> str:
    """A text of the query that must be there. Raises InvalidSpec."""
    value: Any = routes.text(request, parameter)
    if not value:
        raise InvalidSpec([Problem(parameter, "is needed")])
    return str(value)


_REFERENCE = Parameter(name="reference", about="a reference, a digest, or the beginning of one")
ROUTES = (
    Route(
        method="GET",
        path="/v1/images",
        handler=list_images,
        about="Every image, with who uses it",
        answers="ImageStatus[]",
    ),
    Route(
        method="DELETE",
        path="/v1/images",
        handler=delete,
        about="Remove a name, and the image with its last one; 409 when a pod needs it",
        parameters=(_REFERENCE,),
        answers="Removed",
    ),
    Route(
        method="GET",
        path="/v1/images/inspect",
        handler=inspect,
        about="All of one image",
        parameters=(_REFERENCE,),
        answers="ImageDetail",
    ),
    Route(
        method="POST",
        path="/v1/images/pull",
        handler=pull,
        about="Bring an image: lines of progress, the image at last",
        parameters=(_REFERENCE, Parameter(name="policy", about="always (the default), if_missing or prefer_fresh")),
        answers=f"object {MEDIA}",
    ),
    Route(
        method="POST",
        path="/v1/images/prune",
        handler=prune,
        about="Remove images without a name that no pod needs",
        parameters=(Parameter(name="all", about="also those with a name", type="boolean"),),
        answers="Removed",
    ),
    Route(
        method="POST",
        path="/v1/images/tag",
        handler=tag,
        about="Give an image one more name",
        parameters=(_REFERENCE, Parameter(name="target", about="the new name")),
        answers="ImageStatus",
    ),
    Route(
        method="POST",
        path="/v1/images/load",
        handler=load,
        about="Take in the images of an archive, which is the body",
        parameters=(Parameter(name="name", about="of its images the one with this tag or reference"),),
        answers="ImageStatus[]",
    ),
    Route(
        method="GET",
        path="/v1/images/save",
        handler=save,
        about="An archive of images",
        parameters=(
            Parameter(name="reference", about="an image; may stand several times"),
            Parameter(name="format", about="oci (the default) or docker"),
        ),
        answers="object application/x-tar",
    ),
    Route(
        method="POST",
        path="/v1/images/login",
        handler=login,
        about="Keep a password of a registry, once the registry has taken it",
        answers="object",
    ),
    Route(
        method="POST",
        path="/v1/images/logout",
        handler=logout,
        about="Forget a password",
        parameters=(Parameter(name="registry", about="the registry's host"),),
        answers="object",
    ),
    Route(method="GET", path="/v1/df", handler=df, about="The owner of every byte on the disk", answers="DiskUsage"),
)
