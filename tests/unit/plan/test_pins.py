"""What follows the loss of a pin: a namespace lives on in the pod's processes, a shared PID namespace does not."""

from __future__ import annotations

import pytest

from tank.model.facts import SandboxFact
from tank.plan.pod import plan_pod
from tank.plan.steps import Action
from tests.unit.plan.situations import NOW, a_pod, ended, running, situation, wanted

PINS = {"net": True, "ipc": True, "uts": True, "pid": True, "holder": True}


@pytest.mark.parametrize(("lost", "repinned"), [("net", True), ("pid", True), ("holder", False)])
def test_a_lost_pin_stands_again_unless_it_is_the_process_that_holds_all_others(lost: str, repinned: bool) -> None:
    desired = wanted(a_pod(share_pid=True))
    sandbox = SandboxFact(pins=PINS | {lost: False}, network_ready=True)
    plan = plan_pod(desired, situation(desired, running(desired), sandbox=sandbox), NOW)
    assert [step.action for step in plan.steps] == ([Action.REPIN] if repinned else [])


def test_when_all_have_ended_with_it_the_sandbox_is_made_anew() -> None:
    desired = wanted(a_pod(share_pid=True))
    sandbox = SandboxFact(pins=PINS | {"holder": False}, network_ready=True)
    plan = plan_pod(desired, situation(desired, ended(desired, code=137), sandbox=sandbox), NOW)
    assert [step.action for step in plan.steps] == [Action.REMOVE, Action.SANDBOX, Action.CREATE, Action.START]
