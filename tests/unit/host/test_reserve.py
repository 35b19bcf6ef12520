"""Space that is held back: really taken, really let go of, and judged by both bytes and inodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.host import reserve
from tank.host.reserve import Reserve
from tank.host.space import Space
from tank.image.room import Room

GIB = 2**30


@pytest.mark.parametrize(("total", "size"), [(10**12, 64 * 2**20), (10**9, 2 * 10**7)], ids=["large", "small"])
def test_a_small_disk_has_a_small_reserve(total: int, size: int) -> None:
    assert reserve.size_for(total) == size


def test_what_is_reserved_is_taken_and_let_go_of(tmp_path: Path) -> None:
    held = Reserve(tmp_path / "reserve")
    held.take(2**20)
    file = tmp_path / "reserve" / "space"
    assert (held.held, file.stat().st_blocks * 512 >= 2**20) == (2**20, True)
    held.release()
    held.release()
    assert (held.held, list((tmp_path / "reserve").iterdir())) == (0, [])


def test_pulls_leave_the_reserve_and_at_most_a_tenth(tmp_path: Path) -> None:
    room = Room(directory=tmp_path, reserve=GIB)
    assert room.floor(Space(used=0, free=100 * GIB)).size == GIB
    assert room.floor(Space(used=0, free=GIB)).size == GIB // 10


@pytest.mark.parametrize(
    ("seen", "size", "said"),
    [
        (Space(used=50 * GIB, free=50 * GIB), GIB, ""),
        (Space(used=50 * GIB, free=2 * GIB), 2 * GIB, "it takes about 2.1 GB, 2.1 GB are free"),
        (Space(used=99 * GIB, free=GIB // 2), 0, "are kept free"),
        (Space(used=0, free=99 * GIB, inodes_used=990, inodes_free=10), 0, "of 1000 inodes 10 are free"),
        (Space(used=0, free=99 * GIB), 0, ""),
    ],
    ids=["plenty", "too large", "at the floor", "no inodes", "none are counted"],
)
def test_what_does_not_fit_is_said_in_words(tmp_path: Path, seen: Space, size: int, said: str) -> None:
    fault = Room(directory=tmp_path, reserve=GIB).fault(seen, size)
    assert said in fault
    assert bool(fault) == bool(said)
