"""Telling people: events, written to the store in the background so that nothing waits for them.

Drivers raise, the loop logs once, and people get events (style of the whole node). An event that cannot be
stored now is kept in a bounded line and tried again.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import AsyncIterator, Callable

from tank.errors import Failed, TankError
from tank.host import clock
from tank.model.desired import Event
from tank.model.facts import Now
from tank.store.base import Store

LINE = 1000  # events that wait for the store at most; older ones give way

log = logging.getLogger("tank.node")


class Report:
    """The line of events to be stored, and those who follow them."""

    def __init__(self, store: Store, now: Callable[[], Now] = clock.now) -> None:
        self._store, self._now = store, now
        self._line: collections.deque[Event] = collections.deque(maxlen=LINE)
        self._waiting = asyncio.Event()
        self._stored = asyncio.Event()

    def normal(self, pod: str, uid: str, reason: str, message: str, container: str = "") -> None:
        """Something went as it should."""
        self._add(pod, uid, reason, message, container=container, kind="Normal")

    def warning(self, pod: str, uid: str, reason: str, message: str, container: str = "") -> None:
        """Something that a person may have to look at."""
        self._add(pod, uid, reason, message, container=container, kind="Warning")

    def _add(self, pod: str, uid: str, reason: str, message: str, *, container: str, kind: str) -> None:
        wall = self._now().wall
        text = message.encode("utf-8", "replace").decode()[:1000]
        event = Event(
            id=0, pod=pod, uid=uid, container=container, type=kind, reason=reason, message=text,
            count=1, first=wall, last=wall,
        )  # fmt: skip
        self._line.append(event)
        self._waiting.set()

    async def run(self) -> None:
        """Store events as they come, until cancelled."""
        while True:
            await self._waiting.wait()
            try:
                await self.flush()
            except TankError as error:
                log.warning("cannot store events: %s", error)
                await asyncio.sleep(5.0)

    async def flush(self) -> None:
        """Store what waits. Raises Unavailable; the event is then still in line."""
        while self._line:
            event = self._line[0]
            try:
                await self._store.add_event(event)
            except (Failed, ValueError, TypeError) as error:  # for what it holds: it must not keep others waiting
                log.warning("an event of pod %s is dropped: %r", event.pod, error)
            if self._line and self._line[0] is event:
                self._line.popleft()
        self._waiting.clear()
        self._stored.set()
        self._stored = asyncio.Event()

    async def follow(self, pod: str | None, *, follow: bool) -> AsyncIterator[Event]:
        """Stored events, oldest first; with `follow`, then new ones as they come."""
        last = 0
        while True:
            stored = self._stored
            for event in await self._store.events(pod, last):
                last = max(last, event.id)
                yield event
            if not follow:
                return
            await stored.wait()
