"""What the client's methods answer, beside `Status` and `Pod`: plain frozen values, times in RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan. `impact`: none, live, container_restart, pod_restart or data."""

    pod: str
    container: str = ""
    action: str
    why: str = ""
    impact: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of a spec that differs, in canonical form; None where there is nothing. `impact` as of a `Step`."""

    pod: str
    path: str  # containers[app].image
    before: Any = None
    after: Any = None
    impact: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What apply would do. `token` makes `apply` do exactly this or refuse with `Conflict`."""

    token: str
    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One causal answer: what the pod waits for or why it died, the evidence, what comes next and when."""

    name: str
    phase: str = ""
    summary: str = ""
    because: tuple[str, ...] = ()
    next: str = ""
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, `count` times between `first` and `last`. `type`: Normal or Warning."""

    id: int = 0
    pod: str = ""
    uid: str = ""
    container: str = ""
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    count: int = 1
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One applied spec of a pod. `origin`: apply, rollback, seed or import; `pins`: container to digest."""

    revision: int
    name: str = ""
    uid: str = ""
    at: str = ""
    origin: str = ""
    spec: Mapping[str, Any]
    pins: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of output, without its line end. `stream`: stdout or stderr; `attempt` counts the starts."""

    time: str = ""
    stream: str = "stdout"
    text: str = ""  # bytes that are no UTF-8 stand as surrogate escapes
    attempt: int = 0
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """How a command ended: its exit code (128 + N for signal N) and its output, empty when interactive."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


def read(cls: type[T], body: Mapping[str, Any], **known: Any) -> T:
    """`cls` from JSON; what a newer daemon says beyond its fields is passed over."""
    names = {each.name for each in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in body.items() if name in names} | known)
