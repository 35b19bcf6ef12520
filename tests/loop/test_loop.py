"""The loop over a world in memory, clock in hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.errors import Conflict, Failed, NotFound, PullFailed, StartFailed, Waiting
from tank.store.memory import MemoryStore
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon, pod


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return harness.new(tmp_path)


async def uid_of(daemon: Daemon, name: str = "web") -> str:
    return (await daemon.node.get(name)).uid


async def test_an_applied_pod_runs(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.ready, status.containers[0].restarts) == ("running", True, 0)


async def test_at_rest_nothing_is_done(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    done = list(daemon.world.deeds)
    await daemon.settle()
    await harness.again(daemon).settle()
    assert daemon.world.deeds == done


async def test_the_same_apply_again_does_nothing(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    before = (list(daemon.world.deeds), (await daemon.node.get("web")).revision)
    await daemon.node.apply([pod()])
    await daemon.settle()
    assert (daemon.world.deeds, (await daemon.node.get("web")).revision) == before


async def test_c1_a_crash_is_answered_at_once_then_after_ten_and_twenty_seconds(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    uid = await uid_of(daemon)
    waits = []
    for _ in range(4):
        daemon.world.exit(uid, "app", 1)
        await daemon.settle()
        waited = 0
        while not daemon.world.processes[uid, "app"].alive:
            await daemon.pass_time(1.0)
            waited += 1
        waits.append(waited)
    assert waits == [0, 10, 20, 40]
    assert (await daemon.node.status("web")).containers[0].restarts == 4


async def test_back_off_survives_the_daemon(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    uid = await uid_of(daemon)
    for _ in range(2):
        daemon.world.exit(uid, "app", 1)
        await daemon.settle()
    daemon.world.advance(4.0)
    daemon = harness.again(daemon)
    await daemon.settle()
    assert (await daemon.node.status("web")).containers[0].reason == "CrashLoopBackOff"
    await daemon.pass_time(6.1)
    assert daemon.world.processes[uid, "app"].alive


async def test_what_died_while_the_daemon_was_down_is_known_with_its_code(daemon: Daemon) -> None:
    await daemon.node.apply([pod(restart="never")])
    await daemon.settle()
    daemon.world.exit(await uid_of(daemon), "app", 7)
    daemon.world.advance(3600)
    daemon = harness.again(daemon)
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.containers[0].exit_code) == ("failed", 7)


async def test_a_finished_run_once_pod_is_not_run_again_not_even_after_a_reboot(daemon: Daemon) -> None:
    await daemon.node.apply([pod(restart="never")])
    await daemon.settle()
    daemon.world.exit(await uid_of(daemon), "app", 0)
    await daemon.settle()
    daemon.world.reboot()
    daemon = harness.again(daemon)
    done = list(daemon.world.deeds)
    await daemon.settle()
    assert daemon.world.deeds == done
    assert (await daemon.node.status("web")).phase == "succeeded"


async def test_r10_a_reboot_under_a_running_pod_is_an_unknown_end_and_a_start(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.reboot()
    daemon = harness.again(daemon)
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.containers[0].last[0].exit_code) == ("running", None)


async def test_c6_a_pull_that_fails_is_waited_out_and_is_no_restart(daemon: Daemon) -> None:
    daemon.world.refusals["pull"] = PullFailed("ErrImagePull", "connection refused")
    await daemon.node.apply([pod()])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("pending", "ImagePullBackOff")
    assert "connection refused" in status.message
    del daemon.world.refusals["pull"]
    await daemon.pass_time(10.1)
    status = await daemon.node.status("web")
    assert (status.phase, status.containers[0].restarts) == ("running", 0)


async def test_c6_a_restart_asks_no_registry(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.registry.clear()
    daemon.world.exit(await uid_of(daemon), "app", 1)
    await daemon.settle()
    assert (await daemon.node.status("web")).ready


async def test_c6_a_restart_with_pull_resolves_the_tag_anew_and_a_plain_one_does_not(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.registry[IMAGE] = daemon.world.registry["registry.example/app:2"]
    digests = []
    for pull in (False, True):
        await daemon.node.restart("web", pull=pull)
        await daemon.settle()
        digests.append((await daemon.node.status("web")).containers[0].image_digest[7])
    assert digests == ["1", "2"]


async def test_an_update_that_cannot_be_pulled_leaves_the_old_one_running(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.refusals["pull"] = PullFailed("ErrImagePull", "no such tag")
    await daemon.node.apply([pod(containers=[{"name": "app", "image": "registry.example/app:2"}])])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("running", "ImagePullBackOff")
    assert daemon.world.processes[await uid_of(daemon), "app"].attempt == 1


async def test_an_update_replaces_the_container_and_a_rollback_needs_no_registry(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    await daemon.node.apply([pod(containers=[{"name": "app", "image": "registry.example/app:2"}])])
    await daemon.settle()
    daemon.world.registry.clear()
    await daemon.node.rollback("web")
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.ready, status.containers[0].image_digest) == (True, "sha256:" + "1" * 64)
    assert [deed.split()[0] for deed in daemon.world.deeds].count("sandbox") == 1


async def test_a_start_failure_is_a_termination_under_the_policy(daemon: Daemon) -> None:
    daemon.world.refusals["create"] = StartFailed(127, "cannot start: no such program: nope")
    await daemon.node.apply([pod(restart="never")])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.containers[0].reason, status.containers[0].exit_code) == ("failed", "StartError", 127)


async def test_a_missing_precondition_is_a_waiting_reason(daemon: Daemon) -> None:
    daemon.world.refusals["create"] = Waiting("CreateContainerConfigError", "there is no /srv/data")
    await daemon.node.apply([pod()])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("pending", "CreateContainerConfigError")
    del daemon.world.refusals["create"]
    await daemon.pass_time(2.0)
    assert (await daemon.node.status("web")).ready


async def test_an_update_that_could_not_start_does_not_stop_the_old_one(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.refusals["check"] = Waiting("CreateContainerConfigError", "there is no /srv/data")
    await daemon.node.apply([pod(containers=[{"name": "app", "image": IMAGE, "env": {"A": "b"}}])])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("running", "CreateContainerConfigError")
    assert daemon.world.processes[await uid_of(daemon), "app"].attempt == 1


async def test_c3_a_stubborn_program_is_killed_when_its_grace_is_over(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await daemon.node.apply([pod(grace="5s")])
    await daemon.settle()
    uid = await uid_of(daemon)
    await daemon.node.delete("web")
    await daemon.settle()
    assert (await daemon.node.status("web")).phase == "terminating"
    await daemon.pass_time(4.9)
    assert daemon.world.processes[uid, "app"].alive
    await daemon.pass_time(0.2)
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c17_apply_while_terminating_waits_for_the_end_of_the_old_one(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await daemon.node.apply([pod(grace="5s")])
    await daemon.settle()
    before = await uid_of(daemon)
    await daemon.node.delete("web")
    await daemon.node.apply([pod(grace="5s")])
    await daemon.settle()
    after = await uid_of(daemon)
    assert {uid for uid, _ in daemon.world.processes} == {before}
    await daemon.pass_time(5.1)
    assert {uid for uid, _ in daemon.world.processes} == {after}


async def test_an_address_is_handed_over_never_held_twice(daemon: Daemon) -> None:
    def at(name: str) -> object:
        nic = {"name": "eth0", "parent": "lan0", "ip": "10.0.0.5/24"}
        return pod(name, network={"nics": [nic]}, grace="5s")

    daemon.world.stubborn = True
    await daemon.node.apply([at("old")])  # type: ignore[list-item]
    await daemon.settle()
    with pytest.raises(Conflict, match=r"address 10\.0\.0\.5 belongs to pod old"):
        await daemon.node.apply([at("new")])  # type: ignore[list-item]
    await daemon.node.delete("old")
    await daemon.node.apply([at("new")])  # type: ignore[list-item]
    await daemon.settle()
    assert (await daemon.node.status("new")).reason == "Blocked"
    await daemon.pass_time(5.1)
    assert (await daemon.node.status("new")).ready


async def test_a_store_that_cannot_be_read_makes_no_plan(daemon: Daemon, tmp_path: Path) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    done = list(daemon.world.deeds)
    await daemon.store.close()
    daemon.loop.nudge("web")
    await daemon.loop.turn()
    assert daemon.world.deeds == done


async def test_r12_with_the_database_lost_the_pods_are_taken_back_and_run_on(daemon: Daemon) -> None:
    await daemon.node.apply([pod(), pod("db", restart="on_failure")])
    await daemon.settle()
    pids = {key: process.pid for key, process in daemon.world.processes.items()}
    fresh = Daemon(daemon.world, MemoryStore(), daemon.top)
    assert await fresh.recover() == ("db", "web")
    await fresh.settle()
    assert {key: process.pid for key, process in daemon.world.processes.items()} == pids
    assert [each.name for each in await fresh.node.list()] == ["db", "web"]


async def test_a_pod_that_was_being_deleted_is_not_taken_back(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await daemon.node.apply([pod(), pod("db")])
    await daemon.settle()
    await daemon.node.delete("web")
    await daemon.settle()
    assert await Daemon(daemon.world, MemoryStore(), daemon.top).recover() == ("db",)


async def test_an_orphan_with_our_mark_is_swept(daemon: Daemon) -> None:
    daemon.world.directories.add("feedfeedfeed")
    await daemon.settle()
    assert daemon.world.directories == set()


async def test_wait_answers_once_the_new_container_is_ready_and_not_the_old(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    await daemon.node.restart("web")
    assert await daemon.node._reached("web", "ready") is None
    await daemon.settle()
    status = await daemon.node.wait("web", "ready", 1.0)
    assert status.containers[0].restarts == 1


async def test_wait_gives_up_at_once_on_what_cannot_come(daemon: Daemon) -> None:
    daemon.world.refusals["create"] = StartFailed(127, "no such program")
    await daemon.node.apply([pod(restart="never")])
    await daemon.settle()
    with pytest.raises(Failed, match="no such program"):
        await daemon.node.wait("web", "ready", 1.0)


async def test_the_plan_is_what_is_done(daemon: Daemon) -> None:
    shown = await daemon.node.plan([pod()])
    await daemon.node.apply([pod()], token=shown.token)
    await daemon.settle()
    assert [step.action for step in shown.steps] == ["pull", "make sandbox", "create", "start"]
    assert [deed.split()[0] for deed in daemon.world.deeds] == ["pull", "sandbox", "create", "start"]


async def test_an_outdated_plan_is_refused_with_the_present_one(daemon: Daemon) -> None:
    shown = await daemon.node.plan([pod()])
    await daemon.node.apply([pod(labels={"a": "b"})])
    await daemon.settle()
    with pytest.raises(Conflict):
        await daemon.node.apply([pod()], token=shown.token)


async def test_prune_deletes_what_the_selector_names_and_the_documents_do_not(daemon: Daemon) -> None:
    await daemon.node.apply([pod("a", labels={"set": "x"}), pod("b", labels={"set": "x"}), pod("c")])
    await daemon.settle()
    await daemon.node.apply([pod("a", labels={"set": "x"})], prune="set=x")
    await daemon.settle()
    assert [each.name for each in await daemon.node.list()] == ["a", "c"]


async def test_when_the_machine_goes_down_the_pods_stop_and_stay_desired(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.loop.draining = True
    await daemon.settle()
    assert not any(process.alive for process in daemon.world.processes.values())
    daemon.world.reboot()
    daemon = harness.again(daemon)
    await daemon.settle()
    assert (await daemon.node.status("web")).ready


async def test_p9_a_defect_met_by_one_pod_hinders_no_other(daemon: Daemon) -> None:
    daemon.world.refusals["tune"] = ZeroDivisionError("a defect")
    await daemon.node.apply([pod(), pod("db")])
    await daemon.settle()
    limited = [{"name": "app", "image": IMAGE, "limits": {"pids": 9}}]
    await daemon.node.apply([pod(containers=limited), pod("db", labels={"a": "b"})])
    await daemon.settle()
    assert (await daemon.node.status("db")).observed_revision == (await daemon.node.get("db")).revision
    del daemon.world.refusals["tune"]
    await daemon.pass_time(60)
    assert "tune" in {deed.split()[0] for deed in daemon.world.deeds}


async def test_a_container_that_cannot_be_made_is_tried_at_ever_longer_intervals(daemon: Daemon) -> None:
    daemon.world.refusals["create"] = Failed("cannot mount the root: invalid argument")
    await daemon.node.apply([pod()])
    await daemon.settle()
    for _ in range(60):
        await daemon.pass_time(1.0)
    assert 4 < daemon.records.containers(await uid_of(daemon))["app"].last_number < 9
    del daemon.world.refusals["create"]
    await daemon.pass_time(300.0)
    status = await daemon.node.status("web")
    assert (status.phase, status.reason) == ("running", "")
