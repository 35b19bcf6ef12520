"""Owners and modes of what a layer is unpacked to, where they are not simply what the process gives."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.archives import CHARACTER, FIFO, archive, directory, member, symlink
from tests.system.test_pull_unpack import unpacked
from tests.trees import tree

pytestmark = pytest.mark.system

Looks = tuple[int, int, int]


async def looks(stage: Path, *members: bytes) -> dict[str, Looks]:
    """Mode, owner and group of everything in a layer of these members."""
    stage.mkdir(mode=0o700)
    await unpacked(archive(*members), stage)
    return {path: (node.mode, node.uid, node.gid) for path, node in tree(stage).items()}


async def test_a_group_that_directories_pass_on_reaches_no_file_that_says_otherwise(tmp_path: Path) -> None:
    found = await looks(
        tmp_path / "layer",
        directory(b"mail", mode=0o2775, gid=8),
        member(b"mail/box", mode=0o640),
        directory(b"mail/sub"),
        member(b"mail/sub/box"),
        symlink(b"mail/link", b"box"),
        member(b"mail/pipe", FIFO),
        member(b"mail/null", CHARACTER, device=(1, 3)),
        member(b"plain"),
    )

    assert found.pop("mail") == (0o2775, 0, 8)
    assert found == {
        ".": (0o755, 0, 0),
        "mail/box": (0o640, 0, 0),
        "mail/sub": (0o755, 0, 0),
        "mail/sub/box": (0o644, 0, 0),
        "mail/link": (0o777, 0, 0),
        "mail/pipe": (0o644, 0, 0),
        "mail/null": (0o644, 0, 0),
        "plain": (0o644, 0, 0),
    }


async def test_a_group_that_the_root_passes_on_reaches_no_file_either(tmp_path: Path) -> None:
    found = await looks(tmp_path / "layer", directory(b"./", mode=0o2755, gid=8), member(b"a"), directory(b"b"))

    assert found == {".": (0o2755, 0, 8), "a": (0o644, 0, 0), "b": (0o755, 0, 0)}


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444, 0o666, 0o777, 0o1777, 0o2755, 0o4711, 0o6777])
@pytest.mark.parametrize("owner", [0, 1000])
async def test_every_mode_arrives_whatever_the_mask_of_the_daemon(mode: int, owner: int, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        found = await looks(
            tmp_path / "layer",
            directory(b"d", mode=mode, uid=owner),
            member(b"d/f", data=b"x", mode=mode, uid=owner),
            member(b"g", mode=mode, gid=owner),
        )
    finally:
        os.umask(mask)

    del found["."]
    assert found == {"d": (mode, owner, 0), "d/f": (mode, owner, 0), "g": (mode, 0, owner)}


async def test_a_directory_that_comes_twice_has_the_looks_of_the_last(tmp_path: Path) -> None:
    found = await looks(
        tmp_path / "layer", directory(b"a", mode=0o2700, gid=8), directory(b"b", mode=0o700, uid=5), directory(b"a"),
        directory(b"b"),
    )  # fmt: skip

    assert (found["a"], found["b"]) == ((0o755, 0, 0), (0o755, 0, 0))


def access_list() -> bytes:
    """What new files get: user 1000 may do all (the form of the attribute: version, then tag, permissions and id)."""
    nobody = 2**32 - 1
    entries = [(0x01, 7, nobody), (0x02, 7, 1000), (0x04, 5, nobody), (0x10, 7, nobody), (0x20, 5, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


async def test_access_lists_of_the_disk_are_not_passed_on(tmp_path: Path) -> None:
    os.setxattr(tmp_path, "system.posix_acl_default", access_list())
    found = await looks(tmp_path / "layer", member(b"a", mode=0o640), directory(b"d", mode=0o750), member(b"d/b"))

    assert {path: os.listxattr(tmp_path / "layer" / path) for path in found} == {path: [] for path in found}
    assert found == {".": (0o755, 0, 0), "a": (0o640, 0, 0), "d": (0o750, 0, 0), "d/b": (0o644, 0, 0)}
