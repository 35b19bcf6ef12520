"""What a plan says of each field: old and new, and what the change costs a pod that runs."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest

from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.plan.changes import Change, changes
from tank.plan.preview import preview


def made(app: dict[str, Any] | None = None, **fields: Any) -> Pod:
    """A pod with a plain init container, a sidecar, an app that mounts files of a secret, and one interface."""
    side = {"name": "side", "image": "side:1", "restart": "always"}
    return parse_pod(
        {
            "name": "web",
            "init": [{"name": "fill", "image": "fill:1"}, side],
            "containers": [{"name": "app", "image": "nginx:1", "mounts": ["files:/files"], **(app or {})}],
            "volumes": [{"name": "files", "source": {"secret": "db"}}, {"name": "other"}],
            "network": {"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}]},
            **fields,
        }
    )


def init(*names: str, **fields: Any) -> dict[str, Any]:
    """The field `init` with these containers, the last with these fields."""
    found = [{"name": each, "image": f"{each}:1"} | ({"restart": "always"} if each == "side" else {}) for each in names]
    return {"init": [*found[:-1], {**found[-1], **fields}]}


def nic(**fields: Any) -> dict[str, Any]:
    """The field `network` with one interface."""
    return {"network": {"nics": [{"name": "eth0", "ip": "10.0.0.5/24", **fields}]}}


def files(**source: Any) -> dict[str, Any]:
    """The field `volumes` with another source for the files of the secret."""
    return {"volumes": [{"name": "files", "source": {"secret": "db", **source}}, {"name": "other"}]}


NIC = {"name": "eth0", "ip": "10.0.0.5/24"}

COSTS: list[tuple[Pod, list[tuple[str, str]]]] = [
    (made(), []),
    (made({"image": "nginx:2"}), [("containers[app].image", "container_restart")]),
    (made({"limits": {"memory": "1GiB"}}), [("containers[app].limits.memory", "live")]),
    (made({"restart": "never"}), [("containers[app].restart", "live")]),
    (made({"env": {"A": "1"}}), [("containers[app].env[A].value", "container_restart")]),
    (made({"oom": "single"}), [("containers[app].oom", "container_restart")]),
    (made(grace=5), [("grace", "live")]),
    (made(labels={"a": "b"}), [("labels.a", "live")]),
    (made(hosts={"a": "10.0.0.9"}), [("hosts.a", "live")]),
    (made(deadline=5), [("deadline", "live")]),
    (made(hostname="web"), [("hostname", "none")]),
    (made(hostname="other"), [("hostname", "pod_restart")]),
    (made(share_pid=True), [("share_pid", "pod_restart")]),
    (made(users="auto"), [("users", "pod_restart")]),
    (made(sysctls={"kernel.shmmax": 9}), [('sysctls.kernel.shmmax', "pod_restart")]),
    (made(**nic(ip="10.0.0.6/24")), [("network.nics[eth0].ip", "live")]),
    (made(**nic(parent="eth9")), [("network.nics[eth0].parent", "pod_restart")]),
    (made(network={"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}], "dns": ["10.0.0.1"]}), [("network.dns", "live")]),
    (made(**nic(ip=["10.0.0.5/24", "fd00::5/64"])), [("network.nics[eth0].ip", "live")]),
    (made(**nic(rate={"in": "1M"})), [("network.nics[eth0].rate.in", "live")]),
    (made(**nic(rate={"out": "1M"})), [("network.nics[eth0].rate.out", "live")]),
    (made(**nic(mtu=1400)), [("network.nics[eth0].mtu", "live")]),
    (made(**nic(gateway="10.0.0.1")), [("network.nics[eth0].gateway", "live")]),
    (made(**nic(routes=[{"to": "10.9.0.0/16"}])), [("network.nics[eth0].routes", "live")]),
    (made(**nic(mac="02:00:00:00:00:09")), [("network.nics[eth0].mac", "pod_restart")]),
    (made(**nic(mode="ipvlan")), [("network.nics[eth0].mode", "pod_restart")]),
    (made(**nic(ip={"pool": "lan"})), [("network.nics[eth0].mode", "pod_restart"), ("network.nics[eth0].ip", "pod_restart")]),
    (made(**nic(ip=["10.0.0.5/24", {"pool": "lan"}])), [("network.nics[eth0].mode", "pod_restart"), ("network.nics[eth0].ip", "pod_restart")]),
    (made(network={"nics": [NIC, {**NIC, "name": "eth1", "ip": "10.1.0.5/24"}]}), [("network.nics[eth1].mode", "pod_restart"), ("network.nics[eth1].parent", "pod_restart"), ("network.nics[eth1].ip", "pod_restart")]),
    (made(network={"nics": [NIC], "search": ["lan.internal"]}), [("network.search", "live")]),
    (made(network={"nics": [NIC], "allow": []}), [("network.allow", "live")]),
    (made(network={"nics": [NIC], "allow": [{"from": "10.0.0.0/8"}]}), [("network.allow", "live")]),
    (made(containers=[{"name": "app", "image": "nginx:1"}], **files(mode="0400")), [("containers[app].mounts", "container_restart"), ("volumes[files].source.mode", "container_restart")]),
    (made(containers=[{"name": "new", "image": "nginx:1"}], **files(mode="0400")), [("containers[app]", "container_restart"), ("containers[new]", "none"), ("volumes[files].source.mode", "none")]),
    (made(network="none"), [("network", "pod_restart")]),
    (made(**init("side", "fill")), [("init", "pod_restart")]),
    (made(**init("fill")), [("init[side]", "pod_restart")]),
    (made(**init("side", "fill", "more"))  , [("init[more]", "pod_restart"), ("init", "pod_restart")]),
    (made(**init("fill", "side", image="side:2")), [("init[side].image", "container_restart")]),
    (made(init=[{"name": "fill", "image": "fill:2"}, {"name": "side", "image": "side:1", "restart": "always"}]), [("init[fill].image", "none")]),
    (made(init=[{"name": "fill", "image": "fill:1"}, {"name": "side", "image": "side:1"}]), [("init[side].restart", "pod_restart")]),
    (made(**files(mode="0400")), [("volumes[files].source.mode", "container_restart")]),
    (made(**files(on_change="restart")), [("volumes[files].source.on_change", "live")]),
    (made(volumes=[{"name": "files", "source": {"secret": "db"}}, {"name": "other", "mode": "0700"}]), [("volumes[other].mode", "none")]),
    (made(volumes=[{"name": "files", "source": {"secret": "db"}}]), [("volumes[other]", "none")]),
    (made(volumes=[{"name": "other"}, {"name": "files", "source": {"secret": "db"}}]), [("volumes", "none")]),
]  # fmt: skip


@pytest.mark.parametrize(("after", "costs"), COSTS, ids=range(len(COSTS)))
def test_what_each_field_costs(after: Pod, costs: list[tuple[str, str]]) -> None:
    assert [(each.path, each.impact) for each in changes(made(), after)] == costs


def test_old_and_new_are_in_canonical_form() -> None:
    found = changes(made({"limits": {"cpu": "500m"}}), made({"limits": {"cpu": 1}}))

    assert found == (
        Change(
            pod="web",
            path="containers[app].limits.cpu",
            before=[50_000, 100_000],
            after=[100_000, 100_000],
            impact="live",
        ),
    )


def test_a_container_that_comes_costs_nothing_and_one_that_goes_is_stopped() -> None:
    two = made(containers=[{"name": "app", "image": "nginx:1"}, {"name": "log", "image": "log:1"}])
    one = made(containers=[{"name": "app", "image": "nginx:1"}])

    come, gone = changes(one, two), changes(two, one)

    assert [(each.path, each.before, each.impact) for each in come] == [("containers[log]", None, "none")]
    assert [(each.path, each.after, each.impact) for each in gone] == [("containers[log]", None, "container_restart")]


def test_a_reaction_to_changes_is_live_beside_a_change_that_is_not() -> None:
    before = made({"env": {"A": {"from": {"secret": "db"}}}})
    after = made({"env": {"A": {"from": {"secret": "db", "on_change": "restart"}}}, "image": "nginx:2"})

    assert [(each.path, each.impact) for each in changes(before, after)] == [
        ("containers[app].image", "container_restart"),
        ("containers[app].env[A].from.on_change", "live"),
    ]


def test_another_value_of_the_same_field_is_another_plan() -> None:
    tokens = {preview([("web", 1)], (), changes(made(), made(labels={"a": each}))).token for each in ("b", "c")}

    assert len(tokens) == 2
