"""Variables from secrets, configs and fields of the pod, by C7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tank.errors import Waiting
from tank.model.downward import Capacity
from tank.model.image import ImageConfig
from tank.model.launch import Launch
from tank.model.parse import parse_pod
from tank.model.record import Address
from tank.runtime import command

MACHINE = Capacity(cpus=4.0, memory=8 * 2**30, swap=2**30, pids=32768)
DB = {"password": b"p$(A)w$$", "user": b"app", "blob": b"\xff\x00", "zero": b"a\0b"}


def launch(
    container: Mapping[str, Any], inputs: Mapping[str, Mapping[str, bytes]] | None = None, **more: Any
) -> Launch:
    pod = parse_pod({"name": "web", "containers": [{"name": "app", "image": "x:1", **container}], **more})
    return Launch(
        uid="a" * 12,
        pod=pod,
        container=pod.containers[0],
        attempt=1,
        image=None,
        inputs=inputs if inputs is not None else {"secret/db": DB},
        addresses=(Address(nic="eth0", ip="10.0.0.5/24", mac=""), Address(nic="eth0", ip="fd00::5/64", mac="")),
        node="host-1",
        host_ip="192.0.2.7",
    )


def told(container: Mapping[str, Any], **more: Any) -> dict[str, str]:
    return command.own_environment(launch(container, **more), MACHINE)


def of(name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"from": {"secret": {"name": name, "key": key, **more}}}


def test_a_value_from_a_secret_is_not_expanded_and_can_be_referred_to() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "PW", **of("db", "password")}, {"name": "URL", "value": "u:$(PW)@h"}]

    assert told({"env": env}) == {"A": "1", "PW": "p$(A)w$$", "URL": "u:p$(A)w$$@h"}


def test_whole_configs_come_first_in_their_order_and_the_later_wins() -> None:
    inputs = {"config/a": {"X": b"a", "Y": b"a"}, "config/b": {"Y": b"b", "Z": b"b"}}
    container = {"env_from": [{"config": "a"}, {"config": "b", "prefix": ""}], "env": {"Z": "own $(X)"}}

    assert told(container, inputs=inputs) == {"X": "a", "Y": "b", "Z": "own a"}


def test_a_prefix_stands_before_every_name() -> None:
    assert told({"env_from": [{"config": "a", "prefix": "P_"}]}, inputs={"config/a": {"x": b"1"}}) == {"P_x": "1"}


def test_what_can_be_no_variable_is_passed_over_and_told() -> None:
    given = launch({"env_from": [{"secret": "db"}, {"config": "long", "prefix": "P" * 200}]}, inputs={
        "secret/db": DB, "config/long": {"k" * 60: b"1", "k": b"2"},
    })  # fmt: skip

    assert set(command.own_environment(given, MACHINE)) == {"password", "user", "P" * 200 + "k"}
    assert command.unusable(given) == ("'blob' of secret db", "'zero' of secret db", f"{'k' * 60!r} of config long")


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"env": [{"name": "A", **of("nope", "k")}]}, "cannot set A: there is no secret nope"),
        ({"env": [{"name": "A", **of("db", "nope")}]}, "cannot set A: secret db has no key 'nope'"),
        ({"env": [{"name": "A", **of("db", "zero")}]}, "cannot set A: key 'zero' of secret db is no text"),
        ({"env_from": [{"config": "nope"}]}, "cannot set env_from: there is no config nope"),
    ],
)
def test_what_is_missing_keeps_the_container_waiting(container: dict[str, Any], message: str) -> None:
    with pytest.raises(Waiting) as caught:
        told(container)

    assert (caught.value.reason, str(caught.value)) == ("CreateContainerConfigError", message)


def test_what_is_missing_and_optional_is_left_out() -> None:
    env = [{"name": "A", **of("nope", "k", optional=True)}, {"name": "B", **of("db", "nope", optional=True)}]

    assert told({"env": env, "env_from": [{"config": "nope", "optional": True}]}) == {}


def test_arguments_may_use_them() -> None:
    given = launch({"command": ["run", "$(PW)", "$$(PW)"], "env": [{"name": "PW", **of("db", "user")}]})
    own = command.own_environment(given, MACHINE)

    assert command.arguments(given.container, ImageConfig(), own) == ("run", "app", "$(PW)")


@pytest.mark.parametrize(
    ("field", "limits", "divisor", "wanted"),
    [
        ("name", {}, None, "web"),
        ("uid", {}, None, "a" * 12),
        ("node", {}, None, "host-1"),
        ("ip", {}, None, "10.0.0.5"),
        ("ips", {}, None, "10.0.0.5,fd00::5"),
        ("host_ip", {}, None, "192.0.2.7"),
        ("labels['tier']", {}, None, "front"),
        ("labels['none']", {}, None, ""),
        ("annotations['a/b']", {}, None, "see"),
        ("limits.memory", {"memory": "256MiB"}, None, str(256 * 2**20)),
        ("limits.memory", {"memory": "256MiB"}, "1MiB", "256"),
        ("limits.memory", {"memory": 1_600_000}, "1MiB", "2"),
        ("limits.memory", {}, None, str(8 * 2**30)),
        ("limits.memory_high", {"memory": 2**20}, None, str(2**20)),
        ("limits.memory_low", {}, None, "0"),
        ("limits.swap", {}, None, str(2**30)),
        ("limits.pids", {}, None, "32768"),
        ("limits.cpu", {"cpu": 0.5}, None, "1"),
        ("limits.cpu", {"cpu": 0.5}, "1m", "500"),
        ("limits.cpu", {}, None, "4"),
        ("limits.cpu_weight", {}, None, "100"),
    ],
)
def test_fields_of_the_pod(field: str, limits: dict[str, Any], divisor: str | None, wanted: str) -> None:
    source = {"field": field} | ({"divisor": divisor} if divisor else {})
    env = [{"name": "A", "from": source}]
    meta = {"labels": {"tier": "front"}, "annotations": {"a/b": "see"}}

    assert told({"env": env, "limits": limits}, **meta) == {"A": wanted}


def test_a_pod_on_the_hosts_network_has_the_hosts_address() -> None:
    assert told({"env": [{"name": "A", "from": {"field": "ips"}}]}, network="host") == {"A": "192.0.2.7"}


def test_no_value_stands_in_what_is_printed_of_a_launch() -> None:
    assert "p$(A)w" not in repr(launch({"env": [{"name": "PW", **of("db", "password")}]}))
