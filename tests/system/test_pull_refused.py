"""A layer that the unpacker refuses: its rest is had if it is kept, and is no news beside the refusal."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.layers import Layer, Layers
from tank.image.manifest import Descriptor
from tank.image.parts import Part, Parts
from tank.image.refusal import refused
from tank.image.room import Room
from tank.image.source import Download, Served, Witness, ignored
from tank.image.unsynced import Unsynced
from tank.model import reference as references
from tank.model.reference import Reference
from tests import archives
from tests.waiting import wait_until

pytestmark = pytest.mark.system

IMAGE = references.parse("registry.example/evil:1")
EVIL = archives.archive(archives.member(b"../evil"), archives.member(b"big", data=bytes(2**21)))
PIECE, PIECES = bytes(2**20), 16  # what comes once the unpacker has gone
LAYER = Layer(
    registry=IMAGE.registry,
    descriptor=Descriptor(
        media_type="application/vnd.oci.image.layer.v1.tar",
        digest="sha256:" + "a" * 64,
        size=len(EVIL) + 2 * PIECES * len(PIECE),
    ),
    diff_id="sha256:" + "a" * 64,
)


class Evil:
    """A blob that breaks off: a `Stream`. `asked`: pieces that were had once the unpacker had gone."""

    complete = False

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.asked = 0
        self.unpacked: list[Path] | None = None  # what lay there when it broke off

    async def pieces(
        self, count: Callable[[int], None] = ignored, part: Part | None = None
    ) -> AsyncGenerator[bytes, None]:
        for piece in (EVIL, *[PIECE] * PIECES):
            if part is not None:
                await part.add(piece)
                await part.flush()
            yield piece
            await wait_until(unpacker_has_gone)
            self.asked += 1
        self.unpacked = list(self._scratch.iterdir())
        raise refused("cannot pull image: it broke off")


class Place:
    """Where it comes from, in the one way."""

    def __init__(self, way: Download) -> None:
        self._way = way

    async def manifest(self, reference: Reference, target: str) -> Served:
        raise AssertionError("only the layer is fetched")

    async def document(self, reference: Reference, wanted: Descriptor) -> bytes:
        raise AssertionError("only the layer is fetched")

    def witnesses(self, reference: Reference) -> Sequence[Witness]:
        return ()

    def downloads(self, reference: Reference, wanted: Descriptor) -> Sequence[Download]:
        return (self._way,)


def unpacker_has_gone() -> bool:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return not any(b"tank.image.untar" in Path(f"/proc/{each}/cmdline").read_bytes() for each in children)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[Blobs]:
    made = Blobs(tmp_path / "images")
    made.prepare()
    yield made
    made.close()


async def bring(blobs: Blobs, *, keeps: bool) -> Evil:
    room = Room(directory=blobs.documents, reserve=0)
    unsynced = Unsynced(blobs, "boot")
    layers = Layers(blobs, Parts(blobs, Claims(), room), room, unsynced)
    stream = Evil(blobs.scratch)
    with pytest.raises(PullFailed, match="lead out"):
        await layers.bring(Place(Download(asyncio.Semaphore(), lambda: stream, keeps=keeps)), IMAGE, (LAYER,))
    await layers.close()
    await unsynced.close()
    return stream


async def test_a_refusal_is_told_though_the_rest_breaks_off(blobs: Blobs) -> None:
    stream = await bring(blobs, keeps=True)

    assert stream.asked == 1 + PIECES
    assert blobs.part(LAYER.descriptor.digest).stat().st_size == len(EVIL) + PIECES * len(PIECE)


async def test_what_was_unpacked_goes_before_the_rest_comes(blobs: Blobs) -> None:
    stream = await bring(blobs, keeps=True)

    assert stream.unpacked == []


async def test_the_rest_of_a_refused_layer_that_is_not_kept_is_not_fetched(blobs: Blobs) -> None:
    stream = await bring(blobs, keeps=False)

    assert stream.asked < PIECES
