"""What the doctor makes of the settings and firewalls of a machine."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.pools import Pool
from tank.ops import network
from tank.ops.doctor import Verdict

OK, WARN = Verdict.OK, Verdict.WARN


def chain(name: str, policy: str | None = "drop", hook: str = "forward", table: str = "filter") -> dict[str, Any]:
    """A chain as nft tells of it."""
    based = {"hook": hook, "policy": policy} if policy else {}
    return {"family": "ip", "table": table, "name": name, **based}


@pytest.mark.parametrize(
    ("everywhere", "uplink", "verdict"),
    [("0", "0", OK), ("1", "0", WARN), ("0", "1", WARN), ("2", "1", OK), ("1", "2", OK), ("2", "2", OK), ("", "", OK)],
)
def test_the_strict_filter_is_told_of(everywhere: str, uplink: str, verdict: Verdict) -> None:
    assert network.reverse_path(everywhere, uplink).verdict is verdict


def test_forwarding_that_is_off_is_no_fault_for_tank_turns_it_on() -> None:
    found = network.forwarding("0", "0", repair=True)

    assert (found.verdict, found.message.partition(";")[0]) == (OK, "off for net.ipv4 and net.ipv6")
    assert network.forwarding("1", "", repair=False).message == "on"


def test_forwarding_that_is_off_where_nothing_is_repaired_is_told_with_the_cure() -> None:
    found = network.forwarding("1", "0", repair=False)

    assert (found.verdict, found.cure) == (WARN, "sysctl -w net.ipv6.conf.all.forwarding=1")


def test_every_interface_that_carries_pods_of_their_own_mac_is_looked_at() -> None:
    pools = [
        Pool(name="lan", mode="macvlan", parent="wlan1"),
        Pool(name="same", mode="macvlan", parent="eth0"),
        Pool(name="its", mode="macvlan"),
        Pool(name="one", mode="ipvlan", parent="wlan2"),
        Pool(name="front", parent="tk-front"),
    ]
    assert network.bearers("eth0", pools) == ["eth0", "wlan1"]
    assert network.bearers(None, []) == []


@pytest.mark.parametrize(("call", "verdict"), [("1", WARN), ("0", OK), ("", OK)])
def test_iptables_that_judges_frames_of_a_bridge_is_told_of(call: str, verdict: Verdict) -> None:
    assert [each.verdict for each in network.bridged(call)] == [verdict]


def test_wi_fi_carries_no_pods_of_their_own_mac() -> None:
    assert network.wireless("wlan0", is_wireless=True).cure.endswith("ip: {pool: default}")
    assert network.wireless("eth0", is_wireless=False).verdict is OK


CHAINS: list[tuple[list[dict[str, Any]], str, str]] = [
    ([], "", ""),
    ([chain("FORWARD", "accept")], "-P FORWARD ACCEPT", ""),
    ([chain("INPUT", hook="input")], "", ""),
    ([chain("mine", table="tank_0123")], "", ""),
    ([chain("FORWARD")], "", "ip filter FORWARD"),
    ([], "-P INPUT ACCEPT\n-P FORWARD DROP\n", "iptables-legacy FORWARD"),
    ([chain("FORWARD"), chain("fwd", table="firewalld")], "", "ip filter FORWARD, ip firewalld fwd"),
]


@pytest.mark.parametrize(("chains", "legacy", "named"), CHAINS)
def test_a_firewall_that_drops_what_is_forwarded_is_named(chains: Any, legacy: str, named: str) -> None:
    [found] = network.forwarded(chains, legacy)

    assert (found.verdict is WARN) == bool(named)
    assert not named or found.message.startswith(f"{named} drops")


def test_where_docker_is_the_cure_goes_into_its_chain_for_others() -> None:
    [found] = network.forwarded([chain("FORWARD"), chain("DOCKER-USER", None)], "")

    assert found.cure.startswith("iptables -I DOCKER-USER -i tk+")


ZONES = """table inet firewalld {
	chain filter_FORWARD_ZONES {
		%sgoto filter_FWD_public
	}
}
"""


def test_firewalld_is_asked_whether_it_knows_our_bridges() -> None:
    assert list(network.trusting("")) == []
    [closed] = network.trusting(ZONES % "")
    [open_] = network.trusting(ZONES % 'iifname "tk*" goto filter_FWD_trusted\n\t\t')

    assert (closed.verdict, open_.verdict) == (WARN, OK)
    assert "--add-interface=tk+" in closed.cure


def test_the_client_that_asks_dhcp_servers_is_missed() -> None:
    assert network.asking("/usr/sbin/udhcpc").verdict is OK
    found = network.asking(None)
    assert (found.verdict, found.cure) == (WARN, "apt install udhcpc")
