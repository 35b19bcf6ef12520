"""One causal answer: what a pod waits for or why it died, the evidence, and what happens next and when."""

from __future__ import annotations

from dataclasses import dataclass

from tank.model.desired import Desired
from tank.model.facts import Now, PodFacts
from tank.model.status import ContainerStatus, Status
from tank.plan.moments import rfc3339
from tank.plan.pod import plan_pod
from tank.plan.steps import Plan


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
    evidence = tuple(line for each in status.containers for line in _evidence(each))
    return Why(
        name=status.name,
        phase=status.phase,
        summary=_summary(status),
        because=evidence + tuple(f"sandbox: {each}" for each in (seen.sandbox.drift if seen.sandbox else ())),
        next=_next(plan),
        at=rfc3339(now.wall + plan.wake_at - now.boot) if plan.wake_at is not None and not plan.steps else None,
    )


def _summary(status: Status) -> str:
    said = f": {status.message}" if status.message else ""
    match status.phase:
        case "running" if status.ready and not status.reason:
            return "it runs and is ready"
        case "succeeded":
            return "every container ended with exit code 0 and none is to run again"
        case "failed":
            return f"it failed for good ({status.reason}){said}"
        case "terminating":
            return "it was deleted and is being stopped"
        case _:
            return f"it is {status.phase} ({status.reason or 'in progress'}){said}"


def _evidence(each: ContainerStatus) -> tuple[str, ...]:
    lines = []
    now = f"{each.name} is {each.state}" + (f" ({each.reason})" if each.reason else "")
    lines.append(now + (f": {each.message}" if each.message else ""))
    for end in each.last[:3]:
        code = "an unknown exit code" if end.exit_code is None else f"exit code {end.exit_code}"
        said = f": {end.message}" if end.message else ""
        lines.append(f"{each.name} ended at {end.finished_at} with {code} ({end.reason}){said}")
    if each.child_oom_kills:
        lines.append(f"{each.name}: the kernel killed {each.child_oom_kills} process(es) of it for memory")
    return tuple(lines)


def _next(plan: Plan) -> str:
    if plan.waiting:
        return f"waits: {plan.waiting}"
    if plan.steps:
        names = [f"{step.action.value} {step.container}".strip() for step in plan.steps]
        return "now: " + ", ".join(names)
    if plan.wake_at is not None:
        return "it is tried again"
    return "nothing: it is as it should be"
