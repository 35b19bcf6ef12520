"""Ways into pods on bridges, and out of them, that are not the plain one: by IPv6, to one address of the host alone,
to a pod that has another interface too. What the pods serve, and how they are asked, is that of the other tests.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bridged import HOST, OTHER, Lan, ask, inside, pod, run, up
from tests.daemon import Daemon
from tests.system.conftest import emptied, shared
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

HOST6, OTHER6 = "fd66:7::1", "fd66:7::2"
OWN = "198.51.100.50"  # of a pod on the LAN
SERVE6 = """
import socket
s = socket.create_server(("::", 80), family=socket.AF_INET6)
while True:
    c, who = s.accept()
    c.sendall(f"web {who[0]}".encode()); c.close()
"""
LISTEN6 = """
import socket
s = socket.create_server(("::", 9000), family=socket.AF_INET6)
print(s.accept()[1][0], flush=True)
"""
HELLO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1], int(sys.argv[2])))
for _ in range(5):
    try:
        s.send(b"?"); print(s.recv(99).decode(), end=""); break
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def _both(run_dir_of_tests: Path) -> Iterator[Daemon]:
    """A daemon with a pool beside the default one, for the whole file."""
    yield from shared(run_dir_of_tests, '[[net.pools]]\nname = "back"\nsubnet = "10.204.0.0/16"\n')


@pytest.fixture
def daemon(_both: Daemon) -> Iterator[Daemon]:
    yield from emptied(_both)


def crossed(image: str, lan: Lan, **network: Any) -> dict[str, Any]:
    """A pod whose way out is the LAN, with an interface on a bridge beside it."""
    made = pod(image, **network)
    own = {"name": "lan0", "parent": lan.neighbour.parent, "ip": f"{OWN}/24", "gateway": OTHER}
    made["network"]["nics"] = [own, {"name": "eth1", "ip": {"pool": "default"}}]
    return made


def bridged(daemon: Daemon, name: str = "web", pool: str = "default") -> str:
    """Its address on that pool's bridge."""
    found = (each.ip for each in daemon.client.status(name).addresses if each.source == pool and ":" not in each.ip)
    return next(found).partition("/")[0]


def gateway(daemon: Daemon, pool: str = "default") -> str:
    return daemon.client.networks.inspect(pool).gateways[0]


def hello(lan: Lan, address: str, port: int) -> str:
    """What the other machine gets for a datagram."""
    return lan.neighbour.run(sys.executable, "-I", "-c", HELLO, address, str(port)).stdout


def test_a_pod_with_an_interface_on_the_lan_too_answers_by_its_ports(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    up(daemon, crossed(debian, lan, ports=[f"{port}:80", f"{port}:53/udp"]), seen=False)

    assert lan.ask(HOST, port) == f"web {gateway(daemon)}"
    assert lan.ask(OWN, 80) == f"web {OTHER}"
    assert hello(lan, HOST, port) == "web"
    assert ask("127.0.0.1", port).startswith("web ")


def test_such_a_pod_is_reached_by_whom_it_allows_and_by_nobody_else(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    rules = [{"from": f"{OTHER}/32", "ports": [80]}]
    up(daemon, crossed(debian, lan, ports=[f"{port}:80"], allow=rules), seen=False)

    assert lan.ask(HOST, port) == f"web {gateway(daemon)}"
    assert (ask(bridged(daemon), 80, 0.5), ask("127.0.0.1", port)) == ("TimeoutError", "ConnectionRefusedError")

    rules = [{"from": "203.0.113.0/24"}, {"from": f"{gateway(daemon)}/32"}]
    daemon.client.apply(crossed(debian, lan, ports=[f"{port}:80"], allow=rules))
    wait_for(lambda: lan.ask(HOST, port, 0.5) == "ConnectionRefusedError", what="other rules")
    assert ask("127.0.0.1", port).startswith("web ")


def test_a_pod_on_two_bridges_answers_the_neighbours_on_either(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    both = pod(debian, ports=[f"{port}:80"])
    both["network"]["nics"] = [{"name": "eth0", "ip": {"pool": "back"}}, {"name": "eth1", "ip": {"pool": "default"}}]
    up(daemon, both, pod(debian, "other"), seen=False)

    assert inside(daemon, "other", HOST, port) == f"web {gateway(daemon, 'back')}"
    assert lan.ask(HOST, port).startswith("web ")


def test_s33_a_port_on_one_address_is_reached_by_it_alone(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    (web,) = up(daemon, pod(debian, ports=[f"{HOST}:{port}:80", f"{HOST}:{port}:53/udp"]))

    assert (lan.ask(HOST, port), hello(lan, HOST, port)) == (f"web {OTHER}", "web")
    assert ask("127.0.0.1", port) == "ConnectionRefusedError"
    for _ in range(3):  # nor by a route to the pod itself, whether the host's rules are there or not
        assert lan.ask(web, 80, 0.5) == "TimeoutError"
        run(f"nft delete table inet tank_{daemon.installation}")
    wait_for(lambda: lan.ask(HOST, port, 0.5) == f"web {OTHER}", what="the rules")


def test_a_range_leads_each_to_its_own_and_datagrams_come_from_the_lan(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    up(daemon, pod(debian, ports=[f"{port}-{port + 2}:80-82", f"{port}:53/udp"]))

    assert [lan.ask(HOST, port + each) for each in (0, 1)] == [f"web {OTHER}"] * 2
    assert lan.ask(HOST, port + 3) == "ConnectionRefusedError"
    assert hello(lan, HOST, port) == "web"


def test_in_and_out_by_ipv6(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    run(f"ip address add {HOST6}/64 dev {lan.neighbour.parent} nodad")
    lan.neighbour.run("ip", "address", "add", f"{OTHER6}/64", "dev", "lan0", "nodad")
    spec = pod(debian, ports=[f"{port}:80"])
    spec["containers"][0]["command"] = ["python3", "-c", SERVE6]
    daemon.client.apply(spec)
    daemon.client.wait("web", "ready", timeout=60)

    wait_for(lambda: lan.ask(HOST6, port) == f"web {OTHER6}", what="the server")
    command = [*lan.within, sys.executable, "-I", "-c", LISTEN6]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        wait_for(lambda: inside(daemon, "web", OTHER6, 9000) == "", what="the connection")
        assert listening.communicate(timeout=10)[0] == f"{HOST6}\n"
