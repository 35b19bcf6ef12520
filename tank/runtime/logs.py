"""The logs of a container over its attempts: reading, following, rotating (C11).

`<data_dir>/pods/<uid>/logs/<container>/<attempt>.log`, and beside it `.log.1` (newest) … for what was rotated
away. Tank rotates by renaming and then asking conmon to open its log anew; until it has, it writes on into the
renamed file, so nothing is lost whenever somebody dies (E.c.2). The new file is made by us first: where even
that is impossible conmon is not asked, for it would end (R05).
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed
from tank.host import files, syscalls
from tank.host.watch import Watcher
from tank.runtime import conmon
from tank.runtime.logline import Joiner, LogLine, is_whole, parse
from tank.runtime.places import Attempt

__all__ = ["Archive", "LogLine"]

_CHUNK = 65536
_LONGEST_RECORD = 2**17  # more without a line end is no record
_LOOK_SECONDS = 5.0  # a follower looks by itself this often, whatever inotify says
KEPT_ATTEMPTS = 5


class Archive:
    """All logs of one installation."""

    def __init__(self, settings: Settings, watcher: Watcher) -> None:
        self._settings = settings
        self._watcher = watcher

    async def read(
        self, uid: str, container: str, *, tail: int | None, since: float | None, previous: bool, follow: bool
    ) -> AsyncIterator[LogLine]:
        """All attempts that are kept, or with `previous` the last but one; follows till the pod ends. Raises Failed."""
        top = self._settings.pod_dir(uid) / "logs" / container
        numbers = attempts(top)
        if previous:
            numbers = numbers[-2:-1]
        reader = Reader(top, since)
        try:
            await asyncio.to_thread(reader.begin, numbers, tail)
            while lines := await asyncio.to_thread(reader.next_lines):
                for line in lines:
                    yield line
            for line in reader.flush():
                yield line
            if follow and not previous:
                async for line in self._follow(top, reader):
                    yield line
        except OSError as error:
            raise Failed(f"cannot read the log of {container}: {error.strerror}") from error
        finally:
            reader.close()

    async def _follow(self, top: Path, reader: Reader) -> AsyncIterator[LogLine]:
        """Go on for as long as the directory is there."""
        news = asyncio.Event()
        mask = syscalls.IN_MODIFY | syscalls.IN_CREATE | syscalls.IN_MOVED_TO | syscalls.IN_DELETE_SELF
        files.make_directory(top)
        with self._watcher.watch(top, mask, lambda _: news.set()):
            while True:
                news.clear()
                lines = reader.next_lines() or reader.flush()
                for line in lines:
                    yield line
                if lines:
                    continue
                if not reader.is_there():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), _LOOK_SECONDS)

    def rotate(self, attempt: Attempt) -> None:
        """Rotate its log when it has grown beyond its size. Raises OSError."""
        try:
            size = attempt.log.lstat().st_size
        except FileNotFoundError:
            size = None
        if size is None:
            # Renamed earlier, and never opened anew: somebody died in between.
            if numbered(attempt.log, 1).exists():
                self._reopen(attempt)
            return
        if size >= self._settings.log_max_size and self._make_next(attempt):
            for number in range(self._settings.log_max_files - 1, 1, -1):
                with suppress(FileNotFoundError):
                    numbered(attempt.log, number - 1).replace(numbered(attempt.log, number))
            if self._settings.log_max_files > 1:
                attempt.log.replace(numbered(attempt.log, 1))
            self._reopen(attempt)

    def _make_next(self, attempt: Attempt) -> bool:
        """Whether there is room for one more file."""
        try:
            with files.opened(_next(attempt.log), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW):
                return True
        except OSError:
            return False

    def _reopen(self, attempt: Attempt) -> None:
        if self._make_next(attempt) and not conmon.control(attempt.bundle, 2):
            files.remove(_next(attempt.log))  # no monitor: nobody will take it


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


def _next(log: Path) -> Path:
    """What conmon renames into place when it opens its log anew."""
    return log.with_name(f"{log.name}.tmp")


def pieces(top: Path, attempt: int) -> tuple[Path, ...]:
    """The files of one attempt, oldest first."""
    log = top / f"{attempt}.log"
    rotated = [name for name in files.names(top) if name.startswith(f"{log.name}.")]
    numbers = sorted((int(end) for end in (name.rpartition(".")[2] for name in rotated) if end.isdigit()), reverse=True)
    found = [numbered(log, number) for number in numbers]
    return (*found, log) if log.exists() else tuple(found)


class Reader:
    """Reads forward through files, over rotations and on into later attempts."""

    def __init__(self, top: Path, since: float | None) -> None:
        self._top = top
        self._since = since
        self._joiner = Joiner()
        self._queue: list[tuple[int, Path]] = []
        self._fd: int | None = None
        self._attempt = -1
        self._rest = b""

    def begin(self, numbers: tuple[int, ...], tail: int | None) -> None:
        """Stand at the first record wanted: `tail` lines before the end, or the beginning. Raises OSError."""
        self._queue = [(number, path) for number in numbers for path in pieces(self._top, number)]
        if tail is None:
            return
        wanted = tail
        for index in range(len(self._queue) - 1, -1, -1):
            offset, found = _tail_offset(self._queue[index][1], wanted)
            wanted -= found
            if wanted <= 0 or index == 0:
                self._queue = self._queue[index:]
                self._open_next()
                if self._fd is not None:
                    os.lseek(self._fd, offset, os.SEEK_SET)
                return

    def next_lines(self) -> tuple[LogLine, ...]:
        """Some more lines; none when there are no more just now. Raises OSError."""
        while True:
            if self._fd is None and not self._open_next():
                return ()
            assert self._fd is not None
            data = os.read(self._fd, _CHUNK)
            if not data:
                if not self._advance():
                    return ()
                continue
            if lines := tuple(self._lines(data)):
                return lines

    def flush(self) -> tuple[LogLine, ...]:
        """What is unfinished so far."""
        return self._joiner.flush()

    def is_there(self) -> bool:
        """Whether the directory of the logs still exists."""
        return self._top.is_dir()

    def close(self) -> None:
        """Let go of the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lines(self, data: bytes) -> Iterator[LogLine]:
        *records, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_RECORD:
            self._rest = b""
        for record in records:
            piece = parse(record, self._attempt)
            if piece is None or (self._since is not None and piece.wall < self._since):
                continue
            if (line := self._joiner.add(piece)) is not None:
                yield line

    def _open_next(self) -> bool:
        while self._queue:
            self._attempt, path = self._queue.pop(0)
            self._fd = _open(path)
            if self._fd is not None:
                return True
        return self._find_more()

    def _advance(self) -> bool:
        """Whether there is another file to go on with, now that this one is read to its end."""
        assert self._fd is not None
        if not self._queue:
            self._find_more()
            if not self._queue:
                return False
            if data := os.read(self._fd, _CHUNK):  # written just before the file was renamed away
                os.lseek(self._fd, -len(data), os.SEEK_CUR)
                return True
        self.close()
        self._rest = b""
        return self._open_next()

    def _find_more(self) -> bool:
        """Queue what has appeared since: the log anew after a rotation, or the log of a later attempt."""
        here = os.fstat(self._fd) if self._fd is not None else None
        later = [number for number in attempts(self._top) if number > self._attempt]
        log = self._top / f"{self._attempt}.log"
        with suppress(FileNotFoundError):
            if here is not None and not os.path.samestat(here, log.stat()):
                self._queue.append((self._attempt, log))
        self._queue += [(number, path) for number in later for path in pieces(self._top, number)]
        return bool(self._queue) and (self._fd is not None or self._open_next())


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
