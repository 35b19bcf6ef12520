"""Whose turn it is, and when a pod has run its course (C4, C13), as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, Now, PodFacts
from tank.model.record import Health
from tank.plan import marks
from tank.plan.activity import active
from tank.plan.order import Course, Role, course_of, is_ready, is_started, policy_of, role_of, runs_again
from tank.plan.pod import plan_pod
from tests.unit.plan.situations import NOW, a_pod, created, ended, running, situation, wanted

INIT = {"name": "i", "image": "x:1"}
SIDECAR = {"name": "s", "image": "x:1", "restart": "always"}


def whole(**more: Any) -> Desired:
    return wanted(a_pod(init=[INIT, SIDECAR, INIT | {"name": "j"}], **more))


def here(fact: ContainerFact, sandbox: int = 1) -> ContainerFact:
    assert fact.record.attempt is not None
    return replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, sandbox=sandbox)))


def done(desired: Desired, name: str, sandbox: int = 1) -> ContainerFact:
    return here(ended(desired, name, code=0), sandbox)


def course(desired: Desired, *facts: ContainerFact, **more: Any) -> Course:
    return course_of(desired, situation(desired, *facts, **more))


def test_roles_and_their_policies() -> None:
    spec = whole().spec
    assert [role_of(spec, name) for name in ("i", "s", "app", "unknown")] == [
        Role.INIT, Role.SIDECAR, Role.APP, Role.APP,
    ]  # fmt: skip
    assert [policy_of(spec, each) for each in spec.everyone] == ["on_failure", "always", "on_failure", "always"]
    never = whole(restart="never").spec
    assert [policy_of(never, each) for each in never.everyone] == ["never", "always", "never", "never"]


def test_c4_the_first_entry_that_has_not_done_its_part_has_its_turn() -> None:
    desired = whole()
    assert course(desired).turn == "i"
    assert course(desired, here(running(desired, "i"))).turn == "i"
    assert course(desired, done(desired, "i")).turn == "s"
    assert course(desired, done(desired, "i"), here(running(desired, "s"))).turn == "j"
    assert course(desired, done(desired, "i"), here(running(desired, "s")), done(desired, "j")).turn == ""


def test_c4_what_was_done_in_another_sandbox_is_not_done() -> None:
    desired = whole()
    assert course(desired, done(desired, "i", sandbox=0)).turn == "i"
    assert course(desired, done(desired, "i"), sandbox=None).turn == "i"


def test_c4_behind_whoever_was_made_here_nobody_waits_for_anything() -> None:
    desired = whole()
    crashed = here(ended(desired, "s", code=1))
    assert course(desired, done(desired, "i"), crashed, here(created(desired, "j"))).turn == "j"
    assert course(desired, here(running(desired))).turn == ""


@pytest.mark.parametrize("code", [1, None])
def test_c4_a_failed_init_is_tried_again_and_under_never_it_is_the_end(code: int | None) -> None:
    again, never = whole(), whole(restart="never")
    assert course(again, here(ended(again, "i", code=code))).over == ""
    assert course(never, here(ended(never, "i", code=code))).over == "init container i failed"


def test_c17_a_changed_init_that_had_failed_for_good_runs_again() -> None:
    before, after = whole(restart="never"), wanted(a_pod(init=[INIT | {"image": "x:2"}, SIDECAR], restart="never"))
    assert course(after, here(ended(before, "i"))).over == ""


def test_c13_a_pod_is_over_when_every_app_has_ended_for_good() -> None:
    desired = whole(restart="never")
    assert course(desired, here(ended(desired, code=0))).over == "its containers have ended"
    assert course(whole(), here(ended(whole(), code=0))).over == ""
    asked = replace(desired, restarts={"app": 1})
    assert course(asked, here(ended(desired, code=0))).over == ""


def test_what_has_failed_for_good_stays_so_until_something_else_is_asked_for() -> None:
    desired = whole()
    seen = situation(desired)
    assert seen.record is not None
    failed = replace(seen, record=replace(seen.record, failed="DeadlineExceeded"))
    assert "DeadlineExceeded" in course_of(desired, failed).over
    assert course_of(replace(desired, restarts={"app": 1}), failed).over == ""
    assert course_of(wanted(a_pod(labels={"a": "b"}, init=whole_init())), failed).over != ""
    assert course_of(wanted(a_pod(hostname="other")), failed).over == ""


def whole_init() -> list[dict[str, Any]]:
    return [INIT, SIDECAR, INIT | {"name": "j"}]


def test_a_counter_at_zero_asks_for_nothing() -> None:
    record = situation(wanted()).record
    assert record is not None
    assert not runs_again(record, replace(wanted(), restarts={"app": 0}))


PROBED = {"startup": {"tcp": 1}, "ready": {"tcp": 2}}
HOOKED = {"post_start": {"exec": ["x"]}}


@pytest.mark.parametrize(
    ("fields", "health", "started", "ready"),
    [
        ({}, Health(), True, True),
        ({"probes": PROBED}, Health(), False, False),
        ({"probes": PROBED}, Health(started=True), True, False),
        ({"probes": PROBED}, Health(started=True, ready=True), True, True),
        ({"probes": PROBED}, Health(ready=True), False, False),
        ({"hooks": HOOKED}, Health(started=True, ready=True), False, False),
        ({"hooks": HOOKED}, Health(hooked=True), True, True),
        ({}, Health(failed="its live probe failed"), True, False),
    ],
)
def test_c2_started_and_ready(fields: dict[str, Any], health: Health, started: bool, ready: bool) -> None:
    desired = wanted(a_pod(containers=[{"name": "app", "image": "x:1", **fields}]))
    container, fact = desired.spec.containers[0], running(desired)
    assert fact.record.attempt is not None
    fact = replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, health=health)))
    assert (is_started(container, fact), is_ready(container, fact)) == (started, ready)
    assert not is_started(container, created(desired))
    assert not is_ready(container, None)


def active_for(desired: Desired, seconds: float) -> PodFacts:
    seen = situation(desired, running(desired))
    assert seen.record is not None
    return replace(seen, record=replace(seen.record, active=seconds, active_since=NOW.boot))


@pytest.mark.parametrize(
    ("seconds", "failed", "wake"), [(0, "", 60.0), (50, "", 50.0), (100, "DeadlineExceeded", None)]
)
def test_c16_a_deadline_is_waited_for_and_then_marked(seconds: float, failed: str, wake: float | None) -> None:
    desired = wanted(a_pod(deadline=100))
    plan = plan_pod(desired, active_for(desired, seconds), NOW)
    assert [step.failed for step in plan.steps] == ([failed] if failed else [])
    assert plan.wake_at == (None if wake is None else NOW.boot + wake)


def test_c16_how_long_it_was_active_is_written_down_every_minute_and_goes_on_after_a_reboot() -> None:
    desired = wanted(a_pod(deadline=1000))
    later = Now(boot=NOW.boot + 61, boot_id=NOW.boot_id, wall=NOW.wall + 61)
    seen = active_for(desired, 7.0)
    assert [step.action.value for step in plan_pod(desired, seen, later).steps] == ["mark"]
    assert seen.record is not None
    record = marks.pod_mark(seen.record, desired, "abcdef", later)
    assert active(record, later) == 68.0
    reboot = Now(boot=5.0, boot_id="boot-2", wall=later.wall + 60)
    assert active(record, reboot) == 68.0
    assert active(marks.sandbox_mark(record, desired, reboot), replace(reboot, boot=15.0)) == 78.0


def test_c17_what_runs_again_has_its_whole_time() -> None:
    desired = wanted(a_pod(deadline=100))
    record = active_for(desired, 99.0).record
    assert record is not None
    again = marks.pod_mark(replace(record, failed="DeadlineExceeded"), replace(desired, restarts={"app": 1}), "a", NOW)
    assert (again.failed, active(again, NOW)) == ("", 0.0)
