"""Reading a file that grows, and being told how far."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.image.growing import Growing, said


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A pipe: where lines are read, and where they are written."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def test_what_is_there_is_read_as_far_as_was_told(tmp_path: Path, ends: tuple[int, int]) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        read = Growing(file.fileno(), ends[0])
        os.write(ends[1], said(2))
        assert read() == b"ab"
        os.write(ends[1], said(3) + said(5))  # the last one counts
        assert read() == b"cde"
        os.close(ends[1])
        assert (read(), read()) == (b"", b"")  # the rest was never told of


def test_a_line_may_come_in_parts(tmp_path: Path, ends: tuple[int, int]) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1234)
    with path.open("rb") as file:
        read = Growing(file.fileno(), ends[0])

        def tell() -> None:
            for each in b"12\n1234\n":
                os.write(ends[1], bytes([each]))
            os.close(ends[1])

        teller = threading.Thread(target=tell)
        teller.start()
        pieces = list(iter(read, b""))
        teller.join()
    assert b"".join(pieces) == b"x" * 1234


def test_a_file_that_is_shorter_than_was_told_ends_where_it_ends(tmp_path: Path, ends: tuple[int, int]) -> None:
    (tmp_path / "f").write_bytes(b"ab")
    with (tmp_path / "f").open("rb") as file:
        read = Growing(file.fileno(), ends[0])
        os.write(ends[1], said(10))
        os.close(ends[1])
        assert (read(), read()) == (b"ab", b"")
