"""A daemon that is killed in the middle of a pull: no half layer counts, and the next start clears the rest away."""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tank.config import Settings
from tank.image.pull import ImageStore
from tests import images
from tests.contract.test_registry import serving
from tests.registry import Registry
from tests.trees import Node, tree
from tests.unpackers import unpackers_end
from tests.waiting import wait_until

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
LARGE = 20_000_000  # bytes of a layer


def begin(data: Path, reference: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.system.pulling", str(data), reference]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def whole(data: Path, reference: str) -> tuple[dict[str, dict[str, Node]], float]:
    """What a complete pull leaves, by layer, and how long it takes."""
    start = time.monotonic()
    process = begin(data, reference)
    out, err = process.communicate(timeout=60)
    assert "done" in out, err
    return layers(data), time.monotonic() - start


def layers(data: Path) -> dict[str, dict[str, Node]]:
    root = data / "images" / "layers"
    return {path.name: tree(path) for path in root.iterdir() if path.is_dir()} if root.exists() else {}


async def test_a_puller_killed_at_any_moment_leaves_no_half_layer(debian: str, tmp_path: Path) -> None:
    expected, seconds = whole(tmp_path / "whole", debian)
    chance = random.Random(7)
    kills = 0
    while kills < 5:  # fifty are in ./dev sweep-pull
        data = tmp_path / "killed"
        process = begin(data, debian)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=chance.uniform(0.0, seconds))
        except subprocess.TimeoutExpired:
            kills += 1
        process.kill()
        process.communicate()
        unpackers_end(data)

        await check_next_start(data, debian, expected)
        shutil.rmtree(data)


async def check_next_start(
    data: Path, reference: str, expected: dict[str, dict[str, Node]], boot: str | None = None
) -> None:
    """Leftovers go, each layer is whole, and the reference means an image only when all of it is done."""
    store = ImageStore(Settings(data_dir=data), environment={"HOME": "/nonexistent"}, boot=boot)
    await store.open()
    image = await store.find(reference)
    store.keeper.bin.hurry()
    await store.keeper.bin.emptied()  # removal is slow on purpose, and nobody else waits for it
    await store.close()

    assert list((data / "images" / "scratch").iterdir()) == []
    for name, found in layers(data).items():
        assert (data / "images/layers" / f"{name}.json").exists()
        assert found == expected[name]
    assert image is None or all(path.is_dir() for path in image.layers)


async def test_a_pull_after_a_kill_takes_up_the_layers_that_are_whole(registry: Registry, tmp_path: Path) -> None:
    small, large = images.layer({"small": b"s"}, ()), images.layer({"large": random.Random(1).randbytes(LARGE)}, ())
    reference = registry.push(images.layout(tmp_path / "layout", [small, large], {}), "uneven:1")
    data = tmp_path / "data"
    async with withholding(registry) as address:
        process = begin(data, reference.replace(registry.address, address))
        try:
            await wait_until(lambda: len(layers(data)) == 1, what="the small layer")
        finally:
            process.kill()
            process.communicate()
            unpackers_end(data)
    [path] = [path for path in (data / "images/layers").iterdir() if path.is_dir()]
    before = path.stat().st_ino
    whole(data, reference)

    assert path.stat().st_ino == before
    assert len(layers(data)) == 2


@asynccontextmanager
async def withholding(registry: Registry) -> AsyncIterator[str]:
    """The address of a door to the registry that begins to hand out a large blob and does not go on."""

    async def play(request: web.Request) -> web.StreamResponse:
        headers = {"Accept": request.headers["Accept"]} if "Accept" in request.headers else {}
        async with session.get(f"http://{registry.address}{request.path_qs}", headers=headers) as told:
            body = await told.read()
            answer = web.StreamResponse(status=told.status, headers={"Content-Type": told.content_type})
        answer.content_length = len(body)
        await answer.prepare(request)
        if len(body) >= LARGE:
            await answer.write(body[:1000])
            await asyncio.Event().wait()
        await answer.write(body)
        return answer

    async with aiohttp.ClientSession() as session, serving(play) as server:
        yield server.host


@pytest.mark.parametrize("scene", range(3))
async def test_after_a_power_cut_a_layer_is_whole_or_absent(scene: int, debian: str, tmp_path: Path) -> None:
    """The file system is shut down without its journal's last pages, while a pull runs on it (R23)."""
    disk = tmp_path / "disk"
    disk.touch()
    subprocess.run(["truncate", "-s", "2G", disk], check=True)
    subprocess.run(["mkfs.ext4", "-qF", disk], check=True)
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["mount", "-o", "loop", disk, mount], check=True)
    try:
        expected, seconds = whole(tmp_path / "whole", debian)
        cut_in_the_middle(mount, debian, random.Random(scene).uniform(0.2, 1.0) * seconds)
        subprocess.run(["umount", mount], check=True)
        subprocess.run(["mount", "-o", "loop", disk, mount], check=True)
        if (mount / "data").exists():
            await check_next_start(mount / "data", debian, expected, boot="the one after the cut")
    finally:
        subprocess.run(["umount", mount], check=True)


def cut_in_the_middle(mount: Path, reference: str, seconds: float) -> None:
    """Pull onto `mount` and cut its power after some time; the puller is killed, as it would be."""
    process = begin(mount / "data", reference)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    root = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(root, 0x8004587D, struct.pack("I", 2))  # FS_IOC_SHUTDOWN, without flushing the log
    os.close(root)
    process.kill()
    process.communicate()
    unpackers_end(mount / "data")
