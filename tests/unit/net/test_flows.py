"""Flows that go where no rule leads are forgotten, and nobody else's (R46)."""

from __future__ import annotations

from tank.net.flows import Flow, stale
from tank.net.ruleset import Bridge, HostRules, Publication

LOCAL = ("127.0.0.1", "192.0.2.1", "10.61.0.1", "2001:db8::1", "::1")
BRIDGE = Bridge(link="tk0", subnets=("10.61.0.0/16",))
NONE = HostRules(bridges=(BRIDGE,))


def rules(*targets: str, **more: object) -> HostRules:
    stated = {"protocol": "udp", "host_port": 53, "host_ip": None, "target_port": 5353}
    ports = tuple(Publication(**{**stated, "target": each, **more}) for each in targets)  # type: ignore[arg-type]
    return HostRules(bridges=(BRIDGE,), publications=ports)


def flow(**more: object) -> Flow:
    """From a host on the LAN to a port that leads to 10.61.0.2."""
    ends = {"source": "192.0.2.9", "to": "192.0.2.1", "answers": "10.61.0.2", "returns": "192.0.2.9"}
    stated = {"protocol": 17, "port": 53, "answering": 5353, "replied": True}
    return Flow(**{**ends, **stated, **more})  # type: ignore[arg-type]


def test_what_goes_where_the_rules_lead_stays() -> None:
    assert not stale(flow(), NONE, rules("10.61.0.2"), LOCAL)


def test_a_port_that_leads_to_another_pod() -> None:
    assert stale(flow(), rules("10.61.0.2"), rules("10.61.0.3"), LOCAL)
    assert stale(flow(), rules("10.61.0.2"), rules("10.61.0.2", target_port=54), LOCAL)


def test_a_port_that_leads_nowhere_any_more() -> None:
    assert stale(flow(), rules("10.61.0.2"), NONE, LOCAL)


def test_what_came_to_the_host_itself_before_there_was_a_rule() -> None:
    assert stale(flow(answers="192.0.2.1", answering=53), NONE, rules("10.61.0.2"), LOCAL)


def test_the_same_port_of_another_machine_is_nobodys_business() -> None:
    there = flow(source="192.0.2.1", to="198.51.100.7", answers="198.51.100.7", answering=53, returns="192.0.2.1")
    assert not stale(there, NONE, rules("10.61.0.2"), LOCAL)
    masqueraded = flow(source="172.17.0.2", to="198.51.100.7", answers="198.51.100.7", returns="192.0.2.1")
    assert not stale(masqueraded, NONE, rules("10.61.0.2"), LOCAL)


def test_a_port_on_one_address_says_nothing_of_others() -> None:
    elsewhere = rules("10.61.0.2", host_ip="127.0.0.1")
    assert not stale(flow(answers="192.0.2.1", answering=53), NONE, elsewhere, LOCAL)
    assert stale(flow(to="127.0.0.1", answers="127.0.0.1"), NONE, elsewhere, LOCAL)


def test_ipv6_loopback_is_led_nowhere() -> None:
    own = flow(source="::1", to="::1", answers="::1", returns="::1")
    assert not stale(own, NONE, rules("fd00::2"), LOCAL)


def test_the_families_are_apart() -> None:
    assert not stale(flow(to="2001:db8::1", answers="2001:db8::1"), NONE, rules("10.61.0.2"), LOCAL)


def test_what_left_with_the_address_of_a_pod_and_was_not_answered() -> None:
    bare = {"source": "10.61.0.2", "to": "203.0.113.5", "answers": "203.0.113.5", "returns": "10.61.0.2"}
    assert stale(flow(**bare, replied=False), NONE, NONE, LOCAL)
    assert not stale(flow(**bare), NONE, NONE, LOCAL)
    assert not stale(flow(**{**bare, "returns": "192.0.2.1"}, replied=False), NONE, NONE, LOCAL)
    assert not stale(flow(**{**bare, "to": "192.0.2.1", "answers": "192.0.2.1"}, replied=False), NONE, NONE, LOCAL)
    assert not stale(flow(**{**bare, "source": "172.17.0.2", "returns": "172.17.0.2"}), NONE, NONE, LOCAL)
