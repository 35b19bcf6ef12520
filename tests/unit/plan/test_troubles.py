"""A step that failed is left alone for a while, and holds up no other than those it has to (C1, C6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, PodFacts, SandboxFact
from tank.model.record import Stop, Trouble
from tank.plan.claims import clashes, held_clashes, words
from tank.plan.digests import pod_trouble_digest, trouble_digest, tuning_trouble_digest
from tank.plan.pod import plan_pod
from tank.plan.removal import plan_drain
from tank.plan.steps import Plan
from tests.unit.plan.situations import NOW, a_pod, created, ended, running, situation, wanted

LATER = NOW.boot + 5


def doing(plan: Plan) -> list[str]:
    return [f"{step.action.value} {step.container}".strip() for step in plan.steps]


def met(action: str, digest: str) -> Trouble:
    return Trouble(
        reason="Failed", message="", failures=1, retry_at=LATER, boot_id=NOW.boot_id, delay=5.0, digest=digest,
        action=action,
    )  # fmt: skip


def troubled(fact: ContainerFact, desired: Desired, action: str) -> ContainerFact:
    digest = tuning_trouble_digest if action == "tune" else trouble_digest
    trouble = met(action, digest(desired, desired.spec.containers[0]))
    return replace(fact, record=replace(fact.record, trouble=trouble))


def limited(pids: int) -> Desired:
    return wanted(a_pod(containers=[{"name": "app", "image": "nginx:1.27", "limits": {"pids": pids}}]))


def test_a_stop_whose_successor_could_not_start_waits() -> None:
    before, after = wanted(), wanted(a_pod(containers=[{"name": "app", "image": "nginx:1.27", "env": {"A": "b"}}]))
    seen = situation(before, troubled(running(before), after, "stop"))
    assert plan_pod(after, seen, NOW) == Plan(wake_at=LATER)


def test_the_kill_of_a_stop_under_way_does_not() -> None:
    before, after = wanted(), wanted(a_pod(containers=[{"name": "app", "image": "nginx:1.27", "env": {"A": "b"}}]))
    fact = troubled(running(before), after, "stop")
    assert fact.record.attempt is not None
    aim = trouble_digest(after, after.spec.containers[0])
    stop = Stop(deadline=NOW.boot, boot_id=NOW.boot_id, grace=5.0, aim=aim)
    fact = replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, stop=stop)))
    assert doing(plan_pod(after, situation(before, fact), NOW)) == ["kill app"]


def test_limits_that_could_not_be_set_wait_and_others_do_not() -> None:
    before, after = wanted(), limited(9)
    seen = situation(before, troubled(running(before), after, "tune"))
    assert doing(plan_pod(after, seen, NOW)) == []
    assert doing(plan_pod(limited(10), seen, NOW)) == ["tune app"]


def test_a_start_that_could_not_be_done_waits() -> None:
    desired = wanted()
    seen = situation(desired, troubled(created(desired), desired, "start"))
    assert plan_pod(desired, seen, NOW) == Plan(wake_at=LATER)


@pytest.mark.parametrize(("action", "again"), [("create", False), ("pull", True), ("tune", True), ("stop", True)])
def test_c1_only_what_concerns_the_making_holds_up_a_restart(action: str, again: bool) -> None:
    desired = wanted()
    seen = situation(desired, troubled(ended(desired), desired, action))
    assert ("create app" in doing(plan_pod(desired, seen, NOW))) is again


def without_sandbox(desired: Desired) -> PodFacts:
    return situation(desired, sandbox=None)


def without_pins(desired: Desired) -> PodFacts:
    return situation(desired, running(desired), sandbox=SandboxFact(pins={"net": False}))


@pytest.mark.parametrize("made", [without_sandbox, without_pins])
def test_a_trouble_of_the_pod_holds_up_its_sandbox_until_a_restart_is_asked_for(made) -> None:  # type: ignore[no-untyped-def]
    desired = wanted()
    seen = made(desired)
    seen = replace(seen, record=replace(seen.record, trouble=met("make sandbox", pod_trouble_digest(desired))))
    assert plan_pod(desired, seen, NOW) == Plan(wake_at=LATER)
    assert doing(plan_pod(replace(desired, restarts={"app": 1}), seen, NOW)) != []


def test_a_drain_knows_no_trouble() -> None:
    desired = wanted()
    seen = situation(desired, troubled(running(desired), desired, "stop"))
    assert [(step.action.value, step.aim) for step in plan_drain(seen, NOW).steps] == [("stop", "drain")]


def test_what_was_held_shared_and_is_claimed_alone_clashes() -> None:
    shared = a_pod(volumes=[{"name": "data", "source": {"managed": {"shared": True}}}])
    alone = a_pod(volumes=[{"name": "data", "source": "managed"}])
    record = situation(wanted(shared)).record
    assert record is not None
    assert record.held == words(shared) == ("volume data (shared)",)
    assert held_clashes(shared, [record]) == clashes(shared, [shared]) == ()
    both = replace(record, held=(*words(shared), *words(alone)))
    assert held_clashes(shared, [both]) == held_clashes(alone, [record]) == (("volume data", "web"),)


def test_a_record_of_an_earlier_version_holds_what_its_spec_claims() -> None:
    alone = a_pod(volumes=[{"name": "data", "source": "managed"}])
    record = situation(wanted(alone)).record
    assert record is not None
    assert held_clashes(alone, [replace(record, held=None)]) == (("volume data", "web"),)
