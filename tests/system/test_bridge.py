"""Pods on a bridge of Tank's own: their way out, the ports that lead in, and who may connect, from every side.

The LAN is a cable to a namespace of the test, in which another machine lives.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

HOST, OTHER = "198.51.100.1", "198.51.100.2"
FLUSHES = int(os.environ.get("TANK_FLUSHES", "20"))
SERVE = """
import socket, sys, threading
def tcp(port):
    s = socket.create_server(("", port))
    while True:
        c, who = s.accept()
        c.sendall(f"{sys.argv[1]} {who[0]}".encode()); c.close()
def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", port))
    while True:
        _, who = s.recvfrom(99); s.sendto(sys.argv[1].encode(), who)
for port in (80, 81):
    threading.Thread(target=tcp, args=(port,)).start()
threading.Thread(target=udp, args=(53,)).start()
"""
ASK = """
import socket, sys
try:
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
    print(c.recv(99).decode(), end="")
except OSError as error:
    print(type(error).__name__, end="")
"""


@dataclass(frozen=True, slots=True)
class Lan:
    """The other machine, by a cable that has addresses at both ends."""

    neighbour: Neighbour

    def ask(self, address: str, port: int, seconds: float = 2) -> str:
        """What the other machine gets from there; the name of the error when it gets nothing."""
        return self.neighbour.run(sys.executable, "-I", "-c", ASK, address, str(port), str(seconds)).stdout


@pytest.fixture
def lan(neighbour: Neighbour) -> Lan:
    run(f"ip address add {HOST}/24 dev {neighbour.parent}")
    neighbour.run("ip", "address", "add", f"{OTHER}/24", "dev", "lan0")
    neighbour.run("ip", "route", "add", "10.0.0.0/8", "via", HOST)
    return Lan(neighbour)


@pytest.fixture
def port() -> int:
    """A port of the host that nobody has."""
    with socket.create_server(("", 0)) as found:
        return int(found.getsockname()[1])


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True)


def ask(address: str, port: int, seconds: float = 2) -> str:
    """The same from the host."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", ASK, address, str(port), str(seconds)], capture_output=True, text=True, check=False
    )
    return done.stdout


def pod(image: str, name: str = "web", **network: Any) -> dict[str, Any]:
    serve = {"name": "app", "image": image, "command": ["python3", "-c", SERVE, name]}
    nics = [{"name": "eth0", "ip": {"pool": "default"}}]
    return {"name": name, "grace": 0, "network": {"nics": nics, **network}, "containers": [serve]}


def up(daemon: Daemon, *pods: dict[str, Any]) -> list[str]:
    """Apply, wait, and answer with the IPv4 addresses."""
    for each in pods:
        daemon.client.apply(each)
    for each in pods:
        daemon.client.wait(each["name"], "ready", timeout=60)
    found = [address(daemon, each["name"]) for each in pods]
    for where in found:
        wait_for(partial(serves, where), what="the server")
    for each in pods:
        wait_for(partial(leads_in, daemon, each), what="the rules of its ports")
    return found


def leads_in(daemon: Daemon, pod: dict[str, Any]) -> bool:
    """Whether the host's rules lead to the pod by now: that comes a moment after it is ready."""
    rules = subprocess.run(
        ["nft", "list", "table", "inet", f"tank_{daemon.installation}"], capture_output=True, text=True, check=False
    )
    ports = [each if isinstance(each, str) else f"{each['host']}:" for each in pod["network"].get("ports", ())]
    return all(f"dport {re.findall('([0-9]+):', each)[-1]} " in rules.stdout for each in ports)


def serves(address: str) -> bool:
    return ask(address, 80) not in ("ConnectionRefusedError", "TimeoutError")


def address(daemon: Daemon, name: str) -> str:
    return daemon.client.status(name).addresses[0].ip.partition("/")[0]


def inside(daemon: Daemon, name: str, address: str, port: int) -> str:
    """The same from within a pod."""
    return daemon.client.exec(name, ["python3", "-c", ASK, address, str(port), "2"]).stdout.decode()


def test_a_published_port_is_reached_from_everywhere_and_no_other(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    web, other = up(daemon, pod(debian, ports=[f"{port}:80"]), pod(debian, "other"))
    assert lan.ask(HOST, port) == f"web {OTHER}"  # with the address that it really came from
    assert ask("127.0.0.1", port).startswith("web ")
    assert ask("::1", port) == "ConnectionRefusedError"
    assert ask(HOST, port).startswith("web ")
    assert inside(daemon, "other", HOST, port).startswith("web ")
    assert inside(daemon, "web", HOST, port).startswith("web ")
    assert inside(daemon, "other", web, 81) == f"web {other}"  # its own pool is open
    assert lan.ask(web, 80) == f"web {OTHER}"
    assert lan.ask(web, 81, 0.5) == "TimeoutError"
    assert lan.ask(other, 80, 0.5) == "TimeoutError"


def test_out_of_a_pod_goes_with_the_address_of_the_host(daemon: Daemon, lan: Lan, debian: str) -> None:
    up(daemon, pod(debian))
    server = "import socket; s = socket.create_server(('', 9000)); print(s.accept()[1][0], flush=True)"
    command = ["ip", "netns", "exec", lan.neighbour.name, sys.executable, "-I", "-c", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listening:
        wait_for(lambda: inside(daemon, "web", OTHER, 9000) == "", what="the connection")
        assert listening.communicate(timeout=10)[0] == f"{HOST}\n"


def test_s33_a_port_on_loopback_is_not_reached_from_the_lan(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    (web,) = up(daemon, pod(debian, ports=[f"127.0.0.1:{port}:80"]))
    assert ask("127.0.0.1", port).startswith("web ")
    assert lan.ask(HOST, port) == "ConnectionRefusedError"
    assert lan.ask(web, 80, 0.5) == "TimeoutError"  # nor by a route to the pod itself
    lan.neighbour.run("ip", "route", "add", "127.0.0.0/8", "via", HOST, "table", "main")
    assert lan.ask("127.0.0.1", port, 0.5) != "web 127.0.0.1"
    assert "web" not in inside(daemon, "web", address(daemon, "web").rpartition(".")[0] + ".1", port)


def test_allow_lets_in_what_it_lists_and_nothing_else(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    rules = [{"from": {"pods": {"role": "front"}}, "ports": [80]}, {"from": f"{OTHER}/32", "ports": ["extra"]}]
    ports = [{"host": port, "container": 81, "name": "extra"}]
    friend = pod(debian, "friend") | {"labels": {"role": "front"}}
    web, _, _ = up_unseen(daemon, pod(debian, allow=rules, ports=ports), friend, pod(debian, "stranger"))
    assert inside(daemon, "friend", web, 80).startswith("web ")
    assert inside(daemon, "friend", web, 81) == "TimeoutError"
    assert inside(daemon, "stranger", web, 80) == "TimeoutError"
    assert lan.ask(HOST, port) == f"web {OTHER}"
    assert lan.ask(web, 80, 0.5) == "TimeoutError"
    daemon.client.apply(pod(debian, "stranger") | {"labels": {"role": "front"}})
    wait_for(lambda: inside(daemon, "stranger", web, 80).startswith("web "), what="a label that came later")
    pid = daemon.client.status("web").containers[0].pid
    daemon.client.apply(pod(debian, ports=ports))
    wait_for(lambda: inside(daemon, "stranger", web, 81).startswith("web "), what="rules that are gone")
    assert daemon.client.status("web").containers[0].pid == pid  # live


def up_unseen(daemon: Daemon, *pods: dict[str, Any]) -> list[str]:
    """As `up`, for pods that the host cannot see into."""
    for each in pods:
        daemon.client.apply(each)
    for each in pods:
        daemon.client.wait(each["name"], "ready", timeout=60)
        name = each["name"]
        wait_for(partial(serves_itself, daemon, name), what="the server")
        wait_for(partial(leads_in, daemon, each), what="the rules of its ports")
    return [address(daemon, each["name"]) for each in pods]


def serves_itself(daemon: Daemon, name: str) -> bool:
    return inside(daemon, name, "127.0.0.1", 80).startswith(name)


def test_p10_a_flush_opens_nothing_and_is_healed_within_a_second(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    web, *_ = up(daemon, pod(debian, ports=[f"{port}:80"]))
    worst = 0.0
    for _ in range(FLUSHES):
        run(f"nft delete table inet tank_{daemon.installation}")
        assert lan.ask(web, 81, 0.05) == "TimeoutError"
        began = time.monotonic()
        wait_for(lambda: ask("127.0.0.1", port, 0.3).startswith("web "), 10, "the port after a flush")
        worst = max(worst, time.monotonic() - began)
    print(f"{FLUSHES} flushes, healed after {worst:.2f} s at most")
    assert worst < 5  # a second on a machine that has nothing else to do
    assert any(each.reason == "NetworkRepaired" for each in daemon.client.events())


def test_ports_hold_while_the_daemon_is_killed(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    up(daemon, pod(debian, ports=[f"{port}:80"]))
    for _ in range(3):
        daemon.kill()
        assert lan.ask(HOST, port) == f"web {OTHER}"
        daemon.start()
        assert lan.ask(HOST, port) == f"web {OTHER}"
    assert address(daemon, "web")


def test_r46_datagrams_go_to_the_pod_that_has_the_port_now(daemon: Daemon, lan: Lan, debian: str, port: int) -> None:
    up(daemon, pod(debian, "first", ports=[f"{port}:53/udp"]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)

        def answer() -> str:
            try:
                client.sendto(b"?", (HOST, port))
                return client.recv(99).decode()
            except OSError:
                return ""

        wait_for(lambda: answer() == "first", what="the first pod's answer")
        daemon.client.delete("first")
        daemon.client.wait("first", "gone", timeout=20)
        up(daemon, pod(debian, "second", ports=[f"{port}:53/udp"]))
        wait_for(lambda: answer() == "second", 3, "the second pod's answer, from the same source port")


def test_r48_a_port_that_somebody_has_is_waited_for(daemon: Daemon, debian: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        daemon.client.apply(pod(debian, ports=[f"{port}:80"]))
        wait_for(lambda: daemon.client.status("web").reason == "PortInUse", 20, "the reason")
        assert str(port) in daemon.client.why("web").summary
    daemon.client.wait("web", "ready", timeout=30)


def test_a_port_of_another_pod_is_refused(daemon: Daemon, debian: str, port: int) -> None:
    up(daemon, pod(debian, ports=[f"127.0.0.1:{port}:80"]))
    done = daemon.tank("apply", "-f", "-", stdin=repr(pod(debian, "other", ports=[f"{port}:80"])).encode())
    assert done.returncode == 4
    assert f"port {port}/tcp belongs to pod web" in done.stderr.decode()
    daemon.client.apply(pod(debian, "other", ports=[f"{HOST}:{port}:80"]))


def test_an_address_comes_back_with_the_name_and_the_last_pod_takes_all_along(
    daemon: Daemon, debian: str, port: int
) -> None:
    first, second = up(daemon, pod(debian, "one"), pod(debian, "two", ports=[f"{port}:80"]))
    assert first != second
    for name in ("one", "two"):
        daemon.client.delete(name)
    for name in ("one", "two"):
        daemon.client.wait(name, "gone", timeout=20)
    wait_for(lambda: f"tank_{daemon.installation}" not in tables(), what="the end of the rules")
    assert up(daemon, pod(debian, "two"), pod(debian, "one")) == [second, first]


def tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_s32_nobody_speaks_with_the_address_of_another(daemon: Daemon, debian: str) -> None:
    web, other = up(daemon, pod(debian), pod(debian, "other"))
    pid = daemon.client.status("other").containers[0].pid
    spoof = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0));"
        f"me = open('/sys/class/net/eth0/address').read() if False else s.getsockname()[4];"
        f"arp = bytes.fromhex('0001080006040001') + me + socket.inet_aton('{web}') + bytes(6)"
        f" + socket.inet_aton('{web}'); s.send(b'\\xff' * 6 + me + b'\\x08\\x06' + arp)"
    )
    for _ in range(5):
        subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-c", spoof], check=True)
    assert seen(other) != ""
    assert seen(web) != seen(other)


def seen(address: str) -> str:
    """The MAC that the host believes the address to be at."""
    told = subprocess.run(["ip", "-4", "neigh", "show", address], capture_output=True, text=True, check=True).stdout
    return told.partition("lladdr ")[2].partition(" ")[0]
