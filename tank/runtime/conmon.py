"""conmon: the parent of a container, which writes its log and its exit code and outlives the daemon.

It is spawned through a shell that moves itself into the monitor's control groups and then becomes conmon, so
no instant exists in which it is in ours (R08). What it reports goes to a regular file (R01): a pipe would break
with the daemon, and take the monitor along. It keeps no directory on a data disk, for a full one would lose
the exit code (R06).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

from tank.errors import Failed, StartFailed
from tank.host import files, process, syscalls
from tank.host.watch import Process, Watcher

# Directories on the way to a mount point are made by the runtime with this mask, and users other than root pass them.
_ENTER_GROUPS = 'umask 022; while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@"'
_CREATE_SECONDS = 60.0
RUNTIME_FAILED = 125


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One container to be created and watched over."""

    id: str
    bundle: Path
    runtime: Path
    runtime_arguments: Sequence[str]
    groups: Sequence[Path]  # the cgroup.procs files that the monitor enters
    sync: Path
    pidfile: Path
    monitor_pidfile: Path
    exits: Path
    log: Path
    log_size: int  # bytes: at this size the log starts anew, as the last resort (R31, R32)
    scratch: Path
    tty: bool
    stdin: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What the monitor said of the creation: `pid`, or why there is none."""

    pid: int | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Conmon:
    """The monitor `binary`."""

    binary: Path

    async def create(self, request: Request, watcher: Watcher) -> int:
        """Create the container under a monitor of its own; its pid. Raises StartFailed, Failed, Timeout."""
        fd = os.open(request.sync, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            changed = asyncio.Event()
            with watcher.watch(request.sync, syscalls.IN_MODIFY, lambda _: changed.set()):
                await self._spawn(request, fd)
                report = await _reported(request, changed)
        finally:
            os.close(fd)
        if report.pid is None:
            raise StartFailed(RUNTIME_FAILED, f"cannot create the container: {report.message.strip()}")
        return report.pid

    async def _spawn(self, request: Request, sync: int) -> None:
        """Returns when conmon has gone into the background."""
        argv = ["/bin/sh", "-c", _ENTER_GROUPS, "sh", *map(str, request.groups), "--", *self.arguments(request)]
        env = process.ENVIRONMENT | {"_OCI_SYNCPIPE": str(sync), "TMPDIR": str(request.scratch)}
        with files.opened(request.bundle / "conmon.err", os.O_WRONLY | os.O_CREAT | os.O_APPEND) as errors:
            child = await process.spawn(
                argv, stdin=DEVNULL, stdout=DEVNULL, stderr=errors, env=env, cwd=request.bundle, pass_fds=(sync,)
            )
            try:
                code = await child.wait()
            finally:
                await process.end(child)
        if code != 0:
            said = (files.read(request.bundle / "conmon.err") or b"").decode(errors="replace").strip()
            raise Failed(f"cannot start a monitor: {self.binary} ended with {code}: {said[-500:]}")

    def arguments(self, request: Request) -> list[str]:
        """The command line."""
        arguments = [str(self.binary), "--api-version", "1", "-c", request.id, "-u", request.id, "-n", request.id]
        arguments += ["-r", str(request.runtime), "-b", str(request.bundle), "--full-attach"]
        for each in request.runtime_arguments:
            arguments += ["--runtime-arg", each]
        arguments += ["-p", str(request.pidfile), "-P", str(request.monitor_pidfile)]
        arguments += ["--exit-dir", str(request.exits), "-l", f"k8s-file:{request.log}"]
        arguments += ["--log-size-max", str(request.log_size), "--no-sync-log"]
        arguments += ["-t"] if request.tty else []
        arguments += ["-i", "--leave-stdin-open"] if request.stdin else []
        return arguments


def report(sync: Path) -> Report | None:
    """What the monitor has said so far; None: nothing yet, or not a whole line."""
    for line in (files.read(sync) or b"").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and isinstance(pid := said.get("data"), int):
            return Report(pid if pid > 0 else None, str(said.get("message", "")))
    return None


def monitor_pid(pidfile: Path) -> int | None:
    """The pid that the monitor wrote down."""
    text = (files.read(pidfile) or b"").strip()
    return int(text) if text.isdigit() else None


def exit_code(path: Path) -> int | None:
    """The code in an exit file. None: empty or unreadable, the code is unknown (R10)."""
    text = (files.read(path) or b"").strip()
    return int(text) if text.isdigit() else None


async def _reported(request: Request, changed: asyncio.Event) -> Report:
    """Wait for the report, or for the end of the monitor without one."""
    try:
        async with asyncio.timeout(_CREATE_SECONDS):
            while (found := report(request.sync)) is None:
                await _until_news(request, changed)
    except TimeoutError as error:
        raise Failed(f"cannot create the container: nothing was heard for {_CREATE_SECONDS:g} s") from error
    return found


async def _until_news(request: Request, changed: asyncio.Event) -> None:
    pid = monitor_pid(request.monitor_pidfile)
    try:
        monitor = Process(pid or 0)
    except OSError as error:
        if report(request.sync) is None:
            raise Failed("cannot create the container: its monitor died") from error
        return
    with monitor:
        waits = {asyncio.ensure_future(changed.wait()), asyncio.ensure_future(monitor.ended())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.clear()
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def control(bundle: Path, kind: int, first: int = 0, second: int = 0) -> bool:
    """Send one line to the monitor's control fifo: 1 rows columns, or 2 to reopen the log. False: no monitor (R55)."""
    try:
        with files.opened(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW) as fd:
            os.write(fd, f"{kind} {first} {second}\n".encode())
    except OSError:
        return False
    return True
