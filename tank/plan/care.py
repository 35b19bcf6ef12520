"""What a running container is given beside its limits: its post_start hook, and files that are up to date."""

from __future__ import annotations

from tank.model.desired import Desired
from tank.plan.draft import Draft
from tank.plan.inputs import Change
from tank.plan.phase import Move, Phase
from tank.plan.steps import Action, Impact
from tank.plan.wish import Case, change_of


def plan_post_start(draft: Draft, case: Case) -> None:
    """Run it until it is on record as done (C3.7). What was made without one needs none now."""
    attempt = case.attempt
    if case.phase is not Phase.RUNNING or attempt is None or attempt.spec.hooks.post_start is None:
        return
    over = attempt.health.hooked or attempt.health.failed or attempt.stop is not None
    if not over and case.fact is not None and not case.fact.hooking:
        draft.add(Action.HOOK, "it has begun", container=case.name, aim="post_start", stage=3)


def plan_refills(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Files of secrets and configs as they are now, then what each container that mounts them is to be told.

    The reaction is done before the record says so: a crash in between repeats it, and loses none.
    """
    found = ((case, _change(draft, desired, case)) for case in each_case if case.move is Move.REST)
    stale = [(case, change) for case, change in found if change is not None and change.refill]
    if not stale or draft.pod_held(desired):
        return
    draft.add(Action.REFILL, "; ".join(sorted({change.refill for _, change in stale})), impact=Impact.LIVE, stage=1)
    for case, change in stale:
        impact = Impact.LIVE if change.reactions else Impact.NONE
        draft.add(Action.REACT, change.refill, container=case.name, change=change, impact=impact, stage=2)


def _change(draft: Draft, desired: Desired, case: Case) -> Change | None:
    if case.phase is not Phase.RUNNING or case.wanted is None or case.fact is None:
        return None
    return change_of(desired.spec, case.wanted, case.fact, draft.seen)
