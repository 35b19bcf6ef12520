"""Several deeds side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def together(*deeds: Awaitable[None]) -> None:
    """All of them, each to its end; then the first fault of any is raised."""
    for fault in await asyncio.gather(*deeds, return_exceptions=True):
        if fault is not None:
            raise fault
