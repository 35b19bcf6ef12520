"""Ending what is not to go on: stops and their clock (C3), kills, drops; and live changes of what stays."""

from __future__ import annotations

from dataclasses import replace

from tank.model.desired import Desired
from tank.model.digest import tuning_digest
from tank.plan.draft import STOPPING, Draft, stale, unconfigured
from tank.plan.phase import Move, Phase, Wish
from tank.plan.steps import Action, Impact
from tank.plan.wish import WITHDRAWN, Case, aim_of, fits, image_ready


def plan_ends(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Stops, kills and drops; and the limits of those that stay."""
    for case in each_case:
        match case.move:
            case Move.STOP if case.wish is Wish.DROP or _replaceable(draft, desired, each_case, case):
                impact = Impact.POD_RESTART if stale(draft, desired) else Impact.CONTAINER_RESTART
                held = draft.held(desired, case, STOPPING)
                plan_stop(draft, case, desired.spec.grace, impact, aim=aim_of(desired, case.wanted), held=held)
            case Move.KILL:
                why = "it is gone without a trace of how" if case.phase is Phase.LOST else case.why
                draft.add(Action.KILL, why, container=case.name)
            case Move.DELETE:
                draft.add(Action.DROP, case.why, container=case.name)
            case Move.REST if draft.seen.entangled and unconfigured(draft, desired):
                given = replace(case, why="another pod waits for its addresses as it waits for theirs")
                aim = aim_of(desired, case.wanted)
                plan_stop(draft, given, desired.spec.grace, Impact.CONTAINER_RESTART, aim=aim)
            case Move.REST:
                _plan_tuning(draft, desired, case)
                _plan_taking_back(draft, case)
            case _:
                pass


def _plan_tuning(draft: Draft, desired: Desired, case: Case) -> None:
    attempt = case.fact.record.attempt if case.fact else None
    if not attempt or not case.wanted or attempt.tuning == tuning_digest(case.wanted):
        return
    held = draft.tuning_held(desired, case)
    if held is not None:
        draft.wakes.append(held)
    else:
        draft.add(Action.TUNE, "its limits changed", container=case.name, impact=Impact.LIVE)


def _plan_taking_back(draft: Draft, case: Case) -> None:
    """A stop that is not wanted any more is marked so, and forgotten once its time is over."""
    if case.stop is None:
        return
    doing = case.stop.boot_id == draft.now.boot_id and draft.now.boot < case.stop.deadline
    if doing:
        draft.wakes.append(case.stop.deadline)
    if not doing or case.stop.aim != WITHDRAWN:
        draft.add(Action.MARK, "its stop was taken back", container=case.name)


def _replaceable(draft: Draft, desired: Desired, each_case: tuple[Case, ...], case: Case) -> bool:
    """Whether the running container may be stopped for its successor: all that can fail is done.

    When the whole sandbox changes, all of them are replaced, or none. A stop for this successor goes on.
    """
    together = each_case if stale(draft, desired) else (case,)
    ready = all(image_ready(draft.seen, desired.spec, each.wanted) for each in together if each.wanted)
    return (ready or fits(case.stop, aim_of(desired, case.wanted), draft.now)) and (
        not draft.seen.blocked or draft.seen.entangled
    )


def plan_stop(draft: Draft, case: Case, grace: float, impact: Impact, *, aim: str, held: float | None = None) -> None:
    """Signal, then the clock, then the kill (C3). The deadline is on record and only ever gets nearer.

    `held` is the boot time until which a trouble keeps the signal from being sent; it never holds up the kill.
    """
    stop, now = case.stop, draft.now.boot
    more = {"container": case.name, "impact": impact, "stage": 1}
    if not fits(stop, aim, draft.now):
        if held is not None:
            draft.wakes.append(held)
        else:
            draft.add(Action.STOP, case.why, grace=grace, aim=aim, **more)
        return
    deadline = min(stop.deadline, stop.deadline - stop.grace + grace)
    if now >= deadline:
        draft.add(Action.KILL, "its grace is over", **more)
    elif not stop.signalled and held is not None:
        draft.wakes.append(min(held, deadline))
    elif not stop.signalled or deadline < stop.deadline:
        draft.add(Action.STOP, case.why, grace=deadline - now, aim=aim, **more)
    else:
        draft.wakes.append(deadline)
