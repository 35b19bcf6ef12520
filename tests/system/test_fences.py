"""Fences of pods on a LAN with an attacker: none is open for a moment, whatever is made anew, and none outstays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tank.config import Settings
from tank.host.netns import Namespaces
from tank.model.network import Allow, Peer
from tank.model.pools import Naming, Wired, Wiring
from tank.model.record import Address
from tank.net.fences import FENCE, Fence, Opening, fence_rules
from tank.net.grants import Grants
from tank.net.names.keeper import Names
from tank.net.tables import Tables
from tank.net.wires import Wires
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


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    """Where namespaces can be pinned."""
    private(tmp_path)
    yield tmp_path
    run(f"umount {tmp_path}")


async def test_a_later_namespace_of_the_same_pod_has_its_fence_though_nothing_else_is_new(places: Path) -> None:
    namespaces = Namespaces()
    tables = Tables("abcdef", lambda uid: places / uid / "net", None)
    for _ in range(3):  # the kernel gives a new one the number of one that is gone
        await namespaces.make(places / "web", net=True, hostname="web")
        await tables.keep("web", RULES, "the rules of web", look=None)
        found = run(f"nsenter --net={places}/web/net nft list tables")
        await namespaces.remove(places / "web")
        assert found == f"table {FENCE}\n"
    await namespaces.close()


def wired(name: str, address: str, **more: Any) -> Wired:
    mine = (Address(nic="eth0", ip=f"{address}/24", mac="02:00:00:00:00:01"),)
    return Wired(name=name, uid=name, links=("eth0",), lan={"eth0": "lan0"}, addresses=mine, **more)


async def test_many_that_go_at_once_are_taken_out_of_the_fences_of_others_at_one_stroke(
    places: Path, installation: str
) -> None:
    settings = Settings(data_dir=places / "data", run_dir=places, naming=Naming(enabled=False))
    allow = (Allow(peer=Peer(pods={"role": "front"})),)
    fronts = [wired(f"web{each}", f"10.66.0.{each}", labels={"role": "front"}) for each in range(10, 14)]
    pods = (*fronts, wired("db", "10.66.0.6", allow=allow))
    namespaces, place = Namespaces(), settings.pod_run_dir("db") / "ns"
    wires = Wires(
        settings, installation, Grants(settings, installation), Names(settings, installation, namespaces, "1")
    )
    place.parent.mkdir(parents=True)
    await namespaces.make(place, net=True, hostname="db")
    fence = f"nsenter --net={place}/net nft -a list table {FENCE}"
    wiring = Wiring(pods=pods, uids=frozenset(each.uid for each in pods))
    await wires.wire(wiring)
    before = run(fence)
    await asyncio.gather(wires.wire(wiring), *(wires.retire(each.uid) for each in fronts))
    after = run(fence)
    await namespaces.remove(place)
    wires.close()
    await namespaces.close()
    assert ([each.addresses[0].ip[:-3] in before for each in fronts], "10.66.0.1" in after) == ([True] * 4, False)
    assert handle(after) == handle(before) + 1


def handle(listing: str) -> int:
    """The number that the kernel gave a table: each that is made gets the next one."""
    return int(listing.partition("# handle ")[2].split()[0])


async def test_who_goes_is_out_of_the_fences_of_others_before_its_address_is_free(
    places: Path, installation: str
) -> None:
    settings = Settings(data_dir=places / "data", run_dir=places, naming=Naming(enabled=False))
    allow = (Allow(peer=Peer(pods={"role": "front"})),)
    pods = wired("web", "10.66.0.5", labels={"role": "front"}), wired("db", "10.66.0.6", allow=allow)
    namespaces = Namespaces()
    names = Names(settings, installation, namespaces, "1")
    wires = Wires(settings, installation, Grants(settings, installation), names)
    for each in pods:
        settings.pod_run_dir(each.name).mkdir(parents=True)
        await namespaces.make(settings.pod_run_dir(each.name) / "ns", net=True, hostname=each.name)
    fence = f"nsenter --net={settings.pod_run_dir('db')}/ns/net nft list table {FENCE}"
    await wires.wire(Wiring(pods=pods, uids=frozenset({"web", "db"})))
    before = run(fence)
    await wires.retire("web")
    after = run(fence)
    for each in pods:
        await namespaces.remove(settings.pod_run_dir(each.name) / "ns")
    wires.close()
    await namespaces.close()
    assert ("10.66.0.5" in before, "10.66.0.5" in after) == (True, False)


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
