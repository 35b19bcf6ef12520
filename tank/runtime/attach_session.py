"""attach: the streams of a container's own program, through conmon's socket.

conmon writes to its clients without looking whether they read, and the container stands still behind it (R53).
So what comes is always taken off the socket at once, up to a bound; a client that falls behind by more loses
its session, and the container goes on.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress

from tank.errors import Failed
from tank.host import streams
from tank.runtime import conmon
from tank.runtime.death import Deaths
from tank.runtime.places import Attempt
from tank.runtime.session import STDERR, STDOUT

_MOST_BEHIND = 2**20  # bytes
_PACKET = 8192 + 1  # conmon's: one byte for the stream, then data
_LARGEST_INPUT = 8192
_CHANNELS = {2: STDOUT, 3: STDERR}
_EXIT_SECONDS = 10.0


async def attach(attempt: Attempt, deaths: Deaths) -> AttachSession:
    """Join. Raises Failed when there is no monitor to talk to."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        at = os.open(attempt.bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{at}/attach")  # a socket's path may be no longer than 107 bytes
        finally:
            os.close(at)
    except OSError as error:
        connection.close()
        raise Failed(f"cannot attach to {attempt.id}: {error.strerror}") from error
    return AttachSession(attempt, deaths, connection)


class AttachSession:
    """The conversation with a container's program. See `tank.runtime.session.Session`."""

    def __init__(self, attempt: Attempt, deaths: Deaths, connection: socket.socket) -> None:
        self._attempt = attempt
        self._deaths = deaths
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[int, bytes]] = deque()
        self._behind = 0
        self._lagged = self._ended = self._closed = False
        self._news = asyncio.Event()
        self._loop.add_reader(connection.fileno(), self._drain)

    def _drain(self) -> None:
        try:
            while packet := self._socket.recv(_PACKET):
                self._keep(packet)
                if self._lagged:
                    break
        except BlockingIOError:
            return
        except OSError:
            pass
        self._end()

    def _keep(self, packet: bytes) -> None:
        channel = _CHANNELS.get(packet[0])
        if channel is not None and len(packet) > 1:
            self._queue.append((channel, packet[1:]))
            self._behind += len(packet)
            self._lagged = self._behind > _MOST_BEHIND
            self._news.set()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._loop.remove_reader(self._socket.fileno())
            if self._lagged:
                self._socket.close()
            self._news.set()

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output. Raises Failed when this reader fell too far behind."""
        while not self._queue:
            if self._lagged:
                raise Failed("cannot go on: the output came faster than it was read")
            if self._ended or self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        channel, data = self._queue.popleft()
        self._behind -= len(data) + 1
        return channel, data

    async def write(self, data: bytes) -> None:
        """Give it input; one that takes none, drops it."""
        with suppress(OSError):
            for start in range(0, len(data), _LARGEST_INPUT):
                await streams.write(self._socket.fileno(), data[start : start + _LARGEST_INPUT])

    async def write_eof(self) -> None:
        """There is no more input from here; the container's input stays open for the next who attaches."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def resize(self, rows: int, columns: int) -> None:
        """The size of its terminal, through the monitor's control fifo, which may have no reader any more (R55)."""
        conmon.control(self._attempt.bundle, 1, rows, columns)

    async def wait(self) -> int:
        """The container's exit code once it has ended; 0 after a detach. Raises Failed when nobody knows it."""
        while not (self._ended or self._closed):
            self._news.clear()
            await self._news.wait()
        if self._closed:
            return 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._deaths.written(self._attempt, lambda: True)
        code = conmon.exit_code(self._attempt.exit)
        if code is None:
            raise Failed(f"cannot tell how {self._attempt.id} ended")
        return code

    async def close(self) -> None:
        """Detach."""
        if not self._closed:
            self._closed = True
            self._end()
            self._socket.close()
            self._news.set()
