"""Names at an address of the host: pods and nothing else, whatever becomes of the daemon, and of who had the port."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator

import dnslib
import pytest

from tests.daemon import Daemon
from tests.naming import DOMAIN, NIC, address, restart_with, servers, spec, start
from tests.neighbour import Neighbour
from tests.segment import ip
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PORT = 53_353


@pytest.fixture
def where() -> str:
    """An address of the host's own, on loopback, where nobody else is."""
    return f"127.54.{os.getpid() % 200}.9"


@pytest.fixture(autouse=True)
def _the_bridge_goes_with_the_last_pod(daemon: Daemon) -> Iterator[None]:
    yield
    if daemon.process is None:
        daemon.start()
    restart_with(daemon, "")
    daemon.delete_all()
    wait_for(lambda: daemon.installation not in ip("-d link") and not servers(daemon), 10, "the end of the bridge")


def ask(where: str, name: str, kind: str = "A") -> dnslib.DNSRecord | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(2)
        asking.connect((where, PORT))
        try:
            asking.send(dnslib.DNSRecord.question(name, kind).pack())
            return dnslib.DNSRecord.parse(asking.recv(65_535))
        except OSError:
            return None


def said(where: str, name: str, kind: str = "A") -> list[str]:
    found = ask(where, name, kind)
    return [str(each.rdata) for each in found.rr] if found else []


def test_the_host_asks_for_pods_and_for_nothing_else(daemon: Daemon, busybox: str, where: str) -> None:
    restart_with(daemon, f'[net.dns]\nlisten = "{where}:{PORT}"\n')
    wait_for(lambda: ask(where, DOMAIN) is not None, 10, "the server, before any pod")
    ports = [{"host": 18_083, "container": 80, "name": "http"}]
    start(daemon, spec("web", busybox, network={"nics": [NIC], "ports": ports}))
    held = address(daemon, "web")

    wait_for(lambda: said(where, f"web.{DOMAIN}") == [held], 5)
    assert said(where, f"{'.'.join(reversed(held.split('.')))}.in-addr.arpa", "PTR") == [f"web.{DOMAIN}."]
    assert said(where, f"_http._tcp.web.{DOMAIN}", "SRV") == [f"0 0 80 web.{DOMAIN}."]
    foreign = [ask(where, name) for name in ("web", "example.org", "1.2.0.192.in-addr.arpa")]
    assert [each.header.rcode if each else None for each in foreign] == [5, 5, 5]
    query = dnslib.DNSRecord.question(f"web.{DOMAIN}").pack()
    with socket.create_connection((where, PORT), timeout=5) as opened:
        opened.sendall(struct.pack("!H", len(query)) + query)
        assert held in str(dnslib.DNSRecord.parse(opened.recv(999)[2:]))

    daemon.kill()
    assert said(where, f"web.{DOMAIN}") == [held]
    (before,) = servers(daemon)
    daemon.start()
    wait_for(lambda: said(where, f"web.{DOMAIN}") == [held], 5)
    assert servers(daemon) == [before]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: servers(daemon) not in ([], [before]) and said(where, f"web.{DOMAIN}") == [held], 10)
    restart_with(daemon, "")
    wait_for(lambda: ask(where, f"web.{DOMAIN}") is None, 10, "the end of it")


def test_a_port_that_somebody_has_is_waited_for(daemon: Daemon, busybox: str, where: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((where, PORT))
        restart_with(daemon, f'[net.dns]\nlisten = "{where}:{PORT}"\n')
        start(daemon, spec("web", busybox))
        words = f"cannot listen for questions about names on {where}:{PORT}: address already in use"
        wait_for(lambda: words in str(daemon.client.info()), 10, "the condition")
        asked = ["nslookup", f"web.{DOMAIN}"]
        wait_for(lambda: address(daemon, "web") in daemon.client.exec("web", asked).stdout.decode(), 5, "names inside")
    wait_for(lambda: said(where, f"web.{DOMAIN}") == [address(daemon, "web")], 40, "its turn")
    wait_for(lambda: words not in str(daemon.client.info()), 5, "the end of the condition")


ASK = """
import dnslib, sys
for name in sys.argv[3:]:
    told = dnslib.DNSRecord.parse(dnslib.DNSRecord.question(name).send(sys.argv[1], int(sys.argv[2]), timeout=3))
    print(told.header.rcode, *(each.rdata for each in told.rr))
"""


def test_the_lan_is_told_what_it_reaches(daemon: Daemon, neighbour: Neighbour, busybox: str) -> None:
    ip(f"address add 203.0.113.9/24 dev {neighbour.parent}")
    neighbour.run("ip", "address", "add", "203.0.113.1/24", "dev", "lan0")
    restart_with(daemon, f'[net.dns]\nlisten = "203.0.113.9:{PORT}"\n')
    beside = {"nics": [{"name": "eth0", "parent": neighbour.parent, "ip": "203.0.113.5/24"}]}
    published = {"nics": [NIC], "ports": ["18084:80"]}
    pods = spec("near", busybox, network=beside), spec("box", busybox, network=published), spec("inner", busybox)
    start(daemon, *pods)

    names = [*(f"{each}.{DOMAIN}" for each in ("near", "box", "inner")), "example.org"]
    asked = [sys.executable, "-I", "-c", ASK, "203.0.113.9", str(PORT), *names]
    wanted = ["0 203.0.113.5", "0 203.0.113.9", "3", "5"]
    wait_for(lambda: neighbour.run(*asked).stdout.splitlines() == wanted, 10, "what the LAN is told")
