"""One causal answer: what a pod waits for or why it died, the evidence, and what happens next and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tank.model.desired import Desired
from tank.model.facts import Now, PodFacts
from tank.model.health import Probe
from tank.model.pod import Pod
from tank.model.status import ContainerStatus, Status
from tank.plan.activity import active
from tank.plan.inputs import MISSING
from tank.plan.moments import rfc3339
from tank.plan.order import Role
from tank.plan.pod import plan_pod
from tank.plan.steps import Action, Plan
from tank.plan.stops import EXTRA
from tank.plan.wish import Case, cases

NOTHING = "nothing: it is as it should be"
Coming = tuple[str, str | None]  # what, and when


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """`summary` is one sentence; `because` the evidence, most telling first; `next` what follows, `at` when."""

    name: str
    phase: str
    summary: str
    because: tuple[str, ...] = ()
    next: str = ""
    at: str | None = None


def why_of(status: Status, desired: Desired | None, seen: PodFacts, now: Now, *, grace: float | None = None) -> Why:
    """The answer for one pod."""
    plan = plan_pod(desired, seen, now, grace=grace)
    told = [each for each in (*status.init, *status.containers) if not _is_done(each)]
    evidence = tuple(line for each in sorted(told, key=_is_well) for line in _evidence(each))
    what, at = _next(plan, status, desired, seen, now)
    return Why(
        name=status.name,
        phase=status.phase,
        summary=_summary(status),
        because=evidence + tuple(f"sandbox: {each}" for each in (seen.sandbox.drift if seen.sandbox else ())),
        next=what,
        at=at,
    )


def _is_done(each: ContainerStatus) -> bool:
    """An init that has succeeded explains nothing."""
    return each.state == "terminated" and each.ready


def _is_well(each: ContainerStatus) -> bool:
    return each.ready and not each.reason


def _summary(status: Status) -> str:
    said = f": {status.message}" if status.message else ""
    match status.phase:
        case "running" if status.ready and not status.reason:
            return "it runs and is ready"
        case "running" if not status.reason:
            found = (each.message for each in status.conditions if each.type == "Ready")
            return f"it runs and is not ready: {next(found, '') or 'not every container is'}"
        case "succeeded":
            return "every container ended with exit code 0 and none is to run again"
        case "failed":
            return f"it failed for good ({status.reason or 'Error'}){said}"
        case "terminating":
            return "it was deleted and is being stopped"
        case _:
            return f"it is {status.phase} ({status.reason or 'in progress'}){said}"


def _evidence(each: ContainerStatus) -> Iterable[str]:
    now = f"{each.name} is {each.state}" + (f" ({each.reason})" if each.reason else "")
    yield now + (f": {each.message}" if each.message else "")
    for end in each.last[:3]:
        code = "an unknown exit code" if end.exit_code is None else f"exit code {end.exit_code}"
        said = f": {end.message}" if end.message else ""
        yield f"{each.name} ended at {end.finished_at} with {code} ({end.reason}){said}"
    if each.child_oom_kills:
        yield f"{each.name}: the kernel killed {each.child_oom_kills} process(es) of it for memory"
    for name, value in each.actual.items():
        yield f"{each.name}: its limit {name} is {value} now, which is not what its spec says"


def _next(plan: Plan, status: Status, desired: Desired | None, seen: PodFacts, now: Now) -> Coming:
    if plan.waiting:
        return f"waits: {plan.waiting}", None
    steps = [step for step in plan.steps if step.action is not Action.MARK or step.failed]
    if steps:
        return "now: " + ", ".join(f"{step.action.value} {step.container}".strip() for step in steps), None
    told = {each.name: each for each in (*status.init, *status.containers)}
    spec = desired.spec if desired else (seen.record.spec if seen.record else None)
    for case in cases(desired, seen):
        coming = _of_container(case, told[case.name], spec, now) if case.name in told and spec else None
        if coming is not None:
            return coming
    return _of_pod(status, desired, seen, plan, now)


def _of_container(case: Case, each: ContainerStatus, spec: Pod, now: Now) -> Coming | None:
    """What this container is about to do, unless it waits for another one."""
    if each.reason == "Stopping" and case.stop is not None:
        late = 0.0 if case.stop.signalled and case.stop.deadline > now.boot else EXTRA
        at = now.wall + case.stop.deadline + late - now.boot
        return f"{each.name} is killed, unless it has ended by then", rfc3339(at)
    if each.retry_at is not None:
        return f"{each.name} is tried again", each.retry_at
    if each.reason == MISSING:
        return f"{each.name} begins as soon as that is mended", None
    if each.state == "running" and case.role is Role.INIT:
        return f"the next container begins when {each.name} has ended with exit code 0", None
    return _of_probes(each, spec) if each.state == "running" and not each.ready else None


def _of_probes(each: ContainerStatus, spec: Pod) -> Coming | None:
    container = spec.container(each.name)
    if container is None:
        return None
    if not each.started and container.probes.startup is not None:
        probe = container.probes.startup
        return f"{_asked(each.name, 'startup', probe)}; {probe.failures} failures in a row end it", None
    if not each.started:
        return f"{each.name} is started when its post_start hook has ended well", None
    return (_asked(each.name, "ready", container.probes.ready), None) if container.probes.ready else None


def _asked(name: str, kind: str, probe: Probe) -> str:
    return f"the {kind} probe of {name} is asked every {probe.period:g} s"


def _of_pod(status: Status, desired: Desired | None, seen: PodFacts, plan: Plan, now: Now) -> Coming:
    if status.phase in ("failed", "succeeded"):
        return "nothing, until its spec changes or a restart is asked for", None
    limit = desired.spec.deadline if desired else None
    if limit is not None and seen.record is not None:
        at = now.wall + limit - active(seen.record, now)
        return "it fails with DeadlineExceeded, unless it has ended by then", rfc3339(at)
    if plan.wake_at is not None:
        return "it is tried again", rfc3339(now.wall + plan.wake_at - now.boot)
    return NOTHING, None
