"""Limits, devices, kernel settings and namespaces (C14): each shorthand, and each value that is refused."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest

from tank.errors import InvalidSpec
from tank.model.dump import dump_pod
from tank.model.parse import Defaults, parse_pod
from tank.model.pod import Pod
from tests.unit.model.test_parse_pod import built, container, pod, told

LIMITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"memory": "1GiB", "memory_high": "900MiB", "memory_low": 0}, {"memory": 2**30, "memory_high": 900 * 2**20, "memory_low": 0}),
    ({"swap": 0}, {"swap": 0}),
    ({"swap": "1GiB"}, {"swap": 2**30}),
    ({"cpu_weight": 10_000, "io_weight": 1}, {"cpu_weight": 10_000, "io_weight": 1}),
    ({"cpuset": "8,0-2,3"}, {"cpuset": "0-3,8"}),
    ({"cpuset": "5"}, {"cpuset": "5"}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "canonical"), LIMITS)
def test_limits_are_stored_in_base_units(written: dict[str, Any], canonical: dict[str, Any]) -> None:
    assert dump_pod(parse_pod(container(limits=written)))["containers"][0]["limits"] == canonical


DEVICES: list[tuple[Any, dict[str, Any]]] = [
    ("/dev/fuse", {"path": "/dev/fuse", "access": "rwm"}),
    ("/dev/x:/dev/y", {"path": "/dev/x", "target": "/dev/y", "access": "rwm"}),
    ("/dev/x:/dev/y:wr", {"path": "/dev/x", "target": "/dev/y", "access": "rw"}),
    ("/dev/x:r", {"path": "/dev/x", "access": "r"}),
    ("nvidia.com/gpu=all", {"name": "nvidia.com/gpu=all"}),
    ({"path": "/dev/snd/"}, {"path": "/dev/snd", "access": "rwm"}),
    ({"name": "vendor.com/net=eth0"}, {"name": "vendor.com/net=eth0"}),
]


@pytest.mark.parametrize(("written", "canonical"), DEVICES)
def test_a_device_has_one_long_form(written: Any, canonical: dict[str, Any]) -> None:
    assert dump_pod(parse_pod(container(devices=[written])))["containers"][0]["devices"] == [canonical]


def test_kernel_settings_are_strings() -> None:
    written = {"net.core.somaxconn": 1024, "kernel.sem": "250  32000 32\t128", "net.ipv4.conf.eth0/100.rp_filter": "0"}

    assert parse_pod(pod(sysctls=written)).sysctls == {
        "net.core.somaxconn": "1024",
        "kernel.sem": "250 32000 32 128",
        "net.ipv4.conf.eth0/100.rp_filter": "0",
    }


def test_the_rest_of_a_machine() -> None:
    parsed = parse_pod(pod(deadline="1h", share_pid=True, users="auto", sysctls={"fs.mqueue.msg_max": 10}))

    assert parsed == Pod(
        **built() | {"containers": parsed.containers},
        deadline=3600.0,
        share_pid=True,
        users="auto",
        sysctls={"fs.mqueue.msg_max": "10"},
    )


def test_a_container_keeps_its_last_words_and_its_way_to_die_c5() -> None:
    parsed = parse_pod(container(termination_message="/tmp//why", oom="single")).containers[0]

    assert (parsed.termination_message, parsed.oom) == ("/tmp/why", "single")


def test_a_seccomp_profile_may_be_a_file() -> None:
    assert parse_pod(container(security={"seccomp": "/etc//x.json"})).containers[0].security.seccomp == "/etc/x.json"


def test_a_machine_can_have_a_default_of_its_own_for_users() -> None:
    defaults = Defaults(users="auto")

    given = (pod(), pod(users="host"), Pod(**built()), Pod(**built(), users="host"))

    assert [parse_pod(each, defaults).users for each in given] == ["auto", "host", "auto", "host"]


def test_a_default_of_the_machine_is_judged_with_the_rest() -> None:
    with pytest.raises(InvalidSpec, match="users: ids of its own have no power over the host's network"):
        parse_pod(pod(network="host"), Defaults(users="auto"))


def test_a_fault_is_not_hidden_by_a_default_of_the_machine() -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_pod(pod(grace="x", users=5), Defaults(grace=1.0, users="auto"))

    assert [problem.path for problem in error.value.problems] == ["grace", "users"]


def limit(**fields: Any) -> dict[str, Any]:
    """A container with these limits."""
    return container(limits=fields)


def device(written: Any) -> dict[str, Any]:
    """A container with this device."""
    return container(devices=[written])


_ALLOWED = "a pod has net.*, kernel.shm*, kernel.msg*, kernel.sem and fs.mqueue.* of its own"
FAULTS: list[tuple[dict[str, Any], str]] = [
    (limit(memory="1MiB", memory_high="2MiB"), "containers[0].limits.memory_high: cannot exceed memory"),
    (limit(memory="1MiB", memory_low="2MiB"), "containers[0].limits.memory_low: cannot exceed memory"),
    (limit(swap=-1), "containers[0].limits.swap: a size cannot be negative"),
    (limit(cpu_weight=0), "containers[0].limits.cpu_weight: must lie between 1 and 10000"),
    (limit(io_weight=10_001), "containers[0].limits.io_weight: must lie between 1 and 10000"),
    (limit(cpuset=3), "containers[0].limits.cpuset: expected a string, found a whole number (put it in quotes)"),
    (limit(cpuset="0-"), "containers[0].limits.cpuset: '0-' is not a set of cpus such as '0-3,8'"),
    (limit(cpuset="3-1"), "containers[0].limits.cpuset: '3-1' is not a range of cpus"),
    (limit(cpuset="9999"), "containers[0].limits.cpuset: '9999' is not a range of cpus"),
    (device("/tmp/x"), "containers[0].devices[0]: '/tmp/x' is not below /dev"),
    (device("/dev"), "containers[0].devices[0]: '/dev' is not below /dev"),
    (device("/dev/../etc/x"), "containers[0].devices[0]: '/dev/../etc/x' must not contain '..'"),
    (device("/dev/x:/srv/x"), "containers[0].devices[0]: '/srv/x' is not below /dev"),
    (device("/dev/x:/dev/shm/x"), "containers[0].devices[0]: '/dev/shm/x' is the kernel's own place"),
    (device("/dev/x:rx"), "containers[0].devices[0]: 'rx' is not an access: of 'r', 'w' and 'm', each once"),
    (device("/dev/x:/dev/y:r:w"), "containers[0].devices[0]: '/dev/x:/dev/y:r:w' is not a device: '/dev/x', '/dev/x:/dev/y:rw' or a CDI name"),
    (device("gpu"), "containers[0].devices[0]: 'gpu' is not a CDI device such as 'vendor.com/gpu=0'"),
    (device({}), "containers[0].devices[0]: a device needs one of path, name"),
    (device({"path": "/dev/x", "name": "v.com/a=b"}), "containers[0].devices[0]: a device has one of path, name, found path and name"),
    (device({"name": "v.com/a=b", "access": "r"}), "containers[0].devices[0].access: a CDI device says itself how it is used"),
    (device({"PathOnHost": "/dev/x"}), "containers[0].devices[0].PathOnHost: unknown field of a device"),
    (container(devices=["/dev/x", "/dev/y:/dev/x"]), "containers[0].devices[1]: '/dev/x' is given twice"),
    (container(devices=["v.com/a=b", "v.com/a=b"]), "containers[0].devices[1]: 'v.com/a=b' is given twice"),
    (container(termination_message="x"), "containers[0].termination_message: 'x' must be an absolute path (did you mean '/x'?)"),
    (container(termination_message="/proc/1/fd/1"), "containers[0].termination_message: '/proc/1/fd/1' cannot hold a message"),
    (container(termination_message="/data", mounts=["data:/data"]), "containers[0].termination_message: a volume is mounted at '/data'"),
    (container(oom="all"), "containers[0].oom: must be one of group, single, found 'all'"),
    (container(security={"privileged": True, "seccomp": "/x.json"}), "containers[0].security.seccomp: a privileged container has no filter of system calls"),
    (pod(deadline=0), "deadline: must be at least 1ms"),
    (pod(users="keep-id"), "users: must be one of host, auto, found 'keep-id'"),
    (pod(users="auto", network="host"), "users: ids of its own have no power over the host's network (write users: host)"),
    (pod(users="auto", volumes=[{"name": "v"}], containers=[{"name": "a", "image": "x:1", "security": {"privileged": True}, "mounts": [{"volume": "v", "path": "/v", "propagation": "shared"}]}]), "containers[0].mounts[0].propagation: with users: auto no mount made inside appears on the host"),
    (pod(share_pid=True, containers=[{"name": "a", "image": "x:1", "reaper": True}]), "containers[0].reaper: with share_pid the pod's own first process reaps for all"),
    (pod(sysctls={"vm.swappiness": 1}), f"sysctls[\"vm.swappiness\"]: 'vm.swappiness' is a setting of the whole machine: {_ALLOWED}"),
    (pod(sysctls={"kernel.pid_max": 1}), f"sysctls[\"kernel.pid_max\"]: 'kernel.pid_max' is a setting of the whole machine: {_ALLOWED}"),
    (pod(sysctls={"kernel.hostname": "x"}), "sysctls[\"kernel.hostname\"]: kernel.hostname cannot be set here (see hostname)"),
    (pod(sysctls={"kernel.domainname": "x"}), "sysctls[\"kernel.domainname\"]: kernel.domainname cannot be set here"),
    (pod(sysctls={"net/core/somaxconn": 1}), "sysctls[\"net/core/somaxconn\"]: 'net/core/somaxconn' is not a kernel setting such as 'net.core.somaxconn'"),
    (pod(sysctls={"net.ipv4.//.x": 1}), "sysctls[\"net.ipv4.//.x\"]: 'net.ipv4.//.x' is not a kernel setting such as 'net.core.somaxconn'"),
    (pod(sysctls={"net.core.somaxconn": True}), "sysctls[\"net.core.somaxconn\"]: expected a string or a whole number, found true or false (put it in quotes)"),
    (pod(sysctls={"net.core.somaxconn": " "}), "sysctls[\"net.core.somaxconn\"]: a kernel setting's value is one line of ASCII, at most 1000 characters"),
    (pod(network="host", sysctls={"net.core.somaxconn": 1}), "sysctls[\"net.core.somaxconn\"]: a pod on the host's network has no network settings of its own"),
    (pod(shareProcessNamespace=True), "shareProcessNamespace: unknown field of a pod (did you mean 'share_pid'?)"),
    (pod(activeDeadlineSeconds=5), "activeDeadlineSeconds: unknown field of a pod (did you mean 'deadline'?)"),
    (pod(initContainers=[]), "initContainers: unknown field of a pod (did you mean 'init'?)"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_of_what_a_pod_wants_of_the_machine(mapping: dict[str, Any], fault: str) -> None:
    assert told(mapping) == [fault]
