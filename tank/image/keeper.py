"""The one place where images and layers lose their names: by collection, by `prune`, by `delete` (R38).

Mark and sweep: what is needed comes in as digests (rows of the store and of the records); everything else may go.
The look at the disk and at the rows takes time; the deed takes none: a look at the claims and the renames are one
step of the loop, so that a pull or a start either finds the layer or finds it gone, and never half. The manifest goes
before the layers: a kill in between leaves layers of no image, which the next sweep takes (R24).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from tank.image import collect, inventory
from tank.image.bin import Bin
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.collect import MIN_AGE, Goal, Kept
from tank.image.inventory import Inventory


class Keeper:
    """The keeper of one image store. `wall` is the wall clock, which file times are compared with."""

    def __init__(
        self,
        blobs: Blobs,
        claims: Claims,
        wall: Callable[[], float] = time.time,
        bin: Bin | None = None,  # noqa: A002
    ) -> None:
        self._blobs, self.claims, self._wall = blobs, claims, wall
        self.bin = bin or Bin(lambda: claims.flying)

    async def look(self) -> Inventory:
        """What lies here now. Raises OSError."""
        generation = self.claims.generation
        return replace(await asyncio.to_thread(inventory.take, self._blobs), generation=generation)

    def touch(self, digests: Iterable[str]) -> None:
        """These are needed at the moment: their last use is now, also for the next daemon."""
        for each in digests:
            self._blobs.touch(each)

    def forget(self, reference: str) -> None:
        """A name without an image, or with one that keeps another name. The key as the shelf has it."""
        self._blobs.forget(reference)

    def remember(self, reference: str, digest: str) -> None:
        """One more name for an image. Raises OSError."""
        self._blobs.remember(reference, digest)

    def document(self, digest: str) -> bytes | None:
        """A manifest or configuration as it lies here."""
        return self._blobs.read(digest)

    def remove(self, seen: Inventory, doomed: Iterable[str], *, asked: bool = False) -> tuple[str, ...]:
        """Take these images away, and the layers that no other has. Answers which went.

        `asked`: by a person who names them, so that having just been looked up is no reason to keep them; having come
        since the look is, for it may have a name by now, and so is a pull under way that counts on their layers. One
        step of the loop: nothing may be awaited here.
        """
        gone = []
        for digest in doomed:
            image = seen.image(digest)
            if image is None or self.claims.brought(digest):
                continue
            if self.claims.leased(digest, since=seen.generation if asked else -1):
                continue
            self.claims.drop(digest)
            gone.append(digest)
            unsure = self.claims.flying or seen.generation != self.claims.generation  # what came since may share it
            self._unname(image, keeps_config=unsure or _shares_config(seen, image, gone))
        claimed = self.claims.layers()
        self._aside(self._blobs.layers / name for name in _lost(seen, gone, lambda image: image.layers) - claimed)
        self._aside(self._blobs.chains / name for name in _lost(seen, gone, lambda image: image.chains) - claimed)
        packed = (self._blobs.packed / name for name in _lost(seen, gone, lambda image: image.packed))
        self._aside(path for path in packed if not self.claims.used(path))
        return tuple(gone)

    def _unname(self, image: Kept, *, keeps_config: bool) -> None:
        for each in image.references:
            self._blobs.forget(each)
        paths = [self._document(image.digest)]
        self._aside(paths if keeps_config else [*paths, self._document(image.config)])

    def sweep(self, seen: Inventory, needed: Collection[str]) -> int:
        """Take away what belongs to no image, once it is old enough to be nobody's work under way.

        An image that is not whole is no image, unless a pod needs it: then what is left of it makes its next pull
        shorter. What came since the look is not known to it: then the next one sweeps. Answers how many went. One step
        of the loop.
        """
        if self.claims.flying or seen.generation != self.claims.generation:
            return 0
        counts = [each for each in seen.images if each.whole or each.digest in needed]
        named = {self._document(each) for image in counts for each in (image.digest, image.config)}
        named |= {self._blobs.layers / name for image in counts for name in image.layers}
        named |= {self._blobs.layers / name for name in self.claims.layers()}
        named |= {self._blobs.packed / name for image in counts for name in image.packed}
        named |= {self._blobs.chains / name for image in counts for name in image.chains}
        named |= {self._blobs.chains / name for name in self.claims.layers()}
        named |= {self._document(each) for each in needed}
        now = self._wall()
        old = [path for path, at in seen.written.items() if path not in named and now - at >= MIN_AGE]
        self._aside(path for path in old if not self.claims.used(path))
        return len(old)

    def thin(self, seen: Inventory, wanted: Goal) -> tuple[int, Goal]:
        """Take layers as they came away, as far as it is wanted, and parts that nobody came back for.

        Answers how many went, and what is still wanted. One step of the loop.
        """
        free = [each for each in seen.copies if not self.claims.used(each.path)]
        gone = collect.spare(free, self._wall(), wanted)
        self._aside(each.path for each in gone)
        return len(gone), wanted.less(sum(each.size for each in gone), len(gone))

    @staticmethod
    def unread(seen: Inventory, running: Collection[str]) -> str:
        """An image that a container runs on and that cannot be read: nobody knows its layers, and none may go.

        Empty when there is none.
        """
        return next((digest for digest in sorted(running) if seen.image(digest) is None), "")

    def _aside(self, paths: Iterable[Path]) -> None:
        taken = (self._blobs.aside(path) for path in paths)
        self.bin.put([path for path in taken if path is not None])

    def _document(self, digest: str) -> Path:
        return self._blobs.documents / digest.removeprefix("sha256:")


def _lost(seen: Inventory, gone: Collection[str], part: Callable[[Kept], frozenset[str]]) -> frozenset[str]:
    """Of a part of images, what those have that are gone, and none that stays."""
    stays = frozenset[str]().union(*(part(each) for each in seen.images if each.digest not in gone))
    goes = frozenset[str]().union(*(part(each) for each in seen.images if each.digest in gone))
    return goes - stays


def _shares_config(seen: Inventory, image: Kept, gone: Collection[str]) -> bool:
    return any(each.config == image.config and each.digest not in gone for each in seen.images)
