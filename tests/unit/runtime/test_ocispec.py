"""The configuration handed to the runtime: nothing more than was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tank.model.pod import Cpu, Limits
from tank.runtime import ocispec
from tank.runtime.ocispec import Bind, Device, Setup
from tank.runtime.users import Identity

SETUP = Setup(
    root="/r",
    arguments=("sh", "-c", "x"),
    environment={"A": "1"},
    cwd="/srv",
    identity=Identity(uid=5, gid=6, groups=(7,)),
    capabilities=("CAP_KILL",),
    cgroup="/tank-abcdef/u/app",
    namespaces={"ipc": "/n/ipc", "uts": "/n/uts", "network": "/n/net"},
    shm="/run/shm",
)


def linux(setup: Setup) -> dict[str, Any]:
    found: dict[str, Any] = ocispec.config(setup)["linux"]
    return found


def test_no_capability_is_inheritable_or_ambient() -> None:
    held = ocispec.config(SETUP)["process"]["capabilities"]
    assert held == {
        "bounding": ["CAP_KILL"],
        "effective": ["CAP_KILL"],
        "permitted": ["CAP_KILL"],
        "inheritable": [],
        "ambient": [],
    }


def test_the_process_is_what_was_found_out() -> None:
    process = ocispec.config(SETUP)["process"]
    assert process["args"] == ["sh", "-c", "x"]
    assert process["env"] == ["A=1"]
    assert process["user"] == {"uid": 5, "gid": 6, "umask": 0o022, "additionalGids": [7]}
    assert process["noNewPrivileges"]
    assert process["oomScoreAdj"] == 0


def test_process_mounts_and_groups_are_the_containers_own_and_the_rest_is_the_pods() -> None:
    assert linux(SETUP)["namespaces"] == [
        {"type": "pid"},
        {"type": "mount"},
        {"type": "cgroup"},
        {"type": "ipc", "path": "/n/ipc"},
        {"type": "uts", "path": "/n/uts"},
        {"type": "network", "path": "/n/net"},
    ]


def test_devices_are_denied_and_paths_masked_unless_privileged() -> None:
    assert linux(SETUP)["resources"]["devices"] == [{"allow": False, "access": "rwm"}]
    assert "/proc/kcore" in linux(SETUP)["maskedPaths"]
    assert "/proc/sys" in linux(SETUP)["readonlyPaths"]
    privileged = linux(replace(SETUP, privileged=True))
    assert (privileged["maskedPaths"], privileged["readonlyPaths"]) == ([], [])
    assert privileged["resources"]["devices"][0]["allow"]


def test_a_path_can_be_unmasked_by_itself() -> None:
    shown = linux(replace(SETUP, unmask=("/proc/kcore", "/proc/sys")))
    assert "/proc/kcore" not in shown["maskedPaths"]
    assert "/proc/sys" not in shown["readonlyPaths"]
    assert "/proc/keys" in shown["maskedPaths"]


def test_sys_and_control_groups_are_read_only_unless_privileged() -> None:
    options = {each["destination"]: each["options"] for each in ocispec.config(SETUP)["mounts"]}
    assert "ro" in options["/sys"]
    assert "ro" in options["/sys/fs/cgroup"]
    assert {"nosuid", "nodev", "noexec"} <= set(options["/dev/shm"])


def test_a_mount_below_another_comes_after_it_and_volumes_are_nosuid_nodev() -> None:
    volumes = (Bind(source="/s/deep", path="/a/b/c"), Bind(source="/s/top", path="/a", read_only=True))
    mounts = ocispec.config(replace(SETUP, volumes=volumes))["mounts"][-2:]
    assert [each["destination"] for each in mounts] == ["/a", "/a/b/c"]
    assert mounts[0]["options"] == ["bind", "rprivate", "nosuid", "nodev", "ro"]


def test_only_the_devices_that_were_given_are_let_through() -> None:
    device = Device(path="/dev/fuse", kind="c", major=10, minor=229, mode=0o666, gid=5, access="rw")
    shown = linux(replace(SETUP, devices=(device,)))
    rule = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}
    assert shown["resources"]["devices"] == [{"allow": False, "access": "rwm"}, rule]
    assert shown["devices"] == [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 0, "gid": 5}
    ]
    assert linux(replace(SETUP, devices=(device,), privileged=True))["resources"]["devices"] == [
        {"allow": True, "access": "rwm"}
    ]


def test_a_memory_limit_leaves_no_swap() -> None:
    limits = Limits(memory=100, pids=5, cpu=Cpu(quota=1000, period=2000))
    assert ocispec.resources(limits) == {
        "memory": {"limit": 100, "swap": 100},
        "pids": {"limit": 5},
        "cpu": {"quota": 1000, "period": 2000},
    }
    assert ocispec.resources(limits, swap_accounting=False)["memory"] == {"limit": 100}
    assert ocispec.resources(Limits()) == {}


def test_swap_is_counted_beside_memory() -> None:
    assert ocispec.resources(Limits(memory=100, swap=40))["memory"] == {"limit": 100, "swap": 140}


V2 = frozenset({"memory", "cpu", "pids", "io"})


def test_what_the_specification_cannot_say_goes_to_the_files_of_version_2() -> None:
    limits = Limits(memory_high=90, memory_low=10, swap=7, cpu_weight=300, cpuset="0-1", io_weight=200)
    assert ocispec.resources(limits, controllers=V2) == {
        "cpu": {"cpus": "0-1"},
        "unified": {"memory.high": "90", "memory.low": "10", "memory.swap.max": "7", "cpu.weight": "300"},
    }
    assert ocispec.resources(Limits(cpu_weight=300)) == {"cpu": {"shares": 3072}}


def test_the_kernel_kills_all_or_one_as_the_spec_says() -> None:
    def unified(**changed: Any) -> Any:
        return linux(replace(SETUP, **changed))["resources"].get("unified")

    assert unified(controllers=V2) == {"memory.oom.group": "1"}
    assert unified(controllers=V2, oom_group=False) is None
    assert unified(controllers=frozenset()) is None


def test_a_reaper_comes_first() -> None:
    assert ocispec.config(replace(SETUP, reaper=True))["process"]["args"][:3] == ["/dev/init", "--", "sh"]


def test_no_annotation_is_there_that_was_not_given() -> None:
    assert ocispec.config(SETUP)["annotations"] == {}


def test_descriptors_are_limited_to_what_the_machine_allows() -> None:
    def files(setup: Setup) -> dict[str, Any]:
        found: dict[str, Any] = ocispec.config(setup)["process"]["rlimits"][0]
        return found

    assert files(SETUP) == {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 524_288}
    assert files(replace(SETUP, most_files=512)) == {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512}
    assert files(replace(SETUP, rlimits={"nofile": (5, 6)})) == {"type": "RLIMIT_NOFILE", "soft": 5, "hard": 6}
