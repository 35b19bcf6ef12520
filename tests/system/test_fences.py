"""Fences of pods on a LAN with an attacker: none is open for a moment, whatever is made anew, and none outstays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tank.host.netns import Namespaces
from tank.net.ruleset import FENCE, Fence, Opening, fence_rules
from tank.net.tables import Tables
from tests.bridged import ASK, SERVE, run
from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.segment import private
from tests.traffic import traffic
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

WEB = "192.0.2.5"
RULES = fence_rules(Fence(openings=(Opening(sources=("192.0.2.0/24",)),)))
LIVES = 4


def pod(image: str, parent: str, *, hostname: str = "web", **network: Any) -> dict[str, Any]:
    nics = [{"name": "eth0", "parent": parent, "ip": f"{WEB}/24"}]
    serve = {"name": "app", "image": image, "command": ["python3", "-c", SERVE, "web"]}
    made = {"name": "web", "grace": 0, "hostname": hostname, "containers": [serve]}
    return made | {"network": {"nics": nics, **network}}


def ask(neighbour: Neighbour, port: int, seconds: float = 0.5) -> str:
    """What somebody on the LAN gets."""
    return neighbour.run(sys.executable, "-I", "-c", ASK, WEB, str(port), str(seconds)).stdout


def serves(neighbour: Neighbour, port: int) -> bool:
    return ask(neighbour, port) == f"web {neighbour.address}"


async def test_a_later_namespace_of_the_same_pod_has_its_fence_though_nothing_else_is_new(tmp_path: Path) -> None:
    private(tmp_path)
    namespaces = Namespaces()
    tables = Tables("abcdef", lambda uid: tmp_path / uid / "net", None)
    for _ in range(3):  # the kernel gives a new one the number of one that is gone
        await namespaces.make(tmp_path / "web", net=True, hostname="web")
        await tables.keep("web", RULES, "the rules of web", look=None)
        found = run(f"nsenter --net={tmp_path}/web/net nft list tables")
        await namespaces.remove(tmp_path / "web")
        assert found == f"table {FENCE}\n"
    await namespaces.close()
    run(f"umount {tmp_path}")


def test_p10_a_lan_pod_is_never_open_while_it_is_made_anew(daemon: Daemon, neighbour: Neighbour, debian: str) -> None:
    allow = [{"from": f"{neighbour.address}/32", "ports": [80]}]
    daemon.client.apply(pod(debian, neighbour.parent, allow=allow))
    wait_for(lambda: serves(neighbour, 80), 60, "the server")
    within = ["ip", "netns", "exec", neighbour.name]
    with traffic("knock", WEB, 81, 200, within=within) as knocks:
        for number in range(LIVES):
            before = daemon.client.status("web").containers[0].pid
            daemon.client.apply(pod(debian, neighbour.parent, hostname=f"web{number}", allow=allow))
            wait_for(lambda: (now := daemon.client.status("web").containers[0].pid) and now != before, 30)  # noqa: B023
            wait_for(lambda: serves(neighbour, 80), 30, "the server")
    answered = [each for each in knocks.failed if each[1] in ("answered", "ConnectionRefusedError")]
    assert (knocks.done > 0, answered) == (True, [])


def test_a_lan_pod_is_open_until_it_lists_who_may_come_and_again_when_it_does_not(
    daemon: Daemon, neighbour: Neighbour, debian: str
) -> None:
    parent = neighbour.parent
    daemon.client.apply(pod(debian, parent))
    wait_for(lambda: serves(neighbour, 80) and serves(neighbour, 81), 60, "the servers")
    for allow in ([], [{"from": "192.0.2.99/32"}], [{"from": {"pods": {"role": "front"}}}]):
        daemon.client.apply(pod(debian, parent, allow=allow))
        wait_for(lambda: ask(neighbour, 80) == ask(neighbour, 81) == "TimeoutError", 20, f"{allow}")
    daemon.client.apply(pod(debian, parent, allow=[{"from": "192.0.2.0/24", "ports": [81]}]))
    wait_for(lambda: serves(neighbour, 81) and not serves(neighbour, 80), 20, "one port")
    daemon.client.apply(pod(debian, parent))
    wait_for(lambda: serves(neighbour, 80) and serves(neighbour, 81), 20, "all of them")


def test_a_fence_that_an_earlier_daemon_left_is_taken_away(daemon: Daemon, neighbour: Neighbour, debian: str) -> None:
    daemon.client.apply(pod(debian, neighbour.parent))
    wait_for(lambda: serves(neighbour, 80), 60, "the server")
    uid = daemon.client.status("web").uid
    daemon.kill()
    stale = daemon.directory / "fence"
    stale.write_text(fence_rules(Fence()))
    run(f"nsenter --net={daemon.run}/pods/{uid}/ns/net nft -f {stale}")
    assert not serves(neighbour, 80)
    daemon.start()
    wait_for(lambda: serves(neighbour, 80), 10, "the way in")
