"""Init containers, sidecars and apps over a world in memory: begun in order, stopped in the reverse (C4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tank.errors import NotFound
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon, pod

SETUP = {"name": "setup", "image": IMAGE}
PROXY = {"name": "proxy", "image": IMAGE, "restart": "always"}
LOGGER = {"name": "logger", "image": IMAGE, "restart": "always"}


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return harness.new(tmp_path)


async def applied(daemon: Daemon, **more: Any) -> str:
    await daemon.node.apply([pod(**more)])
    await daemon.settle()
    return (await daemon.node.get("web")).uid


def running(daemon: Daemon) -> set[str]:
    return {name for (_, name), process in daemon.world.processes.items() if process.alive and process.started}


def began(daemon: Daemon) -> list[str]:
    return [deed.split()[2] for deed in daemon.world.deeds if deed.startswith("start ")]


def signalled(daemon: Daemon) -> list[str]:
    return [deed.split()[2] for deed in daemon.world.deeds if deed.startswith("signal ")]


async def end(daemon: Daemon, uid: str, name: str, code: int = 0) -> None:
    daemon.world.exit(uid, name, code)
    await daemon.settle()


async def test_c4_entries_come_one_by_one_and_the_app_last(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP, PROXY, SETUP | {"name": "check"}])
    assert running(daemon) == {"setup"}
    status = await daemon.node.status("web")
    assert (status.phase, status.reason, status.message) == (
        "pending", "PodInitializing", "proxy: it waits for init container setup",
    )  # fmt: skip
    await end(daemon, uid, "setup")
    assert running(daemon) == {"proxy", "check"}
    await end(daemon, uid, "check")
    assert running(daemon) == {"proxy", "app"}
    assert began(daemon) == ["setup", "proxy", "check", "app"]
    status = await daemon.node.status("web")
    assert (status.phase, status.ready, [each.state for each in status.init]) == (
        "running", True, ["terminated", "running", "terminated"],
    )  # fmt: skip


async def test_c4_all_images_are_fetched_before_the_first_entry_ends(daemon: Daemon) -> None:
    await applied(daemon, init=[SETUP], containers=[{"name": "app", "image": "registry.example/app:2"}])
    assert "pull registry.example/app:2" in daemon.world.deeds


async def test_c4_an_init_that_fails_is_tried_again_with_back_off(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP])
    await end(daemon, uid, "setup", 1)
    assert running(daemon) == {"setup"}
    await end(daemon, uid, "setup", 1)
    status = await daemon.node.status("web")
    assert (running(daemon), status.phase, status.reason) == (set(), "pending", "CrashLoopBackOff")
    await daemon.pass_time(10.1)
    await end(daemon, uid, "setup", 0)
    assert running(daemon) == {"app"}


async def test_c4_under_never_a_failed_init_fails_the_pod_and_its_sidecars_end(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[PROXY, SETUP], restart="never")
    await end(daemon, uid, "setup", 3)
    status = await daemon.node.status("web")
    assert (running(daemon), status.phase) == (set(), "failed")
    assert status.message == "setup: " or status.init[1].exit_code == 3
    await daemon.node.restart("web")
    await daemon.settle()
    assert running(daemon) == {"proxy", "setup"}


async def test_c4_neither_a_new_daemon_nor_a_changed_image_runs_a_finished_init_again(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP])
    await end(daemon, uid, "setup")
    daemon = harness.again(daemon)
    await daemon.settle()
    await applied(daemon, init=[SETUP | {"image": "registry.example/app:2"}])
    await end(daemon, uid, "app", 1)
    assert began(daemon) == ["setup", "app", "app"]
    assert (await daemon.node.status("web")).phase == "running"


async def test_c4_a_new_sandbox_runs_every_init_again(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP])
    await end(daemon, uid, "setup")
    daemon.world.reboot()
    daemon = harness.again(daemon)
    await daemon.settle()
    assert running(daemon) == {"setup"}
    assert (await daemon.node.status("web")).phase == "pending"
    await end(daemon, uid, "setup")
    assert began(daemon) == ["setup", "app", "setup", "app"]


async def test_c4_a_finished_pod_runs_nothing_again_after_a_reboot(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP], restart="never")
    await end(daemon, uid, "setup")
    await end(daemon, uid, "app")
    daemon.world.reboot()
    daemon = harness.again(daemon)
    await daemon.settle()
    assert began(daemon) == ["setup", "app"]
    assert (await daemon.node.status("web")).phase == "succeeded"


async def test_c4_the_next_entry_waits_until_a_sidecar_is_started_not_until_it_is_ready(daemon: Daemon) -> None:
    daemon.world.answers |= {"proxy startup": False, "proxy ready": False}
    probes = {"startup": {"tcp": 80, "failures": 100}, "ready": {"tcp": 81}}
    await applied(daemon, init=[PROXY | {"probes": probes}])
    assert running(daemon) == {"proxy"}
    daemon.world.answers["proxy startup"] = True
    await daemon.pass_time(10)
    assert running(daemon) == {"proxy", "app"}
    status = await daemon.node.status("web")
    assert (status.phase, status.ready, status.init[0].started, status.init[0].ready) == ("running", False, True, False)
    daemon.world.answers["proxy ready"] = True
    await daemon.pass_time(10)
    assert (await daemon.node.status("web")).ready


async def test_c4_a_sidecar_that_crashes_holds_up_nobody(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[PROXY, LOGGER])
    for _ in range(3):
        await end(daemon, uid, "proxy", 1)
    assert running(daemon) == {"logger", "app"}
    await end(daemon, uid, "app", 1)
    assert running(daemon) == {"logger", "app"}
    await daemon.pass_time(20.1)
    assert running(daemon) == {"proxy", "logger", "app"}


async def test_c4_sidecars_end_after_the_apps_in_reverse_order(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    uid = await applied(daemon, init=[PROXY, LOGGER])
    await daemon.node.delete("web")
    await daemon.settle()
    assert signalled(daemon) == ["app"]
    await end(daemon, uid, "app")
    assert signalled(daemon) == ["app", "logger"]
    await end(daemon, uid, "logger", 143)
    assert signalled(daemon) == ["app", "logger", "proxy"]
    await end(daemon, uid, "proxy", 143)
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c4_a_sidecar_that_ends_before_its_turn_is_started_again(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    uid = await applied(daemon, init=[PROXY], grace="30s")
    await daemon.node.delete("web")
    await daemon.settle()
    await end(daemon, uid, "proxy", 1)
    assert (running(daemon), signalled(daemon)) == ({"app", "proxy"}, ["app"])
    await daemon.pass_time(10)
    await end(daemon, uid, "app")
    assert signalled(daemon) == ["app", "proxy"]
    await daemon.pass_time(21.9)  # by the deadline of the pod, not by one of its own; and two seconds more
    assert running(daemon) == {"proxy"}
    await daemon.pass_time(0.2)
    with pytest.raises(NotFound):
        await daemon.node.status("web")


async def test_c4_past_the_deadline_the_sidecars_have_two_seconds(daemon: Daemon) -> None:
    daemon.world.stubborn = True
    await applied(daemon, init=[PROXY], grace="5s")
    await daemon.node.delete("web")
    await daemon.settle()
    await daemon.pass_time(5)
    assert (running(daemon), signalled(daemon)) == ({"proxy"}, ["app", "proxy"])
    await daemon.pass_time(1.9)
    assert running(daemon) == {"proxy"}
    await daemon.pass_time(0.2)
    assert running(daemon) == set()


@pytest.mark.parametrize(("code", "phase"), [(0, "succeeded"), (1, "failed")])
async def test_c4_a_run_once_pod_completes_without_its_sidecars_and_whatever_they_say(
    daemon: Daemon, code: int, phase: str
) -> None:
    uid = await applied(daemon, init=[PROXY, LOGGER], restart="never")
    await end(daemon, uid, "app", code)
    status = await daemon.node.status("web")
    assert (running(daemon), status.phase, signalled(daemon)) == (set(), phase, ["logger", "proxy"])
    done = list(daemon.world.deeds)
    await harness.again(daemon).settle()
    assert daemon.world.deeds == done
    await daemon.node.restart("web", container="app")
    await daemon.settle()
    assert running(daemon) == {"proxy", "logger", "app"}


async def test_c4_when_the_machine_goes_down_the_order_is_the_same(daemon: Daemon) -> None:
    await applied(daemon, init=[PROXY, LOGGER])
    daemon.loop.draining = True
    await daemon.settle()
    assert (running(daemon), signalled(daemon)) == (set(), ["app", "logger", "proxy"])


async def test_a_changed_sandbox_stops_all_in_order_and_begins_with_the_first_init(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP, PROXY])
    await end(daemon, uid, "setup")
    await applied(daemon, init=[SETUP, PROXY], hostname="other")
    assert (running(daemon), signalled(daemon)) == ({"setup"}, ["app", "proxy"])


async def test_only_the_changed_container_is_replaced_and_the_other_keeps_its_process(daemon: Daemon) -> None:
    uid = await applied(daemon, init=[SETUP, PROXY])
    await end(daemon, uid, "setup")
    before = daemon.world.processes[uid, "proxy"].pid
    await applied(daemon, init=[SETUP, PROXY], containers=[{"name": "app", "image": IMAGE, "env": {"A": "b"}}])
    assert (daemon.world.processes[uid, "proxy"].pid, signalled(daemon)) == (before, ["app"])


async def test_the_plan_foresees_the_whole_order(daemon: Daemon) -> None:
    spec = pod(init=[SETUP, PROXY])
    shown = [f"{step.action} {step.container}".strip() for step in (await daemon.node.plan([spec])).steps]
    starts = [each for each in shown if each.startswith("start")]
    assert starts == ["start setup", "start proxy", "start app"]
