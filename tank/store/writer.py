"""The one thread that owns the one connection, and the group commit.

Work is queued from the event loop and answered on it. What has arrived while a commit was being made is done in the
next transaction together, so a slow disk costs each caller at most two of its flushes, not one for everybody before
him. Nothing is answered before its transaction is on the disk. A transaction that fails as a whole is tried again
piece by piece, so nobody pays for what another asked.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

from tank.errors import Failed, TankError, Unavailable
from tank.store import decide
from tank.store.base import Contents
from tank.store.decide import Delta
from tank.store.opening import Opened
from tank.store.tables import Tables

MOST_TOGETHER = 256  # pieces of work in one transaction

Work = Callable[[Tables, Contents], tuple[Delta | None, Any]]
Deliver = Callable[[Contents, Sequence[Delta]], None]


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work and what became of it. Work refuses, by raising TankError, before it writes anything."""

    work: Work
    future: asyncio.Future[Any]
    writes: bool
    answer: Any = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class Writer:
    """A thread that runs `open_store`, then work, then closes. `deliver` runs on the loop after each commit."""

    open_store: Callable[[], Opened]
    deliver: Deliver
    _jobs: SimpleQueue[Job | None] = field(default_factory=SimpleQueue)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _ended: asyncio.Future[None] = field(init=False)
    _connection: sqlite3.Connection = field(init=False)
    _tables: Tables = field(init=False)
    _contents: Contents = field(init=False)

    def __post_init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()

    async def start(self) -> Opened:
        """Open the store in the thread. Raises Unavailable, and then the thread has ended."""
        opened: asyncio.Future[Opened] = self._loop.create_future()
        Thread(target=self._run, args=(opened,), name="tank-store", daemon=True).start()
        try:
            return await asyncio.shield(opened)
        except BaseException:
            self._jobs.put(None)  # cancelled: nobody will own the file once it is open
            raise

    async def do(self, work: Work, *, writes: bool = True) -> Any:
        """The answer of `work`, once it is durable. Work goes on when the caller is cancelled."""
        job = Job(work, self._loop.create_future(), writes)
        self._jobs.put(job)
        return await job.future

    async def stop(self) -> None:
        """Finish what is queued, close the file, end the thread."""
        self._jobs.put(None)
        await asyncio.shield(self._ended)

    def _run(self, opened: asyncio.Future[Opened]) -> None:
        try:
            store = self.open_store()
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to who asked for the opening
            self._tell(_settle, opened, None, error)
        else:
            self._connection, self._contents = store.connection, store.contents
            self._tables = Tables(store.connection)
            self._tell(_settle, opened, store, None)
            self._serve()
            with suppress(sqlite3.Error):  # what could not be checkpointed stays in the log
                store.connection.close()
        self._tell(_settle, self._ended, None, None)

    def _serve(self) -> None:
        more = True
        while more:
            jobs, more = self._next()
            if jobs:
                self._commit(jobs)

    def _next(self) -> tuple[list[Job], bool]:
        """All that waits, at least one unless the end has come; and whether more may follow."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == MOST_TOGETHER or self._jobs.empty():
                return jobs, True
            job = self._jobs.get()
        return jobs, False

    def _commit(self, jobs: list[Job]) -> None:
        deltas: list[Delta] = []
        try:
            deltas = self._transact(jobs)
        except Exception as error:  # noqa: BLE001  # a bug in one piece of work must not end the thread
            self._roll_back()
            if len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            jobs[0].error = _translated(error)
        self._tell(self._settle, jobs, self._contents, deltas)

    def _transact(self, jobs: list[Job]) -> list[Delta]:
        """All of `jobs` in one transaction; `_contents` moves on with it. Raises what SQLite raises."""
        contents, deltas = self._contents, []
        self._connection.execute("BEGIN IMMEDIATE" if any(job.writes for job in jobs) else "BEGIN")
        for job in jobs:
            job.error = None
            try:
                delta, job.answer = job.work(self._tables, contents)
            except TankError as refused:
                job.error = refused
                continue
            if delta is not None:
                self._tables.write(delta)
                deltas.append(delta)
                contents = decide.after(contents, delta)
        self._connection.execute("COMMIT")
        self._contents = contents
        return deltas

    def _roll_back(self) -> None:
        self._tables.rolled_back()
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _settle(self, jobs: list[Job], contents: Contents, deltas: list[Delta]) -> None:
        """On the loop: the news first, so whoever gets an answer can already read what he wrote."""
        self.deliver(contents, deltas)
        for job in jobs:
            _settle(job.future, job.answer, job.error)

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what, *args)


def _settle(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():  # the caller went away meanwhile
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)


def _translated(error: Exception) -> Exception:
    if isinstance(error, UnicodeEncodeError):
        translated: TankError = Failed("cannot store what holds a text that is no UTF-8")
    elif isinstance(error, (sqlite3.Error, UnicodeError)):  # the latter: a message that quotes a damaged file
        translated = Unavailable(f"cannot use the store: {error}")
    else:
        return error
    translated.__cause__ = error
    return translated
