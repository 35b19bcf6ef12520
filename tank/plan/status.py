"""What is told of a pod, computed from the same facts as the plan (C13). Nothing here is remembered."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, Now, PodFacts
from tank.model.pod import Container, Pod, Rootfs
from tank.model.record import Exit, Trouble
from tank.model.status import AddressStatus, Condition, ContainerStatus, Status, Termination
from tank.plan.aims import DRAIN, aim_of, fits
from tank.plan.digests import due, pod_trouble_digest, trouble_digest
from tank.plan.draft import MAKING
from tank.plan.phase import Phase, Wish
from tank.plan.restart import retry_at
from tank.plan.wish import Case, cases, image_ready

PULL_REASONS = ("ErrImagePull",)


def rfc3339(wall: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.datetime.fromtimestamp(wall, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(wall: float | None) -> str | None:
    return None if wall is None else rfc3339(wall)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What one status is computed from."""

    desired: Desired | None
    spec: Pod
    seen: PodFacts
    now: Now
    progress: Mapping[str, str]


def status_of(desired: Desired | None, seen: PodFacts, now: Now, *, progress: dict[str, str] | None = None) -> Status:
    """The pod's status. `progress` maps a container to how far its pull is, in words."""
    spec = desired.spec if desired else (seen.record.spec if seen.record else None)
    each_case = {case.name: case for case in cases(desired, seen)}
    wanted = spec.containers if spec else ()
    view = _View(desired=desired, spec=spec, seen=seen, now=now, progress=progress or {}) if spec else None
    containers = tuple(
        _container(view, each_case[each.name], each) for each in wanted if view and each.name in each_case
    )
    reason, message = _headline(desired, seen, now, containers, each_case.values())
    phase = _phase(desired, spec, each_case.values(), containers)
    ready = phase == "running" and all(each.ready for each in containers)
    record = seen.record
    return Status(
        name=desired.name if desired else (record.name if record else seen.uid),
        uid=seen.uid,
        revision=desired.revision if desired else (record.revision if record else 0),
        observed_revision=record.revision if record else 0,
        phase=phase,
        ready=ready,
        reason=reason,
        message=message,
        addresses=tuple(
            AddressStatus(nic=each.nic, ip=each.ip, mac=each.mac) for each in (record.addresses if record else ())
        ),
        conditions=_conditions(desired, seen, containers, each_case.values(), now),
        containers=containers,
        labels=dict(spec.labels) if spec else {},
        created_at=rfc3339(desired.created_at if desired else (record.created_at if record else now.wall)),
    )


def unobserved(desired: Desired | None, known: PodFacts, now: Now, why: str) -> Status:
    """The status while the machine cannot tell: the phase that the records show, and no word of what runs (C13)."""
    status = status_of(desired, known, now)
    return replace(status, ready=False, reason="Unobserved", message=why, conditions=(), containers=())


def _container(view: _View, case: Case, wanted: Container) -> ContainerStatus:
    fact = case.fact
    record = fact.record if fact else None
    attempt = record.attempt if record else None
    last = record.exits[-1] if record and record.exits else None
    now = view.now
    state, reason, message, retry = _state(view, case, wanted)
    running, shown_end = state == "running", last if state != "running" else None
    return ContainerStatus(
        name=case.name,
        state=state,
        reason=reason,
        message=message,
        ready=running,
        started=running,
        restarts=record.restart_count if record else 0,
        pid=case.pid or None if running else None,
        exit_code=shown_end.code if shown_end else None,
        signal=_signal(shown_end),
        oom_killed=bool(last and last.oom_killed),
        child_oom_kills=_child_kills(fact, last, running),
        started_at=_time(attempt.started_at if attempt else None),
        finished_at=_time(shown_end.finished_at if shown_end else None),
        retry_at=_time(now.wall + retry - now.boot if retry is not None else None),
        image=wanted.image.rootfs if isinstance(wanted.image, Rootfs) else wanted.image,
        image_digest=attempt.image if attempt else "",
        image_trust=_trust(view.seen, case.name),
        last=tuple(_termination(end) for end in reversed(record.exits)) if record else (),
    )


def _trust(seen: PodFacts, name: str) -> str:
    image = seen.images.get(name)
    return image.trust if image else ""


def _signal(end: Exit | None) -> int | None:
    return end.code - 128 if end and end.code is not None and 128 < end.code < 193 else None


def _child_kills(fact: ContainerFact | None, last: Exit | None, running: bool) -> int:
    if running and fact and fact.runtime:
        return fact.runtime.oom_kills or 0
    return last.child_oom_kills if last else 0


def _termination(end: Exit) -> Termination:
    return Termination(
        exit_code=end.code,
        reason=end.reason,
        message=end.message,
        started_at=_time(end.started_at),
        finished_at=_time(end.finished_at),
    )


def _state(view: _View, case: Case, wanted: Container) -> tuple[str, str, str, float | None]:
    """State, reason, message, and when it is tried again (boot time)."""
    if case.phase is Phase.RUNNING:
        return "running", *_stopping(view, case), None
    spec, now = view.spec, view.now
    waiting = _waiting(view, case)
    if case.phase is not Phase.EXITED or case.fact is None:
        return waiting
    end = case.fact.record.exits[-1]
    if case.wish is Wish.REPLACE:
        return waiting
    at = retry_at(spec.restart_of(wanted), spec.backoff, case.fact.record) if case.wish is Wish.KEEP else None
    if at is None:
        return "terminated", end.reason, end.message, None
    if waiting[1] not in ("ContainerCreating", "Blocked"):
        return waiting
    if at > now.boot:
        text = f"{_ended(end)}; started again in {at - now.boot:.0f} s"
        return "waiting", "CrashLoopBackOff", text, at
    return waiting


def _stopping(view: _View, case: Case) -> tuple[str, str]:
    """Only for a stop that is still wanted: one that was taken back ends nothing."""
    if case.stop is not None and case.stop.aim == DRAIN:
        return "Stopping", "the machine goes down"
    wanted = case.wish is not Wish.KEEP and fits(case.stop, aim_of(view.desired, case.wanted), view.now)
    return ("Stopping", case.why) if wanted else ("", "")


def _ended(end: Exit) -> str:
    if end.code is None:
        return end.message or "it ended and its exit code is unknown"
    said = f": {end.message}" if end.message else ""
    return f"it ended with exit code {end.code} ({end.reason}){said}"


def _waiting(view: _View, case: Case) -> tuple[str, str, str, float | None]:
    desired, seen = view.desired, view.seen
    record = case.fact.record if case.fact else None
    digest = trouble_digest(desired, case.wanted) if desired and case.wanted else ""
    trouble = record.trouble if record else None
    if trouble is not None and trouble.digest == digest and trouble.action in MAKING:
        return "waiting", *_shown(trouble, due(trouble, digest, view.now))
    ready = case.wanted is None or image_ready(seen, view.spec, case.wanted)
    if seen.blocked:
        return "waiting", "Blocked", seen.blocked, None
    if not ready:
        return "waiting", "ContainerCreating", view.progress.get(case.name) or "its image is being fetched", None
    return "waiting", "ContainerCreating", "", None


def _shown(trouble: Trouble, until: float | None) -> tuple[str, str, float | None]:
    """ErrImagePull while it is tried, ImagePullBackOff while it waits (C6)."""
    backing_off = trouble.reason in PULL_REASONS and until is not None
    return "ImagePullBackOff" if backing_off else trouble.reason, trouble.message, until


def _phase(
    desired: Desired | None, spec: Pod | None, each_case: Iterable[Case], containers: tuple[ContainerStatus, ...]
) -> str:
    if desired is None or spec is None:
        return "terminating"
    if containers and all(each.state == "terminated" for each in containers):
        return "succeeded" if all(each.exit_code == 0 for each in containers) else "failed"
    began = [bool(case.fact and _ever_started(case.fact)) for case in each_case if case.wanted]
    return "running" if began and all(began) else "pending"


def _ever_started(fact: ContainerFact) -> bool:
    attempt = fact.record.attempt
    return bool(fact.record.exits) or bool(attempt and attempt.started_boot is not None)


def _headline(
    desired: Desired | None,
    seen: PodFacts,
    now: Now,
    containers: tuple[ContainerStatus, ...],
    each_case: Iterable[Case],
) -> tuple[str, str]:
    """The pod's own reason: of what waits first, or what keeps an update from happening."""
    if desired is None:
        return "Terminating", ""
    if seen.blocked:
        return "Blocked", seen.blocked
    record = seen.record
    if record and record.trouble and due(record.trouble, pod_trouble_digest(desired), now) is not None:
        return record.trouble.reason, record.trouble.message
    for each in containers:
        if each.state == "waiting" or (each.state == "terminated" and each.exit_code != 0):
            return each.reason, f"{each.name}: {each.message}" if each.message else ""
    return _held_update(desired, each_case, now)


def _held_update(desired: Desired, each_case: Iterable[Case], now: Now) -> tuple[str, str]:
    for case in each_case:
        trouble = case.fact.record.trouble if case.fact else None
        if case.phase is Phase.RUNNING and case.wish is Wish.REPLACE and case.wanted and trouble:
            digest = trouble_digest(desired, case.wanted)
            if trouble.digest == digest:
                reason, message, _ = _shown(trouble, due(trouble, digest, now))
                return reason, f"{case.name} runs on as it was: {message}"
    return "", ""


def _conditions(
    desired: Desired | None, seen: PodFacts, containers: tuple[ContainerStatus, ...], found: Iterable[Case], now: Now
) -> tuple[Condition, ...]:
    """C13's conditions. `since` follows from the times on record, so nothing has to be remembered."""
    sandbox = bool(seen.sandbox and seen.sandbox.whole and seen.record and seen.record.network_ready)
    created = rfc3339(desired.created_at if desired else (seen.record.created_at if seen.record else now.wall))
    moments = [each.started_at if each.ready else each.finished_at or each.started_at for each in containers]
    since = max((moment for moment in moments if moment), default=created)
    ready = bool(containers) and all(each.ready for each in containers)
    unready = next((each for each in containers if not each.ready), None)
    reason = "" if ready or unready is None else (unready.reason or "ContainersNotReady")
    adopted = bool(desired and seen.record and seen.record.revision == desired.revision)
    updated = adopted and not any(case.wish is Wish.REPLACE for case in found)
    return (
        _condition("PodScheduled", True, created),
        _condition("PodReadyToStartContainers", sandbox, created),
        _condition("Initialized", True, created),
        _condition("ContainersReady", ready, since, reason),
        _condition("Ready", ready, since, reason),
        _condition("UpToDate", updated, created),
    )


def _condition(kind: str, holds: bool, since: str, reason: str = "") -> Condition:
    return Condition(type=kind, status="true" if holds else "false", reason=reason, since=since)
