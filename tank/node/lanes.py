"""How many things may be under way at once, so that what is slow holds up nothing that is quick.

Whoever begins takes a place in the quick lane, which is short: it bounds the work that a burst brings upon the
machine. Who is still at it after a moment waits for something and costs nothing: he is moved to the slow lane,
which is long, and his place is free again. Only when the slow lane is full does he keep it (R56).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

QUICK = 4 * (os.cpu_count() or 1) + 4
SLOW = 256
MOMENT = 0.5  # seconds


class Lanes:
    """Places for at most `quick` + `slow` at once."""

    def __init__(self, quick: int = QUICK, slow: int = SLOW, moment: float = MOMENT) -> None:
        self._quick, self._slow = asyncio.Semaphore(quick), slow
        self._moment = moment

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for the length of a block, which begins when there is one."""
        await self._quick.acquire()
        moved = False

        def move() -> None:
            nonlocal moved
            if self._slow > 0:
                moved = True
                self._slow -= 1
                self._quick.release()

        timer = asyncio.get_running_loop().call_later(self._moment, move)
        try:
            yield
        finally:
            timer.cancel()
            if moved:
                self._slow += 1
            else:
                self._quick.release()
