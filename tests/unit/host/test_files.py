"""Durable files, and removal that goes nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tank.errors import Failed
from tank.host import files


def test_a_written_file_is_whole_and_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        files.write_durably(tmp_path / "f", b"one", 0o640)
    finally:
        os.umask(before)
    files.write_durably(tmp_path / "f", b"two", 0o640)
    assert (tmp_path / "f").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_a_rewritten_file_stays_the_same(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("longer than before")
    inode = (tmp_path / "f").stat().st_ino
    files.rewrite(tmp_path / "f", b"short")
    assert ((tmp_path / "f").read_bytes(), (tmp_path / "f").stat().st_ino) == (b"short", inode)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        files.rewrite(tmp_path / "link", b"y")


def test_what_is_not_there_reads_as_none_and_what_is_no_json_fails(tmp_path: Path) -> None:
    assert files.read(tmp_path / "f") is None
    assert files.read(tmp_path / "f/below") is None
    assert files.read_json(tmp_path / "f") is None
    assert files.names(tmp_path / "f") == ()
    (tmp_path / "f").write_text("{")
    assert files.read(tmp_path / "f/below") is None
    with pytest.raises(Failed):
        files.read_json(tmp_path / "f")


def test_a_tree_is_removed_and_what_its_links_point_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/link").symlink_to(outside)
    (tree / "a/b/file").touch()
    os.mkfifo(tree / "fifo")
    files.remove_tree(tree)
    files.remove_tree(tree)
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["kept"]


def test_a_link_in_place_of_the_tree_is_removed_itself(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree").symlink_to("outside")
    files.remove_tree(tmp_path / "tree")
    assert os.listdir(tmp_path) == ["outside"]


def test_a_tree_deeper_than_any_stack_is_removed(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    files.remove_tree(tmp_path / "d")
    assert os.listdir(tmp_path) == []


def test_directories_are_made_with_their_mode(tmp_path: Path) -> None:
    files.make_directory(tmp_path / "a/b", 0o750)
    files.make_directory(tmp_path / "a/b", 0o700)
    assert [stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("a", "a/b")] == [0o750, 0o750]
