"""What a step will have changed, and so where a plan leads: the preview, and the proof that plans converge.

`foresee` asks the planner again and again, applying each step to the facts instead of to the machine, with the
same marks that the executor writes. What only the machine can tell is assumed to go well: inits succeed, sidecars
start, probes pass, hooks come to their end.
"""

from __future__ import annotations

from dataclasses import replace

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageFact, ImageState, Now, PodFacts, RuntimeFact, SandboxFact
from tank.model.pod import Backoff, Container, Pod
from tank.model.record import ContainerRecord
from tank.model.wanted import wanted_images
from tank.plan import marks, settling
from tank.plan.inputs import versions
from tank.plan.order import Role, course_of, role_of
from tank.plan.phase import Phase, phase
from tank.plan.pod import plan_pod
from tank.plan.restart import counted
from tank.plan.steps import Action, Step

LIMIT = 12  # passes, and EACH for every container; a property test shows that this many are always enough
EACH = 4


def foresee(
    desired: Desired | None, seen: PodFacts, now: Now, *, grace: float | None = None
) -> tuple[tuple[Step, ...], PodFacts]:
    """Every step until rest, and the facts at rest. Waiting for a moment of the clock ends the look ahead."""
    taken: list[Step] = []
    for _ in range(passes(desired, seen)):
        plan = plan_pod(desired, seen, now, grace=grace)
        before = seen
        for step in plan.steps:
            seen = after(step, desired, seen, now)
        taken.extend(plan.steps)
        if not plan.steps and (seen := in_time(desired, seen, now)) == before:
            break
    return tuple(taken), seen


def passes(desired: Desired | None, seen: PodFacts) -> int:
    """How many looks ahead are enough."""
    return LIMIT + EACH * len({*seen.containers, *(each.name for each in (desired.spec.everyone if desired else ()))})


def in_time(desired: Desired | None, seen: PodFacts, now: Now) -> PodFacts:
    """The facts once all that is under way by itself has come to a good end."""
    spec = desired.spec if desired else (seen.record.spec if seen.record else None)
    turn = course_of(desired, seen).turn if desired else ""
    facts = {name: _in_time(spec, fact, now, turn=name == turn) for name, fact in seen.containers.items()}
    return replace(seen, containers=facts)


def _in_time(spec: Pod | None, fact: ContainerFact, now: Now, *, turn: bool) -> ContainerFact:
    if phase(fact) is not Phase.RUNNING or fact.record.attempt is None:
        return fact
    record = fact.record
    if fact.hooking and record.attempt is not None:
        health = replace(record.attempt.health, hooked=True) if record.attempt.stop is None else None
        record = settling.cared_mark(record, health, True, now)
    elif turn and spec is not None:
        return _begun(spec, replace(fact, record=record), now)
    return replace(fact, record=record, hooking=False)


def _begun(spec: Pod, fact: ContainerFact, now: Now) -> ContainerFact:
    """What was started has succeeded, if it is an init; else its probes pass."""
    attempt = fact.record.attempt
    assert attempt is not None
    if role_of(spec, fact.record.name) is Role.INIT:
        done = settling.ended(fact.record, 0, "Completed", now, finished=now.boot)
        return ContainerFact(record=counted(fact.record, done, Backoff()))
    health = replace(attempt.health, started=True, ready=True)
    return replace(fact, record=settling.cared_mark(fact.record, health, False, now))


def after(step: Step, desired: Desired | None, seen: PodFacts, now: Now) -> PodFacts:
    """The facts once `step` was done."""
    if step.container:
        return _after_container(step, desired, seen, now)
    record = seen.record
    match step.action:
        case Action.MARK if step.failed and record is not None:
            return replace(seen, record=marks.failed_mark(record, step.failed))
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
    fact = _container_fact(step, desired or _recorded(seen), seen, now)
    return replace(seen, containers={**seen.containers, name: fact}) if fact else seen


def _recorded(seen: PodFacts) -> Desired | None:
    return marks.desired_of(seen.record) if seen.record else None


def _container_fact(step: Step, desired: Desired | None, seen: PodFacts, now: Now) -> ContainerFact | None:
    fact = seen.containers.get(step.container)
    wanted = desired.spec.container(step.container) if desired else None
    match step.action:
        case Action.MARK if fact is not None:
            return replace(fact, record=marks.unstopped_mark(fact.record, now))
        case Action.CREATE if desired is not None and wanted is not None:
            return _made(desired, wanted, seen, now)
        case Action.START if fact is not None and fact.runtime is not None and desired is not None:
            started = marks.started_mark(fact.record, now.boot, now.wall)
            runs = replace(fact, record=started, runtime=replace(fact.runtime, started=True))
            return _begun(desired.spec, runs, now)
        case Action.TUNE if fact is not None and fact.record.attempt is not None and wanted is not None:
            return replace(fact, record=marks.tuned_mark(fact.record, wanted))
        case _:
            return _after_care(step, fact, now) if fact is not None else None


def _made(desired: Desired, wanted: Container, seen: PodFacts, now: Now) -> ContainerFact:
    fact, sandbox = seen.containers.get(wanted.name), seen.record.sandbox if seen.record else 0
    given = versions(desired.spec, wanted, seen.inputs)
    record = marks.attempt_mark(
        fact.record if fact else None, desired, wanted, "", now, sandbox=sandbox, inputs=given
    )  # fmt: skip
    parked = RuntimeFact(attempt=record.last_number, pid=1, start_time=1, alive=True, monitored=True)
    return ContainerFact(record=marks.created_mark(record, 1, 1), runtime=parked)


def _after_care(step: Step, fact: ContainerFact, now: Now) -> ContainerFact:
    """Hooks, reactions, and the end."""
    record = fact.record
    match step.action:
        case Action.HOOK if record.attempt is not None:
            health = replace(record.attempt.health, hooked=True) if step.aim == "post_start" else None
            return replace(fact, record=settling.cared_mark(record, health, step.aim == "pre_stop", now))
        case Action.REACT if step.change is not None:
            return replace(fact, record=marks.reacted_mark(record, step.change.versions))
        case Action.STOP if step.until:
            return replace(fact, record=marks.stop_mark(record, step, now, signalled=False))
        case Action.STOP:
            return _ended(marks.stop_mark(record, step, now, signalled=True), now)
        case Action.KILL:
            return _ended(record, now) if phase(fact) is Phase.RUNNING else _gone(fact, now)
        case _:
            return fact


def _ended(record: ContainerRecord, now: Now) -> ContainerFact:
    end = settling.ended(record, 143, "Error", now, finished=now.boot)
    backoff_free = replace(end, stopped=True)
    return ContainerFact(record=counted(record, backoff_free, Backoff()))


def _gone(fact: ContainerFact, now: Now) -> ContainerFact:
    attempt = fact.record.attempt
    if attempt is None or attempt.started_boot is None:
        return ContainerFact(record=marks.unstarted_mark(fact.record))
    return ContainerFact(record=settling.lost_mark(fact.record, now, Backoff()))
