"""The durable store of one machine: SQLite is the log, the working set is in memory.

What is desired is small and read all the time, so it is held as one frozen value and swapped after each commit;
reading it costs nothing and goes on while the disk is full or gone (R29). History, events and seeds are read from
the file. Every write is decided, recorded and flushed by the writer's thread (WAL with synchronous FULL: R25), and
only then told and answered. The file is this process's alone while it is open (R26).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tank.errors import Unavailable
from tank.model.desired import Desired, Event, Revision, Tombstone
from tank.model.stored import InputVersion, StoredInput
from tank.store import decide, decide_inputs
from tank.store.base import Change, Contents, Put, Watch
from tank.store.decide import Delta
from tank.store.feed import Feed
from tank.store.opening import Opened, open_file
from tank.store.tables import Tables
from tank.store.writer import Work, Writer


class SqliteStore:
    """Made by `SqliteStore.open`.

    `damaged` is where a file that could not be read was put (R28). It is set until the loss was recovered from
    with `adopt`, over restarts too; the caller reports it.
    """

    damaged: Path | None
    _contents: Contents
    _feed: Feed

    def __init__(self, open_store: Callable[[], Opened]) -> None:
        self._writer = Writer(open_store, self._deliver)
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, clock: Callable[[], float] = time.time) -> SqliteStore:
        """Open or make the file at `path`. `clock` (wall clock, seconds) names a damaged file that is set aside.

        Raises Unavailable when the file is locked, not allowed, unreachable, or made by a newer version; it is
        then left as it is.
        """
        store = cls(lambda: open_file(path, clock()))
        opened = await store._writer.start()
        store._contents, store.damaged = opened.contents, opened.damaged
        store._feed = Feed(opened.contents.revision)
        return store

    async def read(self) -> Contents:
        return self._open()

    async def get(self, name: str) -> Desired:
        return decide.get(self._open(), name)

    async def put(self, puts: Sequence[Put], at: float) -> tuple[Desired, ...]:
        answer: tuple[Desired, ...] = await self._do(lambda _, now: decide.put(now, puts, at))
        return answer

    async def delete(self, name: str, grace: float | None, at: float, *, uid: str | None = None) -> Tombstone:
        answer: Tombstone = await self._do(lambda _, now: decide.delete(now, name, grace, at, uid))
        return answer

    async def shorten(self, uid: str, grace: float) -> None:
        await self._do(lambda _, now: (decide.shorten(now, uid, grace), None))

    async def bury(self, uid: str) -> None:
        await self._do(lambda _, now: (decide.bury(now, uid), None))

    async def restart(self, name: str, containers: Sequence[str], *, pull: bool) -> Desired:
        answer: Desired = await self._do(lambda _, now: decide.restart(now, name, containers, pull=pull))
        return answer

    async def pin(self, name: str, revision: int, container: str, digest: str) -> None:
        await self._do(lambda _, now: (decide.pin(now, name, revision, container, digest), None))

    async def adopt(self, pods: Sequence[Desired], at: float) -> None:
        await self._do(lambda _, now: (decide.adopt(now, pods, at), None))

    async def set_input(self, key: str, version: InputVersion, body: bytes) -> StoredInput:
        """Durable when answered; every earlier version that nobody names goes in the same transaction."""
        answer: StoredInput = await self._do(
            lambda tables, now: decide_inputs.set_input(now, key, version, body, tables.remembered(key))
        )
        return answer

    async def delete_input(self, key: str, *, force: bool) -> None:
        await self._do(
            lambda tables, now: (decide_inputs.delete_input(now, key, tables.remembered(key), force=force), None)
        )

    async def input_body(self, key: str, version: str) -> bytes:
        answer: bytes = await self._ask(lambda tables: tables.input_body(key, version))
        return answer

    async def history(self, name: str) -> tuple[Revision, ...]:
        answer: tuple[Revision, ...] = await self._ask(lambda tables: tables.history(name))
        return answer

    async def add_event(self, event: Event) -> None:
        await self._do(partial(_told, lambda tables: tables.add_event(event)))

    async def events(self, pod: str | None = None, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        answer: tuple[Event, ...] = await self._ask(lambda tables: tables.events(pod, after, limit))
        return answer

    async def seeded(self, name: str, digest: str) -> bool:
        answer: bool = await self._ask(lambda tables: tables.seeded(name, digest))
        return answer

    async def mark_seeded(self, name: str, digest: str) -> None:
        await self._do(partial(_told, lambda tables: tables.mark_seeded(name, digest)))

    def watch(self, since: int) -> Watch:
        self._open()
        return self._feed.watch(since, self._backlog)

    async def check(self) -> str | None:
        """What SQLite's quick check finds wrong with the open file; None when it is sound. For a daily look (R26)."""
        answer: str | None = await self._ask(lambda tables: tables.fault())
        return answer

    async def close(self) -> None:
        """Finish what is queued and let go of the file. Repeatable; later calls of anything else are refused."""
        if not self._closed:
            self._closed = True
            self._feed.close()
        await self._writer.stop()

    def _open(self) -> Contents:
        if self._closed:
            raise Unavailable("cannot use the store: it is closed")
        return self._contents

    async def _do(self, work: Work) -> Any:
        self._open()
        return await self._writer.do(work)

    async def _ask(self, question: Callable[[Tables], Any]) -> Any:
        self._open()
        return await self._writer.do(partial(_asked, question), writes=False)

    async def _backlog(self, since: int) -> list[Change]:
        answer: list[Change] = await self._ask(lambda tables: tables.changes(since))
        return answer

    def _deliver(self, contents: Contents, deltas: Sequence[Delta]) -> None:
        self._contents = contents
        for each in deltas:
            self._feed.publish(each.changes)


def _asked(question: Callable[[Tables], Any], tables: Tables, _: Contents) -> tuple[None, Any]:
    return None, question(tables)


def _told(deed: Callable[[Tables], None], tables: Tables, _: Contents) -> tuple[None, None]:
    deed(tables)
    return None, None
