"""Layers that are damaged on their way, or on the disk: what is wrong is not kept, and is had from elsewhere."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tank.config import Settings
from tank.errors import PullFailed
from tank.image.pull import ImageStore
from tank.model.registry_fields import Registry as Configured
from tests import archives, images, registry
from tests.registry import Registry

pytestmark = pytest.mark.system

FILES: dict[str, bytes | str] = {f"f{number}": os.urandom(100_000) for number in range(60)}
WHERE = {"at its begin": 200, "in the middle": 3_000_000, "at its very end": -4}


@asynccontextmanager
async def store(directory: Path, **mirrors: tuple[str, ...]) -> AsyncIterator[ImageStore]:
    """A store that knows these mirrors of the registry called `origin`."""
    hosts = {host: Configured(mirrors=those) for host, those in mirrors.items()}
    made = ImageStore(
        Settings(data_dir=directory, registries=hosts, image_reserve=0), environment={"HOME": "/nonexistent"}
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def layer_of(layout: Path) -> Path:
    return max((layout / "blobs/sha256").iterdir(), key=lambda each: each.stat().st_size)


def stored(running: Registry, digest: str) -> Path:
    """Where a registry has a blob."""
    return running.directory / "data/docker/registry/v2/blobs/sha256" / digest[:2] / digest / "data"


def damage(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    at = place % len(data)
    stop = min(len(data), at + 500_000)
    data[at:stop] = bytes(each ^ 0x5A for each in data[at:stop])
    file.write_bytes(data)


def kept(directory: Path) -> list[Path]:
    return [path for each in ("parts", "packed", "scratch") for path in (directory / "images" / each).iterdir()]


@pytest.mark.parametrize("case", WHERE)
async def test_what_a_mirror_has_damaged_comes_from_the_registry(case: str, tmp_path: Path) -> None:
    layout = images.layout(tmp_path / "layout", [images.layer(FILES, ())], {})
    with registry.plain(tmp_path / "mirror") as mirror, registry.plain(tmp_path / "origin") as origin:
        mirror.push(layout, "it:1")
        reference = origin.push(layout, "it:1")
        damage(stored(mirror, layer_of(layout).name), WHERE[case])
        async with store(tmp_path / "data", **{origin.address: (mirror.address,)}) as here:
            image = await here.resolve(reference, "if_missing", None)

    assert {each.name: each.read_bytes() for each in image.layers[0].iterdir()} == FILES


@pytest.mark.parametrize("case", WHERE)
async def test_what_only_a_damaged_registry_has_is_told_as_that_and_kept_nowhere(case: str, tmp_path: Path) -> None:
    layout = images.layout(tmp_path / "layout", [images.layer(FILES, ())], {})
    layer = layer_of(layout)
    with registry.plain(tmp_path / "origin") as origin:
        reference = origin.push(layout, "it:1")
        damage(stored(origin, layer.name), WHERE[case])
        async with store(tmp_path / "data") as here:
            with pytest.raises(PullFailed, match=f"sent is not sha256:{layer.name}"):
                await here.resolve(reference, "if_missing", None)
            assert kept(tmp_path / "data") == []
            stored(origin, layer.name).write_bytes(layer.read_bytes())
            image = await here.resolve(reference, "if_missing", None)

    assert len(list(image.layers[0].iterdir())) == len(FILES)


@pytest.mark.parametrize("case", ["at its begin", "in the middle"])
async def test_a_part_that_the_disk_has_damaged_is_fetched_anew(case: str, tmp_path: Path) -> None:
    layout = images.layout(tmp_path / "layout", [images.layer(FILES, ())], {})
    layer = layer_of(layout)
    with registry.plain(tmp_path / "origin") as origin:
        reference = origin.push(layout, "it:1")
        async with store(tmp_path / "data") as here:
            part = tmp_path / "data/images/parts" / layer.name
            part.write_bytes(layer.read_bytes()[:4_000_000])
            damage(part, WHERE[case])
            image = await here.resolve(reference, "if_missing", None)

    assert {each.name: each.read_bytes() for each in image.layers[0].iterdir()} == FILES
    assert kept(tmp_path / "data") == [tmp_path / "data/images/packed" / layer.name]


async def test_a_layer_that_is_bad_itself_is_fetched_once(tmp_path: Path) -> None:
    evil = archives.archive(archives.member(b"../evil"), archives.member(b"big", data=os.urandom(3_000_000)))
    layout = images.layout(tmp_path / "layout", [evil], {})
    with registry.plain(tmp_path / "origin") as origin:
        reference = origin.push(layout, "evil:1")
        async with store(tmp_path / "data") as here:
            for _ in range(2):
                with pytest.raises(PullFailed, match="lead out"):
                    await here.resolve(reference, "if_missing", None)
                stored(origin, layer_of(layout).name).unlink(missing_ok=True)

    assert [each.name for each in (tmp_path / "data/images/parts").iterdir()] == [layer_of(layout).name]
