"""What the pools of a machine cannot do for a pod is said before it is accepted."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tank.config import Settings
from tank.errors import Waiting
from tank.model.network import Port
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.model.pools import Pool
from tank.net.book import Lease
from tank.net.grants import Grants, check_ports

BACK = Pool(name="back", parent="br-back", subnets=("10.9.0.0/16", "fd00:9::/64"))
LAN = Pool(name="lan", mode="macvlan", parent="eth0", subnets=("10.0.0.0/24",))


PICK = Pool(name="pick", mode="macvlan", parent="eth0", subnets=("10.0.1.0/28",))
ON_BACK = {"mode": "bridge", "parent": "br-back"}


UID = "0123456789ab"
OTHER: dict[str, Any] = {"name": "other", "containers": [{"name": "app", "image": "x"}]}


def spec(nic: dict[str, Any], **network: Any) -> Pod:
    made = {"nics": [{"name": "eth0", **nic}], **network}
    return parse_pod({"name": "web", "network": made, "containers": [{"name": "app", "image": "x"}]})


def refusal(directory: Path, nic: dict[str, Any], **network: Any) -> str:
    grants = Grants(Settings(data_dir=directory, pools=(LAN, BACK)), "ab12cd")
    return grants.refusal(spec(nic, **network))


@pytest.mark.parametrize(
    ("nic", "why"),
    [
        ({"ip": {"pool": "lam"}}, "no pool is called lam; there are: back, default, lan"),
        (ON_BACK | {"ip": "10.8.0.5/16"}, "ip: 10.8.0.5 is not in 10.9.0.0/16 or fd00:9::/64, which pool back is"),
        (ON_BACK | {"ip": ["10.9.0.5/16", "fd00:9::1/64"]}, "ip: fd00:9::1 is the gateway of pool back"),
        ({"ip": {"pool": "lan"}, "mode": "bridge"}, "pool lan is macvlan, not bridge"),
        ({"ip": "10.0.0.5/24", "mode": "bridge", "parent": "br7"}, "no pool has a bridge called br7"),
        ({"ip": {"pool": "default"}, "mtu": 1279}, "mtu: IPv6, which pool default has, needs at least 1280"),
        (ON_BACK | {"ip": "10.9.0.5/16", "mtu": 576}, "mtu: IPv6, which pool back has, needs at least 1280"),
    ],
)
def test_an_interface_that_cannot_be(tmp_path: Path, nic: dict[str, Any], why: str) -> None:
    assert refusal(tmp_path, nic) == f"network.nics[0]: {why}"


@pytest.mark.parametrize(
    "nic",
    [
        ON_BACK | {"ip": "10.9.0.5/16"},
        {"ip": {"pool": "lan"}, "mtu": 576},
        {"ip": {"pool": "default"}},
        {"ip": {"pool": "lan"}},
        {"ip": "10.0.0.5/24"},
    ],
)
def test_an_interface_that_can_be(tmp_path: Path, nic: dict[str, Any]) -> None:
    assert refusal(tmp_path, nic) == ""


def test_the_default_pools_gateway_is_known_once_it_was_used(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path), "ab12cd")
    name = grants.bridge(Pool(name="default"))
    states = {"mode": "bridge", "parent": name, "ip": "10.71.0.1/16"}
    assert grants.refusal(spec(states)) == ""

    held = Lease(pool="default", address="10.71.0.9", uid=UID, pod="web", nic="eth0")
    grants.leases.adopt([(held, 16)])

    assert grants.refusal(spec(states)) == "network.nics[0]: ip: 10.71.0.1 is the gateway of pool default"
    assert grants.refusal(spec(states | {"ip": "198.51.100.7/32"})) == ""


def granted(grants: Grants, nic: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the pod `web` has after its network was brought to this interface."""
    pod = spec(nic)
    grants.settle(pod, UID, grants.of(pod, UID))
    return [(each.pool, each.nic, each.address) for each in grants.leases.all()]


def test_of_pools_and_interfaces_that_a_pod_left_it_has_nothing(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path, pools=(LAN, PICK)), "ab12cd")
    ips: list[tuple[str, Any]] = [("eth0", "lan"), ("eth0", "pick"), ("lan0", "pick")]

    told = [granted(grants, {"name": name, "ip": {"pool": pool}}) for name, pool in ips]

    assert [[each[:2] for each in one] for one in told] == [[(pool, name)] for name, pool in ips]
    assert granted(grants, {"name": "lan0", "ip": "192.0.2.5/24"}) == []


def test_what_a_spec_states_of_a_lan_is_in_the_book_of_its_pool(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path, pools=(LAN, PICK)), "ab12cd")
    nic = {"name": "eth0", "ip": ["10.0.0.5/24", "10.0.1.1/28", "192.0.2.5/24", {"pool": "pick"}]}

    held = granted(grants, nic)

    assert [each for each in held if each[2] != "10.0.1.2"] == [
        ("lan", "eth0", "10.0.0.5"),
        ("pick", "eth0", "10.0.1.1"),
    ]
    other = parse_pod({**OTHER, "network": {"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}]}})
    with pytest.raises(Waiting, match=r"cannot use 10\.0\.0\.5: pod web has it of pool lan"):
        grants.of(other, "f" * 12)
    assert granted(grants, {"name": "eth0", "ip": "192.0.2.5/24"}) == []


def test_two_pods_that_swap_what_they_state_give_it_up_with_their_sandboxes(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path, pools=(LAN,)), "ab12cd")
    pool = {"pool": "lan"}
    uids, one, two = (UID, "f" * 12), spec({"ip": ["10.0.0.5/24", pool]}), spec({"ip": ["10.0.0.6/24", pool]})
    before = [grants.of(pod, uid)["eth0"].addresses for uid, pod in zip(uids, (one, two), strict=True)]
    for uid, pod in zip(uids, (two, one), strict=True):
        with pytest.raises(Waiting, match="pod web has it"):
            grants.of(pod, uid)

    grants.yield_rest(two, UID)

    for uid, pod in zip(reversed(uids), (one, two), strict=True):
        grants.settle(pod, uid, grants.of(pod, uid))
    assert [grants.of(pod, uid)["eth0"].addresses for uid, pod in zip(uids, (two, one), strict=True)] == before
    grants.yield_rest(parse_pod({**OTHER, "network": "host"}), UID)
    assert {each.uid for each in grants.leases.all()} == {"f" * 12}


def nics(*ips: Any) -> Pod:
    made = {"nics": [{"name": f"eth{index}", "ip": ip} for index, ip in enumerate(ips)]}
    return parse_pod({"name": "web", "network": made, "containers": [{"name": "app", "image": "x"}]})


@pytest.mark.parametrize("made_anew", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_what_one_interface_states_no_other_of_the_pod_is_given(
    tmp_path: Path, *, made_anew: bool, swapped: bool
) -> None:
    grants, pool = Grants(Settings(data_dir=tmp_path, pools=(LAN,)), "ab12cd"), {"pool": "lan"}
    both = nics("10.0.0.5/24", pool), nics(pool, "10.0.0.5/24")
    before, after = reversed(both) if swapped else both
    grants.settle(before, UID, grants.of(before, UID))

    if made_anew:
        grants.yield_rest(after, UID)
    grants.settle(after, UID, grants.of(after, UID))

    held = {each.nic: each.address for each in grants.leases.all()}
    stating, given = ("eth0", "eth1") if swapped else ("eth1", "eth0")
    assert (held.pop(stating), held[given] != "10.0.0.5", len(held)) == ("10.0.0.5", True, 1)


def test_what_a_later_interface_states_is_not_given_to_an_earlier_one(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path, pools=(PICK,)), "ab12cd")
    found = grants.of(nics({"pool": "pick"}, "10.0.1.1/28"), UID)
    assert found["eth0"].addresses == ("10.0.1.2/28",)


def test_looking_ahead_writes_nothing_down(tmp_path: Path) -> None:
    grants = Grants(Settings(data_dir=tmp_path, pools=(LAN, PICK)), "ab12cd")
    before = granted(grants, {"name": "eth0", "ip": {"pool": "lan"}})

    ahead = grants.foreseen(spec({"name": "eth0", "ip": {"pool": "pick"}}), UID)["eth0"]

    assert (ahead.pool, ahead.addresses) == ("pick", ("10.0.1.1/28",))
    assert [(each.pool, each.nic, each.address) for each in grants.leases.all()] == before


def test_ports_need_a_pool_with_a_bridge(tmp_path: Path) -> None:
    why = refusal(tmp_path, {"ip": {"pool": "lan"}}, ports=["8080:80"])
    assert why == "network.ports: only a bridge interface has ports of the host"


def test_r48_a_port_is_free_when_nobody_listens_though_a_connection_just_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(Waiting, match=f"cannot publish port {number}/tcp of the host: address already in use"):
            check_ports([Port(host=number, container=80)])
        with socket.create_connection(("127.0.0.1", number)) as client:
            served, _ = server.accept()
            served.close()  # first, so that this end waits a minute
            assert client.recv(1) == b""
    check_ports([Port(host=number, container=80)])


def test_a_port_on_an_address_that_the_host_lacks_says_so() -> None:
    with pytest.raises(Waiting, match=r"on 203\.0\.113\.7: this host has no such address") as raised:
        check_ports([Port(host=61999, container=80, host_ip="203.0.113.7")])
    assert raised.value.reason == "NetworkNotReady"


@pytest.mark.parametrize(
    ("subnet", "port", "why"),
    [
        (
            "fd00:9::/64",
            "127.0.0.1:8080:80",
            "nothing leads from 127.0.0.1 into pool back, which is of the other IP family",
        ),
        (
            "10.9.0.0/16",
            "[fd00::1]:8080:80",
            "nothing leads from fd00::1 into pool back, which is of the other IP family",
        ),
        ("10.9.0.0/16", "127.0.0.1:8080:80", ""),
    ],
)
def test_a_port_on_an_address_of_the_other_family(tmp_path: Path, subnet: str, port: str, why: str) -> None:
    back = Pool(name="back", subnets=(subnet,))
    network = {"nics": [{"name": "eth0", "ip": {"pool": "back"}}], "ports": [port]}
    pod = parse_pod({"name": "web", "network": network, "containers": [{"name": "app", "image": "x"}]})
    said = Grants(Settings(data_dir=tmp_path, pools=(back,)), "ab12cd").refusal(pod)
    assert said == (why and f"network.ports: {why}")
