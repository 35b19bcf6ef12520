"""The planner's decisions, one situation each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.model.facts import ImageFact, ImageState, SandboxFact
from tank.model.record import Stop, Trouble
from tank.plan.digests import pod_trouble_digest, trouble_digest
from tank.plan.pod import plan_pod
from tank.plan.removal import plan_drain
from tank.plan.steps import Action, Impact, Plan
from tests.unit.plan.situations import (
    DIGEST,
    NOW,
    a_pod,
    created,
    ended,
    lost,
    nothing,
    running,
    situation,
    wanted,
)


def doing(plan: Plan) -> list[str]:
    return [f"{step.action.value} {step.container}".strip() for step in plan.steps]


def test_a_new_pod_is_marked_and_its_image_resolved_before_anything_is_made() -> None:
    desired = wanted()
    assert doing(plan_pod(desired, nothing(desired, ImageState.ABSENT), NOW)) == ["mark", "pull app"]


def test_an_image_that_is_being_pulled_is_waited_for() -> None:
    desired = wanted()
    seen = situation(desired, sandbox=None, images={"app": ImageFact(state=ImageState.PULLING)})
    assert plan_pod(desired, seen, NOW) == Plan()


def test_the_network_is_configured_before_the_first_instruction() -> None:
    desired = wanted(a_pod(network={"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}]}))
    seen = situation(desired, sandbox=None)
    seen = replace(seen, record=replace(seen.record, network_ready=False))  # type: ignore[type-var]
    plan = plan_pod(desired, seen, NOW)
    assert doing(plan) == ["make sandbox", "configure network", "create app", "start app"]
    stages = {step.action: step.stage for step in plan.steps}
    assert stages[Action.NETWORK] < stages[Action.START]
    assert stages[Action.CREATE] < stages[Action.START]


def test_all_containers_of_a_pod_run() -> None:
    desired = wanted(a_pod(containers=[{"name": name, "image": "x:1"} for name in ("a", "b", "c")]))
    assert [each for each in doing(plan_pod(desired, situation(desired), NOW)) if each.startswith("start")] == [
        "start a",
        "start b",
        "start c",
    ]


def test_a_pod_as_it_should_be_needs_nothing() -> None:
    desired = wanted()
    assert plan_pod(desired, situation(desired, running(desired)), NOW) == Plan()


def test_a_created_container_is_started_and_not_made_again() -> None:
    desired = wanted()
    assert doing(plan_pod(desired, situation(desired, created(desired)), NOW)) == ["start app"]


def test_a_lost_container_is_killed_before_another_starts() -> None:
    desired = wanted()
    assert doing(plan_pod(desired, situation(desired, lost(desired)), NOW)) == ["kill app"]


def test_c1_the_first_crash_is_answered_at_once() -> None:
    desired = wanted()
    assert doing(plan_pod(desired, situation(desired, ended(desired, crashes=1)), NOW)) == ["create app", "start app"]


def test_c1_a_crash_loop_waits_for_its_deadline() -> None:
    desired = wanted()
    plan = plan_pod(desired, situation(desired, ended(desired, crashes=3, ago=5.0)), NOW)
    assert plan == Plan(wake_at=NOW.boot + 15.0)


def test_a_finished_run_once_pod_rests() -> None:
    desired = wanted(a_pod(restart="never"))
    assert plan_pod(desired, situation(desired, ended(desired, code=0)), NOW) == Plan()


def test_a_finished_run_once_pod_rests_after_a_reboot_without_a_sandbox() -> None:
    desired = wanted(a_pod(restart="never"))
    assert plan_pod(desired, situation(desired, ended(desired, code=0), sandbox=None), NOW) == Plan()


def test_c17_a_finished_run_once_pod_runs_again_on_a_changed_spec() -> None:
    before = wanted(a_pod(restart="never"))
    after = wanted(a_pod(restart="never", hostname="other"))
    seen = situation(before, ended(before, code=0))
    assert "start app" in doing(plan_pod(after, seen, NOW))


def test_c17_and_not_on_a_live_change() -> None:
    before = wanted(a_pod(restart="never"))
    after = wanted(a_pod(restart="never", labels={"a": "b"}), revision=8)
    assert doing(plan_pod(after, situation(before, ended(before, code=0)), NOW)) == ["mark"]


def test_c17_a_restart_runs_it_again_and_needs_no_registry() -> None:
    before = wanted(a_pod(restart="never"))
    after = replace(before, restarts={"app": 1})
    plan = plan_pod(after, situation(before, ended(before, code=0)), NOW)
    assert doing(plan) == ["mark", "create app", "start app"]


def test_a_limits_change_restarts_nothing() -> None:
    before = wanted()
    after = wanted(a_pod(containers=[{"name": "app", "image": "nginx:1.27", "limits": {"pids": 9}}]), revision=8)
    plan = plan_pod(after, situation(before, running(before)), NOW)
    assert doing(plan) == ["mark", "tune app"]
    assert plan.steps[-1].impact is Impact.LIVE


def test_a_changed_image_is_fetched_while_the_old_container_runs_on() -> None:
    before = wanted()
    after = wanted(a_pod(containers=[{"name": "app", "image": "nginx:2"}]), revision=8, pins={})
    seen = situation(before, running(before), images={"app": ImageFact(state=ImageState.ABSENT)})
    assert doing(plan_pod(after, seen, NOW)) == ["mark", "pull app"]


def test_it_is_stopped_once_its_successor_can_be_made() -> None:
    before = wanted()
    after = wanted(a_pod(containers=[{"name": "app", "image": "nginx:2"}]), revision=7)
    plan = plan_pod(after, situation(before, running(before)), NOW)
    assert doing(plan) == ["stop app"]
    assert (plan.steps[0].impact, plan.steps[0].grace) == (Impact.CONTAINER_RESTART, 30.0)


def test_only_the_changed_container_is_replaced() -> None:
    two = [{"name": "a", "image": "x:1"}, {"name": "b", "image": "x:1"}]
    before = wanted(a_pod(containers=two))
    after = wanted(a_pod(containers=[two[0], two[1] | {"env": {"A": "b"}}]))
    seen = situation(before, running(before, "a"), running(before, "b"))
    assert doing(plan_pod(after, seen, NOW)) == ["stop b"]


def test_a_changed_sandbox_replaces_all_of_them_or_none() -> None:
    two = [{"name": "a", "image": "x:1"}, {"name": "b", "image": "x:1"}]
    before, after = wanted(a_pod(containers=two)), wanted(a_pod(containers=two, hostname="other"))
    seen = situation(before, running(before, "a"), running(before, "b"))
    plan = plan_pod(after, seen, NOW)
    assert doing(plan) == ["stop a", "stop b"]
    assert {step.impact for step in plan.steps} == {Impact.POD_RESTART}
    half = replace(seen, images=dict(seen.images) | {"b": ImageFact(state=ImageState.ABSENT)})
    assert doing(plan_pod(after, half, NOW)) == ["pull b"]


def test_the_old_sandbox_goes_when_the_last_container_has_ended() -> None:
    before, after = wanted(), wanted(a_pod(hostname="other"))
    plan = plan_pod(after, situation(before, ended(before)), NOW)
    assert doing(plan) == ["remove sandbox", "make sandbox", "create app", "start app"]


def stopping(desired, *, signalled: bool = True, deadline: float = 10.0, grace: float = 30.0):  # type: ignore[no-untyped-def]
    fact = running(desired)
    assert fact.record.attempt is not None
    stop = Stop(deadline=NOW.boot + deadline, boot_id=NOW.boot_id, grace=grace, signalled=signalled)
    return replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, stop=stop)))


def test_c3_a_stop_under_way_is_waited_for_until_its_deadline() -> None:
    desired = wanted()
    seen = situation(desired, stopping(desired))
    seen = replace(seen, record=replace(seen.record, deleting=True))  # type: ignore[type-var]
    assert plan_pod(None, seen, NOW) == Plan(wake_at=NOW.boot + 10.0)


def test_c3_the_kill_follows_at_the_deadline() -> None:
    desired = wanted()
    assert "kill app" in doing(plan_pod(None, situation(desired, stopping(desired, deadline=0.0)), NOW))


def test_c3_a_signal_that_may_not_have_been_sent_is_sent_again_with_what_is_left() -> None:
    desired = wanted()
    step = plan_pod(None, situation(desired, stopping(desired, signalled=False)), NOW).steps[-1]
    assert (step.action, step.grace) == (Action.STOP, 10.0)


@pytest.mark.parametrize(("grace", "left"), [(25.0, 5.0), (20.0, 0.0)])
def test_c3_5_a_shorter_grace_brings_the_deadline_nearer(grace: float, left: float) -> None:
    desired = wanted()
    step = plan_pod(None, situation(desired, stopping(desired)), NOW, grace=grace).steps[-1]
    if left:
        assert (step.action, step.grace) == (Action.STOP, left)
    else:
        assert step.action is Action.KILL


def test_c3_5_a_longer_one_changes_nothing() -> None:
    desired = wanted()
    seen = situation(desired, stopping(desired))
    seen = replace(seen, record=replace(seen.record, deleting=True))  # type: ignore[type-var]
    assert plan_pod(None, seen, NOW, grace=300.0) == Plan(wake_at=NOW.boot + 10.0)


def test_a_deletion_is_marked_then_stops_all() -> None:
    desired = wanted()
    assert doing(plan_pod(None, situation(desired, running(desired)), NOW)) == ["mark", "stop app"]


def test_a_deletion_forgets_the_record_last() -> None:
    desired = wanted()
    assert doing(plan_pod(None, situation(desired, ended(desired)), NOW)) == [
        "mark",
        "drop app",
        "release network",
        "remove sandbox",
        "forget",
    ]


def test_what_bears_our_mark_and_has_no_record_is_swept() -> None:
    seen = replace(nothing(wanted()), marked=True)
    assert doing(plan_pod(None, seen, NOW)) == ["release network", "remove sandbox", "forget"]


def test_a_lost_pin_is_pinned_again_from_a_living_process() -> None:
    desired = wanted()
    seen = situation(desired, running(desired), sandbox=SandboxFact(pins={"net": False, "ipc": True}))
    plan = plan_pod(desired, seen, NOW)
    assert doing(plan) == ["repin sandbox"]
    assert plan.steps[0].pid == 42


def test_a_sandbox_that_could_not_be_repaired_is_left_alone_for_a_while() -> None:
    desired = wanted()
    gone = SandboxFact(pins={"net": False, "shm": False, "ipc": True})
    seen = situation(desired, running(desired), sandbox=gone)
    assert plan_pod(desired, seen, NOW).steps[0].why == "gone from the sandbox: net, shm"
    assert seen.record is not None
    trouble = Trouble(
        reason="Failed", message="", failures=1, retry_at=NOW.boot + 5, boot_id=NOW.boot_id, delay=5.0,
        digest=pod_trouble_digest(desired),
    )  # fmt: skip
    held = plan_pod(desired, replace(seen, record=replace(seen.record, trouble=trouble)), NOW)
    assert (doing(held), held.wake_at) == ([], NOW.boot + 5)


def test_network_drift_is_repaired_without_a_restart() -> None:
    desired = wanted()
    sandbox = SandboxFact(pins={"net": True}, network_ready=True, drift=("eth0 has no 10.0.0.5/24",))
    plan = plan_pod(desired, situation(desired, running(desired), sandbox=sandbox), NOW)
    assert doing(plan) == ["configure network"]
    assert (plan.steps[0].why, plan.steps[0].impact) == ("eth0 has no 10.0.0.5/24", Impact.LIVE)


def test_a_container_whose_monitor_died_is_replaced() -> None:
    desired = wanted()
    fact = running(desired)
    assert fact.runtime is not None
    seen = situation(desired, replace(fact, runtime=replace(fact.runtime, monitored=False)))
    assert doing(plan_pod(desired, seen, NOW)) == ["stop app"]


def test_c6_a_failed_pull_waits_and_is_no_exit() -> None:
    desired = wanted()
    digest = trouble_digest(desired, desired.spec.containers[0])
    trouble = Trouble(
        reason="ErrImagePull", message="refused", failures=2, retry_at=NOW.boot + 20, boot_id=NOW.boot_id, delay=20,
        digest=digest,
    )  # fmt: skip
    fact = ended(desired)
    fact = replace(fact, record=replace(fact.record, trouble=trouble))
    seen = situation(desired, fact, images={"app": ImageFact(state=ImageState.ABSENT)})
    assert plan_pod(desired, seen, NOW) == Plan(wake_at=NOW.boot + 20)
    changed = replace(fact, record=replace(fact.record, trouble=replace(trouble, digest="of another spec")))
    seen = situation(desired, changed, images={"app": ImageFact(state=ImageState.ABSENT)})
    assert doing(plan_pod(desired, seen, NOW)) == ["pull app"]


def test_a_container_that_left_the_spec_is_stopped_and_dropped() -> None:
    two = [{"name": "a", "image": "x:1"}, {"name": "b", "image": "x:1"}]
    before, after = wanted(a_pod(containers=two)), wanted(a_pod(containers=two[:1]), revision=8)
    seen = situation(before, running(before, "a"), running(before, "b"))
    assert doing(plan_pod(after, seen, NOW)) == ["mark", "stop b"]
    seen = situation(after, running(before, "a"), ended(before, "b"))
    assert doing(plan_pod(after, seen, NOW)) == ["drop b"]


def test_nothing_is_started_while_another_pod_holds_what_it_needs() -> None:
    desired = wanted()
    seen = replace(nothing(desired), blocked="address 10.0.0.5 is still held by pod old")
    assert plan_pod(desired, seen, NOW) == Plan(waiting="address 10.0.0.5 is still held by pod old")


def test_new_hosts_are_written_live() -> None:
    before, after = wanted(), wanted(a_pod(hosts={"db": "10.0.0.9"}), revision=8)
    assert doing(plan_pod(after, situation(before, running(before)), NOW)) == ["refresh files", "mark"]


def test_when_the_machine_goes_down_all_are_stopped_and_none_is_forgotten() -> None:
    desired = wanted()
    assert doing(plan_drain(situation(desired, running(desired)), NOW)) == ["stop app"]
    assert plan_drain(situation(desired, ended(desired)), NOW) == Plan()


def test_the_pinned_digest_is_what_a_restart_uses() -> None:
    desired = wanted()
    assert desired.pins == {"app": DIGEST}
    assert "pull app" not in doing(plan_pod(desired, situation(desired, ended(desired)), NOW))
