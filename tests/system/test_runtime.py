"""Containers by the real crun and conmon: their life, their end, their limits, their place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.errors import StartFailed, Waiting
from tank.model.pod import EnvVar, HostPath, Limits, Mount, Rootfs, Security, Tmpfs, Volume
from tests.runtime_rig import Rig, opened
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def test_a_created_container_is_parked_and_its_first_instruction_waits_for_start(rig: Rig) -> None:
    await rig.sandbox(rig.container("sh", "-c", "echo begun"))
    created = await rig.create()
    fact = await rig.fact()
    assert (fact.pid, fact.alive, fact.started, fact.monitored) == (created.pid, True, False, True)
    assert await rig.output() == ""
    await rig.runtime.start(rig.uid, "app", 1)
    assert (await rig.ended()).exit_code == 0
    assert await rig.output() == "begun\n"


async def test_creating_and_starting_twice_is_once(rig: Rig) -> None:
    await rig.sandbox(rig.container("sleep", "100"))
    first = await rig.create()
    assert await rig.create() == first
    await rig.runtime.start(rig.uid, "app", 1)
    await rig.runtime.start(rig.uid, "app", 1)
    assert (await rig.fact()).pid == first.pid


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$$$", 137), ("kill -TERM $$$$", 143)],
)
async def test_an_exit_code_is_the_containers_own(rig: Rig, script: str, code: int) -> None:
    # The first process of a PID namespace is deaf to its own signals, hence the one in between; `$$` is C7's `$`.
    await rig.run_one("sh", "-c", f"sh -c '{script}'; exit $?")
    fact = await rig.ended()
    assert (fact.exited, fact.exit_code, fact.alive, fact.populated) == (True, code, False, False)


async def test_a_signal_reaches_the_program_and_a_kill_all_of_it(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "trap 'exit 7' TERM; sleep 1000 & echo ready; while :; do wait; done")
    await wait_until(rig.output)
    await rig.runtime.signal(rig.uid, "app", 1, "SIGTERM")
    assert (await rig.ended()).exit_code == 7


async def test_what_ignores_its_signal_is_killed_with_its_children(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000")
    await rig.runtime.signal(rig.uid, "app", 1, "SIGTERM")
    await rig.runtime.kill(rig.uid, "app", 1)
    fact = await rig.fact()
    assert (fact.exit_code, fact.populated) == (137, False)


async def test_a_frozen_container_is_killed_all_the_same(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    groups = rig.runtime._groups
    freezer = groups.hierarchies.v1.get("freezer")
    tree, file, word = (
        (freezer, "freezer.state", "FROZEN") if freezer else (groups.hierarchies.v2, "cgroup.freeze", "1")
    )
    assert tree is not None
    (tree / groups.path(f"{rig.uid}/app").lstrip("/") / file).write_text(word)
    await wait_until(lambda: groups.frozen(f"{rig.uid}/app"))
    await rig.runtime.kill(rig.uid, "app", 1)
    assert (await rig.fact()).exit_code == 137


async def test_running_out_of_memory_is_counted_and_kills(rig: Rig) -> None:
    # The shell holds the string: the kernel has nobody else to kill.
    script = "x=0123456789abcdef; while :; do x=$x$x; done"
    await rig.run_one("sh", "-c", script, limits=Limits(memory=16 * 2**20))
    fact = await rig.ended()
    assert (fact.exit_code, fact.oom_kills) == (137, 1)


@pytest.mark.parametrize(
    ("program", "code"), [("/nonexistent", 127), ("nonexistent", 127), ("/etc/passwd", 126), ("/etc", 126)]
)
async def test_a_program_that_cannot_be_run_is_told_before_create(rig: Rig, program: str, code: int) -> None:
    await rig.sandbox(rig.container(program))
    with pytest.raises(StartFailed) as caught:
        await rig.create()
    assert caught.value.code == code


@pytest.mark.parametrize(("program", "code"), [("/data/tool", 0), ("/data/missing", 127)])
async def test_a_program_may_lie_in_a_volume(rig: Rig, program: str, code: int) -> None:
    tools = rig.settings.data_dir / "volumes/v"
    tools.mkdir()
    (tools / "tool").write_text("#!/bin/sh\n")
    (tools / "tool").chmod(0o755)
    container = rig.container(program, mounts=(Mount(volume="v", path="/data"),))
    await rig.sandbox(container, volumes=(Volume(name="v"),))
    if code:
        with pytest.raises(StartFailed) as caught:
            await rig.run()
        assert caught.value.code == code
    else:
        await rig.run()
        assert (await rig.ended()).exit_code == 0


async def test_a_script_without_its_interpreter_is_not_found(rig: Rig) -> None:
    (rig.root / "bin/script").write_text("#!/bin/missing\n")
    (rig.root / "bin/script").chmod(0o755)
    await rig.sandbox(rig.container("script"))
    with pytest.raises(StartFailed) as caught:
        await rig.create()
    assert caught.value.code == 127


async def test_a_root_whose_dev_is_a_link_is_refused(rig: Rig) -> None:
    (rig.root / "dev").rmdir()
    (rig.root / "dev").symlink_to("../../etc")
    await rig.sandbox(rig.container("true"))
    with pytest.raises(StartFailed, match="/dev is a symbolic link"):
        await rig.create()


async def test_two_containers_share_network_ipc_host_name_and_shm_but_no_root_and_no_processes(rig: Rig) -> None:
    spy = "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done"
    await rig.sandbox(
        rig.container(
            "sh", "-c", f"{spy}; hostname; echo one >/dev/shm/word; echo x >/only-one; exec sleep 1000", name="one"
        ),
        rig.container(
            "sh", "-c", f"{spy}; hostname; cat /dev/shm/word; ls /only-one; ls /proc | grep -c '^[0-9]'", name="two"
        ),
    )
    await rig.run("one")
    first = await wait_until(lambda: _lines(rig, "one", 4))
    await rig.run("two")
    await rig.ended("two")
    second = (await rig.output("two")).splitlines()
    assert second[:4] == first
    assert first[3] == "web"
    assert second[4:5] == ["one"]
    assert "ls: /only-one: No such file or directory" in second
    assert int(second[-1]) <= 4
    assert not (rig.root / "only-one").exists()


async def _lines(rig: Rig, name: str, least: int) -> list[str]:
    lines = (await rig.output(name)).splitlines()
    return lines if len(lines) >= least else []


async def test_the_environment_user_and_directory_are_what_was_asked_for(rig: Rig) -> None:
    said = await rig.said(
        "sh", "-c", "id; pwd; echo $A $HOME $HOSTNAME; umask; stat -c %u:%g .",
        user="app", groups=(77,), working_dir="/srv/deep/er", env=(EnvVar(name="A", value="b"),),
    )  # fmt: skip
    assert said.splitlines() == [
        "uid=1000(app) gid=1000(app) groups=50(staff),77",
        "/srv/deep/er",
        "b /home/app web",
        "0022",
        "1000:1000",
    ]


async def test_an_unknown_user_waits_for_a_better_spec(rig: Rig) -> None:
    await rig.sandbox(rig.container("true", user="nobody-knows"))
    with pytest.raises(Waiting):
        await rig.create()


async def test_volumes_are_where_they_should_be_and_outlive_what_they_should(rig: Rig, short_tmp: Path) -> None:
    host = short_tmp / "host"
    host.mkdir()
    mounts = tuple(Mount(volume=name, path=f"/data/{name}") for name in ("kept", "mem", "host"))
    volumes = (
        Volume(name="kept", mode="0750", owner=1000, group=50),
        Volume(name="mem", source=Tmpfs(size=2**20)),
        Volume(name="host", source=HostPath(path=str(host), kind="directory")),
    )
    script = "stat -c %a:%u:%g /data/kept; for d in kept mem host; do echo $d >/data/$d/f; done; mount | grep /data/"
    said = await rig.said("sh", "-c", script, mounts=mounts, pod_volumes=volumes)
    assert said.splitlines()[0] == "750:1000:50"
    assert all("nosuid" in line and "nodev" in line for line in said.splitlines()[1:])
    assert (host / "f").read_text() == "host\n"
    await rig.runtime.remove_sandbox(rig.uid)
    await rig.runtime.forget(rig.uid)
    assert (rig.settings.data_dir / "volumes/kept/f").read_text() == "kept\n"


@pytest.mark.parametrize("which", ["data", "run", "above", "slash", "link", "missing"])
async def test_a_host_path_that_reaches_us_or_is_missing_is_refused(rig: Rig, short_tmp: Path, which: str) -> None:
    paths = {
        "data": rig.settings.data_dir / "pods",
        "run": rig.settings.run_dir,
        "above": short_tmp,
        "slash": Path("/"),
        "link": short_tmp / "link",
        "missing": short_tmp / "missing",
    }
    (short_tmp / "link").symlink_to(rig.settings.data_dir)
    volume = Volume(name="v", source=HostPath(path=str(paths[which])))
    await rig.sandbox(rig.container("true", mounts=(Mount(volume="v", path="/data"),)), volumes=(volume,))
    with pytest.raises(Waiting) as caught:
        await rig.runtime.check(rig.launch())
    assert caught.value.reason == "CreateContainerConfigError"
    with pytest.raises(Waiting):
        await rig.create()


async def test_every_attempt_has_a_root_of_its_own_and_the_image_is_never_written(rig: Rig) -> None:
    before = sorted(os.listdir(rig.root))
    await rig.sandbox(rig.container("sh", "-c", "ls /mine; echo x >/mine; rm /bin/cat; rm -r /tmp"))
    await rig.run(attempt=1)
    await rig.ended()
    await rig.runtime.discard(rig.uid, "app", 1)
    await rig.run(attempt=2)
    await rig.ended()
    assert (await rig.output()).count("No such file") == 2
    assert sorted(os.listdir(rig.root)) == before
    assert (rig.root / "bin/cat").is_symlink()


async def test_the_default_container_holds_little(rig: Rig) -> None:
    script = """
        grep -E '^(CapEff|CapInh|CapAmb|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
        mount -t tmpfs none /tmp; echo mount $?
        mknod /dev/sda b 8 0; echo mknod $?
        echo x >/proc/sysrq-trigger; echo x >/proc/sys/kernel/panic; echo sys $?
        cat /proc/kcore | head -c 1 | wc -c; ls /sys/firmware | wc -l
        mkdir /sys/fs/cgroup/pids/mine /sys/fs/cgroup/mine; echo group $?
        unshare -U true; echo unshare $?
        ls /proc/1/fd | wc -l
    """
    said = (await rig.said("sh", "-c", script)).split("\n")
    text = "\n".join(said)
    assert "CapEff:\t00000000000005fb" in said
    assert "CapBnd:\t00000000000005fb" in said
    assert "CapInh:\t0000000000000000" in said
    assert "CapAmb:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said
    for refused in ("mount 0", "mknod 0", "sys 0", "group 0", "unshare 0"):
        assert refused not in text


async def test_only_three_descriptors_come_in_and_no_directory_of_the_host(rig: Rig) -> None:
    leak = os.open("/", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        said = await rig.said("sh", "-c", "ls /proc/1/fd | tr '\\n' ' '; exec ls -l /proc/1/cwd")
        assert said.startswith("0 1 2 ")
        await rig.runtime.discard(rig.uid, "app", 1)
        for number in (3, leak, 10, 63):
            await rig.sandbox(rig.container("ls", working_dir=f"/proc/self/fd/{number}"))
            with pytest.raises(Waiting):
                await rig.create()
            await rig.runtime.discard(rig.uid, "app", 1)
    finally:
        os.close(leak)


async def test_the_filter_is_compiled_once_and_active_ever_after(rig: Rig) -> None:
    await rig.sandbox(rig.container("grep", "Seccomp:", "/proc/self/status"))
    for attempt in (1, 2):
        await rig.run(attempt=attempt)
        await rig.ended()
        text = rig.attempt(number=attempt).config.read_text()
        assert ("run.oci.seccomp_bpf_data" in text) == (attempt == 2)
        await rig.runtime.discard(rig.uid, "app", attempt)
    assert await rig.output() == "Seccomp:\t2\nSeccomp:\t2\n"
    assert len(os.listdir(rig.settings.data_dir / "seccomp-cache")) == 1


async def test_a_reaper_is_the_first_process_and_hands_signals_on(rig: Rig) -> None:
    script = "trap 'exit 9' TERM; cat /proc/1/comm; while :; do sleep 0.01; done"
    await rig.run_one("sh", "-c", script, reaper=True)
    assert await wait_until(rig.output) == "init\n"
    await rig.runtime.signal(rig.uid, "app", 1, "SIGTERM")
    assert (await rig.ended()).exit_code == 9


async def test_a_monitor_that_was_killed_is_seen_and_the_exit_code_still_known(rig: Rig) -> None:
    nudged = asyncio.Event()
    rig.runtime.watch(lambda _: nudged.set())
    await rig.run_one("sleep", "1000")
    await rig.fact()
    monitor = int(rig.attempt().monitor_pidfile.read_text())
    os.kill(monitor, signal.SIGKILL)
    await asyncio.wait_for(nudged.wait(), 5)
    fact = await rig.fact()
    assert (fact.alive, fact.monitored, fact.exited) == (True, False, False)
    await rig.runtime.kill(rig.uid, "app", 1)
    fact = await rig.fact()
    assert (fact.alive, fact.populated) == (False, False)
    assert fact.exit_code in (137, None)


async def test_what_runs_goes_on_without_the_driver_and_is_found_again(rig: Rig) -> None:
    created = await rig.run_one("sh", "-c", "echo a; sleep 0.2; exit 4")
    await rig.runtime.close()
    await rig.runtime.open()
    assert (await rig.fact()).pid == created.pid
    assert (await rig.ended()).exit_code == 4


async def test_an_end_is_told_at_once(rig: Rig) -> None:
    nudged: list[str] = []
    rig.runtime.watch(nudged.append)
    await rig.run_one("true")
    await wait_until(lambda: nudged)
    assert nudged[0] == rig.uid


async def test_a_read_only_root_cannot_be_written(rig: Rig) -> None:
    said = await rig.said("sh", "-c", "echo x >/x || echo refused", security=Security(read_only_root=True))
    assert "refused" in said.splitlines()


async def test_a_privileged_container_may_mount(rig: Rig) -> None:
    said = await rig.said("sh", "-c", "mount -t tmpfs none /tmp && echo mounted", security=Security(privileged=True))
    assert said == "mounted\n"


async def test_a_missing_rootfs_waits(rig: Rig) -> None:
    await rig.sandbox(rig.container("true", image=Rootfs(rootfs="/no/such/root")))
    with pytest.raises(Waiting):
        await rig.create()


async def test_the_network_of_the_host_is_the_hosts(rig: Rig) -> None:
    said = await rig.said("readlink", "/proc/self/ns/net", pod_network="host")
    assert said.strip() == os.readlink("/proc/self/ns/net")
