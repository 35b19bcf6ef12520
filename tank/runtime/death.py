"""How Tank hears that a container has ended: an exit file appears, a process ends. Hints, all of them.

The exit file is the truth. Only where a monitor died before it could write one is the code asked of the kernel,
through a pidfd that was held since the container was seen alive (kernel 6.15 and later); it is then written
down as the monitor would have done.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tank.config import Settings
from tank.host import files, syscalls
from tank.host.watch import Process, Watcher
from tank.model.facts import RuntimeFact
from tank.runtime import conmon, places
from tank.runtime.places import Attempt

_INFO_SIZE = 64
_PIDFD_GET_INFO = (3 << 30) | (_INFO_SIZE << 16) | (0xFF << 8) | 11  # linux/pidfd.h
_PIDFD_INFO_EXIT = 8


@dataclass(slots=True)
class _Held:
    process: Process
    start_time: int


class Deaths:
    """Watches the exit files and the processes that `expect` was told of, for one loop."""

    def __init__(self, settings: Settings, watcher: Watcher) -> None:
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._held: dict[str, _Held] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._nudge: Callable[[str], None] | None = None
        self._watch = watcher.add(
            places.exits(settings), syscalls.IN_MOVED_TO | syscalls.IN_CLOSE_WRITE, self._exit_seen
        )

    def watch(self, nudge: Callable[[str], None]) -> None:
        """Call `nudge(uid)` from now on."""
        self._nudge = nudge

    def expect(self, attempt: Attempt, fact: RuntimeFact) -> None:
        """Hold what lives of an attempt, so that its end is heard; monitor and container each."""
        if fact.alive and fact.pid is not None and fact.start_time is not None:
            self._hold(attempt.id, fact.pid, fact.start_time)
        monitor = conmon.monitor_pid(attempt.monitor_pidfile) if fact.monitored else None
        if monitor is not None:
            self._hold(f"{attempt.id}/monitor", monitor, 0)

    def code(self, attempt: Attempt, fact: RuntimeFact) -> int | None:
        """The exit code that only the kernel knows; None: it does not, or it is not needed."""
        held = self._held.get(attempt.id)
        if held is None or fact.alive or fact.exited or fact.monitored or held.start_time != fact.start_time:
            return None
        return _kernel_code(held.process.fd)

    def write(self, attempt: Attempt, code: int) -> None:
        """Write an exit file in the monitor's stead."""
        files.write(attempt.exit, str(code).encode())

    def forget(self, attempt: Attempt) -> None:
        """Let go of an attempt."""
        for key in (attempt.id, f"{attempt.id}/monitor"):
            self._drop(key)

    async def written(self, attempt: Attempt, monitored: Callable[[], bool]) -> None:
        """Wait until the exit file is there, or nobody is left to write it."""
        event = asyncio.Event()
        self._waiting.setdefault(attempt.id, set()).add(event)
        try:
            while not attempt.exit.exists() and monitored():
                event.clear()
                with suppress(TimeoutError):  # the monitor's end gives no event when nothing was expected
                    await asyncio.wait_for(event.wait(), 0.1)
        finally:
            self._waiting[attempt.id].discard(event)
            if not self._waiting[attempt.id]:
                del self._waiting[attempt.id]

    def close(self) -> None:
        """Let go of everything."""
        for key in tuple(self._held):
            self._drop(key)
        self._watcher.remove(self._watch, self._exit_seen)

    def _hold(self, key: str, pid: int, start_time: int) -> None:
        if key in self._held:
            return
        with suppress(OSError):
            process = Process(pid)
            self._held[key] = _Held(process, start_time)
            self._loop.add_reader(process.fd, self._ended, key)

    def _ended(self, key: str) -> None:
        """Its descriptor is kept: the kernel may be asked for the code once somebody has reaped it."""
        held = self._held.get(key)
        if held is not None:
            self._loop.remove_reader(held.process.fd)
        self._heard(key.partition("/")[0])

    def _drop(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._loop.remove_reader(held.process.fd)
            held.process.close()

    def _exit_seen(self, name: str) -> None:
        if name and not name.startswith("."):
            self._heard(name)

    def _heard(self, id: str) -> None:  # noqa: A002
        for event in self._waiting.get(id, ()):
            event.set()
        if self._nudge is not None:
            self._nudge(id.partition(".")[0])


def _kernel_code(pidfd: int) -> int | None:
    buffer = bytearray(struct.pack("=QQ", 0xF, 0) + bytes(_INFO_SIZE - 16))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    if not struct.unpack_from("=Q", buffer)[0] & _PIDFD_INFO_EXIT:
        return None
    code = os.waitstatus_to_exitcode(struct.unpack_from("=i", buffer, 60)[0])
    return 128 - code if code < 0 else code
