"""The floor holds for whoever takes before it writes: step by step, with smaller steps towards the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.host import space
from tank.host.space import Space
from tank.image.headroom import STEP, STEP_INODES, Floor, Headroom

SEEN = Space(used=900, free=100, inodes_used=90, inodes_free=10)


@pytest.mark.parametrize(
    ("floor", "size", "inodes", "fits"),
    [
        (Floor(40, 5), 60, 4, True),
        (Floor(40, 5), 61, 0, False),
        (Floor(100, 5), 0, 0, False),
        (Floor(40, 5), 0, 5, False),
        (Floor(40, 10), 0, 0, False),
    ],
)
def test_what_would_come_from_the_floor_does_not_fit(floor: Floor, size: int, inodes: int, fits: bool) -> None:
    assert (floor.fault(SEEN, size, inodes) == "") is fits


def test_a_file_system_that_counts_no_inodes_has_plenty() -> None:
    assert Floor(0, 10**9).fault(Space(used=0, free=10)) == ""


class Disk:
    """A disk that only a test writes to. `looks`: how often somebody looked at it."""

    def __init__(self, free: int, inodes: int) -> None:
        self.free, self.inodes, self.looks = free, inodes, 0

    def look(self, _: object) -> Space:
        self.looks += 1
        return Space(used=0, free=self.free, inodes_used=0, inodes_free=self.inodes)


def fill(disk: Disk, writers: int, size: int, floor: Floor) -> None:
    """Write files in turn until nobody may any more."""
    alive = [Headroom(0, floor, disk.look) for _ in range(writers)]
    while alive:
        for each in list(alive):
            if each.take(size, 1):
                alive.remove(each)
            else:
                disk.free -= size
                disk.inodes -= 1


@pytest.mark.parametrize("size", [0, 100, 70_000, 3 * STEP])
def test_however_many_write_at_once_they_stop_within_a_step_of_each(size: int) -> None:
    disk, writers = Disk(2**30, 20_000), 6
    fill(disk, writers, size, Floor(2**26, 1_000))
    assert disk.free >= 2**26 - writers * STEP
    assert disk.inodes >= 1_000 - writers * STEP_INODES
    assert disk.free < 2**26 + max(2 * STEP, 2 * size) or disk.inodes < 1_100


def test_small_files_cost_few_looks() -> None:
    disk = Disk(2**40, 10**9)
    writer = Headroom(0, Floor(2**30, 1_000), disk.look)
    assert all(writer.take(10_000, 1) == "" for _ in range(24_000))
    assert disk.looks < 600


def test_a_real_disk_is_looked_at(tmp_path: Path) -> None:
    assert Headroom(tmp_path, Floor(0, 0)).take(1) == ""
    assert "are kept free" in Headroom(tmp_path, Floor(2 * space.look(tmp_path).free, 0)).take(1)
