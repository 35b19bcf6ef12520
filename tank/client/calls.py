"""Every method of the client as a value: what to ask, and how to read the answer. No I/O.

The blocking and the asynchronous client both send these, so that they cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tank.client.values import Change, Event, LogLine, Plan, Revision, Step, Why, read
from tank.client.wire import quote
from tank.errors import InvalidSpec, Problem, TankError
from tank.model.stats import NicStats, PodStats
from tank.model.status import Status

if TYPE_CHECKING:
    from tank.model.pod import Pod

    Spec = Mapping[str, Any] | Pod

T = TypeVar("T")
WAIT = 300.0  # seconds, the default of everything that waits
MARGIN = 30.0  # seconds that the wire may be slower than the daemon's own limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request. `seconds`: how long the daemon may take before it says anything; None is the default."""

    method: str = "GET"
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    decode: Callable[[Any], T]


def pod_path(name: str, what: str = "") -> str:
    """The path of a pod, or of something of it."""
    return f"/v1/pods/{quote(name)}" + (f"/{what}" if what else "")


def apply(
    pods: Spec | Sequence[Spec],
    *,
    wait: bool = False,
    timeout: float = WAIT,
    prune: str | None = None,
    plan: str | None = None,
) -> Call[list[Status]]:
    """Create or replace the pods, all or none."""
    query = {"prune": prune, "plan": plan} | ({"wait": True, "timeout": timeout} if wait else {})
    seconds = timeout + MARGIN if wait else None
    body = document(pods)
    return Call(method="POST", path="/v1/apply", query=query, body=body, seconds=seconds, decode=statuses)


def plan(pods: Spec | Sequence[Spec], *, prune: str | None = None) -> Call[Plan]:
    """What apply would do."""
    return Call(method="POST", path="/v1/plan", query={"prune": prune}, body=document(pods), decode=_plan)


def get(name: str) -> Call[Pod]:
    """The desired spec."""
    return Call(path=pod_path(name), decode=lambda body: _pod(body["spec"]))


def list_(selector: str | None = None) -> Call[list[Status]]:
    """Every pod's status."""
    return Call(path="/v1/pods", query={"l": selector}, decode=statuses)


def status(name: str) -> Call[Status]:
    """All that is observed of one pod."""
    return Call(path=pod_path(name, "status"), decode=Status.from_json)


def why(name: str) -> Call[Why]:
    """One causal answer."""
    path = pod_path(name, "why")
    return Call(path=path, decode=lambda body: read(Why, body, because=tuple(body.get("because", ()))))


def delete(name: str, *, grace: float | None = None) -> Call[Status]:
    """Delete the pod; answered when accepted."""
    return Call(method="DELETE", path=pod_path(name), query={"grace": grace}, decode=Status.from_json)


def restart(name: str, *, container: str | None = None, pull: bool = False) -> Call[Status]:
    """Restart all containers or one; answered when accepted."""
    query = {"container": container, "pull": pull}
    return Call(method="POST", path=pod_path(name, "restart"), query=query, decode=Status.from_json)


def wait(name: str, wanted: str = "ready", *, timeout: float = WAIT) -> Call[Status]:
    """The status once the pod is as wanted."""
    query = {"for": wanted, "timeout": timeout}
    seconds = timeout + MARGIN
    return Call(path=pod_path(name, "wait"), query=query, seconds=seconds, decode=Status.from_json)


def history(name: str) -> Call[list[Revision]]:
    """Every kept revision, newest first."""
    path = pod_path(name, "history")
    return Call(path=path, decode=lambda body: [read(Revision, each) for each in body])


def stats(name: str | None = None) -> Call[list[PodStats]]:
    """What the interfaces of one pod, or of each, have carried."""
    if name is None:
        return Call(path="/v1/stats", decode=lambda body: [_stats(each) for each in body])
    return Call(path=pod_path(name, "stats"), decode=lambda body: [_stats(body)])


def _stats(body: Mapping[str, Any]) -> PodStats:
    return read(PodStats, body, nics=tuple(read(NicStats, each) for each in body.get("nics", ())))


def rollback(name: str, *, to: int | None = None) -> Call[Status]:
    """Apply an earlier revision again."""
    path = pod_path(name, "rollback")
    return Call(method="POST", path=path, query={"to": to}, decode=Status.from_json)


def info() -> Call[dict[str, Any]]:
    """About the daemon and its machine."""
    return Call(path="/v1/info", decode=dict)


def logs(
    name: str,
    *,
    container: str | None = None,
    tail: int | None = None,
    since: float | None = None,
    previous: bool = False,
    follow: bool = False,
) -> Call[LogLine]:
    """Lines of output; `since` in seconds of the wall clock."""
    query = {"container": container, "tail": tail, "since": since, "previous": previous, "follow": follow}
    return Call(path=pod_path(name, "logs"), query=query, decode=lambda line: read(LogLine, line))


def events(name: str | None = None, *, follow: bool = False) -> Call[Event]:
    """What happened, oldest first."""
    query = {"pod": name, "follow": follow}
    return Call(path="/v1/events", query=query, decode=lambda line: read(Event, line))


def document(pods: Spec | Sequence[Spec]) -> bytes:
    """Pods as the JSON body of an apply. Raises InvalidSpec for what is no plain data."""
    single = isinstance(pods, Mapping) or hasattr(pods, "model_dump")
    if not single and (isinstance(pods, (str, bytes)) or not isinstance(pods, Sequence)):
        raise InvalidSpec([Problem("", f"a pod is a mapping or a tank.Pod, not {type(pods).__name__}")])
    listed = pods if not single else [pods]
    try:
        return json.dumps([plain(each) for each in listed], default=_unknown).encode()
    except (TypeError, ValueError) as error:
        raise InvalidSpec([Problem("", f"not plain data: {error}")]) from error


def plain(pod: Any) -> Any:
    """A Pod in its written form; anything else is itself. What it leaves to the machine is left out."""
    if not hasattr(pod, "model_dump"):
        return pod
    from tank.model.parse import dump_pod, parse_pod

    written = dump_pod(parse_pod(pod))
    for name in ("grace", "users"):  # which the machine may have a default of its own for
        if name not in pod.model_fields_set:
            del written[name]
    return written


def _unknown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot stand in a spec")


def untyped(error: TankError) -> TankError:
    """An error about values that the caller never wrote as text: without lines and columns of it.

    The plan that comes with a conflict becomes a `Plan`.
    """
    if isinstance(error, InvalidSpec):
        return InvalidSpec([each._replace(line=None, column=None, source="") for each in error.problems])
    if isinstance(preview := getattr(error, "preview", None), Mapping):
        error.preview = _plan(preview)  # type: ignore[attr-defined]
    return error


def statuses(body: Any) -> list[Status]:
    """A list of statuses."""
    return [Status.from_json(each) for each in body]


def _plan(body: Mapping[str, Any]) -> Plan:
    steps = tuple(read(Step, each) for each in body.get("steps", ()))
    return Plan(token=body["token"], steps=steps, changes=tuple(read(Change, each) for each in body.get("changes", ())))


def _pod(spec: Any) -> Pod:
    from tank.model.parse import parse_pod

    return parse_pod(spec)
