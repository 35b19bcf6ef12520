"""The daemon's line to the program that answers: found alive or started anew, spoken to, heard when it ends.

The program is started by a shell that goes into the group of the installation's own and leaves it there as an
orphan: it is nobody's child, so it outlives the daemon, and whoever asks what of Tank still runs finds it by its
group. What it says is taken for no more than a list of words: it reads hostile packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from tank.errors import Failed
from tank.host import cgroup, files, process
from tank.host.cgroup import Groups
from tank.host.watch import Process
from tank.net.names import frames

GROUP = "_names"  # no pod's uid looks like that
START = 10.0  # seconds until a program that was just started must answer
ANSWER = 3.0  # and one that runs: it does nothing that takes longer
_KILL = 5.0
_DETACH = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; "$@" &'
_MODULE = "tank.net.names.server"


@dataclass(slots=True)
class _Call:
    """A line that stands."""

    opened: socket.socket
    inbox: frames.Inbox
    process: Process | None = None

    def close(self) -> None:
        self.opened.close()
        self.inbox.close()
        if self.process is not None:
            self.process.close()


class Line:
    """One program per installation. One call at a time; all raise Failed."""

    def __init__(self, directory: Path, installation: str, version: str) -> None:
        """`directory` is the program's own, below the daemon's run directory."""
        self._directory, self._installation, self._version = directory, installation, version
        self._call: _Call | None = None
        self.held: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether it stands, as far as is known."""
        return self._call is not None

    @property
    def left(self) -> bool:
        """Whether one may be there that an earlier daemon spoke to."""
        return self._directory.is_dir()

    def check(self) -> None:
        """Hang up where nobody is at the other end any more."""
        if self._call is None or self._call.process is None:
            return
        ends = select.poll()
        ends.register(self._call.process.fd, select.POLLIN)
        if ends.poll(0):
            self.hang_up()

    async def connect(self) -> None:
        """Have the program there, and know what it holds. One of another version is replaced."""
        if self._call is not None:
            return
        try:
            if not await self._reached(ANSWER):
                await self._start()
                if not await self._reached(START):
                    raise Failed(f"cannot start the server of names: {self._said()}")
        except OSError as error:
            raise Failed(f"cannot start the server of names: {error.strerror}") from error

    async def take(self, key: str, fds: Sequence[int]) -> None:
        """Hand over a pod's sockets: datagrams, streams."""
        await self._ask({"do": "take", "key": key}, fds)
        self.held |= {key}

    async def feed(self, zones: Mapping[str, Any], keep: frozenset[str]) -> None:
        """All names, as the `zone` of pods and that of those `outside`, and which sockets it is to keep."""
        await self._ask({"do": "feed", **zones, "keep": sorted(keep)})
        self.held &= keep

    async def ended(self) -> None:
        """Wait until the program that is spoken to now has ended. Others may hang up meanwhile."""
        if self._call is None or self._call.process is None:
            return
        held = os.dup(self._call.process.fd)
        try:
            await _readable(held)
        finally:
            os.close(held)

    def hang_up(self) -> None:
        """The program goes on."""
        call, self._call, self.held = self._call, None, frozenset()
        if call is not None:
            call.close()

    async def end(self) -> None:
        """Nothing is left of it."""
        self.hang_up()
        groups = self._groups()
        if GROUP in groups.names():
            await groups.kill(GROUP, seconds=_KILL)
            await groups.remove(GROUP)
            groups.remove_root()
        files.remove_tree(self._directory)

    def _groups(self) -> Groups:
        return Groups(cgroup.find_hierarchies(), cgroup.find_root(self._installation))

    async def _reached(self, seconds: float) -> bool:
        """Whether one is there, of our version, and answers."""
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            with _directory(self._directory) as path:
                opened.connect(f"{path}/control")
        except OSError:
            opened.close()
            return False
        self._call = _Call(opened, frames.Inbox())
        try:
            said = await self._ask({"do": "hello"}, seconds=seconds)
            if said["version"] == self._version:
                self._call.process = Process(int(said["pid"]))
                self.held = frozenset(map(str, said["held"]))
                return True
        except (Failed, OSError, KeyError, TypeError, ValueError):
            pass
        self.hang_up()
        return False

    async def _start(self) -> None:
        """In place of whatever is there and does not answer."""
        groups = self._groups()
        await groups.kill(GROUP, seconds=_KILL)
        files.make_directory(self._directory)
        files.make_directory(self._directory / "root")
        with _listening(self._directory) as listening, _errors(self._directory) as errors:
            program = [sys.executable, "-X", "utf8", "-I", "-m", _MODULE]
            how = [str(listening.fileno()), str(self._directory / "root"), self._version]
            argv = ["/bin/sh", "-c", _DETACH, "sh", *map(str, groups.make(GROUP)), "--", *program, *how]
            fds = (listening.fileno(),)
            shell = await process.spawn(argv, stdin=DEVNULL, stdout=DEVNULL, stderr=errors, pass_fds=fds)
            try:
                code = await shell.wait()
            finally:
                await process.end(shell)
        if code:
            raise Failed(f"cannot start the server of names: {self._said()}")

    def _said(self) -> str:
        said = (files.read(self._directory / "errors") or b"").decode(errors="replace").strip()
        return said.rpartition("\n")[2] or "it gave no reason"

    async def _ask(
        self, body: Mapping[str, Any], fds: Sequence[int] = (), *, seconds: float = ANSWER
    ) -> Mapping[str, Any]:
        """Whatever goes wrong ends the line: half a message must not be followed by another."""
        call, whole = self._call, False
        if call is None:
            raise Failed("cannot reach the server of names: it ended")
        try:
            async with asyncio.timeout(seconds):
                answer = await _exchanged(call, frames.packed(body, len(fds)), fds)
            whole = True
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise Failed(f"cannot reach the server of names: {error or type(error).__name__}") from error
        finally:
            if not whole:
                self.hang_up()
        return answer


async def _exchanged(call: _Call, packet: bytes, fds: Sequence[int]) -> Mapping[str, Any]:
    loop = asyncio.get_running_loop()
    sent = socket.send_fds(call.opened, [packet[:1]], fds) if fds else 0
    await loop.sock_sendall(call.opened, packet[sent:])
    while True:
        for frame in call.inbox.frames():
            return frame.body
        await _readable(call.opened)
        if not call.inbox.receive(call.opened):
            raise EOFError("it hung up")


async def _readable(opened: socket.socket | int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(opened, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(opened)


@contextlib.contextmanager
def _directory(path: Path) -> Any:
    """A short way to a directory: addresses of sockets have 107 bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


@contextlib.contextmanager
def _listening(directory: Path) -> Any:
    files.remove(directory / "control")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as opened:
        with _directory(directory) as path:
            opened.bind(f"{path}/control")
        (directory / "control").chmod(0o600)
        opened.listen(16)
        yield opened


def _errors(directory: Path) -> Any:
    return files.opened(directory / "errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
