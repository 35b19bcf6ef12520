"""Pools as they are told of, and who reaches whom: tried on a real machine, with a hole that it has to find."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

import tank
from tank.net.wanted import plug_name
from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system

PORT, HIDDEN = 28_431, 28_432


@pytest.fixture
def web(daemon: Daemon, busybox: str) -> tank.Client:
    """A pod that listens, with a port for all and one for the host alone."""
    spec = {
        "name": "web",
        "network": {
            "nics": [{"name": "eth0", "ip": {"pool": "default"}}],
            "ports": [f"{PORT}:80", f"127.0.0.1:{HIDDEN}:80"],
            "dns": [],
        },
        "containers": [
            {
                "name": "app",
                "image": busybox,
                "command": ["httpd", "-f", "-p", "80"],
                "probes": {"ready": {"tcp": 80, "period": 1}},
            }
        ],
    }
    daemon.client.apply(spec, wait=True, timeout=60)
    wait_for(lambda: _listens(HIDDEN), seconds=5)  # the host's rules follow the pod
    return daemon.client


def _listens(port: int) -> bool:
    with socket.socket() as opened:
        return opened.connect_ex(("127.0.0.1", port)) == 0


def test_a_pool_tells_what_it_has_given(web: tank.Client) -> None:
    found = web.networks.inspect("default")

    assert (found.mode, found.state, found.pods, found.faults, found.used) == ("bridge", "up", ("web",), (), 1)
    assert [each.pod for each in found.leases] == ["web"] * len(found.subnets)
    assert found.free == 65_532
    assert Path("/sys/class/net", found.parent).exists()


def test_every_way_to_a_pod_is_open_and_the_one_that_must_not_be_is_closed(web: tank.Client, installation: str) -> None:
    tried = {(each.source, each.what): each for each in web.networks.check("web")}

    assert [str(each) for each in tried.values() if not each.good] == []
    assert tried["outside", f"port {PORT}"].state == "open"
    assert tried["outside", f"port {HIDDEN}"].state != "open"
    assert tried["host", f"port {HIDDEN}"].state == "open"
    assert tried["pod", "gateway"].state == "open"
    assert not Path("/sys/class/net", plug_name(f"tank {installation}/outside")).exists()


def test_a_firewall_that_cuts_a_pod_off_is_found(web: tank.Client, installation: str) -> None:
    """Somebody else's table drops what is forwarded to the pod; the way of the host itself stays open."""
    address, table = web.status("web").addresses[0].ip.partition("/")[0], f"ip tkt_{installation}"
    hook = "{ type filter hook forward priority 0; policy accept; }"
    script = f"table {table} {{}}; add chain {table} f {hook}; add rule {table} f ip daddr {address} drop"
    subprocess.run(["nft", script], check=True)
    try:
        tried = {(each.source, each.what): each for each in web.networks.check("web")}
    finally:
        subprocess.run(["nft", f"delete table {table}"], check=True)

    cut = tried["outside", f"port {PORT}"]
    assert (cut.state, cut.good, cut.wanted) == ("silent", False, True)
    assert tried["host", f"port {PORT}"].good
