"""Bringing the layers of an image: each received, hashed, inflated and unpacked in one pass, several at once.

A layer grows in the scratch directory and gets its name when all of it is proven; `tank.image.unsynced` sees to it that
it lasts (R23). Whatever ends the work before, cancellation included, takes the unfinished directory away. Images that
share a layer share its flight, if they get it from the same registry: a slow one must not hold up who gets the layer
elsewhere (R57).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from tank.errors import PullFailed
from tank.host import openat
from tank.image import chain
from tank.image.blobs import Blobs, LayerRecord
from tank.image.chain import Skeleton
from tank.image.download import Wrong
from tank.image.flights import Flights, together, uninterrupted
from tank.image.manifest import Descriptor
from tank.image.packed import Packed
from tank.image.parts import Part, Parts
from tank.image.progress import LayerProgress
from tank.image.refusal import PRESSURE, refused
from tank.image.room import Room
from tank.image.selection import Selected
from tank.image.source import LAYERS_AT_ONCE, Download, Source, Stream
from tank.image.unpack import Unpacked, bounds_for, unpack
from tank.image.unsynced import Unsynced
from tank.model.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer to bring. `diff_id` is the digest of its uncompressed tar.

    One that is rewritten for those below has the `chain_id` of them all, and a `skeleton` to grow on.
    """

    registry: str
    descriptor: Descriptor
    diff_id: str
    chain_id: str = ""
    skeleton: Skeleton = ()

    @property
    def key(self) -> Hashable:
        """What its flight goes by."""
        return (self.registry, self.descriptor.digest, self.diff_id)

    @property
    def name(self) -> str:
        """The digest that its directory is called by."""
        return self.chain_id or self.diff_id


def layers_of(reference: Reference, image: Selected) -> tuple[Layer, ...]:
    """The layers of an image, lowest first."""
    pairs = zip(image.manifest.layers, image.configuration.diff_ids, strict=True)
    return tuple(
        Layer(registry=reference.registry, descriptor=descriptor, diff_id=diff_id) for descriptor, diff_id in pairs
    )


def _chained(layers: Sequence[Layer]) -> Iterable[tuple[Layer, str]]:
    return zip(layers, chain.ids([each.diff_id for each in layers]), strict=True)


class Layers:
    """Every layer under way."""

    def __init__(self, blobs: Blobs, parts: Parts, room: Room, unsynced: Unsynced) -> None:
        self._blobs, self._parts, self._room, self._unsynced = blobs, parts, room, unsynced
        self._flights, self._local = Flights(), asyncio.Semaphore(LAYERS_AT_ONCE)
        self._counts: dict[Hashable, int] = {}  # bytes that have come

    async def bring(self, source: Source, reference: Reference, layers: tuple[Layer, ...]) -> None:
        """Have all of them here. Raises PullFailed, OSError; the first failure ends the rest."""
        places = [(layer, chain.settled(self._blobs, layer.diff_id, chain_id)) for layer, chain_id in _chained(layers)]
        different = {layer.key: layer for layer, place in places if place is None}.values()
        async with self._unsynced.naming(self._places(layers)):
            await together(*(self._bring(source, reference, layer) for layer in different))
            await self._settle(source, reference, layers)

    def _places(self, layers: Sequence[Layer]) -> Iterator[Path]:
        """All that bringing them may name."""
        for layer, chain_id in _chained(layers):
            yield from (self._blobs.place(each) for each in (layer.diff_id, chain_id))
            yield self._blobs.packed_layer(layer.descriptor.digest)

    def progress(self, layer: Layer) -> LayerProgress:
        """How far one is."""
        ready = self._blobs.layer(layer.diff_id) is not None
        total = layer.descriptor.size
        done = total if ready else self._counts.get(layer.key, 0)
        return LayerProgress(digest=layer.descriptor.digest, done=done, total=total, ready=ready)

    def takes(self, layers: Iterable[Layer], *, copies: bool) -> int:
        """Bytes of disk that those of them have yet to take that are not here (R29). `copies`: as they came, too."""
        missing = {each.diff_id: each for each in layers if self._blobs.layer(each.diff_id) is None}
        return sum(self._remaining(each, copies=copies) for each in missing.values())

    def _remaining(self, layer: Layer, *, copies: bool) -> int:
        """Nobody declares what a layer unpacks to. Compressed ones grow to about three times their size."""
        digest, size = layer.descriptor.digest, layer.descriptor.size
        left = max(0, size - self._counts.get(layer.key, 0))
        copy = max(0, size - self._parts.held(digest)) if copies else 0
        return copy + (left if layer.descriptor.media_type.endswith(".tar") else 3 * left)

    def resuming(self, layers: Iterable[Layer]) -> AbstractContextManager[None]:
        """While the block runs, what earlier tries have brought of them stays."""
        return self._parts.staying(each.descriptor.digest for each in layers)

    async def close(self) -> None:
        """End every flight."""
        await self._flights.close()

    async def _bring(self, source: Source, reference: Reference, layer: Layer) -> None:
        if self._blobs.layer(layer.name) is None:
            await self._flights.join((layer.key, layer.name), lambda: self._fetch(source, reference, layer))

    async def _settle(self, source: Source, reference: Reference, layers: tuple[Layer, ...]) -> None:
        """Have each layer mean and look what it does on top of those below, from the bottom up: the next sees it."""
        below: list[Path] = []
        for layer, chain_id in _chained(layers):
            place = chain.settled(self._blobs, layer.diff_id, chain_id)
            if place is None:
                place = await self._rewritten(source, reference, replace(layer, chain_id=chain_id), below)
            below.append(place)

    async def _rewritten(self, source: Source, reference: Reference, layer: Layer, below: Sequence[Path]) -> Path:
        skeleton = await asyncio.to_thread(chain.skeleton, self._blobs, layer.diff_id, below)
        if skeleton:
            await self._bring(source, reference, replace(layer, skeleton=skeleton))
        name = layer.name if skeleton else layer.diff_id
        return await uninterrupted(asyncio.to_thread(chain.note, self._blobs, layer.name, name))

    async def _fetch(self, source: Source, reference: Reference, layer: Layer) -> None:
        """Each way to have the layer in turn, what lies here first; what one has brought is a part for the next."""
        packed = self._blobs.packed_layer(layer.descriptor.digest)
        ways = list(source.downloads(reference, layer.descriptor))
        if packed.is_file():
            ways.insert(0, Download(self._local, lambda: Packed(packed, layer.descriptor), keeps=False))
        for place, way in enumerate(ways):
            try:
                await self._try(way, layer)
            except PullFailed:
                if place + 1 == len(ways):
                    raise
            else:
                return

    async def _try(self, way: Download, layer: Layer) -> None:
        """A part that turns out to be wrong is no fault of who had only the rest to give: once more, without it.

        Nor is a disk that takes no copy beside what is unpacked.
        """
        async with way.slots:
            keeps = way.keeps and not self._room.fault(self._room.space(), self.takes((layer,), copies=True))
            for again in (True, False):
                if self._blobs.layer(layer.name) is not None:
                    return
                part = self._part(layer, keeps=keeps)
                try:
                    await self._attempt(way.stream(), layer, part)
                except Wrong:
                    if not again or part is None or not part.resumed:
                        raise
                except PullFailed as error:
                    if not again or part is None or error.reason != PRESSURE:
                        raise
                    keeps = False
                else:
                    return

    def _part(self, layer: Layer, *, keeps: bool) -> Part | None:
        digest, size = layer.descriptor.digest, layer.descriptor.size
        if keeps:
            return self._parts.take(digest, size)
        if not self._room.fault(self._room.space(), self.takes((layer,), copies=False)):
            return self._parts.resume(digest, size)
        self._parts.drop(digest)  # it may be what is in the way
        return None

    async def _attempt(self, stream: Stream, layer: Layer, part: Part | None) -> None:
        stage = self._blobs.stage()
        try:
            if layer.skeleton:
                await uninterrupted(asyncio.to_thread(chain.plant, stage, layer.skeleton))
            made = await self._unpack(stream, layer, stage, part)
            if part is not None:
                await part.close()
            await self._keep(stage, layer, made)
            if part is not None:
                part.whole()
        except PullFailed as error:
            if part is not None and error.reason == PRESSURE:
                part.spoil()
            raise
        finally:
            self._counts.pop(layer.key, None)
            if part is not None:
                await self._parts.give(part)
            await uninterrupted(asyncio.to_thread(openat.remove_tree, stage))

    async def _unpack(self, stream: Stream, layer: Layer, stage: Path, part: Part | None) -> Unpacked:
        def count(length: int) -> None:
            self._counts[layer.key] = self._counts.get(layer.key, 0) + length

        async with aclosing(stream.pieces(count, part)) as pieces:
            bounds = bounds_for(layer.descriptor.size, self._room)
            try:
                kept = part if part is not None and part.grows else None
                made = await unpack(pieces, stage, bounds, alone=len(self._flights) < 2, part=kept)
            except PullFailed as error:
                if part is not None and error.reason != PRESSURE:
                    await uninterrupted(asyncio.to_thread(openat.remove_tree, stage))  # the rest may take a while
                    await _ended(pieces, part)
                raise
        if not stream.complete:
            raise refused(f"cannot unpack layer: {layer.descriptor.digest} was not read to its end")
        if made.diff_id != layer.diff_id:
            raise refused(
                f"cannot use image: the layer {layer.descriptor.digest} unpacks to {made.diff_id}, not {layer.diff_id}"
            )
        return made

    async def _keep(self, stage: Path, layer: Layer, made: Unpacked) -> None:
        record = LayerRecord(
            size=made.size,
            entries=made.entries,
            opaque_root="" in made.opaque,
            implicit=made.implicit,
        )
        marks = [path for path in made.opaque if path]
        await uninterrupted(asyncio.to_thread(self._blobs.name_layer, stage, record, marks, layer.name))


async def _ended(pieces: AsyncIterator[bytes], part: Part) -> None:
    """Keep the rest of a stream that the unpacker refused. Raises Wrong when what came is not the layer.

    Only its digest, and so its last byte, tells damage on the way, which is not to be kept and may be mended elsewhere,
    from a layer that is bad itself: of that the next try finds all bytes here, and asks nobody. A rest that does not
    come, or that the disk does not take, is no news beside the refusal.
    """
    try:
        async for _ in pieces:
            if part.lost:
                return
    except Wrong:
        raise
    except (PullFailed, OSError):
        return
