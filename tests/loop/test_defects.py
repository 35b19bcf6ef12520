"""What once went wrong, or was found before it could: each a story of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tank.errors import Failed, PullFailed
from tank.store.memory import MemoryStore
from tests.loop import harness
from tests.loop.harness import IMAGE, Daemon, pod


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = harness.new(tmp_path)
    yield made
    made.records.close()


def writes(daemon: Daemon) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (daemon.top / "data" / "pods").rglob("*.json")}


async def test_looking_writes_nothing(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    daemon.world.exit((await daemon.node.get("web")).uid, "app", 7)
    before = writes(daemon)
    status = await daemon.node.status("web")
    await daemon.node.why("web")
    assert status.containers[0].last[0].exit_code == 7
    assert writes(daemon) == before


@pytest.mark.parametrize("refused", ["sandbox", "tune", "start"])
async def test_a_step_that_comes_to_nothing_is_repeated_ever_more_slowly(daemon: Daemon, refused: str) -> None:
    if refused == "tune":
        await daemon.node.apply([pod()])
        await daemon.settle()
    daemon.world.refusals[refused] = Failed("the kernel does not want to")
    limited = [{"name": "app", "image": IMAGE, "limits": {"pids": 9}}]
    await daemon.node.apply([pod(containers=limited)])
    daemon.loop.nudge("web")
    passes = 0
    for _ in range(100):
        passes += await daemon.loop.turn()
        await daemon.loop.flights.landed()
        daemon.world.advance(0.1)
    assert passes < 40
    del daemon.world.refusals[refused]
    await daemon.pass_time(120)
    assert (await daemon.node.status("web")).ready


async def test_a_pull_whose_failure_cannot_be_written_down_does_not_ask_the_registry_again_and_again(
    daemon: Daemon,
) -> None:
    await daemon.node.apply([pod()])
    daemon.world.refusals["pull"] = PullFailed("ErrImagePull", "no such tag")
    containers = daemon.top / "data" / "pods" / (await daemon.node.get("web")).uid / "containers"
    containers.parent.mkdir(parents=True)
    containers.write_bytes(b"a file where the directory should be")
    daemon.loop.nudge("web")
    pulls = 0
    for _ in range(50):
        await daemon.loop.turn()
        pulls += await daemon.loop.flights.landed()
    assert pulls <= 2


async def test_r12_a_pod_whose_record_is_damaged_is_not_swept_when_the_database_is_lost_too(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    uid = (await daemon.node.get("web")).uid
    (daemon.top / "data" / "pods" / uid / "pod.json").write_bytes(b"{")
    store = MemoryStore()
    for _ in range(3):
        daemon = Daemon(daemon.world, store, daemon.top)
        await daemon.recover()
        daemon.loop.nudge_uid(uid)
        await daemon.settle()
    assert daemon.world.processes[uid, "app"].alive


async def test_a_wanted_pod_whose_record_is_damaged_is_kept(daemon: Daemon) -> None:
    await daemon.node.apply([pod()])
    await daemon.settle()
    uid = (await daemon.node.get("web")).uid
    (daemon.top / "data" / "pods" / uid / "pod.json").write_bytes(b"{")
    daemon = harness.again(daemon)
    daemon.loop.nudge_uid(uid)
    await daemon.loop.turn()
    await daemon.settle()
    assert daemon.world.processes[uid, "app"].attempt == 1
    assert (await daemon.node.status("web")).ready
