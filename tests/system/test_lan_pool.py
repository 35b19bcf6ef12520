"""Pools of addresses on the LAN: given, reached, kept, given back, and never used up (C15)."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Conflict, Waiting
from tank.model.pools import Pool
from tank.net.book import BookFile
from tank.net.leases import Leases
from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.segment import ip
from tests.system.conftest import tended
from tests.waiting import wait_for

LIVES = int(os.environ.get("TANK_LIVES", "26"))
CROWD = 13  # of 14 addresses, of which the host takes one for itself

pytestmark = [pytest.mark.system, pytest.mark.timeout(240 + 2 * LIVES)]

SERVE = "import socket\ns = socket.create_server(('', 80))\nwhile True:\n  c, _ = s.accept()\n  c.close()"
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], 80), timeout=2)"


@pytest.fixture
def lan(short_tmp: Path, installation: str, neighbour: Neighbour) -> Iterator[Daemon]:
    """A daemon with a pool /28 on the neighbour's network."""
    config = f"""
        [[net.pools]]
        name = "lan"
        mode = "macvlan"
        parent = "{neighbour.parent}"
        subnet = "{neighbour.prefix}.16/28"
    """
    for made in tended(Daemon(short_tmp, installation, config=config)):
        yield made
        if made.process is None:
            made.start()
        made.delete_all()
        wait_for(lambda: installation not in ip("link"), 10, "the end of the shim")


def pod(image: str, name: str) -> dict[str, Any]:
    serve = {"name": "app", "image": image, "command": ["python3", "-c", SERVE]}
    network = {"nics": [{"name": "eth0", "ip": {"pool": "lan"}}]}
    return {"name": name, "grace": 0, "network": network, "containers": [serve]}


def gone(daemon: Daemon, name: str) -> None:
    daemon.client.delete(name)
    wait_for(lambda: not daemon.client.list(), what=f"the end of {name}")


def address(daemon: Daemon, name: str) -> str:
    return daemon.client.status(name).addresses[0].ip.partition("/")[0]


def test_an_address_of_the_lan_is_reached_and_kept(lan: Daemon, neighbour: Neighbour, debian: str) -> None:
    neighbour.run("ip", "address", "add", f"{neighbour.prefix}.30/28", "dev", "lan0")
    lan.client.apply(pod(debian, "web"))
    lan.client.wait("web", "ready", timeout=60)
    first = address(lan, "web")

    assert ipaddress.ip_address(first) in ipaddress.ip_network(f"{neighbour.prefix}.16/28")
    wait_for(lambda: knocks(neighbour, first), what="the server")
    states = {"nics": [{"name": "eth0", "ip": f"{first}/28", "parent": neighbour.parent}]}
    with pytest.raises(Conflict, match=f"address {first} belongs to pod web"):
        lan.client.apply(pod(debian, "db") | {"network": states})
    lan.kill()
    lan.start()
    assert (address(lan, "web"), knocks(neighbour, first)) == (first, True)
    gone(lan, "web")
    lan.client.apply(pod(debian, "web"))
    lan.client.wait("web", "ready", timeout=60)
    assert address(lan, "web") == first
    wait_for(lambda: knocks(neighbour, first), what="the server again")


def knocks(neighbour: Neighbour, address: str) -> bool:
    return neighbour.run("python3", "-I", "-c", KNOCK, address).returncode == 0


def test_a_plan_changes_nothing_and_a_change_leaves_nothing(lan: Daemon, neighbour: Neighbour, busybox: str) -> None:
    lan.client.apply(sleeper(busybox, "web"))
    lan.client.wait("web", "running", timeout=60)
    first = address(lan, "web")
    renamed = {"nics": [{"name": "lan0", "ip": {"pool": "lan"}}]}
    static = {"nics": [{"name": "lan0", "ip": f"{neighbour.prefix}.29/28", "parent": neighbour.parent}]}

    for network in (renamed, static):
        lan.client.plan(sleeper(busybox, "web") | {"network": network})
    assert leases(lan) == {("eth0", first)}
    lan.client.apply(sleeper(busybox, "web") | {"network": renamed})
    wait_for(lambda: {nic for nic, _ in leases(lan)} == {"lan0"}, what="the end of the old lease")
    lan.client.apply(sleeper(busybox, "web") | {"network": static})
    wait_for(lambda: leases(lan) == {("lan0", f"{neighbour.prefix}.29")}, what="the stated address alone")


def leases(daemon: Daemon) -> set[tuple[str, str]]:
    """The interfaces of pods and their addresses that are in the book."""
    return {(each.nic, each.address) for each in daemon.client.networks.inspect("lan").leases if each.pod}


def test_lives_and_deaths_do_not_use_up_the_pool(lan: Daemon, busybox: str) -> None:
    """A crowd at a time, under changing names, so that none is given what it had; the daemon dies on the way."""
    chance, told = random.Random(7), 0
    for begin in range(0, LIVES, CROWD):
        names = [f"p{number}" for number in range(begin, begin + CROWD)]
        lan.client.apply([sleeper(busybox, name) for name in names])
        killed_after(lan, chance.uniform(0, 0.5))
        for name in names:
            lan.client.wait(name, "running", timeout=60)
        end_all(lan)
        wait_for(partial(all_restarted, lan), 60, "new attempts")
        given = [address(lan, name) for name in names]
        assert len({*given}) == CROWD
        for name in names:
            lan.client.delete(name)
        killed_after(lan, chance.uniform(0, 0.5))
        wait_for(lambda: not lan.client.list(), 60, what="the end of all")
        wait_for(partial(is_empty, lan), what="an empty pool")  # the host's own address goes a moment later
        told += CROWD
    print(f"\n{told} pods made, killed and deleted in a pool of 14, {2 * told // CROWD} kills of the daemon")
    assert not [each for each in lan.client.events() if "no address is left" in each.message]


def sleeper(image: str, name: str) -> dict[str, Any]:
    app = {"name": "app", "image": image, "command": ["sleep", "99999"]}
    network = {"nics": [{"name": "eth0", "ip": {"pool": "lan"}}]}
    return {"name": name, "grace": 0, "network": network, "containers": [app]}


def killed_after(daemon: Daemon, seconds: float) -> None:
    """Somewhere on the way; it is the moment that varies, not a wait for anything."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert daemon.process is not None
        daemon.process.wait(seconds)
    daemon.kill()
    daemon.start()


def end_all(daemon: Daemon) -> None:
    for status in daemon.client.list():
        pid = status.containers[0].pid
        if pid:
            os.kill(pid, signal.SIGKILL)


def is_empty(daemon: Daemon) -> bool:
    found = daemon.client.networks.inspect("lan")
    return (found.used, found.free, found.leases) == (0, 14, ())


def all_restarted(daemon: Daemon) -> bool:
    return all(each.ready and each.containers[0].restarts == 1 for each in daemon.client.list())


def test_a_thousand_lives_in_the_book(tmp_path: Path) -> None:
    """With a new book each fourth time, as after a kill; thirteen neighbours leave one address to go round."""
    pool, file = Pool(name="lan", mode="macvlan", parent="up0", subnets=("10.0.0.16/28",)), tmp_path / "leases.json"
    book = Leases(BookFile(file), "ab12cd", tuple)
    others = {book.take(pool, uid=f"o{each}", pod=f"o{each}", nic="eth0") for each in range(13)}
    for number in range(1000):
        (given,) = book.take(pool, uid=f"u{number}", pod=f"p{number}", nic="eth0")
        assert (given,) not in others
        with pytest.raises(Waiting, match="no address is left in pool lan"):
            book.take(pool, uid="late", pod="late", nic="eth0")
        if number % 4 == 3:
            book = Leases(BookFile(file), "ab12cd", tuple)
        book.release(f"u{number}")

    assert len(book.all()) == 13
