"""What Tank tells of a pod: the status, in the shape of `tank status NAME -o json`.

Plain values that import nothing heavy, so that the client can build them from an answer. Times are RFC 3339
strings in UTC: they are for people, nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """One ended attempt. `exit_code` None: unknown."""

    exit_code: int | None
    reason: str
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    oom_killed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """One container now. `state`: waiting, running or terminated (C13).

    `sidecar`: one of `init` that goes on running (C4). `actual`: the limits in force that differ from the spec's, by
    the spec's names (C12).
    """

    name: str
    state: str
    reason: str = ""
    message: str = ""
    ready: bool = False
    started: bool = False
    restarts: int = 0
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    child_oom_kills: int = 0
    started_at: str | None = None
    finished_at: str | None = None
    retry_at: str | None = None
    image: str = ""
    image_digest: str = ""
    image_trust: str = ""  # what the rules of trust say of it, in words
    sidecar: bool = False
    privileged: bool = False
    actual: Mapping[str, int | str | None] = field(default_factory=dict)
    last: tuple[Termination, ...] = ()  # newest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One yes-or-no about the pod. `status`: true, false or unknown."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressStatus:
    """One address that the pod holds. `source`: a pool's name, dhcp or slaac; empty: the spec states it."""

    nic: str
    ip: str
    mac: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One pod now. `phase`: pending, running, succeeded, failed or terminating."""

    name: str
    uid: str = ""
    revision: int = 0
    observed_revision: int = 0
    phase: str = "pending"
    ready: bool = False
    reason: str = ""
    message: str = ""
    addresses: tuple[AddressStatus, ...] = ()
    conditions: tuple[Condition, ...] = ()
    init: tuple[ContainerStatus, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()
    labels: Mapping[str, str] | None = None
    created_at: str = ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Status:
        """The status that an answer carries; unknown fields of a newer daemon are passed over."""
        known = {name: body[name] for name in cls.__slots__ if name in body}
        return cls(
            **known
            | {
                "addresses": _each(AddressStatus, body.get("addresses")),
                "conditions": _each(Condition, body.get("conditions")),
                "init": tuple(_container(each) for each in body.get("init", ())),
                "containers": tuple(_container(each) for each in body.get("containers", ())),
            }
        )


def _container(body: Mapping[str, Any]) -> ContainerStatus:
    known = {name: body[name] for name in ContainerStatus.__slots__ if name in body}
    return ContainerStatus(**known | {"last": _each(Termination, body.get("last"))})


def _each(cls: Any, bodies: Any) -> tuple[Any, ...]:
    return tuple(cls(**{name: body[name] for name in cls.__slots__ if name in body}) for body in bodies or ())
