"""Managed volumes: what there is and who uses it, deletion, archives of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from tank.api.routes import Parameter, Route, answer, deed, node
from tank.api.streaming import archive

_PIECE = 256 * 1024


async def list_volumes(request: web.Request) -> web.StreamResponse:
    """Every managed volume, with who uses it."""
    return answer(await node(request).volumes.list())


async def inspect_volume(request: web.Request) -> web.StreamResponse:
    """One managed volume."""
    return answer(await node(request).volumes.inspect(_name(request)))


async def delete_volume(request: web.Request) -> web.StreamResponse:
    """Remove a volume and all in it."""
    return answer(await deed(request, node(request).volumes.delete(_name(request))))


async def export_volume(request: web.Request) -> web.StreamResponse:
    """A volume as an archive."""
    pieces = node(request).volumes.export(_name(request))
    return await archive(request, pieces)


async def import_volume(request: web.Request) -> web.StreamResponse:
    """A new volume of an archive, which is the body. Who hangs up in the middle leaves nothing."""
    return answer(await node(request).volumes.import_(_name(request), _pieces(request)))


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece


def _name(request: web.Request) -> str:
    return request.match_info["name"]


_VOLUME = Parameter(name="name", about="the volume", where="path")
ROUTES = (
    Route(
        method="GET",
        path="/v1/volumes",
        handler=list_volumes,
        about="Every managed volume, with who uses it",
        answers="VolumeStatus[]",
    ),
    Route(
        method="GET",
        path="/v1/volumes/{name}",
        handler=inspect_volume,
        about="One managed volume",
        parameters=(_VOLUME,),
        answers="VolumeStatus",
    ),
    Route(
        method="DELETE",
        path="/v1/volumes/{name}",
        handler=delete_volume,
        about="Remove a volume and all in it; 409 when a pod names it or has it mounted",
        parameters=(_VOLUME,),
        answers="VolumeStatus",
    ),
    Route(
        method="GET",
        path="/v1/volumes/{name}/export",
        handler=export_volume,
        about="The volume as an archive",
        parameters=(_VOLUME,),
        answers="object application/x-tar",
    ),
    Route(
        method="POST",
        path="/v1/volumes/{name}/import",
        handler=import_volume,
        about="A new volume of an archive, which is the body; 409 when there is one of this name",
        parameters=(_VOLUME,),
        answers="VolumeStatus",
    ),
)
