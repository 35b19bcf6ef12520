"""`client.images` of `tank.aio.Client`: as the blocking one's, awaited. Files are read and written in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tank.client import archives, image_calls
from tank.client.calls import Call
from tank.client.wire import target
from tank.errors import Unavailable

if TYPE_CHECKING:
    from tank.model.images import ImageDetail, ImageStatus, Removed


class Images:
    """`client.images`: as `tank.Client`'s, awaited."""

    def __init__(
        self,
        do: Callable[[Call[Any]], Awaitable[Any]],
        stream: Callable[[Call[Any]], AsyncIterator[Any]],
        upload: Callable[[str, AsyncIterator[bytes]], Awaitable[Any]],
        download: Callable[[str], AsyncGenerator[bytes, None]],
    ) -> None:
        """`do` sends a call and reads its answer; `stream` one that is answered in lines.

        `upload` sends a body to a path as it comes, and reads its answer; `download` gives the body of an answer.
        """
        self._do, self._stream, self._upload, self._download = do, stream, upload, download

    async def list(self) -> list[ImageStatus]:
        """Every image, with the pods that use it."""
        found: list[ImageStatus] = await self._do(image_calls.list_())
        return found

    async def inspect(self, reference: str) -> ImageDetail:
        """All of one image. Raises NotFound."""
        found: ImageDetail = await self._do(image_calls.inspect(reference))
        return found

    async def pull(self, reference: str, *, policy: str = "always") -> ImageStatus:
        """Bring an image. Raises Failed."""
        async for line in self._stream(image_calls.pull(reference, policy)):
            found = image_calls.pulled(line)
            if found is not None:
                return found
        raise Unavailable("the daemon closed the connection before the image was here")

    async def delete(self, reference: str) -> Removed:
        """Remove a name, and the image with its last one. Raises NotFound; Conflict when a pod needs it."""
        found: Removed = await self._do(image_calls.delete(reference))
        return found

    async def prune(self, *, everything: bool = False) -> Removed:
        """Remove what no pod needs."""
        found: Removed = await self._do(image_calls.prune(everything))
        return found

    async def tag(self, reference: str, target: str) -> ImageStatus:
        """Give an image one more name. Raises NotFound."""
        found: ImageStatus = await self._do(image_calls.tag(reference, target))
        return found

    async def load(self, path: str | Path) -> Sequence[ImageStatus]:
        """Take in the images of an archive or directory, as the blocking one's. Raises Failed."""
        place, name = archives.located(str(path))
        with archives.reading(place) as pieces:
            wanted = target("/v1/images/load", image_calls.named(name))
            return image_calls.statuses(await self._upload(wanted, _awaited(pieces)))

    async def save(self, references: Sequence[str], path: str | Path, *, format: str = "oci") -> None:  # noqa: A002
        """Write an archive of images, `oci` or `docker`. Raises NotFound, Failed."""
        wanted = target("/v1/images/save", {"reference": [*references], "format": format})
        async with aclosing(self._download(wanted)) as pieces:
            first = await anext(pieces, b"")  # a refusal leaves no file behind
            with await asyncio.to_thread(Path(path).open, "wb") as file:
                await asyncio.to_thread(file.write, first)
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)

    async def login(self, registry: str, username: str, password: str) -> None:
        """Keep a password of a registry, once the registry has taken it. Raises Denied."""
        await self._do(image_calls.login(registry, username, password))

    async def logout(self, registry: str) -> None:
        """Forget it. Raises NotFound."""
        await self._do(image_calls.logout(registry))


async def _awaited(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
