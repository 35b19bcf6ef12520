"""Collecting images that nothing needs: what is needed comes from rows, what may go is chosen, the keeper does it.

Under the high mark nothing is removed but what belongs to no image; above it layers as they came, which only saving an
image needs, then the least recently used images, down to the low mark; for a pull that does not fit, as much as it
lacks. A store or a record that cannot be read means that nothing is collected at all. A running image that cannot be
read means that no image is: nobody knows which layers it has.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from tank.errors import Conflict
from tank.image import collect
from tank.image.collect import Goal, Level
from tank.image.inventory import Inventory
from tank.image.pull import ImageStore
from tank.node import needs
from tank.node.needs import Needs
from tank.node.observe import Machine
from tank.store.base import Store

NOTHING = Goal()
_LOOKS = 3  # at most, until what runs is among what was seen
REMOVAL = 30.0  # seconds that a pull waits for what is being removed for it


class Collector:
    """The collector of one machine."""

    def __init__(self, machine: Machine, store: Store, images: ImageStore) -> None:
        self._machine, self._store, self._images = machine, store, images
        self._turn = asyncio.Lock()
        self.blind = ""  # why no image can be collected, in words; empty when they can
        settings = machine.settings
        self._level = Level(high=settings.image_high, low=settings.image_low)

    def over(self) -> bool:
        """Whether the disk is fuller than the high mark."""
        return not self._goal().reached

    async def collect(self, lacking: Goal = NOTHING) -> int:
        """Remove what may go, for the water marks and for what is lacking. Answers how many images and copies went.

        Raises Unavailable, OSError: then nothing was removed.
        """
        async with self._turn:
            found, seen = await self.look()
            goal = self._goal(lacking)
            thinned, left = self._images.keeper.thin(seen, goal)
            gone = thinned + self._images_gone(found, seen, left)
            if gone and not goal.reached:
                self._images.keeper.bin.hurry()
            if not self.blind and not self._images.claims.flying:  # a receipt comes before its image
                known = found.remembered | found.digests(_named(seen))
                await asyncio.to_thread(self._images.gate.sweep, known, self._machine.now().wall)
            return gone

    def _images_gone(self, found: Needs, seen: Inventory, wanted: Goal) -> int:
        """Remove images, and what belongs to none. One step of the loop."""
        if self._is_blind(found, seen):
            return 0
        needed = found.digests(_named(seen))
        self._images.keeper.touch(needed)
        self._images.keeper.sweep(seen, needed)
        chosen = collect.choose(seen.images, seen.layers, needed, self._machine.now().wall, wanted)
        return len(self._images.keeper.remove(seen, chosen))

    def _is_blind(self, found: Needs, seen: Inventory) -> bool:
        unread = self._images.keeper.unread(seen, found.running)
        self.blind = unread and f"a container runs on the image {unread}, which cannot be read; pull it again"
        return bool(unread)

    async def make_room(self, size: int) -> None:
        """Collect for a pull of `size` bytes, and wait for the space. That it does not help is no failure."""
        room = self._images.room
        spare, _ = room.spare(room.space())
        if await self.collect(Goal(size=max(0, size - spare))):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REMOVAL):
                    await self._images.keeper.bin.emptied()

    async def look(self) -> tuple[Needs, Inventory]:
        """What is needed and what is here; the needs are read last, so that they are never older.

        What came and was started between the two is looked at again.
        """
        keeper = self._images.keeper
        for _ in range(_LOOKS):
            seen = await keeper.look()
            found = await needs.gather(self._store, self._machine.records)
            unread = keeper.unread(seen, found.running)
            if not unread or keeper.document(unread) is None:
                break
        return found, seen

    async def choose_and_remove(self, may_go: Callable[[Needs, Inventory], list[str]]) -> tuple[str, ...]:
        """Remove what `may_go` names, by a person's word: age and the water marks do not count. Raises Conflict."""
        async with self._turn:
            found, seen = await self.look()
            doomed = may_go(found, seen)
            if doomed and self._is_blind(found, seen):
                raise Conflict(f"cannot remove images: {self.blind}")
            return self._images.keeper.remove(seen, doomed, asked=True)

    def _goal(self, lacking: Goal = NOTHING) -> Goal:
        space = self._images.room.space()
        size = collect.goal(space.used, space.total, self._level)
        entries = collect.goal(space.inodes_used, space.inodes, self._level)
        return Goal(size=max(size, lacking.size), entries=max(entries, lacking.entries))


def _named(seen: Inventory) -> dict[str, str]:
    return {key: image.digest for image in seen.images for key in image.references}
