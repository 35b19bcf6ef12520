"""The verbs of managed volumes: what the API calls. Only `delete` removes data, and never what a pod may need.

A volume is a pod's as long as a declared pod names it or a record says that it was given to one; and whatever is
mounted stays.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tank.errors import Conflict, Failed, InvalidSpec, NotFound, Problem, PullFailed
from tank.host import files
from tank.host.threads import in_thread
from tank.image import unpack, volume_archive
from tank.image.extract import MOST_ENTRIES, Bounds
from tank.image.room import Room
from tank.model.pod import Managed, Pod
from tank.model.volumes import VolumeStatus
from tank.node.observe import Machine
from tank.runtime import managed
from tank.store.base import Store

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ENDLESS = 2**62  # bytes: an archive may be as long as it likes


class VolumeVerbs:
    """The managed volumes of one machine. Every method may be called at any time from the daemon's loop."""

    def __init__(self, machine: Machine, store: Store, room: Room) -> None:
        self._machine, self._store, self._room = machine, store, room
        self._settings = machine.settings

    async def list(self) -> Sequence[VolumeStatus]:
        """Every volume, by name, with who uses it."""
        found = await in_thread(self._looks)
        declared = await self._declared()
        return [self._with_users(each, declared) for each in found]

    def _looks(self) -> Sequence[VolumeStatus]:
        found = []
        for name in managed.names(self._settings):
            with suppress(FileNotFoundError, NotFound):  # gone meanwhile
                found.append(managed.look(self._settings, name))
        return found

    async def inspect(self, name: str) -> VolumeStatus:
        """One volume. Raises NotFound."""
        found = await in_thread(managed.look, self._settings, _checked(name))
        return self._with_users(found, await self._declared())

    async def delete(self, name: str) -> VolumeStatus:
        """Remove the volume and all in it. Raises NotFound; Conflict when a pod names or mounts it."""
        found = await self.inspect(name)
        declared = await self._declared()
        # From here to the rename nothing else runs in this loop, so that no pod can take it meanwhile.
        self._refuse(self._with_users(found, declared))
        aside = managed.set_aside(self._settings, name)
        await in_thread(managed.remove, aside)
        return found

    async def export(self, name: str) -> AsyncGenerator[bytes, None]:
        """The volume as an archive. Raises NotFound, Failed."""
        pieces = volume_archive.pieces(managed.existing(self._settings, _checked(name)))
        try:
            while (piece := await in_thread(next, pieces, None)) is not None:
                if piece:  # an empty one would end an answer in chunks
                    yield piece
        except OSError as error:
            raise Failed(f"cannot export volume {name}: {error.strerror}") from error
        finally:
            pieces.close()  # type: ignore[attr-defined]

    async def import_(self, name: str, source: AsyncIterator[bytes]) -> VolumeStatus:
        """A new volume of an archive, compressed or not, which appears when it is whole. Raises Conflict, Failed."""
        staged = managed.stage(self._settings, _checked(name))
        try:
            await unpack.unpack(source, staged, self._bounds(), module=unpack.VOLUMES)
            await in_thread(managed.publish, self._settings, name, staged)
        except PullFailed as error:  # in the words of layers
            words = error.message.rpartition("layer: ")[2]
            raise Failed(f"cannot import volume {name}: {words}") from error
        except OSError as error:
            raise Failed(f"cannot import volume {name}: {error.strerror}") from error
        finally:
            await asyncio.shield(in_thread(files.remove_tree, staged))
        return await self.inspect(name)

    async def sweep(self) -> None:
        """Remove what a crash left of deletions and imports. Raises Failed."""
        try:
            await in_thread(managed.sweep, self._settings)
        except OSError as error:
            raise Failed(f"cannot remove what is left of volumes: {error.strerror}") from error

    def _bounds(self) -> Bounds:
        return Bounds(_ENDLESS, MOST_ENTRIES, *self._room.edge())

    async def _declared(self) -> dict[str, Pod]:
        return {name: each.spec for name, each in (await self._store.read()).pods.items()}

    def _with_users(self, found: VolumeStatus, declared: dict[str, Pod]) -> VolumeStatus:
        """Records are of what was given to a pod, be it wanted any more or not."""
        held = self._machine.records.pods().values()
        return replace(
            found,
            used_by=tuple(sorted(name for name, pod in declared.items() if _names(pod, found.name))),
            mounted_by=tuple(sorted({each.name for each in held if _names(each.spec, found.name)})),
        )

    def _refuse(self, found: VolumeStatus) -> None:
        """Raises Conflict."""
        said = [f"pod {each} names it" for each in found.used_by]
        said += [f"pod {each} has it mounted" for each in found.mounted_by if each not in found.used_by]
        if not said and managed.mounted(self._settings, found.name):
            said = [f"{Path(found.path)} is mounted somewhere"]
        if said:
            raise Conflict(f"cannot delete volume {found.name}: {'; '.join(said)}")


def _names(pod: Pod, volume: str) -> bool:
    return any(each.name == volume and isinstance(each.source, Managed) for each in pod.volumes)


def _checked(name: str) -> str:
    """Raises InvalidSpec for what no volume can be called (S35)."""
    if not _NAME.fullmatch(name):
        fault = Problem("name", f"{name[:80]!r} is no volume name", "lower-case letters, digits and '-', at most 63")
        raise InvalidSpec([fault])
    return name
