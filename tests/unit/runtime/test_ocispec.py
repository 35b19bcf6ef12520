"""The configuration handed to the runtime: nothing more than was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tank.model.pod import Cpu, Limits
from tank.runtime import ocispec
from tank.runtime.ocispec import Bind, Setup
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


def test_on_the_hosts_network_no_setting_of_the_host_is_touched() -> None:
    assert "sysctl" not in linux(replace(SETUP, namespaces={"ipc": "/n/ipc", "uts": "/n/uts"}))
    assert set(linux(SETUP)["sysctl"]) == {"net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"}


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


def test_a_memory_limit_leaves_no_swap() -> None:
    limits = Limits(memory=100, pids=5, cpu=Cpu(quota=1000, period=2000))
    assert ocispec.resources(limits) == {
        "memory": {"limit": 100, "swap": 100},
        "pids": {"limit": 5},
        "cpu": {"quota": 1000, "period": 2000},
    }
    assert ocispec.resources(limits, swap_accounting=False)["memory"] == {"limit": 100}
    assert ocispec.resources(Limits()) == {}


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
