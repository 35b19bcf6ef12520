"""exec: a further process in a running container, through `crun exec`.

It gets what the container's own process got (user, groups, environment, directory, capabilities, filter, limits)
unless the request says otherwise, from the bundle's `config.json`. The program is looked up beforehand in the
container's root as it is mounted now, volumes included, so that 126 and 127 are told apart (C5).
`crun exec` killed leaves its process running (R52): closing kills every process that belongs to it by pidfd.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from tank.errors import Failed, StartFailed, Waiting
from tank.host import files, process, streams
from tank.host.cgroup import Groups
from tank.host.watch import start_time_of
from tank.runtime import command, offspring, rootfs
from tank.runtime.bundle import LARGEST_ARGUMENTS
from tank.runtime.crun import Crun
from tank.runtime.places import Attempt
from tank.runtime.session import STDERR, STDOUT, ExecRequest

_CONSOLE_SECONDS = 10.0
_LINGER_SECONDS = 1.0  # for which a quiet stream is still held open by others when the process has ended (R52)
_PID_SECONDS = 2.0
_END_OF_TRANSMISSION = b"\x04"


async def run(attempt: Attempt, request: ExecRequest, crun: Crun, groups: Groups) -> ExecSession:
    """Start it. Raises StartFailed (125, 126, 127), Failed."""
    state = crun.state(attempt.id)
    if state is None or not state.started or start_time_of(state.pid) != state.start_time:
        raise Failed(f"cannot run in {attempt.id}: it does not run")
    if groups.frozen(attempt.group):
        raise Failed(f"cannot run in {attempt.id}: it is paused")
    described = specification(attempt, request, state.pid)
    directory = attempt.bundle / "exec" / secrets.token_hex(4)
    try:
        files.make_directory(directory)
        files.write(directory / "process.json", json.dumps(described).encode())
        opened = _with_terminal if request.tty else _with_pipes
        return await opened(attempt, request, crun, groups, directory)
    except BaseException as error:
        files.remove_tree(directory)
        if isinstance(error, OSError):
            raise Failed(f"cannot run in {attempt.id}: {error.strerror}") from error
        raise


def specification(attempt: Attempt, request: ExecRequest, pid: int) -> dict[str, Any]:
    """The container's own process with the request laid over it. Raises StartFailed (126, 127), Failed."""
    described: dict[str, Any] = dict(files.read_json(attempt.config)["process"])
    environment = dict(each.split("=", 1) for each in described["env"])
    try:
        with rootfs.Root(Path(f"/proc/{pid}/root")) as root:
            if request.user is not None:
                identity = root.identity(request.user, ())
                described["user"] = identity.as_json()
                environment["HOME"] = identity.home
            environment |= ({"TERM": "xterm"} if request.tty else {}) | dict(request.env)
            cwd = rootfs.working_directory(request.cwd) if request.cwd else described["cwd"]
            if not root.is_directory(cwd):
                raise StartFailed(126, f"cannot run in {cwd}: the container has no such directory")
            root.program(request.argv[0], environment, cwd)
    except Waiting as error:
        raise StartFailed(126, str(error)) from error
    except OSError as error:
        raise Failed(f"cannot look into {attempt.id}: {error.strerror}") from error
    if command.size(request.argv, environment) > LARGEST_ARGUMENTS:
        raise StartFailed(126, "cannot run: arguments and environment exceed 1 MiB together")
    described |= {"args": list(request.argv), "cwd": cwd, "terminal": request.tty, "env": _lines(environment)}
    if request.tty and request.size is not None:
        described["consoleSize"] = {"height": request.size[0], "width": request.size[1]}
    return described


def _lines(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


async def _with_pipes(
    attempt: Attempt, request: ExecRequest, crun: Crun, groups: Groups, directory: Path
) -> ExecSession:
    """Output and errors apart, every byte as it is."""
    with ExitStack() as theirs, ExitStack() as ours:
        out, their_out = _pipe(ours, theirs)
        err, their_err = _pipe(ours, theirs)
        their_in: int = DEVNULL
        stdin = None
        if request.stdin:
            their_in, stdin = _pipe(theirs, ours)
            streams.set_non_blocking(stdin)
        child = await process.spawn(
            crun.exec_command(attempt.id, directory / "process.json", f"--pid-file={directory / 'pid'}"),
            stdin=their_in,
            stdout=their_out,
            stderr=their_err,
        )
        ours.pop_all()  # the session's from here on
    outputs = {streams.set_non_blocking(out): STDOUT, streams.set_non_blocking(err): STDERR}
    return ExecSession(attempt, groups, child, directory, outputs=outputs, stdin=stdin)


def _pipe(first: ExitStack, second: ExitStack) -> tuple[int, int]:
    """The two ends, read and write, each with whom it belongs to."""
    read, write = os.pipe()
    first.callback(os.close, read)
    second.callback(os.close, write)
    return read, write


async def _with_terminal(
    attempt: Attempt, request: ExecRequest, crun: Crun, groups: Groups, directory: Path
) -> ExecSession:
    """A terminal made in the container; the runtime hands its master over a socket."""
    with ExitStack() as stack:
        at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, at)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        listener.bind(f"/proc/self/fd/{at}/console")  # a socket's path may be no longer than 107 bytes
        listener.listen(1)
        child = await process.spawn(
            crun.exec_command(
                attempt.id,
                directory / "process.json",
                f"--pid-file={directory / 'pid'}",
                f"--console-socket=/proc/{os.getpid()}/fd/{at}/console",
            ),
        )
        session = ExecSession(attempt, groups, child, directory, outputs={}, stdin=None)
        try:
            master = await _master(listener, child)
        except BaseException:
            await session.close()
            raise
        session.adopt_terminal(master)
    if request.size is not None:
        await session.resize(*request.size)
    return session


async def _master(listener: socket.socket, child: asyncio.subprocess.Process) -> int:
    """The descriptor that the runtime sends; it may die instead."""
    loop = asyncio.get_running_loop()
    accepting, ending = asyncio.ensure_future(loop.sock_accept(listener)), asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait((accepting, ending), timeout=_CONSOLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not accepting.done():
            raise StartFailed(125, "cannot run: the runtime gave no terminal")
        with accepting.result()[0] as connection:
            await streams.readable([connection.fileno()])
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
    finally:
        for each in (accepting, ending):
            each.cancel()
        await asyncio.gather(accepting, ending, return_exceptions=True)
    if not descriptors:
        raise StartFailed(125, "cannot run: the runtime gave no terminal")
    return streams.set_non_blocking(descriptors[0])


class ExecSession:
    """The conversation with an exec's process. See `tank.runtime.session.Session`."""

    def __init__(
        self,
        attempt: Attempt,
        groups: Groups,
        child: asyncio.subprocess.Process,
        directory: Path,
        *,
        outputs: dict[int, int],
        stdin: int | None,
    ) -> None:
        self._attempt = attempt
        self._groups = groups
        self._child = child
        self._directory = directory
        self._outputs = outputs
        self._stdin = stdin
        self._terminal: int | None = None
        self._ended = asyncio.ensure_future(child.wait())

    def adopt_terminal(self, master: int) -> None:
        """Speak through a terminal from now on."""
        self._outputs = {master: STDOUT}
        self._stdin = self._terminal = master

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output. A background child that keeps the streams open does not hold up the end."""
        while self._outputs:
            for fd, channel in tuple(self._outputs.items()):
                data = streams.read_now(fd)
                if data:
                    return channel, data
                if data is not None:
                    self._forget(fd)
            if self._outputs and not await self._news():
                break
        return None

    async def _news(self) -> bool:
        """Wait for output. False: the process has ended and nothing more came."""
        reading = asyncio.ensure_future(streams.readable(self._outputs))
        try:
            await asyncio.wait((reading, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait((reading,), timeout=_LINGER_SECONDS)
            return reading.done()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def write(self, data: bytes) -> None:
        """Give it input."""
        if self._stdin is not None:
            with suppress(OSError):  # nobody reads any more
                await streams.write(self._stdin, data)

    async def write_eof(self) -> None:
        """Close its input; on a terminal, type end-of-file."""
        if self._terminal is not None:
            await self.write(_END_OF_TRANSMISSION)
        elif self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def resize(self, rows: int, columns: int) -> None:
        """The size of its terminal."""
        if self._terminal is not None:
            streams.resize(self._terminal, rows, columns)

    async def wait(self) -> int:
        """The exit code."""
        code = await asyncio.shield(self._ended)
        return 128 - code if code < 0 else code

    async def close(self) -> None:
        """End what still runs of it and remove every trace."""
        try:
            if not self._ended.done():
                await self._end()
        finally:
            for fd in {*self._outputs, *([] if self._stdin is None else [self._stdin])}:
                os.close(fd)
            self._outputs, self._stdin, self._terminal = {}, None, None
            files.remove_tree(self._directory)

    async def _end(self) -> None:
        pid = await self._started()
        if pid is not None:
            offspring.kill(pid, self._attempt.group, self._groups)
        await process.end(self._child)
        await self._ended

    async def _started(self) -> int | None:
        """Whom the runtime has started, which it writes down before that one runs."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PID_SECONDS
        while (pid := _pid(self._directory)) is None and loop.time() < deadline and not self._ended.done():
            await asyncio.wait((self._ended,), timeout=0.005)
        return pid

    def _forget(self, fd: int) -> None:
        del self._outputs[fd]
        if fd != self._terminal:
            os.close(fd)


def _pid(directory: Path) -> int | None:
    text = (files.read(directory / "pid") or b"").strip()
    return int(text) if text.isdigit() else None
