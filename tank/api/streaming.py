"""Answers that go on: newline-delimited JSON, an empty line as heartbeat, and an end for clients that stall.

Lines are gathered while the last ones are being written, up to `BATCH` bytes, and written together; then the source
has to wait. So the answer is as fast as the client reads and no faster, and a slow one costs the daemon nothing but
its connection; one that takes nothing for `STALL` seconds loses it (R54). The heartbeat finds the dead ones.
An error after the first line is the last line: `{"error": …}`. An archive that fails after its first byte breaks off.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from aiohttp import web

from tank.api.encode import plain
from tank.api.routes import endless
from tank.errors import Failed, TankError, to_json

HEARTBEAT = 15.0  # seconds without a line until an empty one is sent
STALL = 3600.0  # seconds that a client may leave a full buffer, as a pager does
PATIENCE = 0.05  # seconds in which an error still gets a status of its own
BATCH = 64 * 1024
MEDIA = "application/x-ndjson"
log = logging.getLogger(__name__)


async def stream(request: web.Request, values: AsyncIterator[Any]) -> web.StreamResponse:
    """Each value as one line. What fails before the first line is an ordinary error answer."""
    with endless(request):
        return await _stream(request, values)


async def archive(request: web.Request, pieces: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    """A tar as it comes, as fast as the client reads. What fails before the first byte is an ordinary error answer."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-tar", "Cache-Control": "no-store"})
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                if not response.prepared:
                    await response.prepare(request)
                async with asyncio.timeout(STALL):
                    await response.write(piece)
            await response.write_eof()
        except (TankError, OSError) as error:
            if not response.prepared:
                raise
            log.warning("an archive breaks off: %s", error)
            _break_off(request)
    return response


def _break_off(request: web.Request) -> None:
    """End the connection, so that what has come is not taken for all."""
    if request.transport is not None:
        request.transport.abort()


async def _stream(request: web.Request, values: AsyncIterator[Any]) -> web.StreamResponse:
    lines = _Lines()
    filling = asyncio.create_task(lines.fill(values))
    response = web.StreamResponse(headers={"Content-Type": MEDIA, "Cache-Control": "no-store"})
    try:
        await lines.news(PATIENCE)
        if filling.done() and (error := filling.exception()):
            raise error
        await response.prepare(request)
        await _write(response, lines, filling)
    except (TimeoutError, ConnectionError):
        pass  # stalled, or gone
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
    return response


async def _write(response: web.StreamResponse, lines: _Lines, filling: asyncio.Task[None]) -> None:
    while True:
        await lines.news(HEARTBEAT)
        over = filling.done()
        data = lines.take()
        if data or not over:
            async with asyncio.timeout(STALL):  # not wait_for, which may lose a cancellation
                await response.write(data or b"\n")
        if over:
            break
    if error := filling.exception():
        await response.write(json.dumps(_last(error)).encode() + b"\n")
    await response.write_eof()


def _last(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TankError):
        return to_json(error)
    log.error("internal error in a stream", exc_info=error)
    return to_json(Failed(f"internal error: {type(error).__name__}; the daemon's log says more"))


class _Lines:
    """What was told and is not written yet."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._some, self._room = asyncio.Event(), asyncio.Event()

    async def fill(self, values: AsyncIterator[Any]) -> None:
        """Take every value in, as long as there is room."""
        try:
            async for value in values:
                self._data += json.dumps(plain(value)).encode() + b"\n"
                self._some.set()
                if len(self._data) >= BATCH:
                    self._room.clear()
                    await self._room.wait()
        finally:
            await _close(values)
            self._some.set()

    async def news(self, seconds: float) -> None:
        """Wait for a line or the end, but not for ever."""
        try:
            async with asyncio.timeout(seconds):
                await self._some.wait()
        except TimeoutError:
            return
        await asyncio.sleep(0)  # let an end that came with the last line be known as one

    def take(self) -> bytes:
        """All lines so far."""
        data = bytes(self._data)
        self._data.clear()
        self._some.clear()
        self._room.set()
        return data


async def _close(values: AsyncIterator[Any]) -> None:
    close = getattr(values, "aclose", None)
    if close is not None:
        await close()
