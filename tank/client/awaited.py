"""`client.images` of `tank.aio.Client`: as the blocking one's, awaited. Archives are the blocking client's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tank.client import image_calls
from tank.client.calls import Call
from tank.errors import Unavailable

if TYPE_CHECKING:
    from tank.model.images import ImageDetail, ImageStatus, Removed


class Images:
    """`client.images`: as `tank.Client`'s, awaited."""

    def __init__(
        self, do: Callable[[Call[Any]], Awaitable[Any]], stream: Callable[[Call[Any]], AsyncIterator[Any]]
    ) -> None:
        """`do` sends a call and reads its answer; `stream` one that is answered in lines."""
        self._do, self._stream = do, stream

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

    async def login(self, registry: str, username: str, password: str) -> None:
        """Keep a password of a registry, once the registry has taken it. Raises Denied."""
        await self._do(image_calls.login(registry, username, password))

    async def logout(self, registry: str) -> None:
        """Forget it. Raises NotFound."""
        await self._do(image_calls.logout(registry))
