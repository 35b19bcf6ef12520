"""A pod of thirty containers is a pod like any other."""

from __future__ import annotations

import os

import pytest

from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system

MANY = 30


@pytest.mark.timeout(120)
def test_thirty_containers_come_up_heal_and_go(daemon: Daemon, busybox: str) -> None:
    probe = {"exec": ["true"], "period": 2, "timeout": 10}
    containers = [
        {
            "name": f"c{number}",
            "image": busybox,
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"],
            "probes": {"ready": probe, "live": probe},
        }
        for number in range(MANY)
    ]
    client = daemon.client
    client.apply({"name": "many", "grace": "10s", "containers": containers})
    client.wait("many", "ready", timeout=60)
    before = {each.name: each.pid for each in client.status("many").containers}
    assert len(set(before.values())) == MANY
    daemon.kill()
    assert before["c7"] is not None
    os.kill(before["c7"], 9)
    daemon.start()
    wait_for(lambda: client.status("many").containers[7].restarts == 1, 20, "the one restart")
    client.wait("many", "ready", timeout=30)
    after = {each.name: each.pid for each in client.status("many").containers}
    assert {name for name in before if before[name] != after[name]} == {"c7"}
    client.delete("many")
    client.wait("many", "gone", timeout=40)
