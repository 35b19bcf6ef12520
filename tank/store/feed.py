"""Who is told of a change: every watch of one store, in this process.

Level, not edge: a watch remembers at most one change for each name, the last, so a reader that sleeps costs as many
entries as names have changed meanwhile and no more. It is entered the moment it is made and asks for what happened
before only then; what it is told while it asks wins over the answer. So nothing falls between the two.
Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from tank.store.base import Change

Backlog = Callable[[int], Awaitable[Iterable[Change]]]


class FeedWatch(AsyncIterator[Change]):
    """One reader's view of a feed; satisfies `tank.store.base.Watch`."""

    def __init__(self, feed: Feed, since: int | None, backlog: Backlog) -> None:
        self._feed, self._since, self._backlog = feed, since, backlog
        self._pending: dict[str, Change] = {}
        self._wake = asyncio.Event()
        self._closed = False

    async def __anext__(self) -> Change:
        if self._since is not None and not self._closed:
            await self._catch_up(self._since)
        while not self._pending and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        if self._closed:
            raise StopAsyncIteration
        return self._pending.pop(next(iter(self._pending)))

    async def aclose(self) -> None:
        """Stop, and let a waiting reader go. Repeatable."""
        self._feed.leave(self)
        self.end()

    def end(self) -> None:
        """No more changes will come."""
        self._closed = True
        self._pending.clear()
        self._wake.set()

    def tell(self, change: Change) -> None:
        """The newest change of its name: it takes the place of an older one, at the end of the line."""
        self._pending.pop(change.name, None)
        self._pending[change.name] = change
        self._wake.set()

    async def _catch_up(self, since: int) -> None:
        past = sorted(await self._backlog(since), key=lambda change: change.revision)
        self._since = None
        news, self._pending = self._pending, {}
        self._pending = {each.name: each for each in past if each.name not in news} | news


class Feed:
    """The watches of one store, and the last number they were told."""

    def __init__(self, revision: int) -> None:
        self._revision = revision
        self._watches: set[FeedWatch] = set()
        self._closed = False

    def watch(self, since: int, backlog: Backlog) -> FeedWatch:
        """A watch entered now. `backlog(since)` gives the last change of each name after `since`."""
        start = since if since <= self._revision else 0
        made = FeedWatch(self, None if start == self._revision else start, backlog)
        if self._closed:
            made.end()
        else:
            self._watches.add(made)
        return made

    def publish(self, changes: Iterable[Change]) -> None:
        """Tell every watch, in the order of the numbers."""
        for change in changes:
            self._revision = max(self._revision, change.revision)
            for each in self._watches:
                each.tell(change)

    def leave(self, watch: FeedWatch) -> None:
        self._watches.discard(watch)

    def close(self) -> None:
        """The store is closed: every watch ends."""
        self._closed = True
        for each in self._watches:
            each.end()
        self._watches.clear()
