"""The store's protocol: durable intent. One contract suite runs against every implementation.

Every method either happened durably or raised. An unreadable store raises `Unavailable`; it never answers
"empty". One counter numbers every change of the whole store: each put, delete, restart, pin, shortened grace,
burial and change of a secret or config takes the next number, and it never goes back. A pod's `revision` is the
number of its last spec change.

Secrets and configs go by `secret/NAME` and `config/NAME`. The store keeps what it is given for them as bytes, which
are encrypted where they have to be by whoever gives them: it never sees a secret's value.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tank.model.desired import Desired, Event, Revision, Tombstone
from tank.model.pod import Pod
from tank.model.stored import InputVersion, StoredInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One pod to create or replace.

    `expected`: None takes any; 0 demands that the name is free; another number that this is the current
    revision. `uid` is used when the pod is created. `pins` replaces the pins of the new revision.
    """

    spec: Pod
    uid: str
    origin: str = "apply"
    expected: int | None = None
    pins: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something about `name` changed at `revision` of the whole store. `deleted`: no such pod is desired any more.

    A burial or a shortened grace is told under the name of the tombstone, with `deleted` as it is by then.
    """

    revision: int
    name: str
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The whole store, read at one instant.

    `fresh`: this store was newly made and nobody has called `adopt` since. It stays true over restarts until then
    (call it with nothing when there is nothing to take back): a daemon that dies half way through a recovery must
    find at its next start that it is still in one, and must not sweep (R12, R28).
    """

    revision: int
    pods: Mapping[str, Desired]
    tombstones: Mapping[str, Tombstone]  # by uid
    fresh: bool = False
    inputs: Mapping[str, StoredInput] = field(default_factory=dict)  # secrets and configs, without their values


class Watch(Protocol):
    """A running watch, for one reader: an async iterator. It ends after `aclose`, and when its store is closed."""

    def __aiter__(self) -> AsyncIterator[Change]: ...

    async def __anext__(self) -> Change: ...

    async def aclose(self) -> None:
        """Stop. A reader that is waiting in the loop comes out of it. Repeatable."""


class Store(Protocol):
    """Durable intent. Times (`at`) are wall clock and come from the caller."""

    async def read(self) -> Contents:
        """The whole desired state. Raises Unavailable."""

    async def get(self, name: str) -> Desired:
        """One pod. Raises NotFound."""

    async def put(self, puts: Sequence[Put], at: float) -> tuple[Desired, ...]:
        """Create or replace all of them, or none, in one transaction.

        A spec equal to the stored one is no revision and changes nothing (C17), unless `pins` differ. Pins are
        the given ones; with `pins=None` a pod keeps its old revision's pins for each container whose canonical
        value is unchanged in image and pull. Raises Conflict when `expected` does not hold, or when the `uid` of a
        pod to be created is in use. The counters of restarts and pulls outlive a change of the spec.

        The history remembers which versions of secrets and configs were in force. Given again as pins, those that
        are no longer present hold the pod at them, until its next change of spec or theirs (`set_input`).
        """

    async def delete(self, name: str, grace: float | None, at: float, *, uid: str | None = None) -> Tombstone:
        """Remove the pod and leave a tombstone, in one transaction. Raises NotFound; Conflict on another `uid`."""

    async def shorten(self, uid: str, grace: float) -> None:
        """Give a tombstone a shorter grace; a longer one changes nothing (C3.5)."""

    async def bury(self, uid: str) -> None:
        """The pod is gone from the machine: forget its tombstone. Repeatable."""

    async def restart(self, name: str, containers: Sequence[str], *, pull: bool) -> Desired:
        """Raise the restart counter of each container; with `pull` also the pull counter and drop its pin.

        No revision (C17). Raises NotFound for an unknown pod or container, and then changes nothing.
        """

    async def pin(self, name: str, revision: int, container: str, digest: str) -> None:
        """Record what `container` of that revision resolved to. No effect if the revision is no longer current.

        Also written beside the revision in the history, so that a rollback needs no network (C6).
        """

    async def adopt(self, pods: Sequence[Desired], at: float) -> None:
        """Take pods back from their own records after the database was lost (R12, R28).

        Uid, revision, restarts and pins are kept and the counter rises above them. A name that is declared already
        and a uid that is deleted already are left as they are. Ends `Contents.fresh`. Repeatable.
        """

    async def set_input(self, key: str, version: InputVersion, body: bytes) -> StoredInput:
        """The secret or config `key` is at `version` from now on; the pods that name it are told of as changed.

        Whatever holds a pod at an earlier version of it ends. The version it has already changes nothing else.
        Earlier versions are kept while a pod is held at them or a kept revision names them.
        """

    async def delete_input(self, key: str, *, force: bool) -> None:
        """It is no more, but for versions as above. Raises NotFound; without `force`, Conflict when a pod needs it."""

    async def input_body(self, key: str, version: str) -> bytes:
        """What `set_input` was given with that version. Raises NotFound."""

    async def history(self, name: str) -> tuple[Revision, ...]:
        """Every kept revision of the name, newest first; survives deletion. At most 100 a pod (C17)."""

    async def add_event(self, event: Event) -> None:
        """Add, or count on the newest equal one (pod, uid, container, type, reason, message). `event.id` is ignored."""

    async def events(self, pod: str | None = None, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """The newest `limit` events with id > `after`, oldest first. Counting an event again gives it a new id."""

    async def seeded(self, name: str, digest: str) -> bool:
        """Whether the boot seed was applied once already."""

    async def mark_seeded(self, name: str, digest: str) -> None:
        """The boot seed was applied."""

    def watch(self, since: int) -> Watch:
        """Changes after revision `since`, then as they come, in rising order, from the moment of this call.

        Of several changes of one name a slow reader is told the last: what it reads then is the level, not the
        edges. A `since` above the counter comes from another life of the store and counts as 0.
        """

    async def close(self) -> None:
        """Let go of the file."""
