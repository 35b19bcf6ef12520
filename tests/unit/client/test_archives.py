"""A directory that becomes an archive on the way: all of it, or why not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tank.client.archives import reading
from tank.errors import Failed

UNREADABLE = Path("/proc/sys/vm/compact_memory")  # a file that nobody may read, root neither


def names(directory: Path) -> list[str]:
    with reading(directory) as pieces, tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return archive.getnames()


def test_what_links_lead_to_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere/sha256").mkdir(parents=True)
    (tmp_path / "elsewhere/sha256/ab").write_bytes(b"x")
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout/blobs").symlink_to("../elsewhere")

    assert names(tmp_path / "layout") == ["blobs/sha256/ab"]


def test_a_link_that_leads_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/again").symlink_to(tmp_path)

    with pytest.raises(Failed, match=f"cannot read {tmp_path}/blobs/again: it is {tmp_path}, which is read already"):
        names(tmp_path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "blob").symlink_to(UNREADABLE)

    with pytest.raises(Failed, match=f"cannot read {tmp_path}/blob: Permission denied"):
        names(tmp_path)


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for each in ("a", "b"):
        (tmp_path / each).mkdir()
    (tmp_path / "a/blob").write_bytes(b"x")

    with reading(tmp_path) as pieces:
        next(pieces)
        (tmp_path / "b").rmdir()
        with pytest.raises(Failed, match=f"cannot read {tmp_path}/b: No such file"):
            list(pieces)
