"""The host among its pods on the LAN: both ways, healed, gone with the last pod, and without harm to the host."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Unsupported
from tank.net.links import host_links
from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.segment import ip
from tests.system.conftest import tended
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

OTHER, OTHER6 = "203.0.113.1", "2001:db8:9::1"  # the neighbour
HOST, HOST6 = "203.0.113.9", "2001:db8:9::9"
POD, POD6 = "203.0.113.5", "2001:db8:9::5"
SERVE = """
import socket, threading
def tcp(family, where):
    s = socket.create_server((where, 80), family=family)
    while True:
        c, who = s.accept()
        c.sendall(who[0].encode()); c.close()
threading.Thread(target=tcp, args=(socket.AF_INET, "")).start()
tcp(socket.AF_INET6, "::")
"""
KNOCK = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"
ASK = """
import socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
print(c.recv(99).decode(), end="")
"""


def asked(address: str, port: int = 80, seconds: float = 2) -> str:
    """What somebody there answers to the host: its own address as it is seen from there. Empty: nobody answers."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as opened:
            return opened.recv(99).decode()
    except OSError:
        return ""


def spec(image: str, name: str, *addresses: Any, **network: Any) -> dict[str, Any]:
    serve = {
        "name": "app",
        "image": image,
        "command": ["python3", "-c", SERVE],
        "probes": {"ready": {"tcp": 80, "period": 1}},
    }
    nic = {"name": "eth0", "ip": list(addresses), **network}
    return {"name": name, "grace": 0, "network": {"nics": [nic]}, "containers": [serve]}


def start(daemon: Daemon, *pods: dict[str, Any]) -> None:
    daemon.client.apply(list(pods))
    for each in pods:
        daemon.client.wait(each["name"], "ready", timeout=60)


def shim(daemon: Daemon) -> str:
    """What the host's interface among the pods is called; empty: there is none."""
    found = re.search(rf"^\d+: (tk\w+)@.*(?:\n .*)*?\n +alias tank {daemon.installation}/shim/", ip("link"), re.M)
    return found[1] if found else ""


def stands(daemon: Daemon) -> str:
    wait_for(lambda: shim(daemon) != "", 10, "the shim")
    return shim(daemon)


def of_the_host(neighbour: Neighbour) -> list[str]:
    """The host's own addresses and routes, those of the kernel's tables too, and what the parent is set to."""
    routes = [*ip("route show table all").splitlines(), *ip("-6 route show table all").splitlines()]
    return [ip(f"address show dev {neighbour.parent}"), *(each for each in routes if neighbour.parent in each)]


@pytest.fixture
def host(neighbour: Neighbour) -> Neighbour:
    """The host has addresses on the parent, and a route with one of them for its source."""
    for words in (
        f"address add {HOST}/24 dev {neighbour.parent}",
        f"address add {HOST6}/64 dev {neighbour.parent} nodad",
        f"route add 198.51.100.0/24 via {OTHER} dev {neighbour.parent} src {HOST}",
        f"-6 route add 2001:db8:77::/64 via {OTHER6} dev {neighbour.parent} src {HOST6}",
    ):
        ip(words)
    neighbour.run("ip", "address", "add", f"{OTHER}/24", "dev", "lan0")
    neighbour.run("ip", "address", "add", f"{OTHER6}/64", "dev", "lan0", "nodad")
    return neighbour


@pytest.fixture
def lan(daemon: Daemon) -> Iterator[Daemon]:
    yield from without_leftovers(daemon)


def without_leftovers(daemon: Daemon) -> Iterator[Daemon]:
    yield daemon
    if daemon.process is None:
        daemon.start()
    daemon.delete_all()
    wait_for(lambda: daemon.installation not in ip("link"), 10, "the end of the shim")


def test_the_host_and_pods_reach_each_other_and_nothing_of_the_host_changes(
    lan: Daemon, host: Neighbour, debian: str
) -> None:
    wait_for(lambda: "tentative" not in ip(f"address show dev {host.parent}"), 5)
    before = of_the_host(host)
    start(lan, spec(debian, "web", f"{POD}/24", f"{POD6}/64", parent=host.parent))
    name = stands(lan)

    wait_for(lambda: (asked(POD), asked(POD6)) == (f"{HOST}", HOST6), 10, "the host's ways")
    with socket.create_server((HOST, 0)) as server, socket.create_server((HOST6, 0), family=socket.AF_INET6) as server6:
        for address, opened in ((HOST, server), (HOST6, server6)):
            port = str(opened.getsockname()[1])
            opened.settimeout(5)
            asking = lan.client.exec("web", ["python3", "-c", KNOCK, address, port])
            assert (asking.exit_code, asking.stderr) == (0, b"")
            accepted, peer = opened.accept()
            accepted.close()
            assert peer[0] in (POD, POD6)
    assert f"{HOST}/32 scope link noprefixroute {name}" in ip(f"address show dev {name}")
    assert of_the_host(host) == before
    tried = {(each.source, each.target): each for each in lan.client.networks.check("web")}
    assert [(tried["host", where].state, tried["host", where].wanted) for where in (f"{POD}:80", f"[{POD6}]:80")] == [
        ("open", True),
        ("open", True),
    ]
    assert host.run(sys.executable, "-I", "-c", ASK, POD, "80").stdout == OTHER
    knows_its_parent(host)
    lan.delete_all()
    wait_for(lambda: not shim(lan), 10, "the end of the shim")
    wait_for(lambda: not walled(lan), 10, "the end of its walls")
    assert of_the_host(host) == before


def knows_its_parent(host: Neighbour) -> None:
    """The LAN never takes the shim for the host."""
    mac = Path(f"/sys/class/net/{host.parent}/address").read_text().strip()
    for address in (HOST, HOST6):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, 0), family=family) as server:
            host.run("ip", "neigh", "flush", "dev", "lan0")
            done = host.run(sys.executable, "-I", "-c", KNOCK, address, str(server.getsockname()[1]))
            assert done.returncode == 0, done.stderr
            server.accept()[0].close()
            assert f"lladdr {mac}" in host.run("ip", "neigh", "show", address, "dev", "lan0").stdout


def test_what_others_take_away_comes_back(lan: Daemon, host: Neighbour, debian: str) -> None:
    start(lan, spec(debian, "web", f"{POD}/24", parent=host.parent))
    name = stands(lan)
    wait_for(lambda: asked(POD) == HOST, 10, "the host's way")
    took = {}
    ip(f"neigh delete {POD} dev {name}")  # not heard by itself
    for words in (
        f"route delete {POD} dev {name}",
        f"address delete {HOST}/32 dev {name}",
        f"link set {name} down",
        f"link delete {name}",
    ):
        ip(words)
        began = time.monotonic()
        wait_for(lambda: whole(name), 5, words)
        took[words.split(name)[0]] = round(time.monotonic() - began, 2)
        assert asked(POD) == HOST
    subprocess.run(["nft", "delete", "table", "netdev", f"tank_{lan.installation}"], check=True)
    wait_for(lambda: walled(lan), 5, "the walls")
    print(f"shim: healed after {took}")
    assert any(each.reason == "NetworkRepaired" for each in lan.client.events())


def walled(daemon: Daemon) -> bool:
    told = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    return f"netdev tank_{daemon.installation}" in told


def whole(name: str) -> bool:
    try:
        parts = ip(f"route show {POD}"), ip(f"neigh show {POD} dev {name}"), ip(f"address show dev {name} up")
    except subprocess.CalledProcessError:
        return False
    return name in parts[0] and "PERMANENT" in parts[1] and f"{HOST}/32" in parts[2]


def test_a_killed_daemon_leaves_it_and_the_next_one_finds_it(lan: Daemon, host: Neighbour, debian: str) -> None:
    start(lan, spec(debian, "web", f"{POD}/24", parent=host.parent))
    name = stands(lan)
    index = socket.if_nametoindex(name)
    wait_for(lambda: asked(POD) == HOST, 10, "the host's way")
    lan.kill()
    assert asked(POD) == HOST
    lan.start()
    lan.client.apply(spec(debian, "two", "203.0.113.6/24", parent=host.parent))
    wait_for(lambda: asked("203.0.113.6") == HOST, 20, "the way to the second")
    assert (asked(POD), socket.if_nametoindex(shim(lan))) == (HOST, index)
    lan.client.delete("two")
    wait_for(lambda: name not in ip("route show 203.0.113.6"), 10, "the end of the way")
    assert asked(POD) == HOST

    ip(f"address delete {HOST}/24 dev {host.parent}")  # the host moves, and its way with it
    ip(f"address add 203.0.113.10/24 dev {host.parent}")
    wait_for(lambda: asked(POD) == "203.0.113.10", 10, "the new way")
    assert f"{HOST}/" not in ip("address")


POOL = """
[[net.pools]]
name = "lan"
mode = "macvlan"
parent = "{parent}"
subnet = "203.0.113.16/28"
{more}
"""


@pytest.fixture
def pooled(short_tmp: Path, installation: str, neighbour: Neighbour) -> Iterator[Daemon]:
    made = Daemon(short_tmp, installation, config=POOL.format(parent=neighbour.parent, more=""))
    for daemon in tended(made):
        yield from without_leftovers(daemon)


def restart(daemon: Daemon, config: str) -> None:
    daemon.end()
    daemon.config = config
    daemon.start()


def test_without_an_address_there_the_host_has_one_of_the_pool(
    pooled: Daemon, neighbour: Neighbour, debian: str
) -> None:
    neighbour.run("ip", "address", "add", "203.0.113.18/28", "dev", "lan0")  # which the pool would give the host
    start(pooled, spec(debian, "web", {"pool": "lan"}))
    pod = pooled.client.status("web").addresses[0].ip.partition("/")[0]
    wait_for(lambda: asked(pod) != "", 10, "the host's way")
    found = pooled.client.networks.inspect("lan")
    assert (asked(pod), found.used, found.pods) == ("203.0.113.19", 2, ("web",))
    assert found.shim == "203.0.113.19"

    restart(pooled, POOL.format(parent=neighbour.parent, more='shim = "203.0.113.30"'))
    wait_for(lambda: asked(pod) == "203.0.113.30", 10, "the stated address")
    found = pooled.client.networks.inspect("lan")
    assert (found.shim, found.used, found.free) == ("203.0.113.30", 1, 12)

    neighbour.run("ip", "address", "add", "203.0.113.29/28", "dev", "lan0")
    conflict = POOL.format(parent=neighbour.parent, more='shim = "203.0.113.29"')
    restart(pooled, conflict)
    wait_for(lambda: "cannot use 203.0.113.29 for the host" in conditions(pooled), 10, "the conflict")

    restart(pooled, f"[net]\nshim = false\n{conflict}")
    wait_for(lambda: not shim(pooled), 10, "the end of the shim")


def conditions(daemon: Daemon) -> str:
    return str(daemon.client.info())


def test_ipvlan_is_refused_by_a_kernel_that_has_none(lan: Daemon, host: Neighbour, debian: str) -> None:
    with host_links() as links:
        has = links.supports("ipvlan")
    pod = spec(debian, "web", f"{POD}/24", parent=host.parent, mode="ipvlan")
    if has:
        start(lan, pod)
        return
    with pytest.raises(Unsupported, match=r"this kernel lacks the ipvlan driver \(modprobe ipvlan\)"):
        lan.client.apply(pod)
