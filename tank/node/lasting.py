"""Tasks that last as long as the daemon: what ends one is logged and told, and it is begun again.

None of them ends by itself, so whatever ends one is a defect. It costs what that task does for a moment, not for good,
and nobody has to wait for the task to know of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

PAUSE = 5.0  # seconds until what ended is begun again
REASON = "TaskFailed"

log = logging.getLogger("tank.node")


async def lasting(
    name: str, work: Callable[[], Awaitable[object]], tell: Callable[[str], None], *, pause: float = PAUSE
) -> None:
    """Have `work()` go on until cancelled; `tell` hears in words when it did not."""
    while True:
        try:
            await work()
            words = "it ended by itself"
        except Exception as error:
            log.exception("the task %r failed", name)
            words = repr(error)
        tell(f"{name}: {words}; begun again")
        await asyncio.sleep(pause)
