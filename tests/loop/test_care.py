"""Probes, hooks and deadlines over a world in memory: who waits for what, and when the kill comes (C2, C3, C16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tank.errors import NotFound
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon, pod

LIVE = {"live": {"tcp": 80, "period": "10s", "failures": 3}}


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return harness.new(tmp_path)


def app(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "app", "image": IMAGE, **more}]


async def applied(daemon: Daemon, **more: Any) -> str:
    await daemon.node.apply([pod(**more)])
    await daemon.settle()
    return (await daemon.node.get("web")).uid


def done(daemon: Daemon, word: str) -> int:
    return sum(deed.split()[0] == word for deed in daemon.world.deeds)


def hooks(daemon: Daemon) -> list[str]:
    return [" ".join(deed.split()[2:]) for deed in daemon.world.deeds if deed.startswith("hook ")]


# Probes (C2)


async def test_c2_a_container_is_ready_once_its_probes_say_so(daemon: Daemon) -> None:
    daemon.world.answers |= {"app startup": False, "app ready": False}
    probes = {"startup": {"tcp": 80, "failures": 100}, "ready": {"tcp": 81}}
    await applied(daemon, containers=app(probes=probes))
    status = await daemon.node.status("web")
    assert (status.phase, status.ready, status.containers[0].started) == ("running", False, False)
    assert status.containers[0].message == "its startup probe has not succeeded yet"
    daemon.world.answers["app startup"] = True
    await daemon.pass_time(10)
    status = await daemon.node.status("web")
    assert (status.containers[0].started, status.ready) == (True, False)
    unready = next(each for each in status.conditions if each.type == "Ready")
    assert (unready.status, unready.message) == ("false", "app: its ready probe does not succeed")
    daemon.world.answers["app ready"] = True
    await daemon.pass_time(10)
    status = await daemon.node.status("web")
    assert (status.ready, daemon.world.processes[status.uid, "app"].attempt) == (True, 1)


async def test_c2_a_live_probe_that_fails_ends_the_container_and_counts_as_a_crash(daemon: Daemon) -> None:
    uid = await applied(daemon, containers=app(probes=LIVE))
    daemon.world.answers["app live"] = False
    attempts = []
    for _ in range(6):  # in the last one the ten seconds after the second crash are over
        await daemon.pass_time(9.5)
        attempts.append(daemon.world.processes[uid, "app"].attempt)
    assert attempts == [1, 1, 1, 2, 2, 2]
    status = await daemon.node.status("web")
    assert status.containers[0].reason == "CrashLoopBackOff"
    assert "its live probe failed 3 times in a row" in status.containers[0].last[0].message


async def test_c2_the_grace_of_the_probe_replaces_the_pods(daemon: Daemon) -> None:
    daemon.world.stubborn, daemon.world.answers["app live"] = True, False
    uid = await applied(daemon, grace="30s", containers=app(probes={"live": LIVE["live"] | {"grace": "3s"}}))
    await daemon.pass_time(20)
    process = daemon.world.processes[uid, "app"]
    assert (process.alive, process.signals) == (True, ["SIGTERM"])
    status = await daemon.node.status("web")
    assert (status.ready, status.containers[0].reason) == (False, "Stopping")
    await daemon.pass_time(2.9)
    assert process.alive
    await daemon.pass_time(0.2)
    assert not process.alive


async def test_c2_under_never_a_failed_probe_fails_the_pod(daemon: Daemon) -> None:
    daemon.world.answers["app live"] = False
    await applied(daemon, restart="never", containers=app(probes=LIVE))
    await daemon.pass_time(30)
    assert (await daemon.node.status("web")).phase == "failed"


async def test_c2_results_are_kept_over_a_new_daemon(daemon: Daemon) -> None:
    await applied(daemon, containers=app(probes={"startup": {"tcp": 80}, "ready": {"tcp": 81}}))
    await daemon.pass_time(10)
    assert (await daemon.node.status("web")).ready
    daemon.world.answers["app startup"] = False
    daemon = harness.again(daemon)
    assert (await daemon.node.status("web")).ready
    await daemon.settle()
    await daemon.pass_time(60)
    assert (await daemon.node.status("web")).ready


async def test_c2_readiness_that_flips_changes_since(daemon: Daemon) -> None:
    await applied(daemon, containers=app(probes={"ready": {"tcp": 80}}))

    async def condition() -> tuple[str, str]:
        found = next(each for each in (await daemon.node.status("web")).conditions if each.type == "Ready")
        return found.status, found.since

    await daemon.pass_time(10)
    first = await condition()
    await daemon.pass_time(60)
    assert await condition() == first
    daemon.world.answers["app ready"] = False
    await daemon.pass_time(60)
    second = await condition()
    assert (first[0], second[0], first[1] < second[1]) == ("true", "false", True)


async def test_c2_a_probe_changes_live(daemon: Daemon) -> None:
    uid = await applied(daemon, containers=app())
    await applied(daemon, containers=app(probes={"ready": {"tcp": 80}}))
    daemon.world.answers["app ready"] = False
    await daemon.pass_time(60)
    status = await daemon.node.status("web")
    assert (status.ready, daemon.world.processes[uid, "app"].attempt) == (False, 1)


# Hooks (C3)


async def test_c3_7_post_start_holds_back_started_and_its_failure_ends_the_container(daemon: Daemon) -> None:
    daemon.world.seconds["app post_start"] = 5
    uid = await applied(daemon, containers=app(hooks={"post_start": {"exec": ["warm"]}}))
    status = await daemon.node.status("web")
    assert (status.ready, status.containers[0].message) == (False, "its post_start hook is not done yet")
    await daemon.pass_time(5)
    assert (await daemon.node.status("web")).ready
    daemon.world.answers["app post_start"] = False
    daemon.world.exit(uid, "app", 1)
    await daemon.settle()
    await daemon.pass_time(5)
    status = await daemon.node.status("web")
    assert status.containers[0].last[0].message == "its post_start hook failed: said the world"
    assert hooks(daemon) == ["app post_start", "app post_start"]


async def test_c3_7_a_daemon_that_died_runs_post_start_again_until_it_is_on_record(daemon: Daemon) -> None:
    daemon.world.seconds["app post_start"] = 5
    await applied(daemon, containers=app(hooks={"post_start": {"exec": ["warm"]}}))
    daemon = harness.again(daemon)
    await daemon.settle()
    await daemon.pass_time(5)
    assert (await daemon.node.status("web")).ready
    await harness.again(daemon).settle()
    assert hooks(daemon) == ["app post_start"]


async def test_c3_2_pre_stop_comes_before_the_signal_with_the_clock_running(daemon: Daemon) -> None:
    daemon.world.stubborn, daemon.world.seconds["app pre_stop"] = True, 55
    uid = await applied(daemon, grace="60s", containers=app(hooks={"pre_stop": {"exec": ["x"]}}))
    process = daemon.world.processes[uid, "app"]
    await daemon.node.delete("web")
    await daemon.settle()
    status = await daemon.node.status("web")
    assert "its pre_stop hook is under way; killed in 62 s" in status.containers[0].message
    await daemon.pass_time(54.9)
    assert process.signals == []
    await daemon.pass_time(0.2)
    assert process.signals == ["SIGTERM"]
    await daemon.pass_time(4.8)
    assert process.alive
    await daemon.pass_time(0.2)
    assert not process.alive


async def test_c3_4_a_hook_that_never_ends_has_the_grace_and_two_seconds(daemon: Daemon) -> None:
    daemon.world.stubborn, daemon.world.seconds["app pre_stop"] = True, 1000
    uid = await applied(daemon, grace="10s", containers=app(hooks={"pre_stop": {"exec": ["x"]}}))
    process = daemon.world.processes[uid, "app"]
    await daemon.node.delete("web")
    await daemon.settle()
    await daemon.pass_time(10)
    assert (process.alive, process.signals) == (True, ["SIGTERM"])
    await daemon.pass_time(1.9)
    assert process.alive
    await daemon.pass_time(0.2)
    assert not process.alive


async def test_c3_5_grace_zero_skips_the_hook(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, containers=app(hooks={"pre_stop": {"exec": ["x"]}}))
    await daemon.node.delete("web", grace=0)
    await daemon.settle()
    assert hooks(daemon) == []
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c3_5_a_deletion_without_grace_ends_a_hook_under_way(daemon: Daemon) -> None:
    daemon.world.stubborn, daemon.world.seconds["app pre_stop"] = True, 1000
    await applied(daemon, containers=app(hooks={"pre_stop": {"exec": ["x"]}}))
    await daemon.node.delete("web")
    await daemon.settle()
    await daemon.node.delete("web", grace=0)
    await daemon.settle()
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c3_2_all_hooks_begin_together_those_of_sidecars_too(daemon: Daemon) -> None:
    proxy = {"name": "proxy", "image": IMAGE, "restart": "always", "hooks": {"pre_stop": {"sleep": "5s"}}}
    daemon.world.seconds |= {"app pre_stop": 8, "proxy pre_stop": 5}
    uid = await applied(daemon, init=[proxy], containers=app(hooks={"pre_stop": {"sleep": "8s"}}))
    await daemon.node.delete("web")
    await daemon.settle()
    await daemon.pass_time(5)
    assert (hooks(daemon), daemon.world.processes[uid, "proxy"].signals) == (["proxy pre_stop"], [])
    await daemon.pass_time(3)
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c3_6_a_daemon_that_died_in_a_stop_goes_on_with_what_is_left(daemon: Daemon) -> None:
    daemon.world.stubborn, daemon.world.seconds["app pre_stop"] = True, 20
    uid = await applied(daemon, grace="30s", containers=app(hooks={"pre_stop": {"exec": ["x"]}}))
    process = daemon.world.processes[uid, "app"]
    await daemon.node.delete("web")
    await daemon.settle()
    await daemon.pass_time(15)
    daemon = harness.again(daemon)
    await daemon.settle()
    await daemon.pass_time(14.9)
    assert process.signals == []
    await daemon.pass_time(0.2)
    assert process.signals == ["SIGTERM"]
    await daemon.pass_time(1.9)
    assert not process.alive


async def test_c3_1_what_is_being_stopped_is_not_ready(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon)
    await daemon.node.restart("web")
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.ready, status.containers[0].ready) == ("running", False, False)


async def test_a_program_that_its_pre_stop_hook_ends_was_stopped_and_did_not_crash(daemon: Daemon) -> None:
    daemon.world.seconds["app pre_stop"] = 5
    uid = await applied(daemon, containers=app(hooks={"pre_stop": {"exec": ["quit"]}}))
    await daemon.node.restart("web")
    await daemon.settle()
    daemon.world.exit(uid, "app", 1)
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.ready, daemon.records.containers(uid)["app"].failures) == (True, 0)


# Deadlines


async def test_c16_a_pod_that_is_active_for_too_long_fails(daemon: Daemon) -> None:
    await applied(daemon, deadline="100s")
    await daemon.pass_time(99)
    assert (await daemon.node.status("web")).ready
    await daemon.pass_time(2)
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("failed", "DeadlineExceeded")
    done = list(daemon.world.deeds)
    await harness.again(daemon).settle()
    assert daemon.world.deeds == done


async def test_c16_the_deadline_wins_over_back_off(daemon: Daemon) -> None:
    uid = await applied(daemon, deadline="15s")
    for _ in range(3):
        daemon.world.exit(uid, "app", 1)
        await daemon.settle()
        await daemon.pass_time(5)
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("failed", "DeadlineExceeded")


async def test_c16_a_reboot_and_a_new_daemon_forget_at_most_a_minute(daemon: Daemon) -> None:
    await applied(daemon, deadline="300s")
    await daemon.pass_time(130)
    daemon = harness.again(daemon)
    await daemon.settle()
    await daemon.pass_time(60)
    daemon.world.reboot()
    daemon = harness.again(daemon)
    await daemon.settle()
    await daemon.pass_time(109)
    assert (await daemon.node.status("web")).ready
    await daemon.pass_time(61)
    assert (await daemon.node.status("web")).reason == "DeadlineExceeded"


async def test_c16_a_deadline_changes_live_and_is_no_restart(daemon: Daemon) -> None:
    uid = await applied(daemon, deadline="100s")
    await daemon.pass_time(50)
    await applied(daemon, deadline="200s")
    await daemon.pass_time(100)
    assert (await daemon.node.status("web")).ready
    await applied(daemon, deadline="140s")
    assert (await daemon.node.status("web")).phase == "failed"
    assert daemon.world.processes[uid, "app"].attempt == 1


@pytest.mark.parametrize("by", ["restart", "spec"])
async def test_c17_a_restart_or_a_changed_spec_runs_it_again_with_its_whole_time(daemon: Daemon, by: str) -> None:
    await applied(daemon, deadline="100s", restart="never")
    await daemon.pass_time(101)
    assert (await daemon.node.status("web")).phase == "failed"
    if by == "restart":
        await daemon.node.restart("web")
        await daemon.settle()
    else:
        await applied(daemon, deadline="100s", restart="never", containers=app(env={"A": "b"}))
    assert (await daemon.node.status("web")).ready
    await daemon.pass_time(99)
    assert (await daemon.node.status("web")).ready
    await daemon.pass_time(2)
    assert (await daemon.node.status("web")).phase == "failed"


async def test_c17_a_live_change_does_not(daemon: Daemon) -> None:
    await applied(daemon, deadline="100s")
    await daemon.pass_time(101)
    await applied(daemon, deadline="1000s")
    assert (await daemon.node.status("web")).phase == "failed"
