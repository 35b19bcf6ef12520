"""The one planner: what is wanted, what is seen, and the time, to the next steps.

Apply, boot, crash, drift, deletion, orphans and `tank plan` all come through `plan_pod`. It has no memory and
touches nothing. The caller runs the steps, looks again, and asks again, until the plan is empty.

What it holds to
- All that can fail beforehand (pull, host paths, another holder of the address) is done while the old container
  runs on; a failure leaves it running.
- A mark before a deed: the pod's record is written before anything is made, and goes last.
- The network is configured before any first instruction: containers are created, the network is made, they start.
- The entries of `init` come one by one before all others (`tank.plan.order`); a whole pod stops in the reverse
  order (`tank.plan.stops`).
"""

from __future__ import annotations

from tank.model.desired import Desired
from tank.model.facts import ImageState, Now, PodFacts
from tank.plan.adoption import holds_old_addresses, plan_adoption, plan_catching_up
from tank.plan.care import plan_post_start, plan_refills
from tank.plan.deadline import plan_deadline
from tank.plan.draft import MAKING, Draft, stale, unconfigured
from tank.plan.ends import plan_ends
from tank.plan.inputs import lacking
from tank.plan.marks import has_nics
from tank.plan.order import Course, course_of, policy_of
from tank.plan.phase import Move, Phase
from tank.plan.removal import plan_removal
from tank.plan.repair import to_repair
from tank.plan.restart import retry_at
from tank.plan.steps import Action, Impact, Plan
from tank.plan.wish import LIVING, Case, cases, image_ready, image_states


def plan_pod(desired: Desired | None, seen: PodFacts, now: Now, *, grace: float | None = None) -> Plan:
    """The next steps for one pod uid. `desired` None: a deletion and an orphan alike, with `grace` seconds."""
    draft = Draft(seen, now)
    if desired is None:
        return plan_removal(draft, grace)
    if seen.record is None:
        if seen.blocked:
            return Plan(waiting=seen.blocked)
        draft.add(Action.MARK, "the pod is new")
    each_case, course = cases(desired, seen), course_of(desired, seen)
    if not plan_adoption(draft, desired, each_case) or not plan_deadline(draft, desired):
        return draft.done()
    plan_ends(draft, desired, each_case)
    _plan_images(draft, desired, each_case)
    starting = [case for case in each_case if _wants_attempt(draft, desired, course, case)]
    living = [case for case in each_case if case.phase in (*LIVING, Phase.LOST)]
    waiting = seen.blocked if starting or (living and unconfigured(draft, desired)) else ""
    if not living and (waiting or not starting):
        if holds_old_addresses(draft, desired):
            draft.add(Action.REMOVE, "it holds addresses that the spec has no more", stage=1)
    elif not waiting and _plan_sandbox(draft, desired, living):
        _plan_starts(draft, desired, each_case, starting)
        plan_refills(draft, desired, each_case)
    plan_catching_up(draft, desired, each_case)
    return draft.done(waiting=waiting)


def _plan_images(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """Have every image here that a next attempt needs, while whatever runs, runs on."""
    for case in each_case:
        if case.wanted is None or not _needs_image(desired, case):
            continue
        states = image_states(draft.seen, desired.spec, case.wanted)
        if states == {ImageState.READY}:
            continue
        held = draft.held(desired, case, MAKING)
        if held is not None:
            draft.wakes.append(held)
        elif ImageState.ABSENT in states:
            draft.add(Action.RESOLVE, "its image is not here yet", container=case.name, stage=1)


def _needs_image(desired: Desired, case: Case) -> bool:
    """Whether a next attempt is to come: not for one that stays, nor for one that has run its course."""
    if case.move in (Move.REST, Move.START):
        return False
    return case.move is not Move.RETRY or _retry(desired, case) is not None


def _retry(desired: Desired, case: Case) -> float | None:
    assert case.fact is not None and case.wanted is not None  # noqa: PT018 - a RETRY has an end on record
    return retry_at(policy_of(desired.spec, case.wanted), desired.spec.backoff, case.fact.record)


def _wants_attempt(draft: Draft, desired: Desired, course: Course, case: Case) -> bool:
    """Whether a new attempt of this container is to be made in this very pass."""
    if case.wanted is None or case.move not in (Move.CREATE, Move.RETRY):
        return False
    if not course.may_begin(case.name, case.role):
        return False
    if case.move is Move.RETRY:
        at = _retry(desired, case)
        if at is None:
            return False
        if at > draft.now.boot:
            draft.wakes.append(at)
            return False
    held = draft.held(desired, case, MAKING - {Action.RESOLVE.value})  # an image that is here holds nothing up
    if held is not None:
        draft.wakes.append(held)
        return False
    here = image_ready(draft.seen, desired.spec, case.wanted)
    return here and not lacking(desired.spec, case.wanted, draft.seen.inputs)


def _plan_sandbox(draft: Draft, desired: Desired, living: list[Case]) -> bool:
    """The pod's namespaces and network, for what lives or is to be started. False: nothing can be in this pass."""
    sandbox, record = draft.seen.sandbox, draft.seen.record
    whole = sandbox is not None and sandbox.whole and not stale(draft, desired)
    if not whole and not living:
        if draft.pod_held(desired):
            return False
        if sandbox is not None:
            draft.add(Action.REMOVE, "the sandbox is not as it should be", stage=1)
        draft.add(Action.SANDBOX, "the pod has no sandbox", stage=1)
    elif not whole and not stale(draft, desired):
        _plan_repin(draft, desired, living)
        return False
    elif stale(draft, desired):
        return False  # the old containers have to end first
    return _plan_network(draft, desired, fresh=not whole or record is None or not record.network_ready)


def _plan_repin(draft: Draft, desired: Desired, living: list[Case]) -> None:
    """Namespaces whose pins were taken away live on in the pod's processes."""
    sandbox = draft.seen.sandbox
    if sandbox is not None and not sandbox.pins.get("holder", True):
        return  # the shared PID namespace ended with its first process: whoever is in it is dying too
    pid = next((case.pid for case in living if case.pid), 0)
    if pid and not draft.pod_held(desired):
        gone = [name for name, stands in sandbox.pins.items() if not stands] if sandbox else ["everything"]
        draft.add(Action.REPIN, f"gone from the sandbox: {', '.join(gone)}", pid=pid, impact=Impact.LIVE)


def _plan_network(draft: Draft, desired: Desired, *, fresh: bool) -> bool:
    drift = to_repair(draft.seen, desired.spec)
    if not drift and (not fresh or not has_nics(desired.spec)):
        return True
    if draft.pod_held(desired):
        return False
    impact = Impact.NONE if fresh else Impact.LIVE
    why = "the network is not configured yet" if fresh else "; ".join(drift)
    draft.add(Action.NETWORK, why, stage=2, impact=impact)
    return True


def _plan_starts(draft: Draft, desired: Desired, each_case: tuple[Case, ...], starting: list[Case]) -> None:
    for case in starting:
        why = case.why or "it ended and its policy says again"
        draft.add(Action.CREATE, why, container=case.name, stage=2)
        _plan_start(draft, case, why)
    for case in each_case:
        if case.move is Move.REST:
            plan_post_start(draft, case)
        if case.move is not Move.START:
            continue
        held = draft.held(desired, case, MAKING)
        if held is not None:
            draft.wakes.append(held)
        else:
            _plan_start(draft, case, "it was created and not started")


def _plan_start(draft: Draft, case: Case, why: str) -> None:
    draft.add(Action.START, why, container=case.name, stage=3)
    if case.wanted is not None and case.wanted.hooks.post_start is not None:
        draft.add(Action.HOOK, "it has begun", container=case.name, aim="post_start", stage=3)
