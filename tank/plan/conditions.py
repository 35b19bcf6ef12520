"""The yes-or-no answers about a pod (C13). `since` follows from times on record, so nothing has to be remembered."""

from __future__ import annotations

from collections.abc import Sequence

from tank.model.record import Attempt
from tank.model.status import Condition, ContainerStatus
from tank.plan.moments import rfc3339
from tank.plan.order import Role
from tank.plan.phase import Wish
from tank.plan.standing import View, is_stopping
from tank.plan.wish import Case


def conditions(
    view: View, created: float, each_case: Sequence[Case], serving: Sequence[ContainerStatus]
) -> tuple[Condition, ...]:
    """C13's conditions. `serving`: the containers whose readiness counts, sidecars included."""
    seen, start = view.seen, rfc3339(created)
    sandbox = bool(seen.sandbox and seen.sandbox.whole and seen.record and seen.record.network_ready)
    initialized = not view.course.turn
    ready = initialized and bool(serving) and all(each.ready for each in serving)
    since = max((start, *(_flipped(view, case) for case in each_case if case.role is not Role.INIT)))
    reason, message = ("", "") if ready else _unready(view, serving)
    desired = view.desired
    adopted = bool(desired and seen.record and seen.record.revision == desired.revision)
    updated = adopted and not any(case.wish is Wish.REPLACE for case in each_case)
    turn = "" if initialized else f"waiting for init container {view.course.turn}"
    return (
        _condition("PodScheduled", True, start),
        _condition("PodReadyToStartContainers", sandbox, start),
        _condition("Initialized", initialized, _initialized(each_case, start), "PodInitializing", turn),
        _condition("ContainersReady", ready, since, reason, message),
        _condition("Ready", ready, since, reason, message),
        _condition("UpToDate", updated, start),
    )


def _unready(view: View, serving: Sequence[ContainerStatus]) -> tuple[str, str]:
    """Of the first that is not ready."""
    each = next((each for each in serving if not each.ready), None)
    if each is None:
        return "PodInitializing", ""
    reason = each.reason or "ContainersNotReady"
    return reason, f"{each.name}: {each.message}" if each.message else ""


def _initialized(each_case: Sequence[Case], start: str) -> str:
    """When the last init container ended, or the last sidecar began."""
    moments = [start]
    for case in each_case:
        if case.role is Role.INIT and case.fact is not None and case.fact.record.exits:
            moments.append(rfc3339(case.fact.record.exits[-1].finished_at))
        if case.role is Role.SIDECAR and case.attempt is not None:
            moments += _known(case.attempt)
    return max(moments)


def _flipped(view: View, case: Case) -> str:
    """When the container last became ready or stopped being so, as far as records tell."""
    moments = [""]
    if case.attempt is not None:
        moments += _known(case.attempt)
    if case.fact is not None and case.fact.record.exits and not case.pid:
        moments.append(rfc3339(case.fact.record.exits[-1].finished_at))
    if case.stop is not None and is_stopping(view, case):
        moments.append(rfc3339(view.now.wall - view.now.boot + case.stop.deadline - case.stop.grace))
    return max(moments)


def _known(attempt: Attempt) -> list[str]:
    return [rfc3339(moment) for moment in (attempt.started_at, attempt.health.at) if moment is not None]


def _condition(kind: str, holds: bool, since: str, reason: str = "", message: str = "") -> Condition:
    told = ("", "") if holds else (reason, message)
    return Condition(type=kind, status="true" if holds else "false", reason=told[0], message=told[1], since=since)
