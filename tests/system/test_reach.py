"""Places of the file tree: known by where they lie, whatever leads there (S20)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.host import mounts
from tank.host.reach import Map

pytestmark = pytest.mark.system


@pytest.fixture
def top(short_tmp: Path) -> Iterator[Path]:
    for name in ("ours/inner", "side/below", "other"):
        (short_tmp / name).mkdir(parents=True)
    yield short_tmp
    mounts.unmount_below(short_tmp)


def reaches(path: Path, ours: Path) -> bool:
    fd = os.open(path, os.O_PATH)
    try:
        return Map().reached(fd, [ours]) is not None
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("ours", True), ("ours/inner", True), (".", True), ("side", False), ("side/below", False), ("other", False)],
)
def test_by_name(top: Path, path: str, wanted: bool) -> None:
    assert reaches(top / path, top / "ours") == wanted


def test_by_a_link(top: Path) -> None:
    (top / "link").symlink_to("ours/inner")
    assert reaches(top / "link", top / "ours")


@pytest.mark.parametrize(
    ("source", "seen", "wanted"),
    [
        ("ours", "side/below", True),
        ("ours/inner", "side/below", True),
        ("ours", "side", True),
        ("other", "side", False),
        ("side", "side/below", False),
    ],
)
def test_by_a_bind_mount_at_or_below_the_path(top: Path, source: str, seen: str, wanted: bool) -> None:
    mounts.bind(top / source, top / "side/below")
    assert reaches(top / seen, top / "ours") == wanted


def test_ours_may_be_a_bind_mount_itself(top: Path) -> None:
    mounts.bind(top / "other", top / "ours")
    assert reaches(top / "other", top / "ours")
    assert not reaches(top / "side", top / "ours")


def test_another_file_system_over_ours_is_not_what_lies_below_it(top: Path) -> None:
    mounts.tmpfs(top / "ours", size=4096, mode=0o700, noexec=True)
    mounts.bind(top / "ours", top / "side/below")
    assert reaches(top / "side", top / "ours")
    mounts.unmount(top / "side/below")
    assert not reaches(top / "side", top / "ours")


def test_what_is_not_there_reaches_nothing(top: Path) -> None:
    assert not reaches(top / "side", top / "missing")


@pytest.mark.parametrize(("source", "wanted"), [("side", True), ("side/below", True), ("ours", False)])
def test_whatever_is_mounted_shows_a_place_or_not(top: Path, source: str, wanted: bool) -> None:
    mounts.bind(top / source, top / "other")
    fd = os.open(top / "side", os.O_PATH)
    try:
        assert Map().shows(fd) == wanted
    finally:
        os.close(fd)
