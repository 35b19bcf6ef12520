"""What a change costs, read off the digests: live, container restart, or a new sandbox."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.digest import canonical_json, container_digest, sandbox_digest, tuning_digest
from tank.model.parse import parse_pod
from tank.model.pod import Pod


def made(container: dict[str, Any] | None = None, nic: dict[str, Any] | None = None, **fields: Any) -> Pod:
    """A pod with a container that mounts one of two volumes, and one interface."""
    return parse_pod(
        {
            "name": "web",
            "containers": [
                {"name": "app", "image": "nginx:1", "mounts": ["data:/x"], **(container or {})},
                {"name": "side", "image": "nginx:1"},
            ],
            "volumes": [{"name": "data"}, {"name": "other"}],
            "network": {"nics": [{"name": "eth0", "ip": "10.0.0.5/24", **(nic or {})}]},
            **fields,
        }
    )


def cost(pod: Pod) -> set[str]:
    """Which digests differ from those of the plain pod."""
    plain = made()
    pairs = {
        "sandbox": (sandbox_digest(plain), sandbox_digest(pod)),
        "app": (container_digest(plain, plain.containers[0]), container_digest(pod, pod.containers[0])),
        "side": (container_digest(plain, plain.containers[1]), container_digest(pod, pod.containers[1])),
        "tuning": (tuning_digest(plain.containers[0]), tuning_digest(pod.containers[0])),
    }
    return {name for name, (before, after) in pairs.items() if before != after}


PINNED = ["bdc8e5a8635c695f", "d57a5e8ee4b47e3c", "44136fa355b3678a", "84b5887fd0e4358e"]  # app, side, tuning, sandbox

NIC = {"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}]}

COSTS: list[tuple[Pod, set[str]]] = [
    (made(), set()),
    (made(container={"limits": {"memory": "64Mi"}}), {"tuning"}),
    (made(container={"limits": {"cpu": 1}}), {"tuning"}),
    (made(container={"restart": "never"}), set()),
    (made(container={"stop_signal": "HUP"}), set()),
    (made(restart="never", grace=1, backoff={"factor": 3}), set()),
    (made(labels={"a": "b"}, annotations={"a": "b"}, hosts={"db": "10.0.0.9"}), set()),
    (made(container={"image": "nginx:2"}), {"app"}),
    (made(container={"pull": "always"}), {"app"}),
    (made(container={"env": {"A": "1"}}), {"app"}),
    (made(container={"mounts": ["data:/x:ro"]}), {"app"}),
    (made(container={"mounts": []}), {"app"}),
    (made(container={"tty": True}), {"app"}),
    (made(container={"stdin": True}), {"app"}),
    (made(container={"reaper": True}), {"app"}),
    (made(container={"ulimits": {"core": 0}}), {"app"}),
    (made(container={"security": {"read_only_root": True}}), {"app"}),
    (made(volumes=[{"name": "data", "source": {"empty": {}}}, {"name": "other"}]), {"app"}),
    (made(volumes=[{"name": "data", "source": {"tmpfs": {}}}, {"name": "other"}]), {"app"}),
    (made(volumes=[{"name": "data", "mode": "0700"}, {"name": "other"}]), {"app"}),
    (made(volumes=[{"name": "data"}, {"name": "other", "source": {"empty": {}}}]), set()),
    (made(volumes=[{"name": "other"}, {"name": "data"}]), set()),
    (made(hostname="web"), set()),
    (made(hostname="other"), {"sandbox"}),
    (made(network="none"), {"sandbox"}),
    (made(network="host"), {"sandbox"}),
    (made(nic={"name": "eth1"}), {"sandbox"}),
    (made(nic={"parent": "eth9"}), {"sandbox"}),
    (made(nic={"mac": "02:00:00:00:00:01"}), {"sandbox"}),
    (made(container={"limits": {"cpuset": "0"}}), {"tuning"}),
    (made(container={"probes": {"live": {"tcp": 80}}}), set()),
    (made(container={"hooks": {"pre_stop": {"sleep": 1}}}), set()),
    (made(deadline="1h"), set()),
    (made(container={"env_from": [{"secret": "db"}]}), {"app"}),
    (made(container={"devices": ["/dev/fuse"]}), {"app"}),
    (made(container={"oom": "single"}), {"app"}),
    (made(container={"termination_message": "/why"}), {"app"}),
    (made(container={"mounts": [{"volume": "data", "path": "/x", "sub_path": "y"}]}), {"app"}),
    (made(share_pid=True), {"sandbox"}),
    (made(users="auto"), {"sandbox"}),
    (made(users="host", share_pid=False, sysctls={}, init=[]), set()),
    (made(sysctls={"net.core.somaxconn": 9}), {"sandbox"}),
    (made(init=[{"name": "fill", "image": "x:1"}]), {"sandbox"}),
    (made(nic={"ip": "10.0.0.6/24", "gateway": "10.0.0.1", "mtu": 1400, "routes": [{"to": "10.9.0.0/16"}]}), set()),
    (made(nic={"mode": "macvlan", "rate": {"in": "1M"}}), set()),
    (made(nic={"ip": ["10.0.0.5/24", "10.0.0.6/24", "dhcp", "slaac"]}), set()),
    (made(nic={"mode": "ipvlan"}), {"sandbox"}),
    (made(nic={"ip": {"pool": "default"}}), {"sandbox"}),
    (made(nic={"ip": ["10.0.0.5/24", {"pool": "lan"}]}), {"sandbox"}),
    (made(network={**NIC, "ports": [], "allow": [], "dns": ["10.0.0.1"], "search": ["x.y"]}), set()),
]


@pytest.mark.parametrize(("pod", "costs"), COSTS, ids=range(len(COSTS)))
def test_what_a_change_costs(pod: Pod, costs: set[str]) -> None:
    assert cost(pod) == costs


def inputs(**change: Any) -> str:
    """The digest of a container with inputs that react to changes in this way."""
    pod = made(
        container={
            "env": {"A": {"from": {"secret": "db", **change}}},
            "env_from": [{"config": "app", **change}],
            "mounts": ["files:/files"],
        },
        volumes=[{"name": "files", "source": {"secret": "db", **change}}, {"name": "data"}],
    )
    return container_digest(pod, pod.containers[0])


def test_what_follows_a_change_of_inputs_is_live() -> None:
    assert inputs(on_change="restart") == inputs(on_change="nothing") == inputs()


def order(*names: str, sidecar: str = "") -> str:
    """The digest of a sandbox with these containers in `init`."""
    mappings = [{"name": each, "image": "x:1"} | ({"restart": "always"} if each == sidecar else {}) for each in names]
    return sandbox_digest(made(init=mappings))


def test_the_order_of_init_and_who_goes_on_running_is_of_the_sandbox_c4() -> None:
    assert len({order("a", "b"), order("b", "a"), order("a"), order("a", "b", sidecar="b")}) == 4


def test_the_image_of_an_init_container_is_not_of_the_sandbox_c4() -> None:
    pods = [made(init=[{"name": "a", "image": image}]) for image in ("x:1", "x:2")]

    assert len({sandbox_digest(pod) for pod in pods}) == 1
    assert len({container_digest(pod, pod.init[0]) for pod in pods}) == 2


def test_a_network_without_nics_is_none() -> None:
    assert sandbox_digest(made(network={"dns": ["10.0.0.1"]})) == sandbox_digest(made(network="none"))


def test_sources_that_say_nothing_more_are_told_apart() -> None:
    sources: list[Any] = ["managed", {"empty": {}}, {"tmpfs": {}}]
    pods = [made(volumes=[{"name": "data", "source": each}]) for each in sources]

    assert len({container_digest(pod, pod.containers[0]) for pod in pods}) == 3


def pooled(pool: str, **fields: Any) -> str:
    """The digest of a sandbox whose interface gets its address from this pool."""
    return sandbox_digest(made(network={"nics": [{"name": "eth0", "ip": {"pool": pool}}], **fields}))


def test_another_pool_needs_another_interface() -> None:
    assert pooled("lan") != pooled("default")


def test_ports_and_rules_cost_nothing() -> None:
    allow = [{"from": "10.0.0.0/8", "ports": [80]}]

    assert pooled("default", ports=["80:80"], allow=allow) == pooled("default")


def test_a_digest_is_the_same_in_every_version() -> None:
    """Written down: if these change, an upgrade would restart every container on every machine."""
    pod = made()

    assert [container_digest(pod, each)[:16] for each in pod.containers] == PINNED[:2]
    assert [tuning_digest(pod.containers[0])[:16], sandbox_digest(pod)[:16]] == PINNED[2:]


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "ü"}) == '{"a":"ü","b":[1,2.5,null]}'.encode()


def test_canonical_json_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
