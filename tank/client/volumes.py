"""`client.volumes`: the managed volumes of a daemon, blocking, and for `tank.aio.Client` awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tank.client import volume_calls
from tank.client.calls import Call
from tank.client.wire import Endpoint

if TYPE_CHECKING:
    from tank.model.volumes import VolumeStatus

_PIECE = 256 * 1024


class Volumes:
    """The managed volumes of one daemon."""

    def __init__(self, daemon: Endpoint, do: Callable[[Any], Any]) -> None:
        """`do` sends a call and reads its answer."""
        self._daemon, self._do = daemon, do

    def list(self) -> list[VolumeStatus]:
        """Every volume, with the pods that name it."""
        found: list[VolumeStatus] = self._do(volume_calls.list_())
        return found

    def inspect(self, name: str) -> VolumeStatus:
        """One volume. Raises NotFound."""
        found: VolumeStatus = self._do(volume_calls.inspect(name))
        return found

    def delete(self, name: str) -> VolumeStatus:
        """Remove a volume and all in it. Raises NotFound; Conflict when a pod names it or has it mounted."""
        found: VolumeStatus = self._do(volume_calls.delete(name))
        return found

    def export_to(self, name: str, path: str | Path) -> None:
        """Write a volume as an archive. Raises NotFound, Failed."""
        where = volume_calls.path(name, "export")
        with self._daemon.open("GET", where, timeout=None) as answer, Path(path).open("wb") as file:
            for piece in answer.chunks():
                file.write(piece)

    def import_from(self, name: str, path: str | Path) -> VolumeStatus:
        """A new volume of an archive, compressed or not. Raises Conflict when there is one of this name, Failed."""
        with Path(path).open("rb") as file:
            pieces = iter(lambda: file.read(_PIECE), b"")
            return volume_calls.status(self._daemon.upload(volume_calls.path(name, "import"), {}, pieces))


class AwaitedVolumes:
    """The same, awaited. Archives are the blocking client's."""

    def __init__(self, do: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        """`do` sends a call and reads its answer."""
        self._do = do

    async def list(self) -> list[VolumeStatus]:
        """Every volume, with the pods that name it."""
        found: list[VolumeStatus] = await self._do(volume_calls.list_())
        return found

    async def inspect(self, name: str) -> VolumeStatus:
        """One volume. Raises NotFound."""
        found: VolumeStatus = await self._do(volume_calls.inspect(name))
        return found

    async def delete(self, name: str) -> VolumeStatus:
        """Remove a volume and all in it. Raises NotFound, Conflict."""
        found: VolumeStatus = await self._do(volume_calls.delete(name))
        return found
