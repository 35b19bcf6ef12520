"""Waiting for files and processes without polling: inotify and pidfds on the event loop.

Both are hints. Whoever waits looks at the thing itself after each hint, and works when none comes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tank.host import files, syscalls

Callback = Callable[[str], None]

_EVENT = struct.Struct("=iIII")


class Watcher:
    """One inotify instance of the running loop, shared by all who wait: the kernel gives few of them to a user.

    `watch(path, mask, callback)` calls `callback(name)` for each event; `name` is the entry of a watched
    directory, empty for the path itself. A watch of a path that is removed ends by itself.
    """

    def __init__(self) -> None:
        self._fd = syscalls.inotify_init()
        self._callbacks: dict[int, list[Callback]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    @contextmanager
    def watch(self, path: Path, mask: int, callback: Callback) -> Iterator[None]:
        """Watch for as long as the block lasts. Raises OSError when there is no such path."""
        number = self.add(path, mask, callback)
        try:
            yield
        finally:
            self.remove(number, callback)

    def add(self, path: Path, mask: int, callback: Callback) -> int:
        """Watch until `remove`d. Several may watch one path: the masks add up."""
        number = syscalls.inotify_add_watch(self._fd, path, mask | _MASK_ADD)
        self._callbacks.setdefault(number, []).append(callback)
        return number

    def remove(self, number: int, callback: Callback) -> None:
        """Let go of a watch."""
        remaining = self._callbacks.get(number, [])
        if callback in remaining:
            remaining.remove(callback)
        if not remaining and self._callbacks.pop(number, None) is not None:
            with suppress(OSError):  # gone with what it watched
                syscalls.inotify_rm_watch(self._fd, number)

    def close(self) -> None:
        """Let go of all watches."""
        self._callbacks.clear()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._fd, 65536)
            for number, mask, name in _events(data):
                for callback in self._called(number, mask):
                    callback(name)
                if mask & syscalls.IN_IGNORED:
                    self._callbacks.pop(number, None)

    def _called(self, number: int, mask: int) -> list[Callback]:
        if mask & syscalls.IN_OVERFLOW:  # hints were lost: everybody looks again
            return [each for callbacks in self._callbacks.values() for each in callbacks]
        return list(self._callbacks.get(number, ()))


_MASK_ADD = 0x20000000  # IN_MASK_ADD


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    offset = 0
    while offset < len(data):
        number, mask, _, length = _EVENT.unpack_from(data, offset)
        start = offset + _EVENT.size
        yield number, mask, os.fsdecode(data[start : start + length].rstrip(b"\0"))
        offset = start + length


class Process:
    """A process held by a pidfd, so that nobody else can ever be taken for it (R16)."""

    def __init__(self, pid: int) -> None:
        """Raises ProcessLookupError when there is no such process."""
        self.pid = pid
        self.fd = os.pidfd_open(pid)

    @classmethod
    def identified(cls, pid: int, start_time: int) -> Process | None:
        """The process `pid` that started at `start_time` clock ticks; None when it is gone."""
        try:
            process = cls(pid)
        except (ProcessLookupError, OSError):
            return None
        if start_time_of(pid) == start_time:
            return process
        process.close()
        return None

    def signal(self, number: int) -> None:
        """Send a signal. Gone already is success."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, number)

    def hears(self, number: int) -> bool:
        """Whether it catches or blocks the signal: the first of a namespace never sees any other (C3.10)."""
        status = files.read(f"/proc/{self.pid}/status") or b""
        numbers = next((line.split() for line in status.splitlines() if line.startswith(b"NSpid")), [])
        if len(numbers) > 2 and numbers[-1] != b"1":  # in a namespace of which it is not the first
            return True
        masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith((b"SigCgt", b"SigBlk"))]
        return not masks or any(mask >> (number - 1) & 1 for mask in masks)

    async def ended(self) -> None:
        """Wait until it has ended."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        loop.add_reader(self.fd, done.set)
        try:
            await done.wait()
        finally:
            loop.remove_reader(self.fd)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_time_of(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot. None: it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
