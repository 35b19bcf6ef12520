"""Programs that probes and hooks run in a container: quick ones, many, of which only the end is of interest.

They run as `tank exec` runs a program: through `crun exec`, in the container's namespaces and control group, as
its own program runs. What differs is that nobody talks to them: output and errors are one stream, of which the
first 10 KiB are kept for a message, some megabytes are read, and the rest is left in the pipe (S30).

A program that is too slow is killed with all that it started. That happens behind the answer: one that hangs in
the kernel holds up nobody, and is not run a second time while it does. crun waits for it and reaps it, so that
no dead process stays in a container whose first one reaps none.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tank.errors import Failed, StartFailed
from tank.host import clock, files, process, streams
from tank.host.cgroup import Groups
from tank.host.patience import Patience
from tank.host.sealed import Sealed
from tank.host.watch import start_time_of
from tank.model.launch import Answer
from tank.runtime import offspring
from tank.runtime.crun import Crun
from tank.runtime.exec_session import specification
from tank.runtime.places import Attempt
from tank.runtime.session import ExecRequest

_KEPT = 10 * 1024
_READ = 16 * 2**20
_BEGIN_SECONDS = 2.0  # that crun is given to write down whom it has started
_CLOSE_SECONDS = 2.0
_SAME_AGE = 2.0  # seconds
_NOT_RUN = (125, 126, 127, 255)  # codes that may mean that there is no such program any more
_TICKS = os.sysconf("SC_CLK_TCK")


class Errands:
    """Runs them, each at most once at a time."""

    def __init__(self, crun: Crun, groups: Groups) -> None:
        self._crun, self._groups = crun, groups
        self._dying: dict[tuple[str, tuple[str, ...]], asyncio.Task[None]] = {}
        self._mark, self._count = secrets.token_hex(4), itertools.count()
        self._program = Sealed(crun.binary)

    async def run(self, attempt: Attempt, argv: tuple[str, ...], seconds: float) -> Answer:
        """Good when it ends with 0 within `seconds`. Never raises TankError."""
        if (attempt.id, argv) in self._dying:
            return Answer(good=False, message=f"{argv[0]} was killed a while ago and hangs still")
        try:
            errand = await self._begin(attempt, argv)
            return await self._outcome(errand, argv, seconds)
        except StartFailed as error:
            return Answer(good=False, message=f"{error} (exit code {error.code})")
        except (Failed, OSError) as error:
            return Answer(good=None, message=str(error))

    async def close(self) -> None:
        """What is dying is given a moment, and then left to the kernel."""
        tasks = tuple(self._dying.values())
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._program.close()

    async def _begin(self, attempt: Attempt, argv: tuple[str, ...]) -> Errand:
        directory = attempt.bundle / "errands"
        self._sweep(attempt, directory)
        described = directory / f"{hashlib.sha256(repr(argv).encode()).hexdigest()[:16]}.json"
        if not described.exists():
            self._check_running(attempt)
            text = json.dumps(specification(attempt, ExecRequest(argv=argv), self._pid(attempt)))
            files.make_directory(directory)
            files.write(described, text.encode())
        errand = Errand(attempt, self._groups, directory / f"{self._mark}-{next(self._count)}.pid")
        sealed = replace(self._crun, binary=self._program.path())
        await errand.begin(sealed.exec_command(attempt.id, described, f"--pid-file={errand.pidfile}"))
        return errand

    async def _outcome(self, errand: Errand, argv: tuple[str, ...], seconds: float) -> Answer:
        try:
            lag = await errand.wait(seconds)
            if errand.code is None:
                return self._too_slow(errand, argv, seconds, lag)
            if errand.code:
                self._check(errand, argv)
        finally:
            self._let_go(errand, argv)
        if errand.code == 0:
            return Answer(good=True, lag=lag)
        said = f": {errand.said}" if errand.said else ""
        return Answer(good=False, message=f"{argv[0]} ended with exit code {errand.code}{said}", lag=lag)

    def _too_slow(self, errand: Errand, argv: tuple[str, ...], seconds: float, lag: float) -> Answer:
        self._check_running(errand.attempt)
        if errand.pid is None:
            return Answer(good=None, message=f"{argv[0]} could not be started within {seconds:g} s", lag=lag)
        said = f": {errand.said}" if errand.said else ""
        return Answer(good=False, message=f"{argv[0]} did not end within {seconds:g} s{said}", lag=lag)

    def _check(self, errand: Errand, argv: tuple[str, ...]) -> None:
        """A bad end may be no word of the program's. Raises Failed, or StartFailed when there is no such program."""
        self._check_running(errand.attempt)
        if errand.code in _NOT_RUN:
            specification(errand.attempt, ExecRequest(argv=argv), self._pid(errand.attempt))

    def _let_go(self, errand: Errand, argv: tuple[str, ...]) -> None:
        if errand.code is not None:
            errand.close()
            return
        key = (errand.attempt.id, argv)
        task = self._dying[key] = asyncio.create_task(errand.end(), name=f"end of {argv[0]} in {errand.attempt.id}")
        task.add_done_callback(lambda _: self._dying.pop(key, None))

    def _pid(self, attempt: Attempt) -> int:
        state = self._crun.state(attempt.id)
        return state.pid if state else 0

    def _check_running(self, attempt: Attempt) -> None:
        state = self._crun.state(attempt.id)
        if state is None or not state.started or start_time_of(state.pid) != state.start_time:
            raise Failed(f"cannot run in {attempt.id}: it does not run")
        if self._groups.frozen(attempt.group):
            raise Failed(f"cannot run in {attempt.id}: it is paused")

    def _sweep(self, attempt: Attempt, directory: Path) -> None:
        """End what a killed daemon has left running (R52)."""
        for name in files.names(directory):
            if name.endswith(".pid") and not name.startswith(self._mark):
                pid = _written(directory / name)
                if pid is not None:
                    offspring.kill(pid, attempt.group, self._groups)
                files.remove(directory / name)


class Errand:
    """One program under way. `code` None: it has not ended."""

    def __init__(self, attempt: Attempt, groups: Groups, pidfile: Path) -> None:
        self.attempt, self.pidfile = attempt, pidfile
        self._groups = groups
        self._said, self._read, self._output = bytearray(), 0, -1
        self._child: asyncio.subprocess.Process
        self._ended: asyncio.Future[int]

    async def begin(self, command: list[str]) -> None:
        """Start it. Raises Failed, OSError."""
        output, theirs = os.pipe()
        try:
            self._child = await process.spawn(command, stdout=theirs, stderr=theirs)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(theirs)
        self._output = streams.set_non_blocking(output)
        self._ended = asyncio.ensure_future(self._child.wait())
        asyncio.get_running_loop().add_reader(self._output, self._take)

    @property
    def code(self) -> int | None:
        """128 + N for signal N."""
        found = self._child.returncode
        return 128 - found if found is not None and found < 0 else found

    @property
    def pid(self) -> int | None:
        """Whom crun has started, which it writes down before that one runs."""
        return _number(self.pidfile)

    @property
    def said(self) -> str:
        """The beginning of its output."""
        return self._said.decode(errors="replace").strip()

    async def wait(self, seconds: float) -> float:
        """Until it has ended or has had its time, counted from its own start. Returns the lag."""
        patience = Patience(seconds)
        if not await patience.wait(self._ended) and (left := seconds - self._age()) > 0:
            rest = Patience(left)
            await rest.wait(self._ended)
            return patience.lag + rest.lag
        return patience.lag

    def _age(self) -> float:
        """Seconds since it was started; none when it was not."""
        started = start_time_of(self.pid) if self.pid is not None else None
        return clock.boot() - started / _TICKS if started is not None else 0.0

    async def end(self) -> None:
        """Kill it with all it started, and wait until crun has reaped it, however long it hangs."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEGIN_SECONDS):
                    while self.pid is None and not self._ended.done():
                        await asyncio.wait((self._ended,), timeout=0.005)
            if (pid := self.pid) is not None:
                offspring.kill(pid, self.attempt.group, self._groups)
                await asyncio.wait((self._ended,))
        finally:
            await process.end(self._child)
            self.close()

    def close(self) -> None:
        """Let go of the pipe. A background child that holds the other end is nobody's concern."""
        if self._output >= 0:
            self._take()
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1
        files.remove(self.pidfile)

    def _take(self) -> None:
        data = streams.read_now(self._output)
        if data is None:
            return
        self._read += len(data)
        self._said += data[: _KEPT - len(self._said)]
        if not data or self._read > _READ:
            asyncio.get_running_loop().remove_reader(self._output)


def _number(pidfile: Path) -> int | None:
    text = (files.read(pidfile) or b"").strip()
    return int(text) if text.isdigit() else None


def _written(pidfile: Path) -> int | None:
    """The pid in a file of another daemon's, if the process that has it now is as old as the file."""
    pid = _number(pidfile)
    started = start_time_of(pid) if pid is not None else None
    if started is None:
        return None
    now = clock.now()
    age = now.wall - pidfile.stat().st_mtime
    return pid if abs(age - (now.boot - started / _TICKS)) < _SAME_AGE else None
