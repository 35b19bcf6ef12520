"""Overlays with one and with many layers, by both interfaces; what is mounted is seen and taken off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.errors import Failed
from tank.host import files, mounts

pytestmark = pytest.mark.system


@pytest.fixture
def top(short_tmp: Path) -> Iterator[Path]:
    for name in ("upper", "work", "mnt"):
        (short_tmp / name).mkdir()
    yield short_tmp
    mounts.unmount_below(short_tmp)


def layers(top: Path, count: int) -> list[Path]:
    made = [top / f"{'x' * 200}{number}" for number in range(count)]
    for number, path in enumerate(made):
        path.mkdir()
        (path / f"f{number}").touch()
        (path / "same").write_text(str(number))
    return made


@pytest.mark.parametrize("count", [1, 127])
def test_an_overlay_shows_all_layers_and_the_topmost_wins(top: Path, count: int) -> None:
    below = layers(top, count)
    mounts.overlay(below, top / "upper", top / "work", top / "mnt", flags=("volatile",))
    assert (top / "mnt/same").read_text() == str(count - 1)
    assert len(os.listdir(top / "mnt")) == count + 1
    (top / "mnt/f0").unlink()
    assert (below[0] / "f0").exists()
    (found,) = mounts.mounts(top)
    assert (found.kind, Path(found.target)) == ("overlay", top / "mnt")
    assert "nodev" in found.options


def test_the_older_interface_takes_as_many_layers_as_fit(top: Path) -> None:
    below = layers(top, 100)
    mounts._overlay_by_options(below, top / "upper", top / "work", top / "mnt", ("volatile",))
    assert (top / "mnt/same").read_text() == "99"


def test_too_many_layers_are_refused_in_the_kernels_words(top: Path) -> None:
    with pytest.raises(Failed, match="too many"):
        mounts.overlay(layers(top, 501), top / "upper", top / "work", top / "mnt")
    assert not mounts.is_mounted(top / "mnt")


def test_a_mount_point_is_told_from_a_directory_even_on_the_same_file_system(top: Path) -> None:
    assert not mounts.is_mounted(top / "mnt")
    assert not mounts.is_mounted(top / "none/at/all")
    mounts.bind(top / "upper", top / "mnt")
    mounts.bind(top / "work", top / "mnt")
    assert mounts.is_mounted(top / "mnt")
    mounts.unmount(top / "mnt")
    mounts.unmount(top / "mnt")
    assert not mounts.is_mounted(top / "mnt")


def test_a_tree_with_a_mount_in_it_is_not_removed_and_what_is_mounted_stays(top: Path) -> None:
    (top / "upper/kept").touch()
    (top / "mnt/inner").mkdir()
    mounts.bind(top / "upper", top / "mnt/inner")
    with pytest.raises(Failed, match="something is mounted"):
        files.remove_tree(top / "mnt")
    assert (top / "upper/kept").exists()


def test_names_with_spaces_are_read_as_they_are(top: Path) -> None:
    odd = top / "a b\tc\\d"
    odd.mkdir()
    mounts.tmpfs(odd, size=4096, mode=0o700, noexec=True)
    (found,) = mounts.mounts(top)
    assert Path(found.target) == odd
