"""Records, lines and files of a log (C11), garbled ones included (R33)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tank.runtime import logfiles, logline
from tank.runtime.logfiles import Reader
from tank.runtime.logline import LogLine

STAMP = "2026-11-23T18:01:24.847643425+00:00"


def record(text: str, *, tag: str = "F", stream: str = "stdout", stamp: str = STAMP) -> bytes:
    return f"{stamp} {stream} {tag} {text}\n".encode()


def read(top: Path, *, tail: int | None = None, since: float | None = None, only: int | None = None) -> list[str]:
    reader = Reader(top, only=only, since=since)
    reader.begin(tail, endless=False)
    found: list[LogLine] = []
    while lines := reader.next_lines():
        found += lines
    found += reader.flush()
    reader.close()
    return [f"{line.attempt}:{line.text.decode()}{'…' if line.partial else ''}" for line in found]


def test_a_record_is_time_stream_and_text() -> None:
    line = logline.parse(record("hello  there", stream="stderr")[:-1], 3)
    assert line == LogLine(time=STAMP, stream="stderr", text=b"hello  there", attempt=3)


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T00:00:00.000000001+00:00", 1e-9),
        ("nonsense", 0.0),
    ],
)
def test_times_are_seconds(stamp: str, wanted: float) -> None:
    assert logline.wall(stamp) == pytest.approx(wanted)


def test_a_garbled_record_is_read_from_the_next_time_on() -> None:
    assert logline.parse(b"half a li" + record("whole")[:-1], 1) == logline.parse(record("whole")[:-1], 1)
    assert logline.parse(b"nothing at all", 1) is None


def test_noise_never_breaks_the_reader(tmp_path: Path) -> None:
    chance = random.Random(1)
    for round_ in range(50):
        data = b"".join(chance.choice([record(f"n{n}"), chance.randbytes(chance.randrange(40))]) for n in range(50))
        (tmp_path / f"{round_}.log").write_bytes(data)
    for line in read(tmp_path):
        assert ":" in line


def test_pieces_are_joined_for_each_stream(tmp_path: Path) -> None:
    pieces = [record("a", tag="P"), record("x", tag="P", stream="stderr"), record("b"), record("y", stream="stderr")]
    (tmp_path / "1.log").write_bytes(b"".join(pieces))
    assert read(tmp_path) == ["1:ab", "1:xy"]


def test_the_last_words_of_one_attempt_are_not_glued_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(record("dying", tag="P"))
    (tmp_path / "2.log").write_bytes(record("reborn"))
    assert read(tmp_path) == ["1:dying…", "2:reborn"]


def test_an_endless_line_is_told_in_bounded_parts(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(record("x" * 8192, tag="P") * 40)
    assert max(len(line) for line in read(tmp_path)) < 100_000


def rotated(top: Path) -> None:
    for name, first in (("1.log.2", 1), ("1.log.1", 4), ("1.log", 7), ("2.log", 10)):
        (top / name).write_bytes(b"".join(record(str(number)) for number in range(first, first + 3)))
    (top / "2.log.tmp").write_bytes(b"")


def test_rotated_files_come_before_the_log_and_attempts_in_order(tmp_path: Path) -> None:
    rotated(tmp_path)
    assert [int(line.split(":")[1]) for line in read(tmp_path)] == list(range(1, 13))
    assert read(tmp_path, only=2) == ["2:10", "2:11", "2:12"]


@pytest.mark.parametrize("tail", range(15))
def test_a_tail_reaches_back_over_files(tmp_path: Path, tail: int) -> None:
    rotated(tmp_path)
    wanted = list(range(1, 13))[-tail:] if tail else []
    assert [int(line.split(":")[1]) for line in read(tmp_path, tail=tail)] == wanted


@pytest.mark.parametrize("tail", [1, 2, 700, 1999, 2000, 2001])
def test_a_tail_counts_lines_and_not_pieces_over_large_blocks(tmp_path: Path, tail: int) -> None:
    lines = b"".join(record("x" * 50, tag="P") + record(str(number)) for number in range(2000))
    (tmp_path / "1.log").write_bytes(lines)
    found = read(tmp_path, tail=tail)
    assert len(found) == min(tail, 2000)
    assert found[-1].endswith("1999")
    assert all("x" * 50 in line for line in found)


def test_since_leaves_out_what_is_older(tmp_path: Path) -> None:
    data = record("old", stamp="1970-01-01T00:00:01Z") + record("new", stamp="1970-01-01T00:00:03Z")
    (tmp_path / "1.log").write_bytes(data)
    assert read(tmp_path, since=2.0) == ["1:new"]


def test_a_log_that_conmon_replaced_is_found_under_its_second_name(tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    log.write_bytes(record("before"))
    logfiles.live(log).hardlink_to(log)
    assert read(tmp_path) == ["1:before"]
    (tmp_path / "new").write_bytes(record("after"))
    (tmp_path / "new").replace(log)
    assert read(tmp_path) == ["1:before", "1:after"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(record("secret"))
    (tmp_path / "1.log").symlink_to(tmp_path / "secret")
    assert read(tmp_path) == []


def test_only_the_newest_attempts_are_kept(tmp_path: Path) -> None:
    for attempt in range(1, 9):
        (tmp_path / f"{attempt}.log").touch()
        (tmp_path / f"{attempt}.log.1").touch()
    logfiles.prune(tmp_path)
    assert logfiles.attempts(tmp_path) == (4, 5, 6, 7, 8)
    assert len(list(tmp_path.iterdir())) == 10


def test_there_may_be_no_log_at_all(tmp_path: Path) -> None:
    assert read(tmp_path / "missing", tail=3) == []
