"""What is told of a pod, computed from the same facts as the plan (C13). Nothing here is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tank.model.desired import Desired
from tank.model.facts import Now, PodFacts, SandboxFact
from tank.model.status import AddressStatus, ContainerStatus, Status
from tank.plan.conditions import conditions
from tank.plan.digests import due, pod_trouble_digest, trouble_digest
from tank.plan.moments import rfc3339
from tank.plan.order import DONE, Course, Role, course_of
from tank.plan.phase import Phase, Wish
from tank.plan.standing import View, container_status, shown
from tank.plan.wish import LIVING, Case, cases


def status_of(desired: Desired | None, seen: PodFacts, now: Now, *, progress: dict[str, str] | None = None) -> Status:
    """The pod's status. `progress` maps a container to how far its pull is, in words."""
    record = seen.record
    spec = desired.spec if desired else (record.spec if record else None)
    created = desired.created_at if desired else (record.created_at if record else now.wall)
    each_case = cases(desired, seen)
    course = course_of(desired, seen) if desired else Course()
    view = (
        View(desired=desired, spec=spec, seen=seen, now=now, course=course, progress=progress or {}) if spec else None
    )
    found = _containers(view, each_case) if view else {}
    init = tuple(found[each.name] for each in (spec.init if spec else ()) if each.name in found)
    containers = tuple(found[each.name] for each in (spec.containers if spec else ()) if each.name in found)
    serving = (*(each for each in init if each.sidecar), *containers)
    phase = _phase(desired, course, each_case)
    reason, message = _headline(view, each_case, (*init, *containers)) if view else ("", "")
    return Status(
        name=desired.name if desired else (record.name if record else seen.uid),
        uid=seen.uid,
        revision=desired.revision if desired else (record.revision if record else 0),
        observed_revision=record.revision if record else 0,
        phase=phase,
        ready=phase == "running" and not course.turn and all(each.ready for each in serving),
        reason=reason if view else "Terminating",
        message=message,
        addresses=tuple(
            AddressStatus(nic=each.nic, ip=each.ip, mac=each.mac, source=each.source)
            for each in (record.addresses if record else ())
        ),
        conditions=conditions(view, created, each_case, serving) if view else (),
        init=init,
        containers=containers,
        labels=dict(spec.labels) if spec else {},
        created_at=rfc3339(created),
    )


def _containers(view: View, each_case: Sequence[Case]) -> dict[str, ContainerStatus]:
    found = {}
    for case in each_case:
        wanted = view.spec.container(case.name)
        if wanted is not None:
            found[case.name] = container_status(view, case, wanted)
    return found


def unobserved(desired: Desired | None, known: PodFacts, now: Now, why: str) -> Status:
    """The status while the machine cannot tell: the phase that the records show, and no word of what runs (C13)."""
    if known.record is not None and known.record.sandbox_digest:
        known = replace(known, sandbox=SandboxFact())
    status = status_of(desired, known, now)
    return replace(status, ready=False, reason="Unobserved", message=why, conditions=(), init=(), containers=())


def _phase(desired: Desired | None, course: Course, each_case: Sequence[Case]) -> str:
    if desired is None:
        return "terminating"
    apps = [case for case in each_case if case.wanted is not None and case.role is Role.APP]
    if course.over and not any(case.phase in LIVING for case in each_case if case.wanted is not None):
        return "succeeded" if course.over == DONE and all(_ended_well(case) for case in apps) else "failed"
    if course.turn and not any(case.phase is Phase.RUNNING for case in apps):
        return "pending"
    return "running" if all(_ever_started(case) for case in apps) else "pending"


def _ended_well(case: Case) -> bool:
    return case.fact is not None and case.fact.record.exits[-1].code == 0


def _ever_started(case: Case) -> bool:
    record = case.fact.record if case.fact else None
    return record is not None and (
        bool(record.exits) or bool(record.attempt and record.attempt.started_boot is not None)
    )


def _headline(view: View, each_case: Sequence[Case], told: Sequence[ContainerStatus]) -> tuple[str, str]:
    """The pod's own reason: of what waits first, or what keeps an update from happening."""
    desired, seen, record = view.desired, view.seen, view.seen.record
    if desired is None:
        return "Terminating", ""
    if seen.blocked:
        return "Blocked", seen.blocked
    if record and record.failed and view.course.over not in ("", DONE):
        return record.failed, view.course.over.partition(": ")[2] or view.course.over
    if record and record.trouble and due(record.trouble, pod_trouble_digest(desired), view.now) is not None:
        return record.trouble.reason, record.trouble.message
    for each in told:
        if each.sidecar and view.course.over:
            continue
        if each.state == "waiting" or (each.state == "terminated" and each.exit_code != 0):
            return each.reason, f"{each.name}: {each.message}" if each.message else ""
    return _held_update(view, desired, each_case)


def _held_update(view: View, desired: Desired, each_case: Sequence[Case]) -> tuple[str, str]:
    for case in each_case:
        if case.phase is Phase.RUNNING and case.wish is Wish.REPLACE and case.wanted and case.trouble:
            digest = trouble_digest(desired, case.wanted)
            if case.trouble.digest == digest:
                reason, message, _ = shown(case.trouble, due(case.trouble, digest, view.now))
                return reason, f"{case.name} runs on as it was: {message}"
    return "", ""
