"""What others change in a pod's network: put right, or only told (`[net] repair = false`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tank.node.astray import CONDITION
from tests.loop.harness import Daemon, again, new, pod

NIC = {"name": "eth0", "parent": "lan0", "ip": ["10.0.0.5/24"]}
HELD, MORE = "eth0 10.0.0.5/24", "eth0 10.0.0.6/24"


def web(*ips: str) -> Any:
    return pod(network={"nics": [{**NIC, "ip": list(ips or ["10.0.0.5/24"])}]})


async def running(top: Path, *, repair: bool) -> Daemon:
    daemon = new(top, repair=repair)
    await daemon.node.apply([web()])
    await daemon.settle()
    return daemon


def lose_address(daemon: Daemon) -> None:
    (sandbox,) = daemon.world.sandboxes.values()
    sandbox.nics = ()


def nics(daemon: Daemon) -> tuple[str, ...] | None:
    (sandbox,) = daemon.world.sandboxes.values()
    return sandbox.nics


async def told(daemon: Daemon) -> list[tuple[str, str, int]]:
    await daemon.report.flush()
    found = await daemon.store.events("web", 0)
    return [(each.reason, each.message, each.count) for each in found if each.reason.startswith("Network")]


async def test_what_others_took_away_comes_back(tmp_path: Path) -> None:
    daemon = await running(tmp_path, repair=True)
    lose_address(daemon)
    await daemon.settle()
    assert nics(daemon) == (HELD,)
    assert await told(daemon) == [("NetworkRepaired", f"{HELD} is missing", 1)]


@pytest.mark.parametrize("repair", [True, False])
async def test_what_the_spec_changes_is_done_and_is_no_repair(tmp_path: Path, repair: bool) -> None:
    daemon = await running(tmp_path, repair=repair)
    await daemon.node.apply([web("10.0.0.5/24", "10.0.0.6/24")])
    await daemon.settle()
    assert nics(daemon) == (HELD, MORE)
    assert await told(daemon) == [("NetworkChanged", f"{MORE} is missing", 1)]
    assert CONDITION not in daemon.node.conditions


async def test_without_repair_it_is_told_once_and_until_it_is_right(tmp_path: Path) -> None:
    daemon = await running(tmp_path, repair=False)
    lose_address(daemon)
    for _ in range(3):
        await daemon.settle()
    assert nics(daemon) == ()
    assert daemon.node.conditions[CONDITION] == f"pod web: {HELD} is missing"
    why = f"{HELD} is missing; it is left so ([net] repair = false)"
    assert await told(daemon) == [(CONDITION, why, 1)]

    (sandbox,) = daemon.world.sandboxes.values()
    sandbox.nics = (HELD,)
    await daemon.settle()
    assert CONDITION not in daemon.node.conditions
    assert [each[0] for each in await told(daemon)] == [CONDITION, "NetworkInOrder"]


async def test_a_new_daemon_does_not_repair_either(tmp_path: Path) -> None:
    daemon = await running(tmp_path, repair=False)
    lose_address(daemon)
    daemon = again(daemon)
    await daemon.settle()
    assert nics(daemon) == ()
    assert CONDITION in daemon.node.conditions
    await daemon.node.delete("web")
    await daemon.settle()
    assert CONDITION not in daemon.node.conditions


async def test_without_repair_a_new_pod_gets_its_network(tmp_path: Path) -> None:
    daemon = await running(tmp_path, repair=False)
    other = pod("other", network={"nics": [{**NIC, "ip": ["10.0.0.7/24"]}]})
    await daemon.node.apply([other])
    await daemon.settle()
    assert sorted(each.nics or () for each in daemon.world.sandboxes.values()) == [(HELD,), ("eth0 10.0.0.7/24",)]


async def test_a_plan_without_repair_has_no_step_for_what_others_changed(tmp_path: Path) -> None:
    daemon = await running(tmp_path, repair=False)
    lose_address(daemon)
    assert (await daemon.node.plan([web()])).steps == ()
    live = (await daemon.node.plan([web("10.0.0.6/24")])).steps
    assert [(each.action, each.impact) for each in live if each.action != "mark"][-1:] == [
        ("configure network", "live")
    ]
