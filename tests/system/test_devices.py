"""What a container is given of the host beyond its root: devices, kernel settings; and what it says as it ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.errors import Failed, Waiting
from tank.model.pod import Device, Mount, Security, Volume
from tank.runtime import cdi
from tests.runtime_rig import Rig, opened

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def test_a_device_can_be_used_as_it_was_given_and_no_other(rig: Rig) -> None:
    # A node that no container has by itself, and that takes readers and writers.
    script = "stat -c '%F %t %T' /dev/said; (: </dev/said) && echo read; (: >/dev/said) && echo wrote"
    device = Device(path="/dev/net/tun", target="/dev/said", access="r")
    said = (await rig.said("sh", "-c", script, devices=(device,))).splitlines()
    assert said[:2] == ["character special file a c8", "read"]
    assert "wrote" not in said


async def test_without_being_given_a_device_its_numbers_are_of_no_use(rig: Rig) -> None:
    script = "mknod /dev/mine c 10 200; (: </dev/mine) && echo read"
    assert "read\n" not in await rig.said("sh", "-c", script, security=Security(cap_add=("CAP_MKNOD",)))


async def test_a_missing_device_is_waited_for(rig: Rig) -> None:
    await rig.sandbox(rig.container("true", devices=(Device(path="/dev/missing"),)))
    with pytest.raises(Waiting, match="cannot give the device /dev/missing: no such file"):
        await rig.runtime.check(rig.launch())


async def test_a_device_by_name_brings_nodes_mounts_and_variables(rig: Rig, short_tmp: Path) -> None:
    (short_tmp / "library").write_text("a library\n")
    edits = {
        "env": ["THING=yes"],
        "deviceNodes": [{"path": "/dev/thing", "hostPath": "/dev/net/tun", "permissions": "r", "fileMode": 0o444}],
        "mounts": [{"hostPath": str(short_tmp / "library"), "containerPath": "/opt/library", "options": ["ro"]}],
        "additionalGids": [4242],
    }
    said = {"cdiVersion": "0.7.0", "kind": "tank.test/thing", "devices": [{"name": "a", "containerEdits": edits}]}
    file = cdi.DIRECTORIES[1] / f"tank-test-{rig.uid}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(said))
    try:
        script = "echo $THING; stat -c '%F %a' /dev/thing; cat /opt/library; echo x >/opt/library; id -G"
        output = await rig.said("sh", "-c", script, devices=(Device(name="tank.test/thing=a"),))
    finally:
        file.unlink()
    lines = output.splitlines()
    assert lines[:3] == ["yes", "character special file 444", "a library"]
    assert "4242" in output.split()
    assert (short_tmp / "library").read_text() == "a library\n"


async def test_kernel_settings_are_the_pods_own_and_set_once(rig: Rig) -> None:
    before = Path("/proc/sys/kernel/shmmax").read_text(), Path("/proc/sys/net/core/somaxconn").read_text()
    settings = {"net.core.somaxconn": "77", "kernel.shmmax": "1234567", "fs.mqueue.msg_max": "12"}
    script = "cd /proc/sys; cat net/core/somaxconn kernel/shmmax fs/mqueue/msg_max net/ipv4/ip_unprivileged_port_start"
    said = await rig.said("sh", "-c", script, pod_sysctls=settings)
    assert said.split() == ["77", "1234567", "12", "0"]
    assert (Path("/proc/sys/kernel/shmmax").read_text(), Path("/proc/sys/net/core/somaxconn").read_text()) == before
    assert "sysctl" not in json.loads(rig.attempt().config.read_text())["linux"]


async def test_a_kernel_setting_that_the_kernel_refuses_is_named(rig: Rig) -> None:
    with pytest.raises(Failed, match=r"cannot set net\.core\.somaxconn to many"):
        await rig.sandbox(rig.container("true"), sysctls={"net.core.somaxconn": "many"})
    assert "this kernel has no net.core.nonsense" in await rig.runtime.unsupported(
        rig.pod.model_copy(update={"sysctls": {"net.core.nonsense": "1"}})
    )


@pytest.mark.parametrize("path", ["/dev/termination-log", "/data/why", "/var/log/why"])
async def test_a_program_says_why_it_ends(rig: Rig, path: str) -> None:
    await rig.run_one(
        "sh", "-c", f"echo 'no database' >{path}; exit 3",
        user="1000", termination_message=path, security=Security(read_only_root=True),
        mounts=(Mount(volume="data", path="/data"),), pod_volumes=(Volume(name="data"),),
    )  # fmt: skip
    fact = await rig.ended()
    assert (fact.exit_code, fact.message) == (3, "no database")


async def test_each_attempt_has_a_message_of_its_own(rig: Rig) -> None:
    await rig.sandbox(rig.container("sh", "-c", "cat /dev/termination-log; echo $$RANDOM >/dev/termination-log"))
    for attempt in (1, 2):
        await rig.run(attempt=attempt)
        assert (await rig.ended()).message != ""
        await rig.runtime.discard(rig.uid, "app", attempt)
        assert await rig.output() == ""


async def test_a_message_that_is_too_long_or_no_text_harms_nobody(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "head -c 100000 /dev/urandom >/dev/termination-log")
    assert 0 < len((await rig.ended()).message) <= 4096
