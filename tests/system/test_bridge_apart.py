"""Who is told apart on bridges, and by what: pods of other pools, what others translate, frames that lie, ports that
somebody has. What the pods serve, and how they are asked, is that of the other tests of bridges.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.bridged import HOST, OTHER, Lan, address, ask, inside, pod, up
from tests.daemon import Daemon
from tests.system.conftest import emptied, shared
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

POOL = "10.203.0.0/16"
HELLO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); s.sendto(b"?", (sys.argv[2], 53))
"""
ECHO = """
import socket
s = socket.create_server(("", 80))
while True:
    c, _ = s.accept()
    while c.recv(99): c.sendall(b"here")
"""
TAGGED = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); me = s.getsockname()[4]
ip = socket.inet_aton(sys.argv[1])
arp = bytes.fromhex("0001080006040001") + me + ip + bytes(6) + ip
for tag in (bytes.fromhex("81000000"), bytes.fromhex("88a80000")):
    s.send(b"\\xff" * 6 + me + tag + b"\\x08\\x06" + arp)
"""
ADVERTISE = """
import socket, sys
from tank.net.announce import checksum
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); me = s.getsockname()[4]
own, other, to = (socket.inet_pton(socket.AF_INET6, each) for each in sys.argv[1:4])
body = bytes.fromhex("8800000060000000") + other + b"\\x02\\x01" + me
sum_ = checksum(own + to + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58)) + body)
body = body[:2] + sum_.to_bytes(2, "big") + body[4:]
head = bytes.fromhex("60000000") + len(body).to_bytes(2, "big") + bytes((58, 255)) + own + to
s.send(bytes.fromhex(sys.argv[4].replace(":", "")) + me + b"\\x86\\xdd" + head + body)
"""
ROUTER = """
import socket, sys
from tank.net.announce import checksum
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); me = s.getsockname()[4]
own, other, to = (socket.inet_pton(socket.AF_INET6, each) for each in sys.argv[1:4])
def say(kind, source, rest):
    body = bytes((kind, 0, 0, 0)) + rest
    sum_ = checksum(source + to + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58)) + body)
    body = body[:2] + sum_.to_bytes(2, "big") + body[4:]
    head = bytes.fromhex("60000000") + len(body).to_bytes(2, "big") + bytes((58, 255)) + source + to
    s.send(bytes.fromhex(sys.argv[4].replace(":", "")) + me + b"\\x86\\xdd" + head + body)
say(134, own, bytes.fromhex("400007080000000000000000"))
say(137, own, bytes(4) + own + to)
say(135, other, bytes(4) + other)
say(135, own, bytes(4) + other)
"""
HEAR = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86dd)); s.bind(("eth0", 0x86dd))
print("begun", flush=True)
own, other = (socket.inet_pton(socket.AF_INET6, each) for each in sys.argv[1:3])
while True:
    f = s.recv(2000)
    if f[20] == 58 and (f[54] in (134, 137) or (f[54] == 135 and f[62:78] == other)):
        print(f[54], socket.inet_ntop(socket.AF_INET6, f[22:38]), flush=True)
        if f[54] == 135 and f[22:38] == own: break
"""


@pytest.fixture(scope="module")
def _both(run_dir_of_tests: Path) -> Iterator[Daemon]:
    """A daemon with a pool beside the default one, for the whole file."""
    yield from shared(run_dir_of_tests, f'[[net.pools]]\nname = "back"\nsubnet = "{POOL}"\n')


@pytest.fixture
def daemon(_both: Daemon) -> Iterator[Daemon]:
    yield from emptied(_both)


def behind(image: str, name: str = "db", **labels: str) -> dict[str, Any]:
    """A pod of the other pool."""
    made = pod(image, name) | {"labels": labels}
    made["network"]["nics"][0]["ip"] = {"pool": "back"}
    return made


@contextmanager
def hiding(source: str) -> Iterator[None]:
    """A neighbour such as Docker, which gives what it forwards from its own networks the host's address."""
    table = f"ip tkt_{secrets.token_hex(3)}"
    script = f"table {table} {{}}; add chain {table} p {{ type nat hook postrouting priority srcnat; }}"
    subprocess.run(["nft", f"{script}; add rule {table} p ip saddr {source} masquerade"], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", f"delete table {table}"], check=True)


def test_pools_are_apart_and_everybody_comes_with_its_own_address(
    daemon: Daemon, lan: Lan, debian: str, port: int
) -> None:
    rules = [{"from": {"pods": {"role": "back"}}, "ports": [81]}]
    pods = pod(debian, ports=[f"{port}:80"]), behind(debian, role="back"), behind(debian, "x")
    web, db, _, shut = up(daemon, *pods, pod(debian, "shut", allow=rules), seen=False)

    assert inside(daemon, "db", HOST, port) == inside(daemon, "db", web, 80) == f"web {db}"
    assert inside(daemon, "db", web, 81) == inside(daemon, "web", db, 80) == "TimeoutError"
    assert (inside(daemon, "db", shut, 81), inside(daemon, "x", shut, 81)) == (f"shut {db}", "TimeoutError")
    with hiding(OTHER):
        assert (lan.ask(web, 80), lan.ask(web, 81, 0.5)) == (f"web {OTHER}", "TimeoutError")
    before, stranger = datagrams(daemon), f"{web.rpartition('.')[0]}.250"
    lan.neighbour.run("ip", "address", "add", f"{stranger}/32", "dev", "lo")
    lan.neighbour.run(sys.executable, "-I", "-c", HELLO, stranger, web)
    lan.neighbour.run(sys.executable, "-I", "-c", HELLO, OTHER, web)
    assert datagrams(daemon) == before


def datagrams(daemon: Daemon) -> str:
    """How many the pod has had, as its kernel counts them."""
    told = daemon.client.exec("web", ["cat", "/proc/net/snmp"]).stdout.decode()
    return next(line for line in told.splitlines() if line.startswith("Udp: ") and line[5].isdigit())


def test_s32_no_tag_hides_a_lie_and_nobody_says_that_anothers_address_is_its(daemon: Daemon, debian: str) -> None:
    web, other = up(daemon, pod(debian), pod(debian, "other"))
    web6, own6 = (daemon.client.status(each).addresses[1].ip.partition("/")[0] for each in ("web", "other"))
    mac, liar = (daemon.client.status(each).addresses[0].mac for each in ("web", "other"))
    bridge = daemon.client.networks.inspect("default")
    host6, card = bridge.gateways[1], Path("/sys/class/net", bridge.parent, "address").read_text().strip()
    assert ask(web6, 79) == "ConnectionRefusedError"  # so that the host knows where it is

    speak(daemon, TAGGED, web)
    speak(daemon, ADVERTISE, own6, web6, host6, card)

    assert (seen(web), seen(other)) == (mac, liar)
    assert seen(web6) != liar


def test_s32_no_pod_is_a_router_nor_speaks_as_anothers_link_local_address(daemon: Daemon, debian: str) -> None:
    up(daemon, pod(debian), pod(debian, "other"))
    web, other = (daemon.client.status(each) for each in ("web", "other"))
    mac, own = web.addresses[0].mac, link_local(other.addresses[0].mac)
    words = [own, link_local(mac), web.addresses[1].ip.partition("/")[0], mac]
    command = ["nsenter", "-t", str(web.containers[0].pid), "-n", sys.executable, "-c", HEAR, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hearing:
        try:
            assert hearing.stdout is not None
            assert hearing.stdout.readline() == "begun\n"
            speak(daemon, ROUTER, *words)
            assert hearing.communicate(timeout=10)[0] == f"135 {own}\n"
        finally:
            hearing.kill()


def link_local(mac: str) -> str:
    octets = [int(each, 16) for each in mac.split(":")]
    a, b, c, d, e, f = octets[0] ^ 2, *octets[1:]
    return str(ipaddress.ip_address(f"fe80::{a:02x}{b:02x}:{c:02x}ff:fe{d:02x}:{e:02x}{f:02x}"))


def speak(daemon: Daemon, what: str, *words: str) -> None:
    """Frames out of the pod `other`, by a program of the host in its namespace."""
    pid = str(daemon.client.status("other").containers[0].pid)
    for _ in range(3):
        subprocess.run(["nsenter", "-t", pid, "-n", sys.executable, "-c", what, *words], check=True)


def seen(address: str) -> str:
    """The MAC that the host believes the address to be at."""
    told = subprocess.run(["ip", "neigh", "show", address], capture_output=True, text=True, check=True).stdout
    return told.partition("lladdr ")[2].partition(" ")[0]


def test_r48_a_port_that_comes_to_a_running_pod_is_taken_from_nobody(daemon: Daemon, debian: str, port: int) -> None:
    up(daemon, pod(debian))
    pid = daemon.client.status("web").containers[0].pid
    with socket.create_server(("127.0.0.1", port)) as server:
        daemon.client.apply(pod(debian, ports=[f"{port}:80"]))
        wait_for(lambda: daemon.client.status("web").reason == "PortInUse", 20, "the reason")
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            server.accept()[0].close()
    wait_for(lambda: ask("127.0.0.1", port).startswith("web "), 20, "the port")
    assert daemon.client.status("web").containers[0].pid == pid


def test_a_pod_that_ends_is_reached_until_it_has_ended(daemon: Daemon, debian: str, port: int) -> None:
    spec = pod(debian, ports=[f"{port}:80"]) | {"grace": 3}
    spec["containers"][0]["command"] = ["python3", "-c", ECHO]  # as the first process, deaf to SIGTERM
    daemon.client.apply(spec)
    daemon.client.wait("web", "ready", timeout=60)
    wait_for(lambda: knocks(port), what="the server")
    with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
        client.sendall(b"?")
        assert client.recv(9) == b"here"
        daemon.client.delete("web")
        wait_for(lambda: daemon.client.status("web").phase == "terminating", what="the end")
        client.sendall(b"?")
        assert client.recv(9) == b"here"
        assert address(daemon, "web")
    daemon.client.wait("web", "gone", timeout=20)
    assert not knocks(port)


def knocks(port: int) -> bool:
    with socket.socket() as opened:
        return opened.connect_ex(("127.0.0.1", port)) == 0
