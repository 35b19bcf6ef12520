"""Pulls on a disk that loses power, and pulls that are killed: a layer is whole or absent (R23, R24).

The next pull heals what is missing. The cut is the one of test_store_cut: the shutdown ioctl of ext4, and a look at a
copy of the disk. What a layer must be is taken from an undisturbed pull: names, modes, owners, times, links, attributes
and contents of all files. TANK_CUTS sets how many cuts and kills there are.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tank.config import Settings
from tank.image.pull import ImageStore
from tests import images
from tests.registry import Registry
from tests.system.test_store_cut import cut_power, survivor
from tests.trees import Node, tree
from tests.unpackers import unpackers_end
from tests.waiting import wait_for

pytestmark = pytest.mark.system

CUTS = int(os.environ.get("TANK_CUTS", "3"))
LAYERS, FILES = 3, 250

# Pulls side by side, three at once: whoever is killed or cut off has several layers under way (R24).
PULLER = """
import asyncio, os, sys
from pathlib import Path
from tank.config import Settings
from tank.image.pull import ImageStore

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), run_dir=Path(sys.argv[1]) / "run")
    store = ImageStore(settings, environment={})
    await store.open()
    os.write(1, b"ready\\n")
    await asyncio.gather(*(store.resolve(each, "if_missing", None) for each in sys.argv[2:]), return_exceptions=True)
    await store.close()  # which waits for the disk
    os.write(1, b"done\\n")

asyncio.run(main())
os._exit(0)
"""


@pytest.fixture(scope="module")
def pushed(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three images that share their lowest layer."""
    chance = random.Random(7)
    below = layer(chance, "base")
    found = []
    for name in ("one", "two", "three"):
        stack = [below, *(layer(chance, f"{name}{number}") for number in range(LAYERS - 1))]
        layout = images.layout(tmp_path_factory.mktemp(name), stack, {"Cmd": ["/x"]})
        found.append(registry.push(layout, f"cut/{name}:1"))
    return found


def layer(chance: random.Random, name: str) -> bytes:
    folders = [f"{name}-{number}" for number in range(10)]
    entries: dict[str, bytes | str] = {
        f"{name}-{number % 10}/f{number}": chance.randbytes(chance.choice((0, 100, 9_000))) for number in range(FILES)
    }
    entries[f"{name}-0/link"] = "f0"
    return images.layer(entries, folders)


def store(directory: Path, boot: str | None = None) -> ImageStore:
    return ImageStore(Settings(data_dir=directory, run_dir=directory / "run"), environment={}, boot=boot)


async def whole(directory: Path, references: list[str]) -> dict[str, dict[str, Node]]:
    """Pull all that is not here; each layer of what is here then."""
    opened = store(directory)
    await opened.open()
    try:
        found = [await opened.resolve(each, "if_missing", None) for each in references]
        return {path.name: tree(path) for image in found for path in image.layers}
    finally:
        opened.keeper.bin.hurry()
        await opened.keeper.bin.emptied()  # removal is slow on purpose, and nobody else waits for it
        await opened.close()


async def here(directory: Path, references: list[str], boot: str | None = None) -> dict[str, dict[str, Node]]:
    """Every layer that counts, of images that are whole or not; asks no registry."""
    opened = store(directory, boot)
    await opened.open()
    try:
        for each in references:
            image = await opened.find(each)
            assert image is None or all(path.is_dir() for path in image.layers)
        return {path.name: tree(path) for path in (directory / "images/layers").iterdir() if path.is_dir()}
    finally:
        await opened.close()


@contextmanager
def mounted(disk: Path, point: Path) -> Iterator[None]:
    """Unpackers of a pull that was killed end a moment after it, and hold the disk until then."""
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(point)], check=True)
    try:
        yield
    finally:
        umount = ["umount", str(point)]
        wait_for(lambda: subprocess.run(umount, check=False, capture_output=True).returncode == 0, what="the unpackers")


def fresh(disk: Path) -> Path:
    """An empty disk in this file."""
    with disk.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-qF", "-N", "20000", str(disk)], check=True)
    return disk


def start(directory: Path, references: list[str]) -> subprocess.Popen[bytes]:
    puller = subprocess.Popen(
        [sys.executable, "-c", PULLER, str(directory), *references], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert puller.stdout is not None
    assert puller.stdout.readline() == b"ready\n"
    return puller


def finish(puller: subprocess.Popen[bytes]) -> None:
    with puller:
        puller.kill()


def pull_time(directory: Path, references: list[str]) -> float:
    """Seconds that an undisturbed pull takes here."""
    began = time.monotonic()
    with start(directory, references) as puller:
        assert puller.stdout is not None
        assert puller.stdout.read() == b"done\n"
    return time.monotonic() - began


@pytest.mark.timeout(120 + 40 * CUTS)
async def test_a_layer_is_whole_or_absent_after_a_power_cut(pushed: list[str], tmp_path: Path) -> None:
    chance, point = random.Random(40), tmp_path / "mnt"
    expected = await whole(tmp_path / "undisturbed", pushed)
    takes = pull_time(tmp_path / "timed", pushed)
    kept = 0
    for _ in range(CUTS):
        disk = fresh(tmp_path / "disk.img")
        with mounted(disk, point):
            puller = start(point / "data", pushed)
            await asyncio.sleep(chance.uniform(0.0, 2.0) * takes)  # here it takes longer, for it goes to a disk
            cut_power(point)
            finish(puller)
        with mounted(survivor(disk), point):
            found = await here(point / "data", pushed, boot="the one after the cut")
            assert found == {name: expected[name] for name in found}
            assert await whole(point / "data", pushed) == expected
        kept += len(found)
        disk.unlink()
    print(f"{kept} of {CUTS * len(expected)} layers were whole after {CUTS} cuts, the others absent")


async def test_what_was_waited_for_is_there_after_a_power_cut(pushed: list[str], tmp_path: Path) -> None:
    expected, point = await whole(tmp_path / "undisturbed", pushed), tmp_path / "mnt"
    disk = fresh(tmp_path / "disk.img")
    with mounted(disk, point):
        pull_time(point / "data", pushed)
        cut_power(point)
    with mounted(survivor(disk), point):
        assert await here(point / "data", pushed, boot="the one after the cut") == expected


@pytest.mark.timeout(120 + 40 * CUTS)
async def test_a_pull_that_is_killed_leaves_whole_layers_and_the_next_one_takes_them_up(
    pushed: list[str], tmp_path: Path
) -> None:
    chance, directory = random.Random(50), tmp_path / "data"
    expected = await whole(tmp_path / "undisturbed", pushed)
    takes = pull_time(tmp_path / "timed", pushed)
    kept = 0
    for _ in range(CUTS):
        puller = start(directory, pushed)
        await asyncio.sleep(chance.uniform(0.0, 1.0) * takes)
        puller.send_signal(signal.SIGKILL)
        finish(puller)
        unpackers_end(directory)
        found = await here(directory, pushed)
        kept += len(found)
        assert found == {name: expected[name] for name in found}
        assert await whole(directory, pushed) == expected
        assert list((directory / "images/scratch").iterdir()) == []
        subprocess.run(["rm", "-rf", str(directory)], check=True)
    print(f"{kept} of {CUTS * len(expected)} layers were whole after {CUTS} kills, the others absent")
