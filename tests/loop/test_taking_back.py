"""A change that is taken back, and what one pod gives up for another: nothing is stopped or held by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Failed, PullFailed, Waiting
from tank.model.pod import Pod
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon, pod


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = harness.new(tmp_path)
    yield made
    made.records.close()


async def applied(daemon: Daemon, *pods: Pod) -> None:
    await daemon.node.apply(list(pods))
    await daemon.settle()


async def uid_of(daemon: Daemon, name: str = "web") -> str:
    return (await daemon.node.get(name)).uid


def changed(**more: Any) -> Pod:
    return pod(grace="5s", containers=[{"name": "app", "image": IMAGE, "env": {"A": "1"}}], **more)


async def test_a_stop_that_was_taken_back_ends_nothing_and_a_later_one_has_its_whole_grace(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, pod(grace="5s"))
    process = daemon.world.processes[await uid_of(daemon), "app"]
    await applied(daemon, changed())
    assert (await daemon.node.status("web")).containers[0].reason == "Stopping"
    await applied(daemon, pod(grace="5s"))
    assert (await daemon.node.status("web")).containers[0].reason == ""
    await daemon.pass_time(20)
    assert (process.alive, len(process.signals)) == (True, 1)
    await applied(daemon, changed())
    await daemon.pass_time(4.9)
    assert (process.alive, len(process.signals)) == (True, 2)
    await daemon.pass_time(0.2)
    assert not process.alive


async def test_within_the_first_grace_too_the_later_stop_signals_and_waits(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, pod(grace="5s"))
    process = daemon.world.processes[await uid_of(daemon), "app"]
    await applied(daemon, changed())
    await applied(daemon, pod(grace="5s"))
    await daemon.pass_time(3)
    await daemon.node.delete("web")
    await daemon.settle()
    assert len(process.signals) == 2
    await daemon.pass_time(4.9)
    assert process.alive


async def test_c3_5_a_deletion_in_the_middle_of_an_update_does_not_lengthen_its_stop(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, pod(grace="5s"))
    process = daemon.world.processes[await uid_of(daemon), "app"]
    await applied(daemon, changed())
    await daemon.pass_time(4)
    await daemon.node.delete("web")
    await daemon.pass_time(1.1)
    assert (process.alive, len(process.signals)) == (False, 1)


async def test_an_update_that_cannot_be_pulled_is_not_helped_by_an_old_stop(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, pod(grace="5s"))
    process = daemon.world.processes[await uid_of(daemon), "app"]
    await applied(daemon, changed())
    await applied(daemon, pod(grace="5s"))
    daemon.world.refusals["pull"] = PullFailed("ErrImagePull", "no such tag")
    await applied(daemon, pod(grace="5s", containers=[{"name": "app", "image": "registry.example/app:2"}]))
    await daemon.pass_time(60)
    assert process.alive


async def slow_stop_taken_back(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, pod(grace="5s", restart="never"))
    await applied(daemon, changed(restart="never"))
    await applied(daemon, pod(grace="5s", restart="never"))


async def test_what_a_stop_ended_that_was_taken_back_runs_again_under_never_too(daemon: Daemon) -> None:
    await slow_stop_taken_back(daemon)
    daemon.world.exit(await uid_of(daemon), "app", 143)
    await daemon.settle()
    assert daemon.world.processes[await uid_of(daemon), "app"].alive


async def test_what_ends_by_itself_long_after_has_had_its_run(daemon: Daemon) -> None:
    await slow_stop_taken_back(daemon)
    await daemon.pass_time(60)
    daemon.world.exit(await uid_of(daemon), "app", 0)
    await daemon.settle()
    assert (await daemon.node.status("web")).phase == "succeeded"


async def test_what_the_machine_stopped_on_its_way_down_has_had_its_run_under_never(daemon: Daemon) -> None:
    await applied(daemon, pod(restart="never"))
    daemon.loop.draining = True
    await daemon.settle()
    daemon.loop.draining = False
    await daemon.settle()
    assert not daemon.world.processes[await uid_of(daemon), "app"].alive


DATA = [{"name": "data", "source": "managed"}]


def with_data(name: str, **more: Any) -> Pod:
    mounts = [{"volume": "data", "path": "/data"}]
    return pod(name, grace="5s", volumes=DATA, containers=[{"name": "app", "image": IMAGE, "mounts": mounts} | more])


async def test_a_volume_is_free_only_when_what_mounts_it_has_ended(daemon: Daemon) -> None:
    await applied(daemon, with_data("a"), pod("b"))
    a, b = await uid_of(daemon, "a"), await uid_of(daemon, "b")
    daemon.world.refusals["pull"] = PullFailed("ErrImagePull", "no such tag")
    await applied(daemon, pod("a", containers=[{"name": "app", "image": "registry.example/app:2"}]), with_data("b"))
    assert (daemon.world.processes[a, "app"].attempt, daemon.world.processes[b, "app"].attempt) == (1, 1)
    assert (await daemon.node.status("b")).reason == "Blocked"
    again = harness.again(daemon)
    await again.settle()
    assert daemon.world.processes[b, "app"].attempt == 1
    del daemon.world.refusals["pull"]
    await again.pass_time(60)
    assert (daemon.world.processes[a, "app"].attempt, daemon.world.processes[b, "app"].attempt) == (2, 2)
    assert again.records.pods()[a].held == ()
    again.records.close()


def at(name: str, *ips: str) -> Pod:
    return pod(name, network={"nics": [{"name": "eth0", "parent": "lan0", "ip": [f"{ip}/24" for ip in ips]}]})


async def test_a_blocked_pod_neither_changes_its_network_nor_starts_anything(daemon: Daemon) -> None:
    await applied(daemon, with_data("a"), at("b", "10.0.0.5"))
    b = await uid_of(daemon, "b")
    daemon.world.stubborn = True
    two = [{"name": "app", "image": IMAGE}, {"name": "more", "image": IMAGE}]
    nic = {"name": "eth0", "parent": "lan0", "ip": "10.0.0.6/24"}
    await daemon.node.delete("a", grace=5.0)
    await applied(daemon, pod("b", volumes=DATA, containers=two, network={"nics": [nic]}))
    assert daemon.world.sandboxes[b].nics == ("eth0 10.0.0.5/24",)
    assert (b, "more") not in daemon.world.processes
    assert {"address 10.0.0.5", "address 10.0.0.6"} <= set(daemon.records.pods()[b].held or ())
    await daemon.pass_time(6)
    assert daemon.world.sandboxes[b].nics == ("eth0 10.0.0.6/24",)
    assert (await daemon.node.status("b")).ready
    assert daemon.records.pods()[b].held == ("address 10.0.0.6", "volume data")


async def test_an_address_in_a_sandbox_where_nothing_lives_is_let_go_of(daemon: Daemon) -> None:
    ended = at("a", "10.0.0.5").model_copy(update={"restart": "never"})
    await applied(daemon, ended)
    daemon.world.exit(await uid_of(daemon, "a"), "app", 0)
    await daemon.settle()
    moved = at("a", "10.0.0.6").model_copy(update={"restart": "never"})
    await applied(daemon, moved, at("b", "10.0.0.5"))
    assert await uid_of(daemon, "a") not in daemon.world.sandboxes
    assert (await daemon.node.status("b")).ready
    assert (await daemon.node.status("a")).phase == "succeeded"


async def test_two_pods_that_swap_their_addresses_do_not_wait_for_ever(daemon: Daemon) -> None:
    await applied(daemon, at("a", "10.0.0.5"), at("b", "10.0.0.6"))
    await applied(daemon, at("a", "10.0.0.6"), at("b", "10.0.0.5"))
    assert [each.ready for each in await daemon.node.list()] == [True, True]
    a, b = await uid_of(daemon, "a"), await uid_of(daemon, "b")
    assert (daemon.world.sandboxes[a].nics, daemon.world.sandboxes[b].nics) == (
        ("eth0 10.0.0.6/24",),
        ("eth0 10.0.0.5/24",),
    )
    assert daemon.records.pods()[a].held == ("address 10.0.0.6",)


async def test_two_pods_that_swap_their_volumes_do_not_wait_for_ever(daemon: Daemon) -> None:
    def using(name: str, volume: str) -> Pod:
        app = {"name": "app", "image": IMAGE, "mounts": [{"volume": volume, "path": "/data"}]}
        return pod(name, volumes=[{"name": volume, "source": "managed"}], containers=[app])

    await applied(daemon, using("a", "x"), using("b", "y"))
    await applied(daemon, using("a", "y"), using("b", "x"))
    assert [each.ready for each in await daemon.node.list()] == [True, True]
    assert daemon.records.pods()[await uid_of(daemon, "a")].held == ("volume y",)


async def test_c1_limits_that_cannot_be_set_hold_up_no_restart(daemon: Daemon) -> None:
    await applied(daemon, pod())
    daemon.world.refusals["tune"] = Failed("the kernel does not want to")
    await applied(daemon, pod(containers=[{"name": "app", "image": IMAGE, "limits": {"pids": 9}}]))
    daemon.world.exit(await uid_of(daemon), "app", 1)
    await daemon.settle()
    assert daemon.world.processes[await uid_of(daemon), "app"].attempt == 2


async def test_a_restart_tries_the_pod_again_at_once(daemon: Daemon) -> None:
    daemon.world.refusals["network"] = Waiting("NetworkNotReady", "there is no lan0")
    await applied(daemon, at("web", "10.0.0.5"))
    assert (await daemon.node.status("web")).reason == "NetworkNotReady"
    del daemon.world.refusals["network"]
    await daemon.settle()
    assert not (await daemon.node.status("web")).ready
    await daemon.node.restart("web")
    await daemon.settle()
    assert (await daemon.node.status("web")).ready


async def test_the_record_keeps_up_with_the_counters_and_pins(daemon: Daemon) -> None:
    await applied(daemon, pod())
    await daemon.node.restart("web", pull=True)
    await daemon.settle()
    record, desired = daemon.records.pods()[await uid_of(daemon)], await daemon.node.get("web")
    assert (record.restarts, record.pulls, record.pins) == (desired.restarts, desired.pulls, desired.pins)
    assert record.pins != {}
    assert record.pulls == {"app": 1}


async def test_a_plan_says_the_same_whatever_the_counter_of_the_store(daemon: Daemon) -> None:
    await applied(daemon, pod())
    before = await daemon.node.plan([pod(labels={"a": "b"})])
    await daemon.node.apply([pod("other")])
    after = await daemon.node.plan([pod(labels={"a": "b"})])
    assert before == after
    assert [(step.action, step.impact) for step in after.steps] == [("mark", "live")]


async def test_waiting_for_a_finished_pod_to_run_is_given_up_at_once(daemon: Daemon) -> None:
    await applied(daemon, pod(restart="never"))
    daemon.world.exit(await uid_of(daemon), "app", 0)
    await daemon.settle()
    with pytest.raises(Failed, match="succeeded"):
        await daemon.node.wait("web", "running", 1.0)


async def test_c13_a_pod_that_cannot_be_observed_keeps_its_phase(daemon: Daemon) -> None:
    await applied(daemon, pod())
    daemon.world.refusals["observe"] = Failed("the kernel does not tell")
    status = await daemon.node.status("web")
    assert (status.phase, status.reason, status.ready) == ("running", "Unobserved", False)
