"""What is taken from a termination message (C5)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tank.model.pod import Container, Mount
from tank.runtime import termination


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"", ""),
        (b"the database is gone\n", "the database is gone"),
        (b"a\xffb\0c", "a\N{REPLACEMENT CHARACTER}bc"),
        (b"x" * 5000, "x" * 4096),
        (b"x" * 4095 + "é".encode(), "x" * 4095),
    ],
)
def test_it_is_bounded_text(tmp_path: Path, written: bytes, read: str) -> None:
    termination.make(tmp_path / "message")
    (tmp_path / "message").write_bytes(written)
    assert termination.read(tmp_path / "message") == read


@pytest.mark.parametrize("what", ["missing", "fifo", "directory", "link"])
def test_only_a_regular_file_is_read(tmp_path: Path, what: str) -> None:
    path = tmp_path / "message"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    elif what == "link":
        (tmp_path / "secret").write_text("secret")
        path.symlink_to(tmp_path / "secret")
    assert termination.read(path) == ""


def test_a_volume_at_its_place_wins(tmp_path: Path) -> None:
    container = Container(name="app", image="x")
    (bind,) = termination.bind(tmp_path, container)
    assert (bind.path, bind.read_only) == ("/dev/termination-log", False)
    mounted = container.model_copy(update={"mounts": (Mount(volume="v", path="/dev/termination-log"),)})
    assert list(termination.bind(tmp_path, mounted)) == []
