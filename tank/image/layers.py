"""Bringing the layers of an image: each received, hashed, inflated and unpacked in one pass, several at once.

A layer grows in the scratch directory and gets its name when all of it is proven and durable (R23); whatever ends
the work before, cancellation included, takes the unfinished directory away. Images that share a layer share its
flight, if they get it from the same registry: a slow one must not hold up who gets the layer elsewhere (R57).
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from tank.host import openat
from tank.image.blobs import Blobs, LayerRecord
from tank.image.flights import Flights, together, uninterrupted
from tank.image.inherit import inherit
from tank.image.manifest import Descriptor
from tank.image.progress import LayerProgress
from tank.image.refusal import refused
from tank.image.registry import RegistryClient
from tank.image.selection import Selected
from tank.image.unpack import Unpacked, bounds_for, unpack
from tank.model.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer to bring. `diff_id` is the digest of its uncompressed tar."""

    registry: str
    descriptor: Descriptor
    diff_id: str

    @property
    def key(self) -> Hashable:
        """What its flight goes by."""
        return (self.registry, self.descriptor.digest, self.diff_id)


def layers_of(reference: Reference, image: Selected) -> tuple[Layer, ...]:
    """The layers of an image, lowest first."""
    pairs = zip(image.manifest.layers, image.configuration.diff_ids, strict=True)
    return tuple(
        Layer(registry=reference.registry, descriptor=descriptor, diff_id=diff_id) for descriptor, diff_id in pairs
    )


class Layers:
    """Every layer under way."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs, self._flights = blobs, Flights()
        self._counts: dict[Hashable, int] = {}  # bytes that have come

    async def bring(self, client: RegistryClient, reference: Reference, layers: tuple[Layer, ...]) -> None:
        """Have all of them here. Raises PullFailed, OSError; the first failure ends the rest."""
        different = {layer.key: layer for layer in layers}.values()
        await together(*(self._bring(client, reference, layer) for layer in different))
        await uninterrupted(asyncio.to_thread(inherit, self._blobs, [layer.diff_id for layer in layers]))

    def progress(self, layer: Layer) -> LayerProgress:
        """How far one is."""
        ready = self._blobs.layer(layer.diff_id) is not None
        total = layer.descriptor.size
        done = total if ready else self._counts.get(layer.key, 0)
        return LayerProgress(digest=layer.descriptor.digest, done=done, total=total, ready=ready)

    async def close(self) -> None:
        """End every flight."""
        await self._flights.close()

    async def _bring(self, client: RegistryClient, reference: Reference, layer: Layer) -> None:
        if self._blobs.layer(layer.diff_id) is None:
            await self._flights.join(layer.key, lambda: self._fetch(client, reference, layer))

    async def _fetch(self, client: RegistryClient, reference: Reference, layer: Layer) -> None:
        async with client.slots:
            if self._blobs.layer(layer.diff_id) is not None:
                return
            stage = self._blobs.stage()
            try:
                made = await self._unpack(client, reference, layer, stage)
                await uninterrupted(asyncio.to_thread(self._keep, stage, made))
            finally:
                self._counts.pop(layer.key, None)
                await uninterrupted(asyncio.to_thread(openat.remove_tree, stage))

    async def _unpack(self, client: RegistryClient, reference: Reference, layer: Layer, stage: Path) -> Unpacked:
        def count(length: int) -> None:
            self._counts[layer.key] = self._counts.get(layer.key, 0) + length

        blob = client.blob(reference, layer.descriptor)
        async with aclosing(blob.pieces(count)) as pieces:
            made = await unpack(pieces, stage, bounds_for(layer.descriptor.size, stage))
        if not blob.complete:
            raise refused(f"cannot unpack layer: {layer.descriptor.digest} was not read to its end")
        if made.diff_id != layer.diff_id:
            raise refused(
                f"cannot use image: the layer {layer.descriptor.digest} unpacks to {made.diff_id}, not {layer.diff_id}"
            )
        return made

    def _keep(self, stage: Path, made: Unpacked) -> None:
        record = LayerRecord(
            size=made.size,
            entries=made.entries,
            opaque_root="" in made.opaque,
            implicit=made.implicit,
        )
        marks = [path for path in made.opaque if path]
        self._blobs.keep_layer(stage, made.diff_id, record, marks)
