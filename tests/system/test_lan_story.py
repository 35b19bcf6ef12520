"""A LAN as people have it: a router that leases, announces and names, two machines, and one that means harm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bridged import ASK, SERVE, ask
from tests.daemon import Daemon
from tests.dhcp import PREFIX6 as ANNOUNCED
from tests.dhcp import Router
from tests.neighbour import Neighbour
from tests.segment import ip
from tests.system.conftest import tended
from tests.town import PREFIX, PREFIX6, town
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

HOST, FIXED, WANTED = f"{PREFIX}.9", f"{PREFIX}.7", f"{PREFIX}.8"
PRINTER = f"printer.lan.test,{PREFIX}.20"
ROGUE = "2001:db8:66::"
ADVERTISE = """
import socket, struct, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("lan0"))
router = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, sys.argv[1])
s.sendto(router + prefix, ("ff02::1", 0))
"""


@dataclass(frozen=True, slots=True)
class Lan:
    """Who lives there. The host has an address, and a daemon whose uplink is its cable."""

    tank: Daemon
    router: Router
    desk: Neighbour
    phone: Neighbour
    attacker: Neighbour

    def seen(self, address: str, seconds: float = 2) -> list[str]:
        """What the server there answers: to the two machines and to the host."""
        machines = [asked(each, address, 80, seconds) for each in (self.desk, self.phone)]
        return [*machines, ask(address, 80, seconds)]

    def start(self, document: dict[str, Any]) -> dict[str, str]:
        """The pod's addresses, by their source, once its server answers itself."""
        self.tank.client.apply(document)
        self.tank.client.wait(document["name"], "ready", timeout=60)
        return self.addresses(document["name"])

    def addresses(self, name: str) -> dict[str, str]:
        """By their source."""
        return {each.source: each.ip.partition("/")[0] for each in self.tank.client.status(name).addresses}

    def inside(self, name: str) -> Path:
        """The pod's network namespace."""
        return self.tank.run / "pods" / self.tank.client.status(name).uid / "ns" / "net"


@pytest.fixture
def lan(run_dir_of_tests: Path, tmp_path: Path, short_tmp: Path, installation: str) -> Iterator[Lan]:
    with town(run_dir_of_tests) as made:
        ip(f"address add {HOST}/24 dev {made.parent}")
        router = Router(made.machine(1), tmp_path, records=(PRINTER,))
        router.neighbour.run("ip", "address", "add", f"{ANNOUNCED}1/64", "dev", "lan0", "nodad")
        router.start()
        daemon = Daemon(short_tmp, installation, config=f"[host]\nuplink = '{made.parent}'\n")
        for running in tended(daemon):
            yield Lan(running, router, made.machine(20), made.machine(21), made.machine(66))
        router.stop()


def asked(machine: Neighbour, address: str, port: int = 80, seconds: float = 2) -> str:
    return machine.run(sys.executable, "-I", "-c", ASK, address, str(port), str(seconds)).stdout


def spec(image: str, name: str, *addresses: str, **network: Any) -> dict[str, Any]:
    serve = {
        "name": "app",
        "image": image,
        "command": ["python3", "-c", SERVE, name],
        "probes": {"ready": {"tcp": 81, "period": 1}},
    }
    nics = [{"name": "eth0", "ip": list(addresses)}]
    return {"name": name, "grace": 0, "network": {"nics": nics, **network}, "containers": [serve]}


def test_pods_live_on_a_lan_and_who_means_harm_gets_nowhere(lan: Lan, debian: str) -> None:
    is_reached_by_all_and_outlives_everything(lan, debian)
    opens_to_whom_it_lists(lan, debian)
    takes_no_address_that_somebody_has(lan, debian)


def is_reached_by_all_and_outlives_everything(lan: Lan, debian: str) -> None:
    """A leased address."""
    found = lan.start(spec(debian, "web", "dhcp", "slaac"))
    address = found["dhcp"]
    everybody = [f"web {PREFIX}.20", f"web {PREFIX}.21", f"web {HOST}"]

    wait_for(lambda: lan.seen(address) == everybody, 10, "answers for all")
    assert lan.router.neighbour.run("busybox", "ping", "-6", "-c1", "-W2", found["slaac"]).returncode == 0
    looked = lan.tank.client.exec("web", ["getent", "hosts", "printer.lan.test"]).stdout.decode()
    assert looked.split()[0] == f"{PREFIX}.20"

    lan.tank.client.restart("web")
    wait_for(lambda: (now := lan.tank.client.status("web")).ready and now.containers[0].restarts == 0, 60, "a restart")
    lan.tank.client.wait("web", "ready", timeout=60)
    wait_for(lambda: lan.seen(address) == everybody, 10, "answers after a restart")
    pid = lan.tank.client.status("web").containers[0].pid
    lan.tank.kill()
    assert lan.seen(address) == everybody
    lan.tank.start()
    wait_for(lambda: lan.tank.client.status("web").ready)
    assert (lan.tank.client.status("web").containers[0].pid, lan.addresses("web")) == (pid, found)

    lan.tank.client.delete("web")
    lan.tank.client.wait("web", "gone", timeout=60)
    assert lan.router.leases == []
    assert lan.start(spec(debian, "web", "dhcp", "slaac")) == found
    wait_for(lambda: lan.seen(address) == everybody, 10, "answers of its successor")


def opens_to_whom_it_lists(lan: Lan, debian: str) -> None:
    """And believes no router that nobody asked for."""
    only = [{"from": f"{PREFIX}.20/32", "ports": [80]}]
    lan.start(spec(debian, "fixed", f"{FIXED}/24", f"{PREFIX6}:7/64", allow=only))

    assert lan.seen(FIXED, 0.5) == [f"fixed {PREFIX}.20", "TimeoutError", "TimeoutError"]
    assert [asked(lan.attacker, FIXED, port, 0.5) for port in (80, 81)] == ["TimeoutError"] * 2
    lan.attacker.run(sys.executable, "-I", "-c", ADVERTISE, ROGUE)
    wait_for(lambda: ROGUE[:-1] in lan.phone.run("ip", "-6", "address").stdout, 10, "one who believes it")
    held = ip("-6 address", lan.inside("fixed")) + ip("-6 route", lan.inside("fixed"))
    assert (ROGUE[:-1] in held, "default" in held) == (False, False)


def takes_no_address_that_somebody_has(lan: Lan, debian: str) -> None:
    """Until it is free."""
    mac = lan.attacker.run("cat", "/sys/class/net/lan0/address").stdout.strip()
    lan.attacker.run("ip", "address", "add", f"{WANTED}/24", "dev", "lan0")
    lan.tank.client.apply(spec(debian, "late", f"{WANTED}/24"))
    wait_for(lambda: mac in lan.tank.client.status("late").message, 20, "the owner's MAC")
    assert asked(lan.desk, WANTED) == "ConnectionRefusedError"
    lan.attacker.run("ip", "address", "delete", f"{WANTED}/24", "dev", "lan0")
    lan.tank.client.wait("late", "ready", timeout=90)
    wait_for(lambda: lan.seen(WANTED)[0] == f"late {PREFIX}.20", 10, "an answer to who knew another MAC")
