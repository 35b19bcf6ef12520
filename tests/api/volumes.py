"""Volumes in memory for the tests of the faces: one that the pod web uses, and whatever is imported."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

from tank.errors import Conflict, NotFound
from tank.model.volumes import VolumeStatus


def volume(name: str, *users: str) -> VolumeStatus:
    """A volume of this name, which was left by the pod gone."""
    return VolumeStatus(
        name=name, path=f"/data/volumes/{name}", size=31_000_000, entries=3, owner=999, group=999, mode="0750",
        used_by=users, mounted_by=("gone",) if users else (),
    )  # fmt: skip


@dataclass
class FakeVolumes:
    """What the API calls of volumes."""

    held: dict[str, VolumeStatus] = field(default_factory=lambda: {"data": volume("data", "web")})
    archives: dict[str, bytes] = field(default_factory=lambda: {"data": b"an archive"})

    async def list(self) -> Sequence[VolumeStatus]:
        return [*self.held.values()]

    async def inspect(self, name: str) -> VolumeStatus:
        if name not in self.held:
            raise NotFound(f"no volume is called {name}")
        return self.held[name]

    async def delete(self, name: str) -> VolumeStatus:
        found = await self.inspect(name)
        if found.used_by:
            raise Conflict(f"cannot delete volume {name}: pod {found.used_by[0]} names it")
        return self.held.pop(name)

    async def export(self, name: str) -> AsyncGenerator[bytes, None]:
        await self.inspect(name)
        yield self.archives[name]

    async def import_(self, name: str, source: AsyncIterator[bytes]) -> VolumeStatus:
        if name in self.held:
            raise Conflict(f"cannot import volume {name}: there is one of this name already")
        self.archives[name] = b"".join([piece async for piece in source])
        self.held[name] = volume(name)
        return self.held[name]
