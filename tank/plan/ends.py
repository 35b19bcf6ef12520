"""Ending what is not to go on: stops, kills, drops; and live changes of what stays."""

from __future__ import annotations

from dataclasses import replace

from tank.model.desired import Desired
from tank.plan.aims import END, UNHEALTHY, WITHDRAWN, aim_of, fits
from tank.plan.digests import tuning_of
from tank.plan.draft import STOPPING, Draft, stale, unconfigured
from tank.plan.inputs import lacking
from tank.plan.phase import Move, Phase, Wish
from tank.plan.steps import Action, Impact
from tank.plan.stops import Ending, plan_revivals, plan_stop, plan_stops
from tank.plan.wish import Case, image_ready

BARE = frozenset({"", Action.STOP.value})  # troubles that keep what nothing follows from being signalled again


def plan_ends(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Stops, kills and drops; and the limits of those that stay."""
    together: list[tuple[Case, Ending]] = []
    for case in each_case:
        match case.move:
            case Move.STOP:
                _plan_one(draft, desired, each_case, case, together)
            case Move.KILL:
                why = "it is gone without a trace of how" if case.phase is Phase.LOST else case.why
                draft.add(Action.KILL, why, container=case.name)
            case Move.DELETE:
                draft.add(Action.DROP, case.why, container=case.name)
            case Move.REST if case.phase is not Phase.RUNNING:
                pass
            case Move.REST if draft.seen.entangled and unconfigured(draft, desired):
                given = replace(case, why="another pod waits for its addresses as it waits for theirs")
                ending = Ending(
                    aim=aim_of(desired, case.wanted), grace=desired.spec.grace, impact=Impact.CONTAINER_RESTART
                )
                plan_stop(draft, given, ending)
            case Move.REST:
                _plan_tuning(draft, desired, case)
                _plan_taking_back(draft, case)
            case _:
                pass
    plan_stops(draft, together, each_case)
    if any(case.wish is Wish.END for case, _ in together) and not draft.seen.blocked:
        plan_revivals(draft, desired.spec.backoff, each_case)


def _plan_one(
    draft: Draft, desired: Desired, each_case: tuple[Case, ...], case: Case, together: list[tuple[Case, Ending]]
) -> None:
    """One stop by itself; or, where the whole pod stops, one more of those that stop `together` (C4)."""
    grace = desired.spec.grace
    if case.wish is Wish.END:
        held = draft.held(desired, case, BARE)
        together.append((case, Ending(aim=END, grace=grace, impact=Impact.POD_RESTART, held=held)))
    elif case.unhealthy and case.wish is Wish.REPLACE and case.attempt is not None:
        own = case.attempt.health.grace
        held = draft.held(desired, case, BARE)
        ending = Ending(aim=UNHEALTHY, grace=grace if own is None else own, impact=Impact.CONTAINER_RESTART, held=held)
        plan_stop(draft, case, ending)
    elif case.wish is Wish.DROP or _replaceable(draft, desired, each_case, case):
        whole = stale(draft, desired)
        impact = Impact.POD_RESTART if whole else Impact.CONTAINER_RESTART
        held = draft.held(desired, case, STOPPING)
        ending = Ending(aim=aim_of(desired, case.wanted), grace=grace, impact=impact, held=held)
        if whole and case.wish is Wish.REPLACE:
            together.append((case, ending))
        else:
            plan_stop(draft, case, ending)


def _plan_tuning(draft: Draft, desired: Desired, case: Case) -> None:
    if not case.attempt or not case.wanted or case.attempt.tuning == tuning_of(case.wanted):
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
    if fits(case.stop, aim_of(desired, case.wanted), draft.now):
        return not draft.seen.blocked or draft.seen.entangled
    together = each_case if stale(draft, desired) else (case,)
    ready = all(_can_be_made(draft, desired, each) for each in together)
    return ready and (not draft.seen.blocked or draft.seen.entangled)


def _can_be_made(draft: Draft, desired: Desired, case: Case) -> bool:
    if case.wanted is None:
        return True
    return image_ready(draft.seen, desired.spec, case.wanted) and not lacking(
        desired.spec, case.wanted, draft.seen.inputs
    )
