"""Ids of a pod's own: who is who inside and outside, what is mapped, and what cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.host.userns import COUNT
from tank.model.launch import Launch
from tank.model.pod import Empty, HostPath, Managed, Mount, Pod, Security, Tmpfs, Volume
from tank.runtime import ids
from tests.daemon import Daemon
from tests.runtime_rig import Rig, everything, opened, until
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


def base(rig: Rig) -> int:
    given = ids.of(rig.settings, rig.uid)
    assert given is not None
    return given.base


def outside(pid: int) -> tuple[int, int]:
    """Who a process is for the host."""
    status = Path(f"/proc/{pid}").stat()
    return status.st_uid, status.st_gid


async def test_root_inside_is_nobody_outside(rig: Rig) -> None:
    created = await rig.run_one("sh", "-c", "id -u; cat /proc/self/uid_map; exec sleep 1000", pod_users="auto")
    said = await wait_until(lambda: _lines(rig, 2))
    assert said == ["0", f"0 {base(rig)} {COUNT}"]
    assert outside(created.pid) == (base(rig), base(rig))
    for kind in ("user", "net", "ipc", "uts"):
        assert (
            os.stat(f"/proc/{created.pid}/ns/{kind}").st_ino
            == os.stat(rig.settings.pod_run_dir(rig.uid) / "ns" / kind).st_ino
        )
        assert os.readlink(f"/proc/{created.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


async def _lines(rig: Rig, least: int) -> list[str]:
    lines = [" ".join(line.split()) for line in (await rig.output()).splitlines()]
    return lines if len(lines) >= least else []


async def test_users_and_groups_are_looked_up_and_mapped(rig: Rig) -> None:
    created = await rig.run_one("sleep", "1000", user="app", groups=(77,), pod_users="auto")
    assert outside(created.pid) == (base(rig) + 1000, base(rig) + 1000)
    session = await rig.exec("id")
    out, _ = await everything(session)
    await session.close()
    assert out.strip() == b"uid=1000(app) gid=1000(app) groups=50(staff),77"


@pytest.mark.parametrize("user", ["65536", "0:70000"])
async def test_an_id_that_the_pod_has_not_is_refused(rig: Rig, user: str) -> None:
    await rig.sandbox(rig.container("true", user=user), users="auto")
    with pytest.raises(Waiting, match="ids end at 65535"):
        await rig.create()


async def test_files_of_the_image_are_its_own_and_stay_as_they_are(rig: Rig) -> None:
    (rig.root / "owned").write_text("x")
    os.chown(rig.root / "owned", 1000, 50)
    script = """
        stat -c %u:%g / /bin/busybox /owned /srv/work
        chown 7:8 /owned; echo y >>/owned; touch /new; stat -c %u:%g /new /owned
    """
    said = await rig.said("sh", "-c", script, working_dir="/srv/work", pod_users="auto")
    assert said.split() == ["0:0", "0:0", "1000:50", "0:0", "0:0", "7:8"]
    assert (rig.root / "owned").read_text() == "x"
    upper = rig.attempt().writable / "upper"
    assert (upper / "new").stat().st_uid == base(rig)
    assert ((upper / "owned").stat().st_uid, (upper / "owned").stat().st_gid) == (base(rig) + 7, base(rig) + 8)


@pytest.mark.parametrize("source", [Managed(), Empty(), Tmpfs(size=2**20), "host"])
async def test_a_volume_holds_the_ids_that_the_container_sees(rig: Rig, short_tmp: Path, source: Any) -> None:
    (short_tmp / "host").mkdir()
    found = HostPath(path=str(short_tmp / "host")) if source == "host" else source
    volume = Volume(name="v", source=found)
    script = "touch /data/f; chown 1000:50 /data/f; mkdir /data/d; stat -c %u:%g /data /data/f /data/d"
    mounted = (Mount(volume="v", path="/data", sub_path="part/of"),)
    said = await rig.said("sh", "-c", script, mounts=mounted, pod_volumes=(volume,), pod_users="auto")
    assert said.split() == ["0:0", "1000:50", "0:0"]
    tops = {
        "managed": rig.settings.data_dir / "volumes/v",
        "empty": rig.settings.pod_dir(rig.uid) / "empty/v",
        "tmpfs": rig.settings.pod_run_dir(rig.uid) / "tmpfs/v",
        "host": short_tmp / "host",
    }
    status = (tops[found.type] / "part/of/f").stat()
    assert (status.st_uid, status.st_gid) == (1000, 50)


async def test_a_set_uid_program_in_a_volume_has_no_power_inside_and_is_out_of_reach_outside(rig: Rig) -> None:
    """S38: what root makes in a mapped volume belongs to the root of the host."""
    shutil.copy(rig.root / "bin/busybox", rig.root / "tool")
    script = """
        cp /tool /data/tool; chmod 4755 /data/tool; stat -c %a /data/tool
        grep -c ' /data .*nosuid,nodev' /proc/mounts
    """
    mounted, volume = (Mount(volume="v", path="/data"),), Volume(name="v")
    said = await rig.said("sh", "-c", script, mounts=mounted, pod_volumes=(volume,), pod_users="auto")
    assert said.split() == ["4755", "1"]
    made = rig.settings.data_dir / "volumes/v/tool"
    assert made.stat().st_uid == 0
    rig.settings.data_dir.chmod(0o700)  # as the daemon has it
    with pytest.raises(PermissionError):
        subprocess.run([made, "id"], user=65534, group=65534, extra_groups=[], check=False)


@pytest.mark.parametrize("option", ["suid", "nosuid"])
async def test_a_path_of_the_host_where_such_a_program_would_have_power_is_told(
    rig: Rig, short_tmp: Path, option: str
) -> None:
    (short_tmp / "host").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tank", short_tmp / "host"], check=True)
    volume = Volume(name="v", source=HostPath(path=str(short_tmp / "host")))
    container = rig.container("true", mounts=(Mount(volume="v", path="/data"),))
    pod = Pod(name="web", containers=(container,), volumes=(volume,), users="auto")
    told = ids.exposed(Launch(uid=rig.uid, pod=pod, container=container, attempt=1, image=None))
    subprocess.run(["umount", short_tmp / "host"], check=True)
    assert told == ((str(short_tmp / "host"),) if option == "suid" else ())


async def test_capabilities_of_a_program_work(rig: Rig) -> None:
    (rig.root / "cap").mkdir()
    shutil.copy(rig.root / "bin/busybox", rig.root / "cap/grep")
    os.setxattr(rig.root / "cap/grep", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    said = await rig.said(
        "sh", "-c", "exec /cap/grep CapEff /proc/self/status", user="app",
        security=Security(no_new_privileges=False), pod_users="auto",
    )  # fmt: skip
    assert said.split() == ["CapEff:", "0000000000000400"]


async def test_the_container_gets_no_further_than_its_own(rig: Rig) -> None:
    script = """
        mount -t tmpfs none /tmp; echo mount $?
        echo x >/proc/sys/kernel/panic; echo sys $?
        mkdir /sys/fs/cgroup/pids/mine /sys/fs/cgroup/mine; echo group $?
        mknod /null c 1 3; echo mknod $?
        echo x >/etc/hosts && echo hosts
        hostname
        ls /dev/pts; echo x >/dev/null && echo null; touch /dev/shm/x && echo shm
    """
    said = await rig.said("sh", "-c", script, pod_users="auto", pod_hostname="own")
    for refused in ("mount 0", "sys 0", "group 0", "mknod 0"):
        assert refused not in said
    for wanted in ("hosts", "own", "ptmx", "null", "shm"):
        assert wanted in said.split()


async def test_a_privileged_container_has_the_power_over_its_own_only(rig: Rig) -> None:
    script = (
        "mount -t tmpfs none /tmp && echo mounted; ip link add d type dummy 2>/dev/null; echo x >/proc/sys/kernel/panic"
    )
    said = await rig.said(
        "sh", "-c", script, security=Security(cap_add=("CAP_SYS_ADMIN",), seccomp="unconfined"), pod_users="auto"
    )
    assert "mounted" in said
    assert Path("/proc/sys/kernel/panic").read_text().strip().isdigit()


async def test_a_terminal_and_a_program_on_one(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "stat -c %u:%g $(tty); exec sleep 1000", tty=True, pod_users="auto")
    assert (await wait_until(rig.output)).split() == ["0:5"]
    session = await rig.exec("sh", "-c", "tty; read x; echo got $x", tty=True, stdin=True)
    await until(session, b"/dev/pts/")
    await session.write(b"word\n")
    await until(session, b"got word")
    await session.close()


async def test_pods_have_different_ids_and_keep_them(rig: Rig) -> None:
    first = ids.give(rig.settings, rig.installation, "0" * 12)
    second = ids.give(rig.settings, rig.installation, "1" * 12)
    assert abs(first.base - second.base) >= COUNT
    assert ids.give(rig.settings, rig.installation, "0" * 12) == first
    assert first.base >= rig.settings.users_base
    for uid in ("0" * 12, "1" * 12):
        await rig.runtime.forget(uid)


async def test_processes_are_shared_with_ids_of_ones_own(rig: Rig) -> None:
    await rig.sandbox(
        rig.container("sleep", "1001", name="one"),
        rig.container("sleep", "1002", name="two"),
        share_pid=True,
        users="auto",
    )
    one, two = await rig.run("one"), await rig.run("two")
    assert os.readlink(f"/proc/{one.pid}/ns/pid") == os.readlink(f"/proc/{two.pid}/ns/pid")
    holder = rig.runtime._sandboxes.holders.pid(rig.uid)
    assert holder is not None
    assert outside(holder) == (base(rig), base(rig))


async def test_the_sandbox_is_made_once_and_repaired(rig: Rig) -> None:
    created = await rig.run_one("sleep", "1000", pod_users="auto")
    await rig.runtime.make_sandbox(rig.uid, rig.pod)
    subprocess.run(["umount", rig.settings.pod_run_dir(rig.uid) / "ns/user"], check=True)
    assert not (await rig.runtime.observe_sandbox(rig.uid, rig.pod) or {})["user"]
    await rig.runtime.repin_sandbox(rig.uid, rig.pod, created.pid)
    assert all((await rig.runtime.observe_sandbox(rig.uid, rig.pod) or {}).values())
    await rig.runtime.discard(rig.uid, "app", 1)
    again = await rig.run(attempt=2)
    assert outside(again.pid) == (base(rig), base(rig))


async def test_a_file_system_that_cannot_map_ids_is_told_when_the_pod_is_applied(rig: Rig) -> None:
    cgroups = next(each for each in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if Path(each).is_dir())
    volume = Volume(name="v", source=HostPath(path=cgroups))
    pod = Pod(
        name="web",
        containers=(rig.container("true", mounts=(Mount(volume="v", path="/data"),)),),
        volumes=(volume,),
        users="auto",
    )
    assert cgroups in await rig.runtime.unsupported(pod)
    assert await rig.runtime.unsupported(pod.model_copy(update={"volumes": ()})) == ""
    assert await rig.runtime.unsupported(pod.model_copy(update={"users": "host"})) == ""
    rig.pod = pod
    await rig.runtime.make_sandbox(rig.uid, pod)
    with pytest.raises(Waiting, match="cannot be mapped"):
        await rig.runtime.create(Launch(uid=rig.uid, pod=pod, container=pod.containers[0], attempt=1, image=None))


def test_a_whole_daemon_runs_images_with_ids_of_their_own(daemon: Daemon, busybox: str) -> None:
    container = {
        "name": "app",
        "image": busybox,
        "command": ["sh", "-c", "cat /web/www/index.html >/data/page; exec sleep 1000"],
        "mounts": ["data:/data", "web:/web:ro"],
        "probes": {"ready": {"exec": ["test", "-s", "/data/page"], "period": 1}},
    }
    volumes = [{"name": "data"}, {"name": "web", "source": {"image": busybox}}]
    daemon.client.apply(
        {"name": "own", "users": "auto", "containers": [container], "volumes": volumes}, wait=True, timeout=60
    )
    status = daemon.json("status", "own")
    pid = status["containers"][0]["pid"]
    assert outside(pid)[0] >= 0x70000000
    assert (daemon.data / "volumes/data/page").stat().st_uid == 0
    assert daemon.tank("exec", "own", "--", "stat", "-c", "%u:%g", "/web/bin", "/data/page").stdout.split() == [
        b"0:0",
        b"0:0",
    ]
    assert daemon.json("df")["unowned"] == 0
    daemon.kill()
    daemon.start()
    assert daemon.json("status", "own")["containers"][0]["pid"] == pid
