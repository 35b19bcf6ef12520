"""What a step will have changed, and so where a plan leads: the preview, and the proof that plans converge.

`foresee` asks the planner again and again, applying each step to the facts instead of to the machine, with the
same marks that the executor writes. What only the machine can tell is assumed to go well.
"""

from __future__ import annotations

from dataclasses import replace

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageFact, ImageState, Now, PodFacts, RuntimeFact, SandboxFact
from tank.model.pod import Backoff
from tank.model.record import ContainerRecord
from tank.model.wanted import wanted_images
from tank.plan import marks
from tank.plan.phase import Phase, phase
from tank.plan.pod import plan_pod
from tank.plan.restart import counted
from tank.plan.steps import Action, Step

LIMIT = 12  # passes; a property test shows that this many are always enough


def foresee(
    desired: Desired | None, seen: PodFacts, now: Now, *, grace: float | None = None
) -> tuple[tuple[Step, ...], PodFacts]:
    """Every step until rest, and the facts at rest. Waiting for a moment of the clock ends the look ahead."""
    taken: list[Step] = []
    for _ in range(LIMIT):
        plan = plan_pod(desired, seen, now, grace=grace)
        if not plan.steps:
            break
        for step in plan.steps:
            seen = after(step, desired, seen, now)
        taken.extend(plan.steps)
    return tuple(taken), seen


def after(step: Step, desired: Desired | None, seen: PodFacts, now: Now) -> PodFacts:
    """The facts once `step` was done."""
    if step.container:
        return _after_container(step, desired, seen, now)
    record = seen.record
    match step.action:
        case Action.MARK if desired is not None:
            return replace(seen, record=marks.pod_mark(record, desired, "000000", now, step.held))
        case Action.MARK:
            return replace(seen, record=replace(record, deleting=True) if record else None)
        case Action.SANDBOX if desired is not None and record is not None:
            made = SandboxFact(pins={"net": True})
            return replace(seen, record=marks.sandbox_mark(record, desired, now), sandbox=made)
        case Action.REPIN:
            return replace(seen, sandbox=SandboxFact(pins={"net": True}))
        case Action.NETWORK if seen.sandbox is not None and record is not None:
            sandbox = replace(seen.sandbox, network_ready=True, drift=())
            return replace(seen, sandbox=sandbox, record=replace(record, network_ready=True))
        case Action.REMOVE:
            return replace(seen, sandbox=None)
        case Action.FORGET:
            return PodFacts(uid=seen.uid)
        case _:
            return seen


def _after_container(step: Step, desired: Desired | None, seen: PodFacts, now: Now) -> PodFacts:
    name = step.container
    if step.action is Action.RESOLVE:
        ready = ImageFact(state=ImageState.READY, digest="sha256:" + "0" * 64)
        wanted = desired.spec.container(name) if desired else None
        keys = {name, *(each.key for each in (wanted_images(desired.spec, wanted) if desired and wanted else ()))}
        return replace(seen, images={**seen.images, **dict.fromkeys(keys, ready)})
    if step.action is Action.DROP:
        rest = {key: fact for key, fact in seen.containers.items() if key != name}
        return replace(seen, containers=rest)
    fact = _container_fact(step, desired, seen.containers.get(name), now)
    return replace(seen, containers={**seen.containers, name: fact}) if fact else seen


def _container_fact(step: Step, desired: Desired | None, fact: ContainerFact | None, now: Now) -> ContainerFact | None:
    wanted = desired.spec.container(step.container) if desired else None
    record = fact.record if fact else None
    match step.action:
        case Action.MARK if fact is not None:
            return replace(fact, record=marks.unstopped_mark(fact.record, now))
        case Action.CREATE if desired is not None and wanted is not None:
            made = marks.attempt_mark(record, desired, wanted, "", now)
            parked = RuntimeFact(attempt=made.last_number, pid=1, start_time=1, alive=True, monitored=True)
            return ContainerFact(record=marks.created_mark(made, 1, 1), runtime=parked)
        case Action.START if fact is not None and fact.runtime is not None:
            started = marks.started_mark(fact.record, now.boot, now.wall)
            return ContainerFact(record=started, runtime=replace(fact.runtime, started=True))
        case Action.TUNE if fact is not None and fact.record.attempt is not None and wanted is not None:
            return replace(fact, record=marks.tuned_mark(fact.record, wanted))
        case Action.STOP if record is not None:
            return _ended(marks.stop_mark(record, step.grace, now, signalled=True, aim=step.aim), now)
        case Action.KILL if fact is not None:
            return _ended(fact.record, now) if phase(fact) is Phase.RUNNING else _gone(fact, now)
        case _:
            return fact


def _ended(record: ContainerRecord, now: Now) -> ContainerFact:
    end = marks.ended(record, 143, "Error", now, finished=now.boot)
    backoff_free = replace(end, stopped=True)
    return ContainerFact(record=counted(record, backoff_free, Backoff()))


def _gone(fact: ContainerFact, now: Now) -> ContainerFact:
    attempt = fact.record.attempt
    if attempt is None or attempt.started_boot is None:
        return ContainerFact(record=marks.unstarted_mark(fact.record))
    return ContainerFact(record=marks.lost_mark(fact.record, now, Backoff()))
