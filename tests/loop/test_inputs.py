"""The loop with secrets and configs: what waits for them, and what a change of one does to those that use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.testing.world import Crash
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    made = harness.new(tmp_path)
    made.world.stubborn = True  # a signal does not end what it is sent to
    return made


def env(on_change: str = "nothing", kind: str = "config") -> dict[str, Any]:
    return {"env": [{"name": "A", "from": {kind: {"name": "app", "key": "k"}, "on_change": on_change}}]}


FILES = {"mounts": ["cfg:/in"]}


def pod(on_change: Any = "nothing", **containers: dict[str, Any]) -> Pod:
    """A pod of these containers, and a volume that shows the config."""
    made = [{"name": name, "image": IMAGE, **fields} for name, fields in containers.items()]
    volume = {"name": "cfg", "source": {"config": "app", "on_change": on_change}}
    return parse_pod({"name": "web", "containers": made, "volumes": [volume]})


async def set_to(daemon: Daemon, value: str, kind: str = "config") -> None:
    await daemon.node.inputs.set(kind, "app", {"k": value.encode()})


async def changed_to(daemon: Daemon, value: str) -> list[str]:
    """What was done when the config was changed."""
    before = len(daemon.world.deeds)
    await set_to(daemon, value)
    await daemon.settle()
    return daemon.world.deeds[before:]


async def running(daemon: Daemon, spec: Pod) -> str:
    await set_to(daemon, "1")
    await daemon.node.apply([spec])
    await daemon.settle()
    status = await daemon.node.status("web")
    assert status.ready
    return status.uid


@pytest.mark.parametrize("kind", ["secret", "config"])
async def test_a_pod_waits_for_what_is_not_there_and_goes_on_when_it_is(daemon: Daemon, kind: str) -> None:
    await daemon.node.apply([pod(a=env(kind=kind))])
    await daemon.settle()
    (container,) = (await daemon.node.status("web")).containers
    waiting = (container.state, container.reason, container.message)

    await set_to(daemon, "1", kind)
    await daemon.settle()

    assert waiting == ("waiting", "CreateContainerConfigError", f"there is no {kind} app")
    assert (await daemon.node.status("web")).ready


async def test_a_variable_changes_nothing_unless_asked(daemon: Daemon) -> None:
    await running(daemon, pod(a=env()))

    assert await changed_to(daemon, "2") == []


async def test_a_restart_is_of_that_container_alone(daemon: Daemon) -> None:
    uid = await running(daemon, pod(a=env("restart"), b=env(), c=FILES))
    pids = {name: daemon.world.processes[uid, name].pid for name in ("b", "c")}

    await changed_to(daemon, "2")
    await daemon.pass_time(60)

    status = await daemon.node.status("web")
    assert {name: daemon.world.processes[uid, name].pid for name in ("b", "c")} == pids
    assert daemon.world.processes[uid, "a"].attempt == 2
    assert [each.restarts for each in status.containers][1:] == [0, 0]
    assert await changed_to(daemon, "2") == []


async def test_files_are_written_once_and_each_container_is_told(daemon: Daemon) -> None:
    uid = await running(daemon, pod({"signal": "HUP"}, a=FILES, b=FILES, c={}))

    deeds = await changed_to(daemon, "2")

    assert deeds == [f"refill {uid}", f"signal {uid} a", f"signal {uid} b"]
    assert daemon.world.files[uid] == {"config/app": {"k": b"2"}}
    assert daemon.world.processes[uid, "a"].signals == ["SIGHUP"]


async def test_without_a_reaction_files_are_written_and_nobody_is_told(daemon: Daemon) -> None:
    uid = await running(daemon, pod(a=FILES))

    assert await changed_to(daemon, "2") == [f"refill {uid}"]
    assert await changed_to(daemon, "2") == []


async def test_what_is_deleted_leaves_what_runs_as_it_is(daemon: Daemon) -> None:
    await running(daemon, pod({"signal": "HUP"}, a=FILES, b=env("restart")))
    before = len(daemon.world.deeds)

    await daemon.node.inputs.delete("config", "app", force=True)
    await daemon.settle()

    assert daemon.world.deeds[before:] == []
    assert (await daemon.node.status("web")).ready


async def test_a_rollback_brings_the_earlier_config_until_it_is_set_again(daemon: Daemon) -> None:
    spec = pod(a=FILES)
    uid = await running(daemon, spec)
    await changed_to(daemon, "2")
    await daemon.node.apply([spec.model_copy(update={"labels": {"tier": "front"}})])
    await daemon.settle()

    await daemon.node.rollback("web")
    await daemon.settle()
    held = daemon.world.files[uid], (await daemon.node.inputs.get("config", "app")).held_by
    deeds = await changed_to(daemon, "3")

    assert held == ({"config/app": {"k": b"1"}}, ("web",))
    assert deeds == [f"refill {uid}"]
    assert daemon.world.files[uid] == {"config/app": {"k": b"3"}}
    assert (await daemon.node.inputs.get("config", "app")).held_by == ()


async def test_a_daemon_that_dies_anywhere_in_a_change_tells_them_all_the_same(tmp_path: Path) -> None:
    for fuse in range(1, 8):
        for before in (True, False):
            daemon = harness.new(tmp_path / f"{fuse}{before}")
            daemon.world.stubborn = True
            uid = await running(daemon, pod({"signal": "HUP"}, a=FILES))
            await set_to(daemon, "2")
            daemon.world.fuse, daemon.world.before = fuse, before
            try:
                await daemon.settle()
            except (Crash, BaseExceptionGroup):
                daemon = harness.again(daemon)
            await daemon.settle()

            assert daemon.world.files[uid] == {"config/app": {"k": b"2"}}
            assert "SIGHUP" in daemon.world.processes[uid, "a"].signals
            assert await changed_to(daemon, "2") == []


async def test_a_lost_key_keeps_what_runs_and_holds_up_what_starts(daemon: Daemon, tmp_path: Path) -> None:
    await set_to(daemon, "1", "secret")
    await daemon.node.apply([pod(a=env("restart", kind="secret"))])
    await daemon.settle()
    uid = (await daemon.node.status("web")).uid
    key = (tmp_path / "key").read_bytes()

    (tmp_path / "key").unlink()
    await daemon.node.inputs.look()
    await daemon.settle()
    lost = daemon.node.conditions["SecretKeyMissing"], (await daemon.node.status("web")).ready
    daemon.world.exit(uid, "a", 1)
    await daemon.settle()
    (container,) = (await daemon.node.status("web")).containers
    (tmp_path / "key").write_bytes(key)
    await daemon.pass_time(600)

    assert (str(tmp_path / "key") in lost[0], lost[1]) == (True, True)
    assert (container.reason, "its key is missing" in container.message) == ("CreateContainerConfigError", True)
    assert (await daemon.node.status("web")).ready


async def test_what_no_variable_can_be_made_of_is_told(daemon: Daemon) -> None:
    await daemon.node.inputs.set("config", "app", {"k": b"1", "blob": b"\xff"})
    await daemon.node.apply([pod(a={"env_from": [{"config": "app"}]})])
    await daemon.settle()
    await daemon.report.flush()

    told = [each.message async for each in daemon.node.events("web") if each.reason == "InvalidVariableNames"]
    assert told == ["no variable can be made of key 'blob' of config app"]
