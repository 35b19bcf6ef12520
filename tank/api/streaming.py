"""Answers that go on: newline-delimited JSON, an empty line as heartbeat, and an end for clients that stall.

The answer is written as fast as the client reads and no faster, so a slow one costs the daemon nothing but its
connection; one that takes nothing for `STALL` seconds loses it (R54). The heartbeat finds the dead ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tank.api.encode import plain

HEARTBEAT = 15.0  # seconds without a line until an empty one is sent
STALL = 3600.0  # seconds that a client may leave a full buffer, as a pager does
MEDIA = "application/x-ndjson"


async def stream(request: web.Request, values: AsyncIterator[Any]) -> web.StreamResponse:
    """Each value as one line. What fails before the first line is an ordinary error answer."""
    pending = asyncio.ensure_future(_next(values))
    try:
        await asyncio.wait((pending,), timeout=0.05)  # an error that comes at once still has a status of its own
        if pending.done():
            pending.result()
        response = web.StreamResponse(headers={"Content-Type": MEDIA, "Cache-Control": "no-store"})
        await response.prepare(request)
        while (line := await _line_or_heartbeat(pending)) is not None:
            await asyncio.wait_for(response.write(line), STALL)
            if pending.done():
                pending = asyncio.ensure_future(_next(values))
        await response.write_eof()
    except (TimeoutError, ConnectionError):
        pass  # stalled, or gone
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        await _close(values)
    return response


async def _next(values: AsyncIterator[Any]) -> bytes:
    """The next line; empty at the end."""
    try:
        value = await anext(values)
    except StopAsyncIteration:
        return b""
    return json.dumps(plain(value)).encode() + b"\n"


async def _line_or_heartbeat(pending: asyncio.Future[bytes]) -> bytes | None:
    await asyncio.wait((pending,), timeout=HEARTBEAT)
    if not pending.done():
        return b"\n"
    return pending.result() or None


async def _close(values: AsyncIterator[Any]) -> None:
    close = getattr(values, "aclose", None)
    if close is not None:
        await close()
