"""The store in memory: the reference that every other store must agree with, and the one for tests.

It forgets everything with the process and obeys the protocol otherwise. Nothing in it waits, so each method is
atomic on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tank.errors import NotFound, Unavailable
from tank.model.desired import Desired, Event, Revision, Tombstone
from tank.model.stored import InputVersion, StoredInput
from tank.model.uses import words
from tank.store import decide, decide_inputs
from tank.store.base import Change, Contents, Put, Watch
from tank.store.decide import Delta
from tank.store.feed import Feed


class MemoryStore:
    """Desired state that lives as long as this object. `fresh` is what `Contents.fresh` begins with."""

    def __init__(self, *, fresh: bool = True) -> None:
        self._contents = Contents(revision=0, pods={}, tombstones={}, fresh=fresh)
        self._history: dict[str, list[Revision]] = {}  # oldest first
        self._changes: dict[str, Change] = {}
        self._events: dict[tuple[str, ...], Event] = {}  # in the order of their ids
        self._last_event = 0
        self._bodies: dict[tuple[str, str], bytes] = {}
        self._seeds: set[tuple[str, str]] = set()
        self._feed = Feed(0)
        self._closed = False

    async def read(self) -> Contents:
        return self._open()

    async def get(self, name: str) -> Desired:
        return decide.get(self._open(), name)

    async def put(self, puts: Sequence[Put], at: float) -> tuple[Desired, ...]:
        """All of them or none (C17)."""
        delta, answer = decide.put(self._open(), puts, at)
        self._record(delta)
        return answer

    async def delete(self, name: str, grace: float | None, at: float, *, uid: str | None = None) -> Tombstone:
        """Leaves a tombstone, which outlives a new pod of the same name."""
        delta, answer = decide.delete(self._open(), name, grace, at, uid)
        self._record(delta)
        return answer

    async def shorten(self, uid: str, grace: float) -> None:
        self._record(decide.shorten(self._open(), uid, grace))

    async def bury(self, uid: str) -> None:
        self._record(decide.bury(self._open(), uid))

    async def restart(self, name: str, containers: Sequence[str], *, pull: bool) -> Desired:
        """Raises counters; no revision (C17)."""
        delta, answer = decide.restart(self._open(), name, containers, pull=pull)
        self._record(delta)
        return answer

    async def pin(self, name: str, revision: int, container: str, digest: str) -> None:
        self._record(decide.pin(self._open(), name, revision, container, digest))

    async def adopt(self, pods: Sequence[Desired], at: float) -> None:
        self._record(decide.adopt(self._open(), pods, at))

    async def set_input(self, key: str, version: InputVersion, body: bytes) -> StoredInput:
        """What nobody names any more is forgotten."""
        delta, answer = decide_inputs.set_input(self._open(), key, version, body, self._remembered(key))
        self._record(delta)
        return answer

    async def delete_input(self, key: str, *, force: bool) -> None:
        self._record(decide_inputs.delete_input(self._open(), key, self._remembered(key), force=force))

    async def input_body(self, key: str, version: str) -> bytes:
        """As it was given. Raises NotFound."""
        self._open()
        if (key, version) not in self._bodies:
            raise NotFound(f"there is no version {version} of {words(key)}")
        return self._bodies[key, version]

    def _remembered(self, key: str) -> frozenset[str]:
        kept = (each for revisions in self._history.values() for each in revisions)
        return frozenset(each.pins[key] for each in kept if key in each.pins)

    async def history(self, name: str) -> tuple[Revision, ...]:
        self._open()
        return tuple(reversed(self._history.get(name, ())))

    async def add_event(self, event: Event) -> None:
        """Counts it on an equal one, and forgets what is too old or too much."""
        self._open()
        self._last_event += 1
        key = decide.same_event(event)
        self._events[key] = decide.counted(self._events.pop(key, None), event, self._last_event)
        self._forget_surplus_of(event.pod)
        self._forget_events(event.last - decide.EVENT_AGE)

    async def events(self, pod: str | None = None, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """The newest `limit`, oldest first."""
        self._open()
        found = [each for each in self._events.values() if each.id > after and pod in (None, each.pod)]
        return tuple(found[max(0, len(found) - limit) :])

    async def seeded(self, name: str, digest: str) -> bool:
        self._open()
        return (name, digest) in self._seeds

    async def mark_seeded(self, name: str, digest: str) -> None:
        self._open()
        self._seeds.add((name, digest))

    def watch(self, since: int) -> Watch:
        self._open()
        return self._feed.watch(since, self._backlog)

    async def close(self) -> None:
        self._closed = True
        self._feed.close()

    def _open(self) -> Contents:
        if self._closed:
            raise Unavailable("cannot use the store: it is closed")
        return self._contents

    async def _backlog(self, since: int) -> Iterable[Change]:
        return [each for each in self._changes.values() if each.revision > since]

    def _record(self, delta: Delta | None) -> None:
        if delta is None:
            return
        self._contents = decide.after(self._contents, delta)
        for each in delta.history:
            self._history.setdefault(each.name, []).append(each)
            del self._history[each.name][: -decide.KEPT_REVISIONS]
        if delta.pinned:
            self._pin(*delta.pinned)
        for pin in delta.recorded:
            self._pin(*pin, over=False)
        for place, body in delta.bodies.items():
            self._bodies.pop(place, None)
            if body is not None:
                self._bodies[place] = body
        self._changes.update((each.name, each) for each in delta.changes)
        self._feed.publish(delta.changes)

    def _pin(self, name: str, revision: int, container: str, digest: str, *, over: bool = True) -> None:
        pin, kept = {container: digest}, self._history.get(name, [])
        for index, each in enumerate(kept):
            if each.revision == revision:
                kept[index] = replace(each, pins={**each.pins, **pin} if over else {**pin, **each.pins})

    def _forget_surplus_of(self, pod: str) -> None:
        theirs = [key for key, each in self._events.items() if each.pod == pod]
        for key in theirs[: max(0, len(theirs) - decide.KEPT_EVENTS_OF_POD)]:
            del self._events[key]

    def _forget_events(self, before: float) -> None:
        while self._events:
            key, oldest = next(iter(self._events.items()))
            if len(self._events) <= decide.KEPT_EVENTS and oldest.last >= before:
                return
            del self._events[key]
