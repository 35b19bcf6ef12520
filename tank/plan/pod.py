"""The one planner: what is wanted, what is seen, and the time, to the next steps.

Apply, boot, crash, drift, deletion, orphans and `tank plan` all come through `plan_pod`. It has no memory and
touches nothing. The caller runs the steps, looks again, and asks again, until the plan is empty.

What it holds to
- All that can fail beforehand (pull, host paths, another holder of the address) is done while the old container
  runs on; a failure leaves it running.
- A mark before a deed: the pod's record is written before anything is made, and goes last.
- The network is configured before any first instruction: containers are created, the network is made, they start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tank.model.desired import Desired
from tank.model.digest import sandbox_digest, tuning_digest
from tank.model.facts import ImageState, Now, PodFacts
from tank.model.pod import Network, Pod
from tank.model.record import Trouble
from tank.plan.marks import has_nics
from tank.plan.phase import Move, Phase, Wish
from tank.plan.restart import retry_at
from tank.plan.steps import Action, Impact, Plan, Step
from tank.plan.wish import LIVING, Case, cases, due, image_ready, trouble_digest


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    seen: PodFacts
    now: Now
    steps: list[Step] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)

    def add(self, action: Action, why: str, **more: object) -> None:
        self.steps.append(Step(action=action, why=why, **more))  # type: ignore[arg-type]

    def done(self, waiting: str = "") -> Plan:
        ordered = sorted(self.steps, key=lambda step: step.stage)
        return Plan(steps=tuple(ordered), wake_at=min(self.wakes, default=None), waiting=waiting)


def plan_pod(desired: Desired | None, seen: PodFacts, now: Now, *, grace: float | None = None) -> Plan:
    """The next steps for one pod uid. `desired` None: a deletion and an orphan alike, with `grace` seconds."""
    draft = _Draft(seen, now)
    if desired is None:
        return _plan_removal(draft, grace)
    if seen.record is None:
        if seen.blocked:
            return Plan(waiting=seen.blocked)
        draft.add(Action.MARK, "the pod is new")
    each_case = cases(desired, seen)
    _plan_adoption(draft, desired)
    _plan_ends(draft, desired, each_case)
    _plan_images(draft, desired, each_case)
    starting = [case for case in each_case if _wants_attempt(draft, desired, case)]
    if seen.blocked and starting and not any(case.phase in LIVING for case in each_case):
        return draft.done(waiting=seen.blocked)
    if _plan_sandbox(draft, desired, each_case, starting):
        _plan_starts(draft, each_case, starting)
    return draft.done()


def _plan_removal(draft: _Draft, grace: float | None) -> Plan:
    """Stop all, drop all, take the sandbox away, and forget the record last."""
    seen = draft.seen
    if seen.record is None and seen.sandbox is None and not seen.containers and not seen.marked:
        return Plan()
    why = "the pod is not wanted any more"
    if seen.record is not None and not seen.record.deleting:
        draft.add(Action.MARK, why)
    wait = grace if grace is not None else (seen.record.spec.grace if seen.record else 0.0)
    remaining = False
    for case in cases(None, seen):
        match case.move:
            case Move.STOP:
                _plan_stop(draft, case, wait, Impact.POD_RESTART)
                remaining = True
            case Move.KILL:
                draft.add(Action.KILL, case.why, container=case.name, stage=1)
                remaining = True
            case _:
                draft.add(Action.DROP, case.why, container=case.name, stage=1)
    if not remaining:
        draft.add(Action.RELEASE, why, stage=2)
        draft.add(Action.REMOVE, why, stage=2)
        draft.add(Action.FORGET, why, stage=3)
    return draft.done()


def plan_drain(seen: PodFacts, now: Now) -> Plan:
    """Stop everything with its grace because the machine goes down. What is desired does not change."""
    draft = _Draft(seen, now)
    grace = seen.record.spec.grace if seen.record else 0.0
    for case in cases(None, seen):
        if case.move is Move.STOP:
            _plan_stop(draft, case, grace, Impact.POD_RESTART)
        elif case.phase is Phase.CREATED:
            draft.add(Action.KILL, "the machine goes down", container=case.name, stage=1)
    return draft.done()


def _plan_adoption(draft: _Draft, desired: Desired) -> None:
    """A new revision: what is live in it, then the mark that it was adopted."""
    record = draft.seen.record
    if record is None or record.revision == desired.revision:
        return
    if draft.seen.sandbox is not None and _files(record.spec) != _files(desired.spec):
        draft.add(Action.REFRESH, "hosts or resolver changed", impact=Impact.LIVE)
    draft.add(Action.MARK, f"revision {desired.revision} is adopted")


def _files(pod: Pod) -> object:
    network = pod.network if isinstance(pod.network, Network) else None
    nics = [nic.ip for nic in network.nics] if network else []
    return pod.hosts, (network.dns, network.search) if network else None, nics


def _plan_ends(draft: _Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Stops, kills and drops; and the limits of those that stay."""
    for case in each_case:
        match case.move:
            case Move.STOP if case.wish is Wish.DROP or _replaceable(draft, desired, each_case, case):
                _plan_stop(draft, case, desired.spec.grace, _impact(draft, desired))
            case Move.KILL:
                draft.add(Action.KILL, _lost(case), container=case.name)
            case Move.DELETE:
                draft.add(Action.DROP, case.why, container=case.name)
            case Move.REST:
                _plan_tuning(draft, case)
            case _:
                pass


def _lost(case: Case) -> str:
    return "it is gone without a trace of how" if case.phase is Phase.LOST else case.why


def _impact(draft: _Draft, desired: Desired) -> Impact:
    return Impact.POD_RESTART if _stale(draft, desired) else Impact.CONTAINER_RESTART


def _plan_tuning(draft: _Draft, case: Case) -> None:
    attempt = case.fact.record.attempt if case.fact else None
    if attempt and case.wanted and attempt.tuning != tuning_digest(case.wanted):
        draft.add(Action.TUNE, "its limits changed", container=case.name, impact=Impact.LIVE)


def _plan_stop(draft: _Draft, case: Case, grace: float, impact: Impact) -> None:
    """Signal, then the clock, then the kill (C3). The deadline is on record and only ever gets nearer."""
    attempt = case.fact.record.attempt if case.fact else None
    stop = attempt.stop if attempt else None
    now = draft.now.boot
    if stop is None or stop.boot_id != draft.now.boot_id:
        draft.add(Action.STOP, case.why, container=case.name, impact=impact, grace=grace, stage=1)
        return
    deadline = min(stop.deadline, stop.deadline - stop.grace + grace)
    if now >= deadline:
        draft.add(Action.KILL, "its grace is over", container=case.name, impact=impact, stage=1)
    elif not stop.signalled or deadline < stop.deadline:
        left = deadline - now
        draft.add(Action.STOP, case.why, container=case.name, impact=impact, grace=left, stage=1)
    else:
        draft.wakes.append(deadline)


def _plan_images(draft: _Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Have every image here that a next attempt needs, while whatever runs, runs on."""
    for case in each_case:
        if case.wanted is None or image_ready(draft.seen, case.name) or not _needs_image(desired, case):
            continue
        held = due(_trouble(case), trouble_digest(desired, case.wanted), draft.now)
        fact = draft.seen.images.get(case.name)
        if held is not None:
            draft.wakes.append(held)
        elif fact is None or fact.state is ImageState.ABSENT:
            draft.add(Action.RESOLVE, "its image is not here yet", container=case.name, stage=1)


def _needs_image(desired: Desired, case: Case) -> bool:
    """Whether a next attempt is to come: not for one that stays, nor for one that has run its course."""
    if case.move in (Move.REST, Move.START):
        return False
    return case.move is not Move.RETRY or _retry(desired, case) is not None


def _trouble(case: Case) -> Trouble | None:
    return case.fact.record.trouble if case.fact else None


def _retry(desired: Desired, case: Case) -> float | None:
    assert case.fact is not None and case.wanted is not None  # noqa: PT018 - a RETRY has an end on record
    return retry_at(desired.spec.restart_of(case.wanted), desired.spec.backoff, case.fact.record)


def _stale(draft: _Draft, desired: Desired) -> bool:
    record = draft.seen.record
    return bool(record and record.sandbox_digest and record.sandbox_digest != sandbox_digest(desired.spec))


def _replaceable(draft: _Draft, desired: Desired, each_case: tuple[Case, ...], case: Case) -> bool:
    """Whether the running container may be stopped for its successor: all that can fail is done.

    When the whole sandbox changes, all of them are replaced, or none.
    """
    together = [each for each in each_case if each.wanted] if _stale(draft, desired) else [case]
    ready = all(image_ready(draft.seen, each.name) for each in together)
    stopping = case.fact is not None and case.fact.record.attempt is not None and case.fact.record.attempt.stop
    return bool(ready or stopping) and not draft.seen.blocked


def _wants_attempt(draft: _Draft, desired: Desired, case: Case) -> bool:
    """Whether a new attempt of this container is to be made in this very pass."""
    if case.wanted is None or case.move not in (Move.CREATE, Move.RETRY):
        return False
    if case.move is Move.RETRY:
        at = _retry(desired, case)
        if at is None:
            return False
        if at > draft.now.boot:
            draft.wakes.append(at)
            return False
    held = due(_trouble(case), trouble_digest(desired, case.wanted), draft.now)
    if held is not None:
        draft.wakes.append(held)
        return False
    return image_ready(draft.seen, case.name)


def _plan_sandbox(draft: _Draft, desired: Desired, each_case: tuple[Case, ...], starting: list[Case]) -> bool:
    """The pod's namespaces and network. False: nothing can be started in this pass."""
    living = [case for case in each_case if case.phase in (*LIVING, Phase.LOST)]
    if not living and not starting:
        return False
    sandbox, record = draft.seen.sandbox, draft.seen.record
    whole = sandbox is not None and sandbox.whole and not _stale(draft, desired)
    if not whole and not living:
        if sandbox is not None:
            draft.add(Action.REMOVE, "the sandbox is not as it should be", stage=1)
        draft.add(Action.SANDBOX, "the pod has no sandbox", stage=1)
    elif not whole and not _stale(draft, desired):
        _plan_repin(draft, desired, living)
        return False
    elif _stale(draft, desired):
        return False  # the old containers have to end first
    return _plan_network(draft, desired, fresh=not whole or record is None or not record.network_ready)


def _plan_repin(draft: _Draft, desired: Desired, living: list[Case]) -> None:
    """Namespaces whose pins were taken away live on in the pod's processes."""
    record, sandbox = draft.seen.record, draft.seen.sandbox
    held = due(record.trouble if record else None, str(desired.revision), draft.now)
    pid = next((case.pid for case in living if case.pid), 0)
    if held is not None:
        draft.wakes.append(held)
    elif pid:
        gone = [name for name, stands in sandbox.pins.items() if not stands] if sandbox else ["everything"]
        draft.add(Action.REPIN, f"gone from the sandbox: {', '.join(gone)}", pid=pid, impact=Impact.LIVE)


def _plan_network(draft: _Draft, desired: Desired, *, fresh: bool) -> bool:
    record, sandbox = draft.seen.record, draft.seen.sandbox
    drift = sandbox.drift if sandbox else ()
    if not drift and (not fresh or not has_nics(desired.spec)):
        return True
    held = due(record.trouble if record else None, str(desired.revision), draft.now)
    if held is not None:
        draft.wakes.append(held)
        return False
    impact = Impact.NONE if fresh else Impact.LIVE
    why = "the network is not configured yet" if fresh else "; ".join(drift)
    draft.add(Action.NETWORK, why, stage=2, impact=impact)
    return True


def _plan_starts(draft: _Draft, each_case: tuple[Case, ...], starting: list[Case]) -> None:
    for case in starting:
        why = case.why or "it ended and its policy says again"
        draft.add(Action.CREATE, why, container=case.name, stage=2)
        draft.add(Action.START, why, container=case.name, stage=3)
    for case in each_case:
        if case.move is Move.START:
            draft.add(Action.START, "it was created and not started", container=case.name, stage=3)
