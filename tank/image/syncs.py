"""Waiting for the disk together: what many finish at about the same time becomes durable with one sync (R23).

A sync of a whole file system costs nearly the same however much there is to write, and each one makes the others wait.
So one runs at a time, and whoever comes while it runs shares the next: that one begins after all of them had written.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from tank.host import openat
from tank.image.flights import uninterrupted


class Syncs:
    """The syncs of one file system. `deed` does one; it blocks."""

    def __init__(self, deed: Callable[[], None]) -> None:
        self._deed = deed
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def sync(self) -> None:
        """Have everything on the disk that was written before this call; to its end. Raises OSError."""
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._running), name="sync")
        await uninterrupted(self._next)

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self._running, self._next = self._next, None
        await asyncio.to_thread(self._deed)


def of_directory(directory: Path) -> Syncs:
    """Those of the file system that `directory` is on."""

    def deed() -> None:
        found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            openat.syncfs(found)
        finally:
            os.close(found)

    return Syncs(deed)
