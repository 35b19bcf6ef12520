"""What a pod's interfaces should be like, from its spec alone."""

from __future__ import annotations

from typing import Any

from tank.model.pod import Container, Network, Nic, Pod, Route
from tank.net.wanted import TEMPORARY, WantedRoute, interfaces, stable_mac


def pod(*nics: Nic, name: str = "web") -> Pod:
    return Pod(name=name, containers=(Container(name="app", image="x"),), network=Network(nics=nics))


def nic(**more: Any) -> Nic:
    return Nic(**{"name": "eth0", "ip": ("10.0.0.5/24",)} | more)


def test_a_mac_is_local_unicast_and_hangs_on_the_names_alone() -> None:
    mac = stable_mac("a1b2c3", "web", "eth0")

    assert int(mac[:2], 16) & 0b11 == 0b10
    assert stable_mac("a1b2c3", "web", "eth0") == mac
    others = {
        stable_mac("a1b2c4", "web", "eth0"),
        stable_mac("a1b2c3", "wex", "eth0"),
        stable_mac("a1b2c3", "web", "e"),
    }
    assert len(others | {mac}) == 4


def test_the_mac_outlives_the_uid_and_the_mark_does_not() -> None:
    (before,), (after,) = (interfaces(pod(nic()), uid, "a1b2c3") for uid in ("0" * 12, "1" * 12))

    assert before.mac == after.mac
    assert before.mark != after.mark
    assert before.temporary != after.temporary


def test_a_mark_names_installation_pod_and_interface_and_fits() -> None:
    (found,) = interfaces(pod(nic(name="x" * 15)), "0" * 12, "a1b2c3")

    assert found.mark == f"tank a1b2c3/{'0' * 12}/{'x' * 15}"
    assert TEMPORARY.fullmatch(found.temporary)
    assert len(found.temporary) <= 15


def test_a_stated_mac_wins() -> None:
    (found,) = interfaces(pod(nic(mac="02:00:00:00:00:01")), "0" * 12, "a1b2c3")

    assert found.mac == "02:00:00:00:00:01"


def test_routes_onto_the_link_come_before_those_that_need_a_gateway() -> None:
    stated = nic(
        ip=("10.0.0.5/24", "fd00::5/64"),
        gateway=("10.0.0.1", "fd00::1"),
        routes=(Route(to="10.1.0.0/16", via="10.2.0.1"), Route(to="10.2.0.0/16")),
    )

    (found,) = interfaces(pod(stated), "0" * 12, "a1b2c3")

    assert found.routes == (
        WantedRoute(to="10.2.0.0/16", via=None),
        WantedRoute(to="10.1.0.0/16", via="10.2.0.1"),
        WantedRoute(to="0.0.0.0/0", via="10.0.0.1"),
        WantedRoute(to="::/0", via="fd00::1"),
    )


def test_a_second_interface_to_the_same_place_comes_second() -> None:
    route = Route(to="10.1.0.0/16")

    found = interfaces(pod(nic(routes=(route,)), nic(name="eth1", routes=(route,))), "0" * 12, "a1b2c3")

    assert [each.routes[0].metric for each in found] == [0, 1]


def test_the_hosts_network_and_none_have_no_interfaces() -> None:
    bare = pod()

    assert [interfaces(bare.model_copy(update={"network": mode}), "0" * 12, "a1b2c3") for mode in ("none", "host")] == [
        (),
        (),
    ]
