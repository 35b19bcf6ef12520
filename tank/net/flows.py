"""Which of the flows that the kernel remembers go where no rule would lead them now (R46). Pure.

What a flow's first packet met decides for all of it: rules that come later, come back, or lead elsewhere are not
asked again. So after each change of the rules, flows of ours that they would treat otherwise are forgotten. A flow
that is none of ours is never touched, whatever its port: connections of others from this host go to the same numbers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tank.net.ruleset import HostRules, Publication, in_order

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_UNLED = "::1"  # of which no rule leads away


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A flow as it began: `source` spoke to `to` and `port`; `answers` and `answering` are the address and port that
    answer, `returns` the address that they answer to. `replied`: an answer was seen."""

    protocol: int
    source: str
    to: str
    port: int
    answers: str
    answering: int
    returns: str
    replied: bool


def stale(flow: Flow, before: HostRules, after: HostRules, local: Collection[str]) -> bool:
    """Whether the flow has to be forgotten, where `before` held and `after` does. `local`: the host's addresses."""
    led = _leading(flow, after.publications, local)
    if led is not None:
        return (flow.answers, flow.answering) != (led.target, led.target_port)
    gone = _leading(flow, before.publications, local)
    if gone is not None:
        return (flow.answers, flow.answering) == (gone.target, gone.target_port)
    return not flow.replied and _went_bare(flow, after, local)


def _leading(flow: Flow, ports: Iterable[Publication], local: Collection[str]) -> Publication | None:
    """The port of the host by which the flow came, or should have."""
    if flow.to == _UNLED:
        return None
    for port in in_order(ports):
        same = (PROTOCOLS[port.protocol], port.host_port) == (flow.protocol, flow.port)
        if same and (":" in port.target) == (":" in flow.to) and (port.host_ip or flow.to) == flow.to in local:
            return port
    return None


def _went_bare(flow: Flow, rules: HostRules, local: Collection[str]) -> bool:
    """Whether it left a bridge of ours with the pod's own address, which nobody out there answers to."""
    if flow.returns != flow.source or flow.answers != flow.to or flow.to in local or not flow.source:
        return False
    source, to = ipaddress.ip_address(flow.source), ipaddress.ip_address(flow.to)
    subnets = [ipaddress.ip_network(each) for bridge in rules.bridges for each in bridge.subnets]
    return any(source in each and to not in each for each in subnets) and not to.is_multicast
