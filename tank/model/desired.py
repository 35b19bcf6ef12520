"""What the store holds of a pod: the spec and the durable wishes beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tank.model.pod import Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """One declared pod.

    `uid` is 12 hex digits, new with each creation; `revision` is the store-wide number of its last spec change
    (C17). `restarts` and `pulls` are per-container counters: raising one asks for a restart, or for resolving
    the image anew (C6). `pins` maps a container to the manifest digest that this revision resolved to; the
    other keys that it has are those of `tank.model.wanted` and `tank.model.uses`.
    """

    name: str
    uid: str
    revision: int
    spec: Pod
    created_at: float  # wall clock, seconds
    restarts: Mapping[str, int] = field(default_factory=dict)
    pulls: Mapping[str, int] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A pod that was deleted from the store and is not yet gone from the machine."""

    uid: str
    name: str
    grace: float | None  # seconds; None: the spec's
    at: float  # wall clock, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One applied spec of a pod, kept for history and rollback (C17)."""

    revision: int
    name: str
    uid: str
    spec: Pod
    at: float  # wall clock, seconds
    origin: str  # apply, rollback, seed, import
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling a person, counted rather than repeated (C13)."""

    id: int
    pod: str
    uid: str
    container: str
    type: str  # Normal, Warning
    reason: str
    message: str
    count: int
    first: float  # wall clock, seconds
    last: float
