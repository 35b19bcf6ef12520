"""Who may connect to a pod, from the pods as they are wired."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.network import Allow, Peer, Port
from tank.model.pools import Pool, Wired, Wiring
from tank.model.record import Address
from tank.net.fences import Fence, Opening
from tank.net.policy import fence, host_side
from tank.net.ruleset import Publication

POOLS = {"default": Pool(name="default", subnets=("10.61.0.0/16",), gateways=("10.61.0.1",))}
PORT = Port(host=8080, container=80)
LAN = Address(nic="lan0", ip="192.0.2.9/24", mac="02:00:00:00:00:02")


def address(ip: str, nic: str = "eth0") -> Address:
    return Address(nic=nic, ip=ip, mac="02:00:00:00:00:01", source="default")


def wired(**more: Any) -> Wired:
    stated = {"name": "web", "uid": "1" * 12, "links": ("eth0",), "addresses": (address("10.61.0.2/16"),)}
    return Wired(**{**stated, "pools": {"eth0": "default"}, **more})


def test_on_a_bridge_a_pod_is_open_to_its_pool_and_on_its_ports() -> None:
    pod = wired(ports=(Port(host=8080, container=80), Port(host=53, container=53, protocol="udp")))
    assert fence(pod, Wiring(pods=(pod,)), POOLS) == Fence(
        openings=(
            Opening(link="eth0", sources=("10.61.0.0/16",)),
            Opening(sources=None, ports=(("tcp", 80), ("udp", 53))),
        )
    )


def test_on_the_lan_a_pod_is_open_like_any_host() -> None:
    pod = wired(pools={})
    assert fence(pod, Wiring(pods=(pod,)), POOLS) is None


def test_with_both_only_the_lan_is_open_to_all() -> None:
    pod = wired(links=("eth0", "lan0"))
    found = fence(pod, Wiring(pods=(pod,)), POOLS)
    assert found is not None
    assert Opening(link="lan0", sources=None) in found.openings
    assert Opening(link="eth0", sources=None) not in found.openings


def test_allow_lists_pods_by_all_of_their_labels() -> None:
    rule = Allow(peer=Peer(pods={"app": "a", "tier": "front"}), ports=(80,))
    pod = wired(allow=(rule,))
    friend = wired(uid="2" * 12, labels={"app": "a", "tier": "front"}, addresses=(address("10.61.0.3/16"),))
    half = wired(uid="3" * 12, labels={"app": "a"}, addresses=(address("10.61.0.4/16"),))
    every = (("tcp", 80), ("udp", 80), ("sctp", 80))
    found = fence(pod, Wiring(pods=(pod, friend, half)), POOLS)
    assert found == Fence(openings=(Opening(sources=("10.61.0.3",), ports=every),))


def test_allow_names_ports_of_the_pod() -> None:
    rule = Allow(peer=Peer(cidr="192.0.2.0/24"), ports=("dns",))
    pod = wired(allow=(rule,), ports=(Port(host=5353, container=53, protocol="udp", name="dns"),))
    found = fence(pod, Wiring(pods=(pod,)), POOLS)
    assert found == Fence(openings=(Opening(sources=("192.0.2.0/24",), ports=(("udp", 53),)),))


def test_an_empty_allow_shuts_everything() -> None:
    pod = wired(allow=())
    assert fence(pod, Wiring(pods=(pod,)), POOLS) == Fence()


def test_ports_lead_to_the_first_address_of_a_family_on_a_bridge() -> None:
    lan = Address(nic="lan0", ip="192.0.2.9/24", mac="02:00:00:00:00:02")
    pod = wired(addresses=(lan, address("10.61.0.2/16"), address("fd00::2/64")), ports=(Port(host=8080, container=80),))
    found = host_side(Wiring(pods=(pod,)), POOLS, {"default": "tk0"}, {})
    assert [each.target for each in found.publications] == ["10.61.0.2", "fd00::2"]


def test_a_port_on_one_address_leads_only_to_its_family() -> None:
    ports = (Port(host=8080, container=80, host_ip="127.0.0.1"),)
    pod = wired(addresses=(address("10.61.0.2/16"), address("fd00::2/64")), ports=ports)
    found = host_side(Wiring(pods=(pod,)), POOLS, {"default": "tk0"}, {})
    assert found.publications == (
        Publication(protocol="tcp", host_port=8080, host_ip="127.0.0.1", target="10.61.0.2", target_port=80),
    )


def test_s33_a_port_on_loopback_opens_the_pod_to_nobody_but_its_pool() -> None:
    ports = (Port(host=8080, container=80, host_ip="127.0.0.1"), Port(host=8081, container=81))
    pod = wired(ports=ports)
    found = fence(pod, Wiring(pods=(pod,)), POOLS)
    assert found is not None
    assert found.openings[-1] == Opening(sources=None, ports=(("tcp", 81),))


def test_s33_a_port_on_one_address_opens_the_pod_to_what_the_host_leads_in_alone() -> None:
    pod = wired(ports=(Port(host=8080, container=80, host_ip="10.8.0.1"),))
    found = fence(pod, Wiring(pods=(pod,)), POOLS)
    assert found is not None
    assert found.openings[1:] == (Opening(link="eth0", sources=None, ports=(("tcp", 80),), led=True),)
    (port,) = host_side(Wiring(pods=(pod,)), POOLS, {"default": "tk0"}, {}).publications
    assert (port.told, port.hidden, port.sources) == (True, False, None)


def test_who_comes_by_a_port_is_hidden_where_the_answer_may_leave_by_another_interface() -> None:
    alone, both = (
        wired(ports=(PORT,)),
        wired(ports=(PORT,), links=("eth0", "lan0"), addresses=(LAN, address("10.61.0.2/16"))),
    )
    for pod, hidden in ((alone, False), (both, True)):
        (port,) = host_side(Wiring(pods=(pod,)), POOLS, {"default": "tk0"}, {}).publications
        assert (port.target, port.hidden, port.told, port.sources) == ("10.61.0.2", hidden, False, None)


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        (Allow(peer=Peer(cidr="192.0.2.0/24"), ports=(80,)), ("192.0.2.0/24",)),
        (Allow(peer=Peer(cidr="192.0.2.0/24"), ports=(81,)), ()),
        (Allow(peer=Peer(cidr="10.61.0.0/16")), ("10.61.0.0/16", "127.0.0.0/8")),
        (Allow(peer=Peer(pods={"app": "a"})), ("10.61.0.3",)),
    ],
)
def test_the_host_asks_who_may_come_where_the_pod_cannot_see_it(rule: Allow, sources: tuple[str, ...]) -> None:
    pod = wired(ports=(PORT,), allow=(rule,), links=("eth0", "lan0"))
    friend = wired(uid="2" * 12, labels={"app": "a"}, addresses=(address("10.61.0.3/16"),))
    wiring = Wiring(pods=(pod, friend))
    (port,) = host_side(wiring, POOLS, {"default": "tk0"}, {}).publications
    assert (port.sources, port.told) == (sources, True)
    led = Opening(link="eth0", sources=("10.61.0.1",), ports=(("tcp", 80),), led=True)
    found = fence(pod, wiring, POOLS)
    assert found is not None
    assert found.openings[-1] == led
