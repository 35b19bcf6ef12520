"""Layers on their way: the rest of one that is refused, and an earlier try on a disk that is nearly full."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.host.space import Space
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.layers import Layer, Layers
from tank.image.manifest import Descriptor, digest_of
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


GOOD = archives.archive(archives.member(b"file", data=b"x" * 2**20))
HELD = 2**19  # bytes of it that an earlier try has brought
FINE = Layer(
    registry=IMAGE.registry,
    descriptor=Descriptor(media_type="application/vnd.oci.image.layer.v1.tar", digest=digest_of(GOOD), size=len(GOOD)),
    diff_id=digest_of(GOOD),
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


class Resumed:
    """A good blob, or the rest of one: a `Stream`. `fetched`: bytes that came from afar."""

    complete = False

    def __init__(self, *, breaks: bool) -> None:
        self._breaks, self.fetched = breaks, 0

    async def pieces(
        self, count: Callable[[int], None] = ignored, part: Part | None = None
    ) -> AsyncGenerator[bytes, None]:
        held = b""
        if part is not None:
            async for piece in part.kept():
                held += piece
                yield piece
        if self._breaks:
            raise refused("cannot pull image: it broke off")
        rest = GOOD[len(held) :]
        self.fetched = len(rest)
        if part is not None:
            await part.add(rest)
        yield rest
        self.complete = True


class Tight(Room):
    """A disk on which a layer fits that is good, and no copy of it."""

    def fault(self, seen: Space, size: int = 0) -> str:
        return "there is no room" if size > len(GOOD) else ""


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


async def bring(blobs: Blobs, room: Room, layer: Layer, way: Download) -> None:
    unsynced = Unsynced(blobs, "boot")
    layers = Layers(blobs, Parts(blobs, Claims(), room), room, unsynced)
    try:
        await layers.bring(Place(way), IMAGE, (layer,))
    finally:
        await layers.close()
        await unsynced.close()


async def refuse(blobs: Blobs, *, keeps: bool) -> Evil:
    stream = Evil(blobs.scratch)
    room = Room(directory=blobs.documents, reserve=0)
    with pytest.raises(PullFailed, match="lead out"):
        await bring(blobs, room, LAYER, Download(asyncio.Semaphore(), lambda: stream, keeps=keeps))
    return stream


async def test_a_refusal_is_told_though_the_rest_breaks_off(blobs: Blobs) -> None:
    stream = await refuse(blobs, keeps=True)

    assert stream.asked == 1 + PIECES
    assert blobs.part(LAYER.descriptor.digest).stat().st_size == len(EVIL) + PIECES * len(PIECE)


async def test_what_was_unpacked_goes_before_the_rest_comes(blobs: Blobs) -> None:
    stream = await refuse(blobs, keeps=True)

    assert stream.unpacked == []


async def test_the_rest_of_a_refused_layer_that_is_not_kept_is_not_fetched(blobs: Blobs) -> None:
    stream = await refuse(blobs, keeps=False)

    assert stream.asked < PIECES


async def test_a_download_is_gone_on_with_where_there_is_no_room_for_a_copy(blobs: Blobs) -> None:
    part, room = blobs.part(FINE.descriptor.digest), Tight(directory=blobs.documents, reserve=0)
    part.write_bytes(GOOD[:HELD])

    with pytest.raises(PullFailed, match="broke off"):
        await bring(blobs, room, FINE, Download(asyncio.Semaphore(), lambda: Resumed(breaks=True)))
    assert part.stat().st_size == HELD
    stream = Resumed(breaks=False)
    await bring(blobs, room, FINE, Download(asyncio.Semaphore(), lambda: stream))

    assert (stream.fetched, blobs.layer(FINE.diff_id) is not None) == (len(GOOD) - HELD, True)
    assert [*blobs.parts.iterdir(), *blobs.packed.iterdir()] == []
