"""Stopping: hook, signal, clock, kill (C3), and who goes first when a whole pod stops (C4).

The deadline is on record before anything else, and only ever gets nearer. With a pre_stop hook the signal waits for
its end; the clock is running already. A sidecar that stops with its pod waits until those before it are gone: the
other containers first, together, then the sidecars in reverse order, one at a time; a sidecar that ends by itself
while it waits is started again. At the deadline whoever was not signalled is, and has two seconds more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tank.model.pod import Backoff
from tank.plan.aims import fits
from tank.plan.draft import Draft
from tank.plan.order import Role
from tank.plan.phase import Phase
from tank.plan.restart import retry_at
from tank.plan.steps import Action, Impact
from tank.plan.wish import LIVING, Case

EXTRA = 2.0  # seconds behind the deadline for what could not be signalled before it (C3.4, C4)
HOOK, TURN = "hook", "turn"  # what a signal waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A stop that is wanted: what for, with how many seconds.

    `held` is the boot time until which a trouble keeps the signal from being sent; it never holds up the kill.
    """

    aim: str
    grace: float
    impact: Impact
    held: float | None = None


def plan_stops(draft: Draft, stopping: Sequence[tuple[Case, Ending]], each_case: Sequence[Case]) -> None:
    """What stops together: in its order (C4), by one deadline."""
    begun = [case.stop.deadline for case, ending in stopping if fits(case.stop, ending.aim, draft.now)]
    left = max(min(begun) - draft.now.boot, 0.0) if begun else float("inf")
    for case, ending in stopping:
        fresh = not fits(case.stop, ending.aim, draft.now)
        bound = replace(ending, grace=min(ending.grace, left)) if fresh else ending
        plan_stop(draft, case, bound, turn=has_its_turn(case, each_case), last=case.role is Role.SIDECAR)


def has_its_turn(case: Case, each_case: Sequence[Case]) -> bool:
    """Whether everything that is stopped before this container is gone. `each_case` is in the order of the start."""
    if case.role is not Role.SIDECAR:
        return True
    living = [each for each in each_case if each.phase in (*LIVING, Phase.LOST) and each.name != case.name]
    behind = {each.name for each in each_case[[each.name for each in each_case].index(case.name) :]}
    return not any(each.role is not Role.SIDECAR or each.name in behind for each in living)


def plan_stop(draft: Draft, case: Case, ending: Ending, *, turn: bool = True, last: bool = False) -> None:
    """The next step of one stop. `turn`: its signal waits for nobody. `last`: a sidecar that stops with its pod."""
    stop, now = case.stop, draft.now.boot
    if not fits(stop, ending.aim, draft.now):
        _plan_beginning(draft, case, ending, turn=turn)
        return
    grace = min(stop.grace, ending.grace)
    deadline = stop.deadline - stop.grace + grace
    hook = case.pre_stop is not None and grace > 0 and not stop.hooked
    end = deadline + (EXTRA if grace > 0 and (last or hook) else 0.0)
    if now >= end:
        draft.add(Action.KILL, "its grace is over", container=case.name, impact=ending.impact, stage=1)
    elif not stop.signalled and ending.held is not None:
        draft.wakes.append(min(ending.held, end))
    elif not stop.signalled and (now >= deadline or (turn and not hook)):
        _add_stop(draft, case, replace(ending, grace=max(deadline - now, 0.0)))
    else:
        if deadline < stop.deadline:
            _add_stop(draft, case, replace(ending, grace=deadline - now), until=stop.until)
        if hook and not stop.signalled:
            _plan_hook(draft, case)
        draft.wakes.append(deadline if now < deadline and not stop.signalled else end)


def _plan_beginning(draft: Draft, case: Case, ending: Ending, *, turn: bool) -> None:
    if ending.held is not None:
        draft.wakes.append(ending.held)
        return
    hook = case.pre_stop is not None and ending.grace > 0
    _add_stop(draft, case, ending, until=TURN if not turn else HOOK if hook else "")
    if hook:
        _plan_hook(draft, case)


def _add_stop(draft: Draft, case: Case, ending: Ending, until: str = "") -> None:
    draft.add(
        Action.STOP, case.why, container=case.name, grace=ending.grace, aim=ending.aim, impact=ending.impact,
        until=until, stage=1,
    )  # fmt: skip


def _plan_hook(draft: Draft, case: Case) -> None:
    """Run, or run again: what is not on record as done is begun anew by a new daemon (C3.6, C3.7)."""
    if case.fact is not None and not case.fact.hooking:
        draft.add(Action.HOOK, "before its signal", container=case.name, aim="pre_stop", stage=1)


def plan_revivals(draft: Draft, backoff: Backoff, each_case: Sequence[Case]) -> None:
    """Sidecars that ended while others are still being stopped run again, until their own turn comes (C4)."""
    for case in each_case:
        if case.role is not Role.SIDECAR or case.phase is not Phase.EXITED or case.fact is None:
            continue
        if has_its_turn(case, each_case) or (case.stop is not None and case.stop.until != TURN):
            continue
        at = retry_at("always", backoff, case.fact.record)
        if at is not None and at > draft.now.boot:
            draft.wakes.append(at)
        elif case.stop is None or draft.now.boot < case.stop.deadline:
            why = "it ended while others are still being stopped"
            draft.add(Action.CREATE, why, container=case.name, stage=2)
            draft.add(Action.START, why, container=case.name, stage=3)
