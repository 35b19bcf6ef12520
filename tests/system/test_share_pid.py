"""One PID namespace for all containers of a pod: who sees whom, who dies with whom, and what its loss means."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.host import mounts
from tank.host.watch import start_time_of
from tank.model.pod import Pod, Security
from tank.runtime.equipment import Programs
from tank.runtime.holder import NAME
from tests.daemon import Daemon
from tests.runtime_rig import Rig, everything, opened
from tests.waiting import wait_for, wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def both(rig: Rig) -> tuple[int, int]:
    """Two containers that run in one PID namespace."""
    await rig.sandbox(
        rig.container("sleep", "1001", name="one"), rig.container("sleep", "1002", name="two"), share_pid=True
    )
    return (await rig.run("one")).pid, (await rig.run("two")).pid


def holder(rig: Rig) -> int:
    pid = rig.runtime._sandboxes.holders.pid(rig.uid)
    assert pid is not None
    return pid


def inner_pid(pid: int) -> int:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("NSpid"))
    return int(line.split()[-1])


async def pins(rig: Rig) -> dict[str, bool]:
    return dict(await rig.runtime.observe_sandbox(rig.uid, rig.pod) or {})


async def test_all_containers_see_each_other_and_a_first_process_that_only_reaps(rig: Rig) -> None:
    one, two = await both(rig)
    assert os.readlink(f"/proc/{one}/ns/pid") == os.readlink(f"/proc/{two}/ns/pid")
    assert inner_pid(holder(rig)) == 1
    assert {inner_pid(one), inner_pid(two)} & {1} == set()
    assert all((await pins(rig)).values())
    assert {"pid", "holder"} <= (await pins(rig)).keys()
    status = Path(f"/proc/{holder(rig)}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


async def test_a_program_of_one_container_may_signal_the_others(rig: Rig) -> None:
    await rig.sandbox(
        rig.container("sleep", "1000", name="one"),
        rig.container("sh", "-c", "trap 'exit 5' USR1; echo up; while :; do sleep 0.01; done", name="two"),
        share_pid=True,
    )
    await rig.run("one")
    target = inner_pid((await rig.run("two")).pid)
    await wait_until(lambda: rig.output("two"))
    session = await rig.exec("kill", "-USR1", str(target))
    assert await session.wait() == 0
    await session.close()
    assert (await rig.ended("two")).exit_code == 5


async def test_the_end_of_one_container_leaves_the_others_alone(rig: Rig) -> None:
    one, two = await both(rig)
    before = holder(rig)
    await rig.runtime.kill(rig.uid, "one", 1)
    assert start_time_of(one) is None
    assert start_time_of(two) is not None
    assert holder(rig) == before
    await rig.runtime.discard(rig.uid, "one", 1)
    again = await rig.run("one", attempt=2)
    assert os.readlink(f"/proc/{again.pid}/ns/pid") == os.readlink(f"/proc/{two}/ns/pid")


async def test_a_program_that_ends_takes_along_what_it_left_running(rig: Rig) -> None:
    script = "setsid sleep 1003 >/dev/null 2>&1 </dev/null & exit 0"
    await rig.sandbox(rig.container("sh", "-c", script), rig.container("sleep", "9", name="two"), share_pid=True)
    await rig.run("app")
    await rig.run("two")
    fact = await rig.ended()
    assert fact.exit_code == 0

    async def emptied() -> bool:
        return not (await rig.fact()).populated

    await wait_until(emptied)
    assert (await rig.fact("two")).alive


async def test_a_default_signal_is_heard_by_who_is_not_the_first(rig: Rig) -> None:
    await rig.sandbox(rig.container("sleep", "1004"), share_pid=True)
    await rig.run()
    assert await rig.runtime.signal(rig.uid, "app", 1, "SIGTERM")
    assert (await rig.ended()).exit_code == 143


async def test_the_death_of_the_holder_is_the_end_of_all_and_is_seen(rig: Rig) -> None:
    one, two = await both(rig)
    os.kill(holder(rig), signal.SIGKILL)
    await rig.ended("one")
    await rig.ended("two")
    assert (start_time_of(one), start_time_of(two)) == (None, None)
    assert not (await pins(rig))["holder"]
    await rig.runtime.remove_sandbox(rig.uid)
    await rig.runtime.make_sandbox(rig.uid, rig.pod)
    assert all((await pins(rig)).values())


async def test_a_pin_that_was_taken_away_stands_again(rig: Rig) -> None:
    one, _ = await both(rig)
    mounts.unmount(rig.settings.pod_run_dir(rig.uid) / "ns/pid")
    assert (await pins(rig))["pid"] is False
    await rig.runtime.repin_sandbox(rig.uid, rig.pod, one)
    assert all((await pins(rig)).values())


async def test_making_the_sandbox_twice_is_once(rig: Rig) -> None:
    await both(rig)
    before = holder(rig)
    await rig.runtime.make_sandbox(rig.uid, rig.pod)
    assert holder(rig) == before


async def test_a_program_is_run_beside_the_containers_own(rig: Rig) -> None:
    await both(rig)
    session = await rig.exec("sh", "-c", "ps | grep -c '[s]leep 100'; cat /proc/1/comm")
    out, _ = await everything(session)
    await session.close()
    assert out.split() == [b"2", b"init"]


async def test_the_host_network_and_privileges_go_with_it(rig: Rig) -> None:
    said = await rig.said(
        "sh", "-c", "readlink /proc/self/ns/net; cat /proc/1/comm", pod_share_pid=True, pod_network="host",
        security=Security(privileged=True),
    )  # fmt: skip
    assert said.split() == [os.readlink("/proc/self/ns/net"), "init"]


async def test_without_its_program_it_is_refused_when_it_is_applied(short_tmp: Path, installation: str) -> None:
    async with opened(short_tmp, installation, Programs(reaper="no-such-program")) as rig:
        assert "catatonit" in await rig.runtime.unsupported(Pod(name="web", containers=(), share_pid=True))
        assert await rig.runtime.unsupported(Pod(name="web", containers=())) == ""


def test_a_lost_holder_is_made_anew_with_all_containers(daemon: Daemon, busybox: str) -> None:
    script = ["sh", "-c", "exec sleep 1000"]
    containers = [{"name": name, "image": busybox, "command": script} for name in ("one", "two")]
    daemon.client.apply({"name": "shared", "share_pid": True, "containers": containers}, wait=True, timeout=60)
    before = daemon.json("status", "shared")
    pids = [each["pid"] for each in before["containers"]]
    group = next(Path("/sys/fs/cgroup").glob(f"**/tank-{daemon.installation}/{before['uid']}/{NAME}/cgroup.procs"))
    os.kill(int(group.read_text().split()[0]), signal.SIGKILL)

    def anew() -> bool:
        now = daemon.json("status", "shared")
        return now["ready"] and not set(pids) & {each["pid"] for each in now["containers"]}

    wait_for(anew, seconds=30)
    namespaces = {os.readlink(f"/proc/{each['pid']}/ns/pid") for each in daemon.json("status", "shared")["containers"]}
    assert len(namespaces) == 1
