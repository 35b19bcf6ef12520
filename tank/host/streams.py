"""Reading and writing raw descriptors on the event loop, one call at a time and with nothing kept in between.

There is no buffer: data is read when somebody asks for it, so a slow reader holds up the writer, which is the
back-pressure that bounds memory (S30). Terminals end with EIO, which here is an end like any other.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import Iterable
from contextlib import suppress

CHUNK = 65536


def set_non_blocking(fd: int) -> int:
    """The same descriptor, which now never blocks."""
    os.set_blocking(fd, False)
    return fd


def read_now(fd: int) -> bytes | None:
    """What is there; empty at the end; None when there is nothing yet. Raises OSError."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:  # the other side of a terminal is gone
            return b""
        raise


async def readable(fds: Iterable[int]) -> None:
    """Wait until one of them can be read, or has ended."""
    loop, event, watched = asyncio.get_running_loop(), asyncio.Event(), tuple(fds)
    for fd in watched:
        loop.add_reader(fd, event.set)
    try:
        await event.wait()
    finally:
        for fd in watched:
            loop.remove_reader(fd)


async def write(fd: int, data: bytes) -> None:
    """Write all of it, as fast as the other side takes it. Raises OSError, BrokenPipeError when nobody reads."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await _writable(fd)


async def _writable(fd: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(fd, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_writer(fd)


def resize(fd: int, rows: int, columns: int) -> None:
    """The size of a terminal. One that is gone has none."""
    with suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
