"""The store on a disk that loses power, fills up or turns read-only (R25, R28, R29).

A power cut is the shutdown ioctl of ext4 on a loop mount: everything that was not flushed is gone at once, and the
next mount recovers the journal, as after a cold start. Writers in a process of their own say what was acknowledged.
TANK_CUTS sets how many cuts there are.

Two things that the ioctl has and a cold start has not: a flush that is under way while it takes effect may report
success (seen without SQLite too, in one cut of five), so only what was told before it was called must survive; and
the file system stays shut for whoever still holds it in another mount namespace, so a copy of the disk is looked at.
"""

from __future__ import annotations

import fcntl
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tank.errors import Unavailable
from tank.model.pod import Container, Pod
from tank.store.base import Put
from tank.store.sqlite import SqliteStore
from tests.waiting import wait_for

pytestmark = pytest.mark.system

CUTS = int(os.environ.get("TANK_CUTS", "5"))
FS_IOC_SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = struct.pack("I", 2)

# Eight clients write at once until the store is unavailable; each acknowledged write is told before the next.
WRITERS = """
import asyncio, os, sys
from pathlib import Path
from tank.errors import Unavailable
from tank.model.pod import Container, Pod
from tank.store.base import Put
from tank.store.sqlite import SqliteStore

def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def client(store, name, number):
    while True:
        number += 1
        spec = Pod(
            name=name,
            containers=(Container(name="main", image="docker.io/library/x:1"),),
            labels={"n": str(number), "filler": "x" * 500},
        )
        (stored,) = await store.put([Put(spec=spec, uid=os.urandom(6).hex())], 1.0)
        tell("put", name, number, stored.revision)
        if number % 5 == 0:
            stone = await store.delete(name, None, 1.0)
            tell("deleted", name, number, 0)

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    await store.adopt([], 1.0)
    tell("ready", "-", 0, (await store.read()).revision)
    start = int(sys.argv[2])
    await asyncio.gather(*(client(store, f"pod-{n}", start) for n in range(8)))

try:
    asyncio.run(main())
except Unavailable:
    pass
finally:
    os._exit(0)
"""


@contextmanager
def mounted(image: Path, point: Path) -> Iterator[Path]:
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


@contextmanager
def tmpfs(point: Path, size: str) -> Iterator[Path]:
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-qF", str(image)], check=True)
    return image


def cut_power(point: Path) -> None:
    descriptor = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, WITHOUT_FLUSH)
    finally:
        os.close(descriptor)


class Told(NamedTuple):
    """An acknowledged step of one client: its pod is at `number`, or deleted (None), since `revision`."""

    name: str
    number: int | None
    revision: int


def write_until_cut(point: Path, start: int, patience: int) -> tuple[list[Told], int]:
    """Every step that was acknowledged, and how many of them before the power was cut."""
    argv = [sys.executable, "-c", WRITERS, str(point / "store.db"), str(start)]
    told: list[Told] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as writers:
        assert writers.stdout is not None
        for line in writers.stdout:
            what, name, number, revision = line.split()
            told.append(Told(name, int(number) if what == "put" else None, int(revision)))
            if len(told) == patience:
                cut_power(point)
    assert writers.returncode == 0
    assert len(told) >= patience
    return told, patience


def pod(name: str, filler: int = 0) -> Pod:
    container = Container(name="main", image="docker.io/library/x:1")
    return Pod(name=name, containers=(container,), annotations={"filler": "x" * filler})


async def found(path: Path) -> tuple[dict[str, int], int, Path | None, str | None]:
    """The number that each pod is at, the counter, the damage and what a check says."""
    store = await SqliteStore.open(path)
    contents = await store.read()
    numbers = {name: int(each.spec.labels["n"]) for name, each in contents.pods.items()}
    answer = numbers, contents.revision, store.damaged, await store.check()
    await store.close()
    return answer


def check_survival(told: list[Told], certain: int, numbers: dict[str, int], counter: int) -> None:
    """Each client's last step before the cut is there, or one that followed it, or was under way at the end."""
    for name in {each.name for each in told[:certain]} - {"-"}:
        before = [each.number for each in told[:certain] if each.name == name]
        later = [each.number for each in told[certain:] if each.name == name]
        newest = max(number for number in (*before, *later, 0) if number is not None)
        under_way = None if newest % 5 == 0 and [*before, *later][-1] is not None else newest + 1
        assert numbers.get(name) in {before[-1], *later, under_way}
    assert counter >= max(each.revision for each in told[:certain])


def survivor(disk: Path) -> Path:
    """The disk as the next start finds it."""
    copy = disk.with_name(f"{disk.stem}-.img")
    subprocess.run(["cp", "--sparse=always", str(disk), str(copy)], check=True)
    disk.unlink()
    return copy.rename(disk)


@pytest.mark.timeout(60 + 10 * CUTS)
async def test_every_acknowledged_write_survives_a_power_cut(disk: Path, tmp_path: Path) -> None:
    chance = random.Random(20)
    point, start, survived = tmp_path / "mnt", 0, 0
    for _ in range(CUTS):
        with mounted(disk, point):
            told, certain = write_until_cut(point, start, chance.randrange(1, 400))
        disk = survivor(disk)
        with mounted(disk, point):
            numbers, counter, damaged, fault = await found(point / "store.db")
        survived += certain
        start = max(each.number or 0 for each in told) + 10

        assert (damaged, fault) == (None, None)
        check_survival(told, certain, numbers, counter)
    print(f"{survived} acknowledged writes survived {CUTS} cuts")


@pytest.mark.timeout(60 + 10 * CUTS)
async def test_a_cut_while_the_store_is_made_leaves_one_that_opens(disk: Path, tmp_path: Path) -> None:
    chance = random.Random(30)
    point = tmp_path / "mnt"
    for _ in range(CUTS):
        with mounted(disk, point):
            for each in point.glob("store.db*"):
                each.unlink()
            argv = [sys.executable, "-c", WRITERS, str(point / "store.db"), "0"]
            with subprocess.Popen(argv, stdout=subprocess.DEVNULL):
                wait_for((point / "store.db").exists)
                for _ in range(chance.randrange(500)):
                    os.stat(point)
                cut_power(point)
        disk = survivor(disk)
        with mounted(disk, point):
            _, _, damaged, fault = await found(point / "store.db")

        assert (damaged, fault) == (None, None)


async def test_a_full_disk_refuses_writes_serves_reads_and_heals_when_there_is_space(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "2m") as point:
        store = await SqliteStore.open(point / "store.db")
        await store.put([Put(spec=pod("before"), uid="a" * 12)], 1.0)
        ballast = point / "ballast"
        fill(ballast)

        with pytest.raises(Unavailable, match="full"):
            await store.put([Put(spec=pod("during", 100_000), uid="b" * 12)], 2.0)
        served = list((await store.read()).pods), len(await store.history("before"))
        ballast.unlink()
        await store.put([Put(spec=pod("after", 100_000), uid="c" * 12)], 3.0)
        await store.close()

        again = await SqliteStore.open(point / "store.db")
        kept, fault = list((await again.read()).pods), await again.check()
        await again.close()
    assert (served, kept, fault) == ((["before"], 1), ["after", "before"], None)


async def test_a_store_cannot_be_made_on_a_full_disk_and_nothing_is_set_aside(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "1m") as point:
        fill(point / "ballast")

        with pytest.raises(Unavailable):
            await SqliteStore.open(point / "store.db")
        (point / "ballast").unlink()
        store = await SqliteStore.open(point / "store.db")
        fresh = (await store.read()).fresh, store.damaged
        await store.close()

        assert (fresh, list(point.glob("*damaged*"))) == ((True, None), [])


async def test_a_store_on_a_read_only_file_system_is_unavailable_and_untouched(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "1m") as point:
        store = await SqliteStore.open(point / "store.db")
        await store.put([Put(spec=pod("web"), uid="a" * 12)], 1.0)
        await store.close()
        subprocess.run(["mount", "-o", "remount,ro", str(point)], check=True)

        with pytest.raises(Unavailable):
            await SqliteStore.open(point / "store.db")
        subprocess.run(["mount", "-o", "remount,rw", str(point)], check=True)
        again = await SqliteStore.open(point / "store.db")
        kept = list((await again.read()).pods)
        await again.close()

        assert (kept, [each.name for each in point.iterdir()]) == (["web"], ["store.db"])


def fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
