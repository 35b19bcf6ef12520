"""Removing what was taken aside: slowly, since nobody waits for it.

ext4 is several times slower at creating files for minutes after many were removed, so a layer is removed a few
hundred entries at a time with a pause in between, and not while a pull creates files; unless the space is wanted at
once. What is not removed when the daemon ends lies in the scratch directory, where the next start finds it (R24).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tank.host import openat

BATCH = 200  # entries between two pauses
PAUSE = 0.05  # seconds
AWAY = 0.5  # seconds between two looks whether the pulls have ended

log = logging.getLogger("tank.image")


class Stopped(Exception):
    """The work is to end here."""


class Bin:
    """What is to be removed, and the task that does it. `busy`: whether pulls are under way."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._line: asyncio.Queue[Path] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._stop = threading.Event()
        self._hurry = threading.Event()

    def put(self, paths: Iterable[Path]) -> None:
        """Remove these in time."""
        for each in paths:
            self._line.put_nowait(each)
        if self._task is None and not self._line.empty() and not self._stop.is_set():
            self._task = asyncio.create_task(self._run(), name="removal")

    def hurry(self) -> None:
        """The space is wanted at once: no more pauses until all that lies here is removed."""
        if self._task is not None:
            self._hurry.set()

    async def emptied(self) -> None:
        """Wait until everything that was put in is removed."""
        await self._line.join()

    async def close(self) -> None:
        """Stop, in the middle of a tree if need be."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            path = await self._line.get()
            try:
                await self._remove(path)
            except OSError as error:
                log.warning("cannot remove %s, the next start tries again: %s", path, error)
            except Stopped:
                return
            except Exception:  # a defect met by one must not keep all others here for good
                log.exception("cannot remove %s, the next start tries again", path)
            finally:
                self._line.task_done()
            if self._line.empty():
                self._hurry.clear()

    async def _remove(self, path: Path) -> None:
        removing = asyncio.ensure_future(asyncio.to_thread(openat.remove_tree, path, self._pace()))
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            self._stop.set()  # a thread cannot be cancelled: it stops at its next entry
            await asyncio.gather(removing, return_exceptions=True)
            raise

    def _pace(self) -> Callable[[], None]:
        """What the thread calls before each entry."""
        count = 0

        def pace() -> None:
            nonlocal count
            count += 1
            if self._stop.is_set():
                raise Stopped
            if count % BATCH == 0 and not self._hurry.is_set():
                time.sleep(PAUSE)
                while self._busy() and not self._stop.is_set() and not self._hurry.is_set():
                    self._stop.wait(AWAY)

        return pace
