"""A whole pod that stops: because it is not wanted any more, or because the machine goes down."""

from __future__ import annotations

from dataclasses import replace

from tank.model.facts import Now, PodFacts
from tank.model.pod import Backoff
from tank.plan.aims import DRAIN, DROP
from tank.plan.draft import Draft
from tank.plan.phase import Move, Phase
from tank.plan.steps import Action, Impact, Plan
from tank.plan.stops import Ending, plan_revivals, plan_stops
from tank.plan.wish import cases


def plan_removal(draft: Draft, grace: float | None) -> Plan:
    """Stop all, drop all, take the sandbox away, and forget the record last."""
    seen = draft.seen
    if seen.record is None and seen.sandbox is None and not seen.containers and not seen.marked:
        return Plan()
    why = "the pod is not wanted any more"
    if seen.record is not None and not seen.record.deleting:
        draft.add(Action.MARK, why)
    each_case = cases(None, seen)
    living = [case for case in each_case if case.move in (Move.STOP, Move.KILL)]
    if living:
        _plan_stopping(draft, _grace(seen) if grace is None else grace)
        return draft.done()
    for case in each_case:
        draft.add(Action.DROP, case.why, container=case.name, stage=1)
    draft.add(Action.RELEASE, why, stage=2)
    draft.add(Action.REMOVE, why, stage=2)
    draft.add(Action.FORGET, why, stage=3)
    return draft.done()


def _plan_stopping(draft: Draft, grace: float) -> None:
    each_case = cases(None, draft.seen)
    ending = Ending(aim=DROP, grace=grace, impact=Impact.POD_RESTART)
    plan_stops(draft, [(case, ending) for case in each_case if case.move is Move.STOP], each_case)
    for case in each_case:
        if case.move is Move.KILL:
            draft.add(Action.KILL, case.why, container=case.name, stage=1)
    plan_revivals(draft, _backoff(draft.seen), each_case)


def plan_drain(seen: PodFacts, now: Now) -> Plan:
    """Stop everything with its grace because the machine goes down. What is desired does not change."""
    draft, why = Draft(seen, now), "the machine goes down"
    each_case = tuple(replace(case, why=why) for case in cases(None, seen))
    ending = Ending(aim=DRAIN, grace=_grace(seen), impact=Impact.POD_RESTART)
    plan_stops(draft, [(case, ending) for case in each_case if case.move is Move.STOP], each_case)
    for case in each_case:
        if case.phase is Phase.CREATED:
            draft.add(Action.KILL, why, container=case.name, stage=1)
    if any(case.move is Move.STOP for case in each_case):
        plan_revivals(draft, _backoff(seen), each_case)
    return draft.done()


def _grace(seen: PodFacts) -> float:
    return seen.record.spec.grace if seen.record else 0.0


def _backoff(seen: PodFacts) -> Backoff:
    return seen.record.spec.backoff if seen.record else Backoff()
