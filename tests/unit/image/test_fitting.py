"""What a pull that does not fit takes away for itself: what it would go on with only when nothing else is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.host.space import Space
from tank.image.blobs import Blobs
from tank.image.claims import Claims
from tank.image.collect import Goal
from tank.image.fitting import Fitting
from tank.image.keeper import Keeper
from tank.image.layers import Layer, Layers
from tank.image.manifest import Descriptor
from tank.image.parts import Parts
from tank.image.room import Room
from tank.image.unsynced import Unsynced
from tests.property.test_collection import Heap

NOW = 100_000.0
TOTAL, FLOOR = 1_000_000, 40_000
HELD = 60_000  # bytes of the layer that an earlier try has brought
DIGEST = "sha256:" + "a" * 64
LAYER = Layer(
    registry="registry.example",
    descriptor=Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=DIGEST, size=100_000),
    diff_id="sha256:" + "b" * 64,
)
UNPACKED = 300_000  # what it is thought to take, without the copy


class Disk(Room):
    """A disk on which so much is taken by others beside the parts."""

    taken = 0

    def space(self) -> Space:
        used = type(self).taken + sum(each.stat().st_size for each in (self.directory / "parts").iterdir())
        return Space(used=used, free=TOTAL - used)


class Store:
    """A store with a part of an hour ago, and what may be collected for a pull."""

    def __init__(self, directory: Path, spare: int) -> None:
        Disk.taken = TOTAL - FLOOR - HELD - spare
        self.blobs, self.claims = Blobs(directory), Claims(lambda: NOW)
        self.blobs.prepare()
        self.room = Disk(directory=directory, reserve=0)
        self.parts = Parts(self.blobs, self.claims, self.room)
        self.keeper = Keeper(self.blobs, self.claims, lambda: NOW, Heap(lambda: False))
        layers = Layers(self.blobs, self.parts, self.room, Unsynced(self.blobs, "boot"))
        self.fitting = Fitting(self.room, layers)
        self.fitting.make_room = self.make_room
        self.part = self.blobs.part(DIGEST)
        self.part.write_bytes(bytes(HELD))
        os.utime(self.part, (NOW - 3600, NOW - 3600))

    async def make_room(self, size: int) -> None:
        spare, _ = self.room.spare(self.room.space())
        self.keeper.thin(await self.keeper.look(), Goal(size=max(0, size - spare)))


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    made = Store(tmp_path / "images", request.param)
    yield made
    made.blobs.close()


@pytest.mark.parametrize("store", [UNPACKED + 10_000], indirect=True)
async def test_a_pull_that_fits_without_copies_keeps_what_it_goes_on_with(store: Store) -> None:
    await store.fitting.admit("pull", (LAYER,))
    assert store.part.exists()


@pytest.mark.parametrize("store", [UNPACKED - 10_000], indirect=True)
async def test_what_keeps_a_pull_from_fitting_goes_even_if_it_is_its_own(store: Store) -> None:
    await store.fitting.admit("pull", (LAYER,))
    assert not store.part.exists()


@pytest.mark.parametrize("store", [UNPACKED - 10_000 - HELD], indirect=True)
async def test_a_pull_that_fits_in_no_way_is_refused(store: Store) -> None:
    with pytest.raises(PullFailed, match="cannot pull image"):
        await store.fitting.admit("pull", (LAYER,))


@pytest.mark.parametrize("store", [UNPACKED + 10_000], indirect=True)
async def test_what_stays_for_one_pull_another_may_go_on_with(store: Store) -> None:
    with store.parts.staying([DIGEST]):
        part = store.parts.take(DIGEST, 100_000)
        assert part is not None
        assert store.parts.take(DIGEST, 100_000) is None
        await store.parts.give(part)
