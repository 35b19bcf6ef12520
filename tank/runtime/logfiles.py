"""The files of a container's log, and reading forward through them while they are rotated.

A file is known by its inode: names move on when a log is rotated. The next file after one is looked up by that,
at the moment when the one is read to its end.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tank.host import files
from tank.runtime.logline import Joiner, LogLine, is_whole, parse

KEPT_ATTEMPTS = 5
_CHUNK = 65536
_LOOKS = 5
_LONGEST_RECORD = 2**17  # more without a line end is no record


def exist(top: Path) -> bool:
    """Whether the directory of a container's logs is there."""
    return top.is_dir()


def attempts(top: Path) -> tuple[int, ...]:
    """The attempts of which a log is kept, oldest first."""
    stems = (name.split(".log", 1)[0] for name in files.names(top) if ".log" in name)
    return tuple(sorted({int(stem) for stem in stems if stem.isdigit()}))


def prune(top: Path) -> None:
    """Only the logs of the newest attempts are kept, so that a crash loop fills no disk (R60)."""
    kept = set(attempts(top)[-KEPT_ATTEMPTS:])
    for name in files.names(top):
        stem = name.split(".log", 1)[0]
        if stem.isdigit() and int(stem) not in kept:
            files.remove(top / name)


def numbered(log: Path, number: int) -> Path:
    """A rotated file: 1 is the newest."""
    return log.with_name(f"{log.name}.{number}")


def upcoming(log: Path) -> Path:
    """What conmon renames into place when it opens its log anew."""
    return log.with_name(f"{log.name}.tmp")


def live(log: Path) -> Path:
    """The second name of the log that is being written."""
    return log.with_name(f"{log.name}.live")


def is_lost(log: Path) -> bool:
    """Whether the second name is the only one that is left of a log."""
    try:
        found = live(log).lstat()
    except FileNotFoundError:
        return False
    return found.st_nlink == 1 and stat.S_ISREG(found.st_mode)


def pieces(top: Path, attempt: int) -> tuple[Path, ...]:
    """The files of one attempt, oldest first."""
    log = top / f"{attempt}.log"
    ends = [name.removeprefix(f"{log.name}.") for name in files.names(top) if name.startswith(f"{log.name}.")]
    rotated = [numbered(log, number) for number in sorted((int(end) for end in ends if end.isdigit()), reverse=True)]
    return (*rotated, *([live(log)] if is_lost(log) else []), *([log] if log.exists() else []))


class Reader:
    """Reads forward, over rotations and on into later attempts, or through `only` one attempt."""

    def __init__(self, top: Path, *, only: int | None, since: float | None) -> None:
        self._top = top
        self._only = only
        self._since = since
        self._joiner = Joiner()
        self._attempt = -1 if only is None else only
        self._fd: int | None = None
        self._rest = b""
        self._end: tuple[int, int] | None = None  # inode and size at which to stop

    def begin(self, tail: int | None, *, endless: bool) -> None:
        """Stand at the first record wanted: `tail` lines before the end, or the beginning. Raises OSError.

        Unless `endless`, reading stops at what is the end now, however fast more is written.
        """
        found = [(number, path) for number in self._numbers() for path in pieces(self._top, number)]
        if found and not endless:
            with suppress(FileNotFoundError):
                last = found[-1][1].stat()
                self._end = last.st_ino, last.st_size
        if tail is not None:
            self._stand_before(found, tail)

    def _stand_before(self, found: list[tuple[int, Path]], wanted: int) -> None:
        for index, (number, path) in reversed(list(enumerate(found))):
            offset, lines = _tail_offset(path, wanted)
            wanted -= lines
            if wanted <= 0 or index == 0:
                self._attempt, self._fd = number, _open(path)
                if self._fd is not None:
                    os.lseek(self._fd, offset, os.SEEK_SET)
                return

    def next_lines(self) -> tuple[LogLine, ...]:
        """Some more lines; none when there are no more just now. Raises OSError."""
        while self._fd is not None or self._advance():
            data = self._read()
            if not data and not self._advance():
                return ()
            if lines := tuple(self._lines(data)):
                return lines
        return ()

    def flush(self) -> tuple[LogLine, ...]:
        """What is unfinished so far."""
        return self._joiner.flush()

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self) -> bytes:
        assert self._fd is not None
        if self._end is not None and os.fstat(self._fd).st_ino == self._end[0]:
            left = self._end[1] - os.lseek(self._fd, 0, os.SEEK_CUR)
            return os.read(self._fd, max(0, min(left, _CHUNK)))
        return os.read(self._fd, _CHUNK)

    def _lines(self, data: bytes) -> Iterator[LogLine]:
        *records, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_RECORD:
            self._rest = b""
        for record in records:
            piece = parse(record, self._attempt)
            if piece is not None and (self._since is None or piece.wall >= self._since):
                yield from self._joiner.add(piece)

    def _advance(self) -> bool:
        """Go on to the file after this one, which is read to its end. False: there is none yet."""
        here = None if self._fd is None else os.fstat(self._fd)
        if here is not None and self._end is not None and here.st_ino == self._end[0]:
            return False
        following = self._following(here)
        if following is None:
            return False
        attempt, fd = following
        if self._fd is not None:
            if data := os.read(self._fd, _CHUNK):  # written before the next file was there
                os.lseek(self._fd, -len(data), os.SEEK_CUR)
                os.close(fd)
                return True
            os.close(self._fd)
        self._attempt, self._fd, self._rest = attempt, fd, b""
        return True

    def _following(self, here: os.stat_result | None) -> tuple[int, int] | None:
        """The next attempt number and open file."""
        for number in self._numbers():
            if number == self._attempt and here is not None:
                fd = self._after(number, here)
            else:
                fd = _first(pieces(self._top, number)) if number >= self._attempt else None
            if fd is not None:
                return number, fd
        return None

    def _after(self, number: int, here: os.stat_result) -> int | None:
        """The file of the same attempt after the one that is `here`. Names may move on while we look."""
        for _ in range(_LOOKS):
            following = _behind(pieces(self._top, number), here)
            if following is None:
                continue
            fd = _first(following)
            if fd is None:
                if _behind(pieces(self._top, number), here) == ():
                    return None
                continue
            # A log that was replaced since may stand between the two, under its second name alone.
            if _index(_behind(pieces(self._top, number), here) or (), os.fstat(fd)) is not None:
                return fd
            os.close(fd)
        # Rotated out of existence. What was written to later than this one is left to read.
        return _first(tuple(each for each in pieces(self._top, number) if _written(each) > here.st_mtime_ns))

    def _numbers(self) -> tuple[int, ...]:
        return attempts(self._top) if self._only is None else (self._only,)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return -1


def _first(paths: tuple[Path, ...]) -> int | None:
    return next((fd for path in paths if (fd := _open(path)) is not None), None)


def _behind(paths: tuple[Path, ...], here: os.stat_result) -> tuple[Path, ...] | None:
    """The one after the one that is `here`, if there is one; None: that one is not among them."""
    place = _index(paths, here)
    return None if place is None else paths[place + 1 : place + 2]


def _index(paths: tuple[Path, ...], here: os.stat_result) -> int | None:
    for index, path in enumerate(paths):
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), here):
                return index
    return None


def _open(path: Path) -> int | None:
    """Never through a link, never anything but a file (S18). None: it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _tail_offset(path: Path, wanted: int) -> tuple[int, int]:
    """Where the last `wanted` lines of a file begin, and how many of them there are."""
    fd = _open(path)
    if fd is None:
        return 0, 0
    try:
        return _backwards(fd, wanted)
    finally:
        os.close(fd)


def _backwards(fd: int, wanted: int) -> tuple[int, int]:
    end, found, rest = os.fstat(fd).st_size, 0, b""
    position = end
    while position > 0:
        start = max(0, position - _CHUNK)
        block = os.pread(fd, position - start, start) + rest
        lines = block.split(b"\n")
        offset = start + len(block)
        for index in range(len(lines) - 1, 0, -1):
            offset -= len(lines[index])
            if is_whole(lines[index]):
                found += 1
                # The line begins after the whole record before it: pieces of its own come in between.
                if found > wanted:
                    return offset + len(lines[index]) + 1, wanted
            offset -= 1
        rest, position = lines[0], start
    if rest and is_whole(rest):
        found += 1
        if found > wanted:
            return len(rest) + 1, wanted
    return 0, found
