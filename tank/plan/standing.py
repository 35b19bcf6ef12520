"""How one container stands, in the words of a status (C5, C13). Nothing here is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, Now, PodFacts
from tank.model.pod import Container, Limits, Pod, Rootfs
from tank.model.record import Exit, Trouble
from tank.model.status import ContainerStatus, Termination
from tank.plan.aims import DRAIN, END, UNHEALTHY, WITHDRAWN, aim_of, fits
from tank.plan.digests import due, trouble_digest
from tank.plan.draft import MAKING
from tank.plan.inputs import MISSING, lacking
from tank.plan.limits import holds
from tank.plan.moments import rfc3339
from tank.plan.order import DONE, Course, Role, is_ready, is_started, policy_of, succeeded
from tank.plan.phase import Phase, Wish
from tank.plan.restart import retry_at
from tank.plan.stops import EXTRA, TURN
from tank.plan.wish import Case, image_ready

PULL_REASONS = ("ErrImagePull",)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one status is computed from."""

    desired: Desired | None
    spec: Pod
    seen: PodFacts
    now: Now
    course: Course
    progress: Mapping[str, str]


def container_status(view: View, case: Case, wanted: Container) -> ContainerStatus:
    """All that is told of one container."""
    fact = case.fact
    record = fact.record if fact else None
    last = record.exits[-1] if record and record.exits else None
    state, reason, message, retry = _state(view, case, wanted)
    running, shown_end = state == "running", last if state != "running" else None
    done = case.role is Role.INIT and succeeded(fact)
    image = view.seen.images.get(case.name)
    return ContainerStatus(
        name=case.name,
        state=state,
        reason=reason,
        message=message,
        ready=done or (running and is_ready(wanted, fact) and not is_stopping(view, case)),
        started=running and is_started(wanted, fact),
        restarts=record.restart_count if record else 0,
        pid=case.pid or None if running else None,
        exit_code=shown_end.code if shown_end else None,
        signal=_signal(shown_end),
        oom_killed=bool(last and last.oom_killed),
        child_oom_kills=_child_kills(fact, last, running),
        started_at=_time(case.attempt.started_at if case.attempt else None),
        finished_at=_time(shown_end.finished_at if shown_end else None),
        retry_at=_time(view.now.wall + retry - view.now.boot if retry is not None else None),
        image=wanted.image.rootfs if isinstance(wanted.image, Rootfs) else wanted.image,
        image_digest=case.attempt.image if case.attempt else "",
        image_trust=image.trust if image else "",
        sidecar=case.role is Role.SIDECAR,
        privileged=wanted.security.privileged,
        actual=_actual(wanted.limits, fact) if running else {},
        last=tuple(_termination(end) for end in reversed(record.exits)) if record else (),
    )


def _time(wall: float | None) -> str | None:
    return None if wall is None else rfc3339(wall)


def _signal(end: Exit | None) -> int | None:
    return end.code - 128 if end and end.code is not None and 128 < end.code < 193 else None


def _child_kills(fact: ContainerFact | None, last: Exit | None, running: bool) -> int:
    if running and fact and fact.runtime:
        return fact.runtime.oom_kills or 0
    return last.child_oom_kills if last else 0


def _actual(limits: Limits, fact: ContainerFact | None) -> dict[str, int | str | None]:
    """The limits in force that are not those of the spec, by its names (C12)."""
    seen = fact.runtime.actual if fact and fact.runtime else {}
    return {name: value for name, value in seen.items() if not holds(getattr(limits, name, None), value)}


def _termination(end: Exit) -> Termination:
    return Termination(
        exit_code=end.code,
        reason=end.reason,
        message=end.message,
        started_at=_time(end.started_at),
        finished_at=_time(end.finished_at),
        oom_killed=end.oom_killed,
    )


def _state(view: View, case: Case, wanted: Container) -> tuple[str, str, str, float | None]:
    """State, reason, message, and when it is tried again (boot time)."""
    if case.phase is Phase.RUNNING:
        return "running", *_running(view, case, wanted), None
    spec, now = view.spec, view.now
    if case.phase is not Phase.EXITED or case.fact is None:
        return _waiting(view, case)
    end = case.fact.record.exits[-1]
    waiting = _waiting(view, case)
    if case.wish is Wish.REPLACE:
        return waiting
    at = retry_at(policy_of(spec, wanted), spec.backoff, case.fact.record) if case.wish is Wish.KEEP else None
    if at is None:
        return "terminated", end.reason, end.message, None
    if waiting[1] not in ("ContainerCreating", "Blocked"):
        return waiting
    if at > now.boot:
        text = f"{ended(end)}; started again in {at - now.boot:.0f} s"
        return "waiting", "CrashLoopBackOff", text, at
    return waiting


def is_stopping(view: View, case: Case) -> bool:
    """Whether a stop is under way that is still wanted: one that was taken back ends nothing."""
    if case.stop is None or case.stop.aim == WITHDRAWN or case.phase is not Phase.RUNNING:
        return False
    if case.stop.aim == DRAIN:
        return True
    aim = END if case.wish is Wish.END else UNHEALTHY if case.unhealthy else aim_of(view.desired, case.wanted)
    return case.wish is not Wish.KEEP and fits(case.stop, aim, view.now)


def _running(view: View, case: Case, wanted: Container) -> tuple[str, str]:
    if is_stopping(view, case) and case.stop is not None:
        why = "the machine goes down" if case.stop.aim == DRAIN else case.why
        return "Stopping", f"{why}; {_stopping(view, case)}"
    if case.unhealthy and case.attempt is not None:
        return "Unhealthy", case.attempt.health.failed
    return "", _unready(wanted, case)


def _stopping(view: View, case: Case) -> str:
    """How far the stop is, and when the kill follows."""
    stop = case.stop
    assert stop is not None
    left = stop.deadline - view.now.boot
    until = f"killed in {max(left, 0.0) + (0.0 if stop.signalled and left > 0 else EXTRA):.0f} s at the latest"
    if stop.signalled:
        return f"its signal was sent; {until}"
    if case.pre_stop is not None and not stop.hooked and stop.grace > 0:
        return f"its pre_stop hook is under way; {until}"
    return f"it waits for others to stop first; {until}" if stop.until == TURN else until


def _unready(wanted: Container, case: Case) -> str:
    """What a container that runs is still waited for."""
    attempt = case.attempt
    if attempt is None or is_ready(wanted, case.fact):
        return ""
    if attempt.spec.hooks.post_start is not None and not attempt.health.hooked:
        return "its post_start hook is not done yet"
    if not is_started(wanted, case.fact):
        return "its startup probe has not succeeded yet"
    return "its ready probe does not succeed"


def ended(end: Exit) -> str:
    """How it ended, in a sentence."""
    if end.code is None:
        return end.message or "it ended and its exit code is unknown"
    said = f": {end.message}" if end.message else ""
    return f"it ended with exit code {end.code} ({end.reason}){said}"


def _waiting(view: View, case: Case) -> tuple[str, str, str, float | None]:
    desired, seen = view.desired, view.seen
    if view.course.over and view.course.over != DONE:
        return "waiting", "PodInitializing" if view.course.turn else "NotStarted", view.course.over, None
    digest = trouble_digest(desired, case.wanted) if desired and case.wanted else ""
    trouble = case.trouble
    if trouble is not None and trouble.digest == digest and trouble.action in MAKING:
        return "waiting", *shown(trouble, due(trouble, digest, view.now))
    if seen.blocked:
        return "waiting", "Blocked", seen.blocked, None
    if case.wanted is not None and not image_ready(seen, view.spec, case.wanted):
        return "waiting", "ContainerCreating", view.progress.get(case.name) or "its image is being fetched", None
    if case.wanted is not None and (lacks := lacking(view.spec, case.wanted, seen.inputs)):
        return "waiting", MISSING, lacks, None
    if view.course.turn and not view.course.may_begin(case.name, case.role):
        return "waiting", "PodInitializing", f"it waits for init container {view.course.turn}", None
    return "waiting", "ContainerCreating", "", None


def shown(trouble: Trouble, until: float | None) -> tuple[str, str, float | None]:
    """ErrImagePull while it is tried, ImagePullBackOff while it waits (C6)."""
    backing_off = trouble.reason in PULL_REASONS and until is not None
    return "ImagePullBackOff" if backing_off else trouble.reason, trouble.message, until
