"""Notes of what a loss of power may damage: what they list goes after a reboot, and counts until then (R23)."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tank.image.blobs import Blobs, LayerRecord
from tank.image.unsynced import Unsynced
from tests.waiting import wait_until

LAYERS = [f"sha256:{letter * 64}" for letter in "abc"]
NOW, LATER = "this boot", "the next boot"


class Disk(Blobs):
    """One whose syncs can be held up, and can fail."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go, self.begun = threading.Event(), 0
        self.go.set()
        self.failures: list[OSError] = []

    def sync(self) -> None:
        self.begun += 1
        assert self.go.wait(timeout=10)
        if self.failures:
            raise self.failures.pop()
        super().sync()


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "images")
    made.prepare()
    yield made
    made.close()


def name(blobs: Blobs, diff_id: str) -> None:
    stage = blobs.stage()
    (stage / "file").write_text(diff_id)
    blobs.name_layer(stage, LayerRecord(size=1, entries=1), (), diff_id)


def here(blobs: Blobs) -> list[str]:
    return [each for each in LAYERS if blobs.layer(each) is not None]


def notes(blobs: Blobs) -> list[Path]:
    return list(blobs.unsynced.iterdir())


def places(blobs: Blobs, *diff_ids: str) -> list[Path]:
    return [blobs.place(each) for each in diff_ids]


async def opened(blobs: Blobs, boot: str) -> tuple[Unsynced, Sequence[Path]]:
    made = Unsynced(blobs, boot)
    return made, await made.open()


async def killed(blobs: Blobs, *diff_ids: str) -> None:
    """A daemon that names these layers, and is no more before it has synced anything."""
    made = Unsynced(blobs, NOW)
    async with made.naming(places(blobs, *LAYERS)):
        for each in diff_ids:
            name(blobs, each)


async def test_what_was_named_is_synced_and_the_note_goes(blobs: Disk) -> None:
    made, _ = await opened(blobs, NOW)
    async with made.naming(places(blobs, *LAYERS)):
        name(blobs, LAYERS[0])
        assert len(notes(blobs)) == 1
    await made.flush()
    assert (here(blobs), notes(blobs), blobs.begun) == ([LAYERS[0]], [], 1)
    await made.close()
    assert blobs.begun == 1


async def test_a_reboot_takes_away_what_was_not_synced_and_nothing_else(blobs: Disk) -> None:
    name(blobs, LAYERS[0])
    await killed(blobs, LAYERS[0], LAYERS[1])
    made, doubtful = await opened(blobs, LATER)
    assert here(blobs) == [LAYERS[0]]
    assert [(path / "file").read_text() for path in doubtful] == [LAYERS[1]]
    assert {path.parent for path in doubtful} == {blobs.scratch}
    assert notes(blobs) == []
    await made.close()
    assert (await opened(blobs, LATER))[1] == []


async def test_a_killed_daemon_leaves_it_to_the_next_one(blobs: Disk) -> None:
    await killed(blobs, LAYERS[0])
    made, doubtful = await opened(blobs, NOW)
    assert (doubtful, here(blobs), blobs.begun) == ([], [LAYERS[0]], 0)
    await made.close()
    assert (notes(blobs), blobs.begun) == ([], 1)
    assert (await opened(blobs, LATER))[1] == []
    assert here(blobs) == [LAYERS[0]]


async def test_a_long_pull_is_synced_on_its_way(blobs: Disk) -> None:
    made, _ = await opened(blobs, NOW)
    async with made.naming(places(blobs, *LAYERS)):
        name(blobs, LAYERS[0])
        await made.flush()
        name(blobs, LAYERS[1])
        await opened(blobs, LATER)
        assert here(blobs) == [LAYERS[0]]


async def test_what_is_named_during_a_sync_waits_for_the_next(blobs: Disk) -> None:
    made, _ = await opened(blobs, NOW)
    async with made.naming(places(blobs, *LAYERS[:2])):
        name(blobs, LAYERS[0])
        blobs.go.clear()
        syncing = asyncio.create_task(made.flush())
        await wait_until(lambda: blobs.begun == 1)
        name(blobs, LAYERS[1])
        blobs.go.set()
        await syncing
        await opened(blobs, LATER)
        assert here(blobs) == [LAYERS[0]]
    await made.close()


async def test_what_the_disk_did_not_take_counts_for_this_boot_whoever_syncs_again(blobs: Disk) -> None:
    made, _ = await opened(blobs, NOW)
    async with made.naming(places(blobs, LAYERS[0])):
        name(blobs, LAYERS[0])
    blobs.failures = [OSError(errno.EIO, "Input/output error")]
    with pytest.raises(OSError, match="Input/output"):
        await made.flush()
    await made.close()
    again, doubtful = await opened(blobs, NOW)
    await again.close()
    assert (doubtful, here(blobs), len(notes(blobs))) == ([], [LAYERS[0]], 1)
    assert len((await opened(blobs, LATER))[1]) == 1
    assert here(blobs) == []


class Slow(Unsynced):
    """One whose notes are held up, and may fail when they lie there already."""

    def __init__(self, blobs: Blobs, boot: str) -> None:
        super().__init__(blobs, boot)
        self.go, self.begun, self.fails = threading.Event(), threading.Event(), False

    def _write(self, note: Path, paths: frozenset[Path], *, lost: bool = False) -> None:
        self.begun.set()
        assert self.go.wait(timeout=10)
        super()._write(note, paths, lost=lost)
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")


async def brought_and_rebooted(made: Unsynced, blobs: Disk) -> list[str]:
    """Another pull of the same layer comes to its end, and the machine goes down in order."""
    async with made.naming(places(blobs, LAYERS[0])):
        name(blobs, LAYERS[0])
    await made.close()
    await opened(blobs, LATER)
    return here(blobs)


async def test_a_pull_that_is_given_up_while_its_note_is_written_takes_nothing_from_another(blobs: Disk) -> None:
    made = Slow(blobs, NOW)

    async def given_up() -> None:
        async with made.naming(places(blobs, *LAYERS)):
            raise AssertionError("it was cancelled before")

    pull = asyncio.create_task(given_up())
    await wait_until(made.begun.is_set)
    pull.cancel()
    made.go.set()
    await asyncio.gather(pull, return_exceptions=True)

    assert await brought_and_rebooted(made, blobs) == [LAYERS[0]]


async def test_a_note_that_failed_when_it_lay_there_takes_nothing_from_another_pull(blobs: Disk) -> None:
    made = Slow(blobs, NOW)
    made.go.set()
    made.fails = True
    with pytest.raises(OSError, match="Input/output"):
        async with made.naming(places(blobs, *LAYERS)):
            pass
    made.fails = False

    assert await brought_and_rebooted(made, blobs) == [LAYERS[0]]


async def test_a_note_that_is_gone_already_stops_nothing(blobs: Disk) -> None:
    made, _ = await opened(blobs, NOW)
    for each in LAYERS[:2]:
        async with made.naming(places(blobs, each)):
            name(blobs, each)
    notes(blobs)[0].unlink()
    await made.close()
    assert notes(blobs) == []


async def test_a_damaged_note_stops_nothing(blobs: Disk) -> None:
    name(blobs, LAYERS[0])
    (blobs.unsynced / "odd").write_bytes(b"\xff{")
    made, doubtful = await opened(blobs, NOW)
    assert (doubtful, here(blobs), notes(blobs)) == ([], [LAYERS[0]], [])
    await made.close()
