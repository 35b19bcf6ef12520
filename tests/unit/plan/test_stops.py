"""The clock of a stop, table by table (C3), and whose turn it is (C4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.model.desired import Desired
from tank.model.facts import ContainerFact
from tank.model.record import Health, Stop
from tank.plan import marks, settling
from tank.plan.pod import plan_pod
from tank.plan.removal import plan_drain
from tank.plan.steps import Action, Plan, Step
from tests.unit.plan.situations import NOW, a_pod, created, ended, lost, running, situation, wanted

HOOK = {"pre_stop": {"exec": ["quit"]}}


def doing(plan: Plan) -> list[str]:
    return [f"{step.action.value} {step.container} {step.until or step.aim}".strip() for step in plan.steps]


def stopping(desired: Desired, name: str = "app", *, left: float = 10.0, **more: Any) -> ContainerFact:
    fact = running(desired, name)
    assert fact.record.attempt is not None
    fields: dict[str, Any] = {"grace": 30.0, "aim": "drop"} | {key: more[key] for key in more if key != "hooking"}
    stop = Stop(deadline=NOW.boot + left, boot_id=NOW.boot_id, **fields)
    attempt = replace(fact.record.attempt, stop=stop)
    return replace(fact, record=replace(fact.record, attempt=attempt), hooking=more.get("hooking", False))


def removal(desired: Desired, *facts: ContainerFact, grace: float | None = None) -> Plan:
    seen = situation(desired, *facts)
    assert seen.record is not None
    return plan_pod(None, replace(seen, record=replace(seen.record, deleting=True)), NOW, grace=grace)


def hooked() -> Desired:
    return wanted(a_pod(containers=[{"name": "app", "image": "x:1", "hooks": HOOK}]))


def test_c3_2_the_deadline_is_written_down_and_the_hook_begins_before_any_signal() -> None:
    desired = hooked()
    assert doing(removal(desired, running(desired))) == ["stop app hook", "run hook app pre_stop"]


def test_c3_5_grace_zero_signals_at_once_and_runs_no_hook() -> None:
    desired = hooked()
    assert doing(removal(desired, running(desired), grace=0.0)) == ["stop app drop"]


@pytest.mark.parametrize(
    ("left", "state", "steps", "wake"),
    [
        (10.0, {"until": "hook", "hooking": True}, [], 10.0),
        (10.0, {"until": "hook"}, ["run hook app pre_stop"], 10.0),  # a new daemon begins it again (C3.6)
        (10.0, {"until": "hook", "hooked": True}, ["stop app drop"], None),
        (10.0, {"until": "", "hooked": True, "signalled": True}, [], 10.0),
        (0.0, {"until": "hook", "hooking": True}, ["stop app drop"], None),  # C3.4
        (0.0, {"signalled": True, "hooking": True}, [], 2.0),
        (-1.9, {"signalled": True}, [], 0.1),
        (-2.0, {"signalled": True}, ["kill app pod"], None),
        (0.0, {"signalled": True, "hooked": True}, ["kill app pod"], None),  # its hook was over in time
    ],
)
def test_c3_4_the_clock_of_a_stop_with_a_hook(
    left: float, state: dict[str, Any], steps: list[str], wake: float | None
) -> None:
    desired = hooked()
    plan = removal(desired, stopping(desired, left=left, **state))
    assert [each.replace("kill app", "kill app pod") for each in doing(plan)] == steps
    assert plan.wake_at == (None if wake is None else pytest.approx(NOW.boot + wake))


def test_c3_5_a_shorter_grace_reaches_a_hook_under_way() -> None:
    desired = hooked()
    fact = stopping(desired, left=10.0, until="hook", hooking=True)
    step = removal(desired, fact, grace=25.0).steps[-1]
    assert (step.action, step.until, step.grace) == (Action.STOP, "hook", 5.0)
    assert doing(removal(desired, fact, grace=0.0)) == ["kill app"]


def test_c3_5_a_nearer_deadline_keeps_what_is_known_of_the_stop() -> None:
    record = stopping(hooked(), until="hook", hooked=True).record
    nearer = Step(action=Action.STOP, why="", container="app", grace=3.0, aim="drop", until="hook")
    stop = marks.stop_mark(record, nearer, NOW, signalled=False).attempt
    assert stop is not None
    assert stop.stop == Stop(
        deadline=NOW.boot + 3, boot_id=NOW.boot_id, grace=3.0, aim="drop", until="hook", hooked=True
    )  # fmt: skip


SIDECARS = [{"name": name, "image": "x:1", "restart": "always"} for name in ("s1", "s2")]


def manned() -> Desired:
    return wanted(a_pod(init=[{"name": "i", "image": "x:1"}, *SIDECARS]))


def test_c4_apps_are_signalled_and_sidecars_get_the_deadline_only() -> None:
    desired = manned()
    plan = removal(desired, *(running(desired, name) for name in ("s1", "s2", "app")))
    assert doing(plan) == ["stop s1 turn", "stop s2 turn", "stop app drop"]


@pytest.mark.parametrize("before", [running, created, lost])
def test_c4_a_sidecar_waits_for_whatever_may_still_live_before_it(before: Any) -> None:
    desired = manned()
    plan = removal(desired, stopping(desired, "s1", until="turn"), before(desired, "app"))
    assert "stop s1 drop" not in doing(plan)


def test_c4_the_last_sidecar_goes_first() -> None:
    desired = manned()
    facts = [stopping(desired, name, until="turn") for name in ("s1", "s2")]
    assert doing(removal(desired, *facts, ended(desired))) == ["stop s2 drop"]


def test_c4_one_deadline_for_all_of_them() -> None:
    desired = manned()
    plan = removal(desired, stopping(desired, "app", left=7.0, signalled=True), running(desired, "s1"))
    assert [(step.container, step.grace) for step in plan.steps] == [("s1", 7.0)]


def test_c4_at_the_deadline_the_sidecars_are_signalled_and_have_two_seconds() -> None:
    desired = manned()
    app = stopping(desired, "app", left=-1.0, signalled=True)
    facts = [stopping(desired, name, left=-1.0, until="turn") for name in ("s1", "s2")]
    assert doing(removal(desired, *facts, app)) == ["stop s1 drop", "stop s2 drop", "kill app"]
    facts = [stopping(desired, name, left=-2.0, until="", signalled=True) for name in ("s1", "s2")]
    assert doing(removal(desired, *facts)) == ["kill s1", "kill s2"]


def with_stop(fact: ContainerFact, **more: Any) -> ContainerFact:
    assert fact.record.attempt is not None
    stop = Stop(deadline=NOW.boot + 10, boot_id=NOW.boot_id, grace=30.0, aim="drop", **more)
    return replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, stop=stop)))


def test_c4_a_sidecar_that_ended_while_it_waited_runs_again_by_its_back_off_until_its_turn() -> None:
    desired = manned()
    app = stopping(desired, "app", signalled=True)
    again = with_stop(ended(desired, "s1"), until="turn")
    assert [step.action for step in removal(desired, again, app).steps] == [Action.CREATE, Action.START]
    later = with_stop(ended(desired, "s1", crashes=2), until="turn")
    assert (doing(removal(desired, later, app)), removal(desired, later, app).wake_at) == ([], NOW.boot + 10)
    own = with_stop(ended(desired, "s1"), signalled=True)
    assert doing(removal(desired, own, app)) == []
    assert "create s1" not in doing(removal(desired, again, ended(desired)))


def test_c4_it_runs_not_again_while_another_pod_has_what_it_needs() -> None:
    desired = wanted(a_pod(init=SIDECARS, restart="never"))
    facts = [with_stop(ended(desired, "s1"), until="turn"), running(desired, "s2"), ended(desired, code=0)]
    free = plan_pod(desired, situation(desired, *facts), NOW)
    blocked = plan_pod(desired, situation(desired, *facts, blocked="volume data is still held by pod old"), NOW)
    assert ("create s1" in doing(free), "create s1" in doing(blocked)) == (True, False)


def test_c4_its_new_attempt_takes_the_deadline_over() -> None:
    desired = manned()
    container = desired.spec.container("s1")
    assert container is not None
    before = with_stop(ended(desired, "s1"), until="turn").record
    made = marks.attempt_mark(before, desired, container, "", NOW).attempt
    assert made is not None
    assert made.stop is not None
    assert made.stop.deadline == NOW.boot + 10


def test_c4_waiting_for_its_turn_is_no_stop_and_a_hook_under_way_is_one() -> None:
    desired = manned()
    ends = [
        settling.ended(stopping(desired, "s1", until=until).record, 1, "Error", NOW, finished=NOW.boot).stopped
        for until in ("turn", "hook", "")
    ]
    assert ends == [False, True, True]


def test_c4_a_drain_goes_in_the_same_order() -> None:
    desired = manned()
    seen = situation(desired, *(running(desired, name) for name in ("s1", "s2", "app")))
    assert doing(plan_drain(seen, NOW)) == ["stop s1 turn", "stop s2 turn", "stop app drain"]


def sick(desired: Desired, grace: float | None = None) -> ContainerFact:
    fact = running(desired)
    assert fact.record.attempt is not None
    health = Health(failed="its live probe failed 3 times in a row", grace=grace)
    return replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, health=health)))


@pytest.mark.parametrize(("grace", "given"), [(None, 30.0), (3.0, 3.0), (0.0, 0.0)])
def test_c2_a_failed_probe_stops_it_with_its_own_grace(grace: float | None, given: float) -> None:
    desired = wanted()
    step = plan_pod(desired, situation(desired, sick(desired, grace)), NOW).steps[0]
    assert (step.action, step.grace, step.aim, step.why) == (
        Action.STOP, given, "unhealthy", "its live probe failed 3 times in a row",
    )  # fmt: skip


def test_c1_and_it_is_a_crash() -> None:
    desired = wanted()
    record = sick(desired).record
    step = Step(action=Action.STOP, why="", grace=30.0, aim="unhealthy")
    end = settling.ended(marks.stop_mark(record, step, NOW, signalled=True), 143, "Error", NOW, finished=NOW.boot)
    assert not end.stopped


def test_c2_it_needs_no_successor_at_hand() -> None:
    desired = wanted()
    seen = situation(desired, sick(desired), images={})
    assert doing(plan_pod(desired, seen, NOW))[0] == "stop app unhealthy"
