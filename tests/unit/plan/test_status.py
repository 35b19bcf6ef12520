"""What is told of a pod (C5, C13): phases, reasons, conditions, and one causal answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, Input, PodFacts
from tank.model.pod import Cpu
from tank.model.record import Health, Stop
from tank.model.status import Status
from tank.plan.limits import holds
from tank.plan.moments import rfc3339
from tank.plan.status import status_of, unobserved
from tank.plan.why import Why, why_of
from tests.unit.plan.situations import NOW, a_pod, created, ended, lost, nothing, running, situation, wanted

INIT = {"name": "i", "image": "x:1"}
SIDECAR = {"name": "s", "image": "x:1", "restart": "always"}
PROBES = {"startup": {"tcp": 1, "period": "5s", "failures": 7}, "ready": {"tcp": 2}}


def app(**fields: Any) -> Desired:
    return wanted(a_pod(containers=[{"name": "app", "image": "x:1", **fields}]))


def with_attempt(fact: ContainerFact, **changes: Any) -> ContainerFact:
    assert fact.record.attempt is not None
    return replace(fact, record=replace(fact.record, attempt=replace(fact.record.attempt, **changes)))


def here(fact: ContainerFact) -> ContainerFact:
    return with_attempt(fact, sandbox=1)


def answers(desired: Desired | None, seen: PodFacts) -> tuple[Status, Why]:
    status = status_of(desired, seen, NOW)
    return status, why_of(status, desired, seen, NOW)


def condition(status: Status, kind: str) -> tuple[str, str, str]:
    found = next(each for each in status.conditions if each.type == kind)
    return found.status, found.reason, found.message


# Phases (C13)

ONE_INIT = wanted(a_pod(init=[INIT]))
NEVER = wanted(a_pod(init=[SIDECAR], restart="never"))


@pytest.mark.parametrize(
    ("desired", "facts", "phase"),
    [
        (ONE_INIT, [], "pending"),
        (ONE_INIT, [here(running(ONE_INIT, "i"))], "pending"),
        (ONE_INIT, [here(ended(ONE_INIT, "i", code=0))], "pending"),
        (ONE_INIT, [here(ended(ONE_INIT, "i", code=0)), here(created(ONE_INIT))], "pending"),
        (ONE_INIT, [here(ended(ONE_INIT, "i", code=0)), here(running(ONE_INIT))], "running"),
        (ONE_INIT, [here(ended(ONE_INIT, "i", code=0)), here(ended(ONE_INIT, code=1))], "running"),
        (ONE_INIT, [here(ended(ONE_INIT, "i", code=0)), here(lost(ONE_INIT))], "running"),
        (NEVER, [here(running(NEVER, "s")), here(ended(NEVER, code=0))], "running"),
        (NEVER, [here(ended(NEVER, "s", code=9)), here(ended(NEVER, code=0))], "succeeded"),
        (NEVER, [here(ended(NEVER, "s", code=0)), here(ended(NEVER, code=1))], "failed"),
        (NEVER, [here(ended(NEVER, "s", code=0)), here(ended(NEVER, code=None))], "failed"),
    ],
)
def test_c13_phases(desired: Desired, facts: list[ContainerFact], phase: str) -> None:
    assert status_of(desired, situation(desired, *facts), NOW).phase == phase


def test_c13_a_pod_with_inits_keeps_its_phase_when_it_cannot_be_observed() -> None:
    seen = situation(ONE_INIT, here(ended(ONE_INIT, "i", code=0)), replace(here(running(ONE_INIT)), runtime=None))
    status = unobserved(ONE_INIT, replace(seen, sandbox=None), NOW, "the kernel does not tell")
    assert (status.phase, status.reason) == ("running", "Unobserved")


def test_c13_init_containers_are_told_apart_and_in_order() -> None:
    desired = wanted(a_pod(init=[INIT, SIDECAR]))
    seen = situation(desired, here(ended(desired, "i", code=0)), here(running(desired, "s")), here(running(desired)))
    status = status_of(desired, seen, NOW)
    assert [(each.name, each.sidecar, each.state, each.ready) for each in status.init] == [
        ("i", False, "terminated", True), ("s", True, "running", True),
    ]  # fmt: skip
    assert (status.ready, status.reason) == (True, "")


# Reasons and what comes next


def test_an_app_waits_for_its_init_and_why_says_for_what() -> None:
    status, why = answers(ONE_INIT, situation(ONE_INIT, here(running(ONE_INIT, "i"))))
    assert (status.reason, status.message) == ("PodInitializing", "app: it waits for init container i")
    assert condition(status, "Initialized") == ("false", "PodInitializing", "waiting for init container i")
    assert why.summary == "it is pending (PodInitializing): app: it waits for init container i"
    assert why.next == "the next container begins when i has ended with exit code 0"


def test_a_crash_loop_says_when_it_goes_on() -> None:
    desired = app()
    status, why = answers(desired, situation(desired, ended(desired, crashes=3, ago=5.0)))
    assert (status.reason, why.next, why.at) == ("CrashLoopBackOff", "app is tried again", rfc3339(NOW.wall + 15))
    assert any("exit code 1" in each for each in why.because)


@pytest.mark.parametrize(
    ("health", "message", "coming"),
    [
        (
            Health(),
            "its startup probe has not succeeded yet",
            "the startup probe of app is asked every 5 s; 7 failures in a row end it",
        ),
        (Health(started=True), "its ready probe does not succeed", "the ready probe of app is asked every 10 s"),
    ],
)
def test_c2_probes_that_are_waited_for(health: Health, message: str, coming: str) -> None:
    desired = app(probes=PROBES)
    status, why = answers(desired, situation(desired, with_attempt(running(desired), health=health)))
    assert (status.phase, status.ready, status.reason) == ("running", False, "")
    assert condition(status, "Ready") == ("false", "ContainersNotReady", f"app: {message}")
    assert (why.summary, why.next) == (f"it runs and is not ready: app: {message}", coming)


def test_c3_7_a_post_start_hook_that_is_waited_for() -> None:
    desired = app(hooks={"post_start": {"exec": ["x"]}})
    status, why = answers(desired, situation(desired, replace(running(desired), hooking=True)))
    assert status.containers[0].message == "its post_start hook is not done yet"
    assert why.next == "app is started when its post_start hook has ended well"


def test_c2_a_failed_probe_is_told_as_the_cause() -> None:
    desired = app()
    failed = with_attempt(running(desired), health=Health(failed="its live probe failed 3 times in a row: refused"))
    status, why = answers(desired, situation(desired, failed))
    assert (status.containers[0].reason, status.ready) == ("Unhealthy", False)
    assert why.because[0] == "app is running (Unhealthy): its live probe failed 3 times in a row: refused"
    assert why.next == "now: stop app"


@pytest.mark.parametrize(
    ("stop", "told", "late"),
    [
        ({"signalled": True}, "its signal was sent; killed in 10 s at the latest", 10),
        ({"until": "hook"}, "its pre_stop hook is under way; killed in 12 s at the latest", 12),
        ({"until": "turn", "hooked": True}, "it waits for others to stop first; killed in 12 s at the latest", 12),
    ],
)
def test_c3_a_stop_under_way_says_how_far_it_is(stop: dict[str, Any], told: str, late: float) -> None:
    desired = app(hooks={"pre_stop": {"exec": ["x"]}})
    standing = Stop(deadline=NOW.boot + 10, boot_id=NOW.boot_id, grace=30.0, aim="drop", **stop)
    seen = situation(desired, replace(with_attempt(running(desired), stop=standing), hooking=True))
    assert seen.record is not None
    seen = replace(seen, record=replace(seen.record, deleting=True))
    status, why = answers(None, seen)
    assert (status.phase, status.containers[0].ready) == ("terminating", False)
    assert status.containers[0].message == f"the pod is to be deleted; {told}"
    if stop.get("until") != "turn":
        assert (why.next, why.at) == ("app is killed, unless it has ended by then", rfc3339(NOW.wall + late))


def test_a_missing_secret_is_named() -> None:
    desired = app(env=[{"name": "A", "from": {"secret": {"name": "db", "key": "k"}}}])
    status, why = answers(desired, replace(situation(desired), inputs={"secret/db": Input()}))
    assert (status.reason, status.message) == ("CreateContainerConfigError", "app: there is no secret db")
    assert why.next == "app begins as soon as that is mended"


def test_c16_a_deadline_ahead_and_one_that_has_passed() -> None:
    desired = wanted(a_pod(deadline=100))
    seen = situation(desired, running(desired))
    _, why = answers(desired, seen)
    assert (why.next, why.at) == (
        "it fails with DeadlineExceeded, unless it has ended by then", rfc3339(NOW.wall + 100),
    )  # fmt: skip
    assert seen.record is not None
    failed = replace(
        situation(desired, ended(desired, code=143)), record=replace(seen.record, failed="DeadlineExceeded")
    )
    status, why = answers(desired, failed)
    assert (status.phase, status.reason) == ("failed", "DeadlineExceeded")
    assert why.next == "nothing, until its spec changes or a restart is asked for"


def test_a_pod_as_it_should_be() -> None:
    desired = app()
    _, why = answers(desired, situation(desired, running(desired)))
    assert (why.summary, why.next) == ("it runs and is ready", "nothing: it is as it should be")


def test_what_is_about_to_be_done_is_told() -> None:
    _, why = answers(app(), nothing(app()))
    assert why.next == "now: make sandbox, create app, start app"


# Limits (C12)


@pytest.mark.parametrize(
    ("wanted_", "actual", "same"),
    [
        (2**26, 2**26, True), (2**26, 2**26 + 4095, True), (2**26, 2**27, False), (10, 10, True), (10, 11, False),
        (Cpu(quota=50_000), "0.5", True), (Cpu(quota=50_000), "1", False), (None, "max", True), (None, 0, True),
        (None, 7, False), ("0-1", "0,1", True), ("0-1", "0", False), ("0-1", "", False),
    ],
)  # fmt: skip
def test_c12_a_limit_in_force_is_the_one_of_the_spec_or_not(wanted_: Any, actual: int | str, same: bool) -> None:
    assert holds(wanted_, actual) is same


def test_c12_limits_that_differ_are_shown() -> None:
    desired = app(limits={"memory": "64MiB", "pids": 10}, security={"privileged": True})
    fact = running(desired)
    assert fact.runtime is not None
    fact = replace(fact, runtime=replace(fact.runtime, actual={"memory": 2**27, "pids": 10}))
    status, why = answers(desired, situation(desired, fact))
    assert (status.containers[0].actual, status.containers[0].privileged) == ({"memory": 2**27}, True)
    assert "app: its limit memory is 134217728 now, which is not what its spec says" in why.because
