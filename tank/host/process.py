"""The only place that starts a program.

A child gets exactly the descriptors it is meant to have: 0, 1, 2 and those named in `pass_fds`; everything
else is closed before exec (R43, S07). No shell, no `preexec_fn` (slow and deadlock-prone in a process with
threads), an environment that holds a search path and nothing of ours. What `run` started is killed and
reaped whichever way it is left: too slow, cancelled, failed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any

from tank.errors import Failed, Timeout, ToolFailed

__all__ = ["DEVNULL", "ENVIRONMENT", "PIPE", "end", "run", "spawn"]

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}

Stream = int | IO[bytes] | None


async def run(
    argv: Sequence[str],
    *,
    input: bytes = b"",  # noqa: A002 - the name that subprocess gives it
    seconds: float = 30.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> bytes:
    """The standard output of `argv`, given `input`.

    Raises ToolFailed on a non-zero exit, Timeout after `seconds`, Failed when it cannot be started.
    """
    stdin = PIPE if input else DEVNULL
    child = await spawn(argv, stdin=stdin, stdout=PIPE, stderr=PIPE, env=env, cwd=cwd, pass_fds=pass_fds)
    try:
        async with asyncio.timeout(seconds):
            out, err = await child.communicate(input or None)
    except TimeoutError as error:
        raise Timeout(f"{argv[0]} did not end within {seconds:g} s") from error
    finally:
        await end(child)
    if child.returncode:
        raise ToolFailed(argv, child.returncode, err.decode(errors="replace"))
    return out


async def spawn(
    argv: Sequence[str],
    *,
    stdin: Stream = DEVNULL,
    stdout: Stream = DEVNULL,
    stderr: Stream = DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> asyncio.subprocess.Process:
    """A running child, which the caller must wait for or `end`. `env` None: a search path. Raises Failed."""
    _watch_by_pidfd()
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=ENVIRONMENT if env is None else env,
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"cannot run {argv[0]}: {error.strerror}") from error


async def end(child: asyncio.subprocess.Process) -> None:
    """Kill `child` if it still runs, and reap it. Cancelled meanwhile, it is reaped all the same."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.kill()
    await asyncio.shield(asyncio.ensure_future(child.wait()))


if sys.version_info < (3, 12):  # from 3.12 on asyncio does this by itself

    class _PidfdWatcher(asyncio.AbstractChildWatcher):
        """Waits for children by pidfd, on whichever loop started them, instead of with a thread each."""

        def is_active(self) -> bool:
            return True

        def add_child_handler(  # type: ignore[override]
            self, pid: int, callback: Callable[..., object], *args: Any
        ) -> None:
            loop, pidfd = asyncio.get_running_loop(), os.pidfd_open(pid)
            loop.add_reader(pidfd, _reap, loop, pidfd, pid, callback, args)

        def remove_child_handler(self, pid: int) -> bool:
            return False

        def attach_loop(self, loop: asyncio.AbstractEventLoop | None) -> None: ...

        def close(self) -> None: ...

        def __enter__(self) -> _PidfdWatcher:
            return self

        def __exit__(self, *_: object) -> None: ...

    def _watch_by_pidfd() -> None:
        if not isinstance(asyncio.get_child_watcher(), _PidfdWatcher):
            asyncio.set_child_watcher(_PidfdWatcher())

    def _reap(
        loop: asyncio.AbstractEventLoop,
        pidfd: int,
        pid: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        loop.remove_reader(pidfd)
        os.close(pidfd)
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:  # somebody else reaped it
            code = 255
        callback(pid, code, *args)

else:

    def _watch_by_pidfd() -> None: ...
