"""A program in a container tries the ways out, one by one; and what opens when one of them is asked for."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.model.pod import HostPath, Mount, Security, Volume
from tests import escapes
from tests.runtime_rig import Rig, opened

pytestmark = pytest.mark.system

PYTHON = os.path.realpath(sys.executable)


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def tried(rig: Rig, **fields: Any) -> dict[str, str]:
    """What came of every try in a container that has this machine's Python to try with."""
    for name in ("lib", "lib64"):
        if not (rig.root / name).is_symlink():
            (rig.root / name).symlink_to(f"usr/{name}")
    (rig.root / "usr").mkdir(exist_ok=True)
    shutil.copy(escapes.__file__, rig.root / "escapes.py")
    tops = {"/usr"} | ({sys.base_prefix} - {"/usr"} if not PYTHON.startswith("/usr/") else set())
    volumes = tuple(Volume(name=f"v{i}", source=HostPath(path=top)) for i, top in enumerate(sorted(tops)))
    mounts = tuple(Mount(volume=f"v{i}", path=top, read_only=True) for i, top in enumerate(sorted(tops)))
    said = await rig.said(PYTHON, "-I", "/escapes.py", mounts=mounts, pod_volumes=volumes, **fields)
    found: dict[str, str] = json.loads(said)
    assert len(found) > 70
    return found


def open_ways(found: dict[str, str]) -> set[str]:
    return {name for name, outcome in found.items() if outcome != "closed"}


async def test_a_default_container_has_no_way_out(rig: Rig) -> None:
    assert open_ways(await tried(rig)) == set()


async def test_nor_has_one_without_capabilities_run_by_a_user_on_a_root_it_cannot_write(rig: Rig) -> None:
    security = Security(cap_drop=("ALL",), read_only_root=True)
    assert open_ways(await tried(rig, security=security, user="1000")) == set()


async def test_a_capability_opens_what_it_is_for_and_nothing_else(rig: Rig) -> None:
    found = await tried(rig, security=Security(cap_add=("CAP_NET_RAW",)))
    assert open_ways(found) == {"a raw socket", "a packet socket"}


async def test_making_nodes_makes_no_device_usable(rig: Rig) -> None:
    assert open_ways(await tried(rig, security=Security(cap_add=("CAP_MKNOD",)))) == set()


async def test_administering_opens_mounts_but_neither_kernel_nor_devices_nor_control_groups(rig: Rig) -> None:
    found = await tried(rig, security=Security(cap_add=("CAP_SYS_ADMIN",)))
    opened_now = open_ways(found)
    assert {"mount", "setns", "unshare mounts"} <= opened_now
    assert not opened_now & {
        "a control group", "a disk in /dev", "init_module", "kexec_load", "reboot", "keyctl", "io_uring_setup",
        "write /proc/sysrq-trigger", "write /proc/sys/kernel/core_pattern", "read /proc/kcore", "a raw socket",
    }  # fmt: skip


async def test_the_tries_are_not_blind_for_nearly_all_succeed_when_privileged(rig: Rig) -> None:
    found = await tried(rig, security=Security(privileged=True, no_new_privileges=False))
    closed = {name for name, outcome in found.items() if outcome == "closed"}
    assert len(closed) < 30, closed
    assert {"mount", "bpf", "unshare mounts", "a raw socket", "a control group"} <= open_ways(found)


async def test_a_profile_of_ones_own_takes_the_place_of_the_default_one(rig: Rig, short_tmp: Path) -> None:
    path = short_tmp / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    await rig.sandbox(rig.container("sh", "-c", "mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status",
                                    security=Security(seccomp=str(path))))  # fmt: skip
    for attempt in (1, 2):
        await rig.run(attempt=attempt)
        await rig.ended()
        text = rig.attempt(number=attempt).config.read_text()
        assert ("run.oci.seccomp_bpf_data" in text) == (attempt == 2)  # compiled once, like the default
        await rig.runtime.discard(rig.uid, "app", attempt)
    assert (await rig.output()).count("Input/output error") == 2
    assert (await rig.output()).count("Seccomp:\t2") == 2


async def test_without_its_profile_a_container_waits_and_never_runs_without_a_filter(rig: Rig, short_tmp: Path) -> None:
    path = short_tmp / "profile.json"
    await rig.sandbox(rig.container("true", security=Security(seccomp=str(path))))
    for content in (None, "{", '{"defaultAction": "SCMP_ACT_NOTIFY"}'):
        if content is not None:
            path.write_text(content)
        for call in (rig.runtime.check, rig.runtime.create):
            with pytest.raises(Waiting, match="cannot use the seccomp profile"):
                await call(rig.launch())
        await rig.runtime.discard(rig.uid, "app", 1)


async def test_a_path_is_unmasked_alone(rig: Rig) -> None:
    found = await tried(rig, security=Security(unmask=("/proc/keys",)))
    assert open_ways(found) == {"read /proc/keys"}
