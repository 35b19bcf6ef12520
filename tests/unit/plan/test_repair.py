"""What differs in a network, and who decides what becomes of it: `[net] repair`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.model.digest import nics_digest
from tank.model.facts import PodFacts, SandboxFact
from tank.model.pod import Pod
from tank.plan.pod import plan_pod
from tank.plan.repair import astray, to_repair
from tests.unit.plan.situations import NOW, a_pod, running, situation, wanted

DRIFT = ("eth0 10.0.0.5/24 is missing",)


def on_lan(*ips: Any) -> Pod:
    return a_pod(network={"nics": [{"name": "eth0", "parent": "lan0", "ip": list(ips)}]})


STATED, CHANGED, LEASED = on_lan("10.0.0.5/24"), on_lan("10.0.0.6/24"), on_lan("10.0.0.5/24", "dhcp")


def seen(spec: Pod, *, repairs: bool, configured: Pod) -> PodFacts:
    desired = wanted(spec)
    sandbox = SandboxFact(pins={"net": True}, network_ready=True, drift=DRIFT, repairs=repairs)
    found = situation(desired, running(desired), sandbox=sandbox)
    assert found.record is not None
    return replace(found, record=replace(found.record, nics_digest=nics_digest(configured)))


@pytest.mark.parametrize(
    ("spec", "repairs", "configured", "repaired"),
    [
        (STATED, True, STATED, True),
        (STATED, False, STATED, False),
        (CHANGED, False, STATED, True),  # the spec asks for it
        (LEASED, False, LEASED, True),  # what the network gives out changes by itself
    ],
)
def test_what_others_changed_is_put_right_or_told(spec: Pod, repairs: bool, configured: Pod, repaired: bool) -> None:
    found = seen(spec, repairs=repairs, configured=configured)
    assert (to_repair(found, spec), astray(found, spec)) == ((DRIFT, ()) if repaired else ((), DRIFT))
    steps = [step.action.value for step in plan_pod(wanted(spec), found, NOW).steps]
    assert steps == (["configure network"] if repaired else [])


def test_what_was_never_seen_is_nothing() -> None:
    found = replace(seen(STATED, repairs=False, configured=STATED), sandbox=None)
    assert (to_repair(found, STATED), astray(found, STATED)) == ((), ())
