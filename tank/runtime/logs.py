"""The logs of a container over its attempts: reading, following, rotating (C11).

`<data_dir>/pods/<uid>/logs/<container>/<attempt>.log`, and beside it `.log.1` (newest) … for what was rotated
away. Tank rotates by renaming and then asking conmon to open its log anew; until it has, it writes on into the
renamed file, so nothing is lost whenever somebody dies (E.c.2). The new file is made by us first: where even
that is impossible conmon is not asked, for it would end (R05).

`--log-size-max`, which keeps a flood from filling the disk while no daemon runs (R31), has conmon put an empty
file over its log (R32), and it counts what was written before our rotations too. So the log that is being
written always has a second name, `.log.live`, under which it is found again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed
from tank.host import files, syscalls
from tank.host.threads import in_thread
from tank.host.watch import Watcher
from tank.runtime import conmon, logfiles
from tank.runtime.logfiles import Reader
from tank.runtime.logline import LogLine
from tank.runtime.places import Attempt

__all__ = ["Archive", "LogLine"]

_LOOK_SECONDS = 5.0  # a follower looks by itself this often, whatever inotify says


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
        numbers = logfiles.attempts(top)
        only = (numbers[-2] if len(numbers) > 1 else -1) if previous else None
        reader = Reader(top, only=only, since=since)
        try:
            await in_thread(reader.begin, tail, endless=follow and not previous)
            while lines := await in_thread(reader.next_lines):
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
        if not logfiles.exist(top.parent.parent):  # the pod is gone
            return
        files.make_directory(top)
        with self._watcher.watch(top, mask, lambda _: news.set()):
            while True:
                news.clear()
                if lines := reader.next_lines() or reader.flush():
                    for line in lines:
                        yield line
                    continue
                if not logfiles.exist(top):
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), _LOOK_SECONDS)

    def guard(self, attempt: Attempt) -> None:
        """Keep a second name of the log that is being written: conmon's own last resort would remove it."""
        with suppress(FileExistsError, FileNotFoundError):
            os.link(attempt.log, logfiles.live(attempt.log), follow_symlinks=False)

    def rotate(self, attempt: Attempt) -> None:
        """Rotate its log when it has grown beyond its size. Raises OSError."""
        self._take_back(attempt)
        try:
            size = attempt.log.lstat().st_size
        except FileNotFoundError:
            # Renamed earlier, and never opened anew: somebody died in between.
            if logfiles.numbered(attempt.log, 1).exists() and self._make_next(attempt):
                self._reopen(attempt)
            return
        if size >= self._settings.log_max_size and self._make_next(attempt):
            self._shift(attempt.log, attempt.log)
            files.remove(logfiles.live(attempt.log))
            os.link(logfiles.upcoming(attempt.log), logfiles.live(attempt.log))
            self._reopen(attempt)
        self.guard(attempt)

    def _take_back(self, attempt: Attempt) -> None:
        """Give a log that conmon itself has replaced, and that only the second name still holds, its place."""
        live = logfiles.live(attempt.log)
        if logfiles.is_lost(attempt.log):
            self._shift(live, attempt.log)
        elif attempt.log.exists() and live.exists() and not live.samefile(attempt.log):
            files.remove(live)

    def _shift(self, source: Path, log: Path) -> None:
        """`source` becomes the newest of the rotated files; the oldest is gone."""
        for number in range(self._settings.log_max_files - 1, 1, -1):
            with suppress(FileNotFoundError):
                logfiles.numbered(log, number - 1).replace(logfiles.numbered(log, number))
        if self._settings.log_max_files > 1:
            source.replace(logfiles.numbered(log, 1))
        else:
            files.remove(source)

    def _make_next(self, attempt: Attempt) -> bool:
        """Whether there is room for one more file: this very one conmon opens."""
        try:
            with files.opened(logfiles.upcoming(attempt.log), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW):
                return True
        except OSError:
            return False

    def _reopen(self, attempt: Attempt) -> None:
        if not conmon.control(attempt.bundle, 2):
            files.remove(logfiles.upcoming(attempt.log))  # no monitor: nobody will take it
