"""What a check of the network tries for a pod, and what it holds for right."""

from __future__ import annotations

from typing import Any

from tank.model.parse import parse_pod
from tank.model.pools import Pool, Wired
from tank.model.record import Address
from tank.net.policy import wired
from tank.net.questions import Question, questions

POOLS = {
    "default": Pool(
        name="default", subnets=("10.61.0.0/16", "fd61::/64"), gateways=("10.61.0.1", "fd61::1"), parent="tk0"
    )
}


def asked(
    *addresses: str, pool: str = "default", servers: tuple[str, ...] = (), led: tuple[str, ...] = (), **network: Any
) -> list[Question]:
    """What is tried for a pod with this network; `pool` empty: on the LAN."""
    nic: dict[str, Any] = {"pool": pool} if pool else {}
    own = {"name": "eth0", "ip": nic or list(addresses), **({} if pool else {"gateway": "10.0.0.1"})}
    live = {"probes": {"live": {"tcp": 9000}}}
    spec = parse_pod(
        {
            "name": "web",
            "containers": [{"name": "app", "image": "x:1", **live}],
            "network": {"nics": [own], **network},
        }
    )
    found = tuple(Address(nic="eth0", ip=each, mac="02:00:00:00:00:01") for each in addresses)
    held: Wired = wired("0" * 12, spec, found, pools={"eth0": pool} if pool else {}, ready=True)
    return list(questions(spec, held, POOLS, servers, led))


def told(found: list[Question]) -> list[tuple[object, ...]]:
    """Questions in short."""
    return [(each.source, each.protocol, each.address, each.port, each.wanted) for each in found]


def test_a_pod_on_the_lan_asks_its_gateway_and_its_name_servers() -> None:
    assert told(asked("10.0.0.5/24", pool="", servers=("10.0.0.1",))) == [
        ("pod", "echo", "10.0.0.1", 0, True),
        ("pod", "dns", "10.0.0.1", 53, True),
        ("host", "tcp", "10.0.0.5", 9000, None),  # only a shim leads there
    ]


def test_a_pod_on_the_lan_is_reached_by_the_host_where_a_shim_leads_there() -> None:
    found = asked("10.0.0.5/24", pool="", led=("10.0.0.5",))

    assert told(found)[-1] == ("host", "tcp", "10.0.0.5", 9000, True)


def test_a_pod_on_a_bridge_is_reached_by_the_host_in_both_families() -> None:
    assert told(asked("10.61.0.2/16", "fd61::2/64")) == [
        ("pod", "echo", "10.61.0.1", 0, True),
        ("pod", "echo", "fd61::1", 0, True),
        ("host", "tcp", "10.61.0.2", 9000, True),
        ("host", "tcp", "fd61::2", 9000, True),
    ]


def test_a_gateway_of_a_family_that_the_pod_has_not_is_not_asked() -> None:
    assert ("pod", "echo", "fd61::1", 0, True) not in told(asked("10.61.0.2/16"))


def ways(port: str, **network: Any) -> list[tuple[object, ...]]:
    """How this port is tried."""
    return [each for each in told(asked("10.61.0.2/16", ports=[port], **network)) if each[3] == 8080]


def test_a_published_port_is_tried_by_every_way() -> None:
    assert ways("8080:80") == [
        ("host", "tcp", "127.0.0.1", 8080, True),
        ("outside", "tcp", "", 8080, True),
        ("pod", "tcp", "10.61.0.1", 8080, True),
    ]


def test_a_port_of_loopback_must_be_closed_to_neighbours_s33() -> None:
    assert ways("127.0.0.1:8080:80") == [
        ("host", "tcp", "127.0.0.1", 8080, True),
        ("outside", "tcp", "", 8080, False),
    ]


def test_a_port_of_one_address_is_tried_there() -> None:
    assert ways("10.0.0.9:8080:80") == [
        ("host", "tcp", "10.0.0.9", 8080, True),
        ("outside", "tcp", "10.0.0.9", 8080, True),
    ]
    assert ways("[fd00::9]:8080:80") == [("host", "tcp", "fd00::9", 8080, True)]


def test_where_rules_decide_nothing_is_expected_but_that_loopback_is_closed() -> None:
    rule = {"from": "10.0.0.0/8"}

    assert {each[4] for each in ways("8080:80", allow=[rule])} == {None}
    assert {each[4] for each in ways("127.0.0.1:8080:80", allow=[rule])} == {None, False}


def test_ports_that_no_connection_can_tell_are_left_out() -> None:
    assert ways("8080:80/udp") == []
