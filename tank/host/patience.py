"""Waiting for an answer by a clock that counts only the time in which we ourselves were awake.

On a busy machine the one who waits may be the one who is late: his timer fires, and the answer lies unread beside
it. So the wait is made of steps; a step that ended later than it was meant to is not counted against the answer,
but added up as `lag`, by which the reader can judge the whole (R56). A machine that never comes to its senses is
not waited for without end: at most `MOST` times the seconds.
"""

from __future__ import annotations

import asyncio
from typing import Any

STEPS = 10
SHORTEST, LONGEST = 0.05, 1.0  # seconds of a step
PUNCTUAL = 0.05  # seconds by which a step may end late and still count
MOST = 3.0


class Patience:
    """For `seconds`; infinity never ends. `lag`: seconds by which we were late so far."""

    def __init__(self, seconds: float) -> None:
        self.lag = 0.0
        self._left, self._most = seconds, MOST * seconds
        self._step = min(max(seconds / STEPS, SHORTEST), LONGEST)

    async def wait(self, answer: asyncio.Future[Any]) -> bool:
        """Whether the answer came in time. It is neither cancelled nor looked at."""
        loop = asyncio.get_running_loop()
        while not answer.done() and self._left > 0 and self._most > 0:
            step, begun = min(self._step, self._left), loop.time()
            await asyncio.wait((answer,), timeout=step)
            self._count(step, loop.time() - begun)
        return answer.done()

    def _count(self, step: float, took: float) -> None:
        late = max(took - step, 0.0)
        self.lag += late
        self._most -= took
        if late <= PUNCTUAL:
            self._left -= step
