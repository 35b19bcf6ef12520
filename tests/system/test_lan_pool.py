"""Pools of addresses on the LAN: given, reached, kept, given back, and never used up (C15)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.model.pools import Pool
from tank.net.leases import Leases
from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.segment import ip
from tests.system.conftest import tended
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

LIVES = int(os.environ.get("TANK_LIVES", "20"))
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


def test_lives_and_deaths_do_not_use_up_the_pool(lan: Daemon, debian: str) -> None:
    """Under changing names, so that none is given what it had; each fourth time the daemon dies on the way."""
    for number in range(LIVES):
        name = f"p{number}"
        lan.client.apply(pod(debian, name))
        if number % 4 == 3:
            lan.kill()
            lan.start()
        lan.client.wait(name, "running", timeout=60)
        gone(lan, name)

    def left() -> tuple[int, int | None]:
        found = lan.client.networks.inspect("lan")
        return found.used, found.free

    wait_for(lambda: left() == (0, 14), 10, "an empty pool")  # the host's own address goes a moment later


def test_a_thousand_lives_in_the_book(tmp_path: Path) -> None:
    """With a new book each fourth time, as after a kill; thirteen neighbours leave one address to go round."""
    pool, file = Pool(name="lan", mode="macvlan", parent="up0", subnets=("10.0.0.16/28",)), tmp_path / "leases.json"
    book = Leases(file, "ab12cd", tuple)
    others = {book.take(pool, uid=f"o{each}", pod=f"o{each}", nic="eth0") for each in range(13)}
    for number in range(1000):
        (given,) = book.take(pool, uid=f"u{number}", pod=f"p{number}", nic="eth0")
        assert (given,) not in others
        with pytest.raises(Waiting, match="no address is left in pool lan"):
            book.take(pool, uid="late", pod="late", nic="eth0")
        if number % 4 == 3:
            book = Leases(file, "ab12cd", tuple)
        book.release(f"u{number}")

    assert len(book.all()) == 13
