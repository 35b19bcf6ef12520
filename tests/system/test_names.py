"""Pods find each other by name, whatever becomes of the daemon and of the server of names."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dnslib
import pytest

from tank.host.netns import Namespaces
from tank.model.etcfiles import NAMESERVER
from tests.daemon import Daemon
from tests.segment import ip
from tests.waiting import wait_for

pytestmark = pytest.mark.system

DOMAIN = "tank.internal"
CHANGES = int(os.environ.get("TANK_NAMES_CHANGES", "10"))
KILLS = int(os.environ.get("TANK_NAMES_KILLS", "2"))
NIC = {"name": "eth0", "ip": {"pool": "default"}}


@pytest.fixture(autouse=True)
def _the_bridge_goes_with_the_last_pod(daemon: Daemon) -> Iterator[None]:
    yield
    if daemon.process is None:
        daemon.start()
    daemon.delete_all()
    wait_for(lambda: daemon.installation not in ip("-d link"), 10, "the end of the bridge")


def spec(name: str, image: str, *, network: Any = None, **more: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": ["sleep", "999"]} | more
    return {"name": name, "grace": 0, "containers": [container], "network": network or {"nics": [NIC]}}


def start(daemon: Daemon, *specs: dict[str, Any]) -> None:
    daemon.client.apply(list(specs))
    for each in specs:
        daemon.client.wait(each["name"], "ready", timeout=60)


def namespace(daemon: Daemon, name: str) -> Path:
    return daemon.run / "pods" / daemon.client.status(name).uid / "ns" / "net"


def unbound(path: Path, kind: socket.SocketKind) -> socket.socket:
    """A socket inside a pod."""

    async def opened() -> socket.socket:
        namespaces = Namespaces()
        try:
            return await namespaces.socket(path, socket.AF_INET, kind)
        finally:
            await namespaces.close()

    return asyncio.run(opened())


@contextmanager
def asking(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> Iterator[socket.socket]:
    """One that speaks to the pod's server of names."""
    with unbound(path, kind) as made:
        made.settimeout(5)
        made.connect((NAMESERVER, 53))
        yield made


def ask(path: Path, name: str, kind: str = "A") -> dnslib.DNSRecord:
    with asking(path) as opened:
        opened.send(dnslib.DNSRecord.question(name, kind).pack())
        return dnslib.DNSRecord.parse(opened.recv(65_535))


def said(path: Path, name: str, kind: str = "A") -> list[str]:
    return [str(each.rdata) for each in ask(path, name, kind).rr]


def address(daemon: Daemon, name: str) -> str:
    return daemon.client.status(name).addresses[0].ip.partition("/")[0]


def servers(daemon: Daemon) -> list[int]:
    """The processes that answer for this installation."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            group, line = (Path(f"/proc/{pid}/{name}").read_text() for name in ("cgroup", "cmdline"))
        except OSError:
            continue
        if f"/tank-{daemon.installation}/_names" in group and "tank.net.names.server" in line:
            found.append(int(pid))
    return found


def test_pods_find_each_other_both_ways(daemon: Daemon, busybox: str) -> None:
    ports = [{"host": 18_081, "container": 80, "name": "http"}]
    start(daemon, spec("web", busybox, network={"nics": [NIC], "ports": ports}), spec("other", busybox))
    inside, held = namespace(daemon, "other"), address(daemon, "web")

    wait_for(lambda: said(inside, f"web.{DOMAIN}") == [held], 2)
    assert said(inside, "web") == [held]
    assert said(inside, f"{'.'.join(reversed(held.split('.')))}.in-addr.arpa", "PTR") == [f"web.{DOMAIN}."]
    assert said(inside, f"_http._tcp.web.{DOMAIN}", "SRV") == [f"0 0 80 web.{DOMAIN}."]
    assert {each.ttl for each in ask(inside, f"web.{DOMAIN}").rr} == {5}
    assert ask(inside, f"nobody.{DOMAIN}").header.rcode == 3
    assert held in daemon.client.exec("other", ["nslookup", f"web.{DOMAIN}"]).stdout.decode()
    resolver = daemon.client.exec("other", ["cat", "/etc/resolv.conf"]).stdout.decode()
    assert resolver.splitlines()[1] == f"nameserver {NAMESERVER}"
    assert resolver.splitlines()[0].split()[:2] == ["search", DOMAIN]


def test_a_pod_that_is_not_ready_has_no_name(daemon: Daemon, busybox: str) -> None:
    probe = {"exec": ["test", "-e", "/ready"], "period": 1}
    daemon.client.apply([spec("web", busybox, probes={"ready": probe}), spec("other", busybox)])
    daemon.client.wait("other", "ready", timeout=60)
    daemon.client.wait("web", "running", timeout=60)
    inside = namespace(daemon, "other")
    assert ask(inside, f"web.{DOMAIN}").header.rcode == 3
    daemon.client.exec("web", ["touch", "/ready"])
    wait_for(lambda: said(inside, f"web.{DOMAIN}") == [address(daemon, "web")])
    daemon.client.exec("web", ["rm", "/ready"])
    wait_for(lambda: ask(inside, f"web.{DOMAIN}").header.rcode == 3)


def test_a_pod_may_serve_names_itself(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with unbound(inside, kind) as opened:
            opened.bind(("0.0.0.0", 53))
            assert said(inside, "web") == [address(daemon, "web")]


def test_by_tcp_too(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    query = dnslib.DNSRecord.question("web").pack()
    with asking(inside, socket.SOCK_STREAM) as opened:
        for _ in range(2):
            opened.sendall(struct.pack("!H", len(query)) + query)
            assert address(daemon, "web") in str(dnslib.DNSRecord.parse(opened.recv(999)[2:]))


def test_what_is_no_pods_name_is_asked_above(daemon: Daemon, busybox: str) -> None:
    upstream = f"127.53.{os.getpid() % 200}.7"
    restart_with(daemon, f'[net.dns]\nupstream = ["{upstream}"]\n')
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    with answering(upstream) as asked:
        assert said(inside, "a.example.org") == ["192.0.2.7"]
        assert said(inside, "A.example.org") == ["192.0.2.7"]
        assert asked == ["a.example.org."]
    assert ask(inside, "b.example.org").header.rcode == 2


def test_an_explicit_list_is_used_as_it_is_and_changes_live(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox), spec("other", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    pid = daemon.client.status("web").containers[0].pid
    explicit = {"nics": [NIC], "dns": ["192.0.2.53"], "search": ["lan"]}
    start(daemon, spec("web", busybox, network=explicit))
    wait_for(lambda: resolv_conf(daemon, "web") == "search lan\nnameserver 192.0.2.53\n")
    wait_for(lambda: refused(inside))
    start(daemon, spec("web", busybox))
    wait_for(lambda: NAMESERVER in resolv_conf(daemon, "web"))
    wait_for(lambda: not refused(inside))
    assert daemon.client.status("web").containers[0].pid == pid


def test_names_are_switched_off_and_on_while_pods_run(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    wait_for(lambda: len(servers(daemon)) == 1)
    restart_with(daemon, "[net.dns]\nenabled = false\n")
    wait_for(lambda: not servers(daemon) and NAMESERVER not in resolv_conf(daemon, "web"))
    restart_with(daemon, '[net.dns]\ndomain = "pods.test"\n')
    inside = namespace(daemon, "web")
    wait_for(lambda: len(servers(daemon)) == 1 and "search pods.test" in resolv_conf(daemon, "web"))
    assert said(inside, "web.pods.test") == [address(daemon, "web")]


def test_the_server_has_no_power_and_ends_with_the_last_pod(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox), spec("other", busybox))
    wait_for(lambda: len(servers(daemon)) == 1)
    wait_for(lambda: said(namespace(daemon, "web"), "web") != [], 2)
    status = Path(f"/proc/{servers(daemon)[0]}/status").read_text()
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    powers = [rows["Uid"].split(), rows["CapPrm"], rows["CapEff"], rows["CapBnd"], rows["NoNewPrivs"]]
    assert powers == [["65534"] * 4, *["0" * 16] * 3, "1"]
    daemon.client.delete("other", grace=0)
    daemon.client.wait("other", "gone", timeout=30)
    assert len(servers(daemon)) == 1
    daemon.client.delete("web", grace=0)
    daemon.client.wait("web", "gone", timeout=30)
    wait_for(lambda: not servers(daemon), 2)


def test_nothing_is_lost_by_changes_and_kills_of_the_daemon(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    with rain(inside) as drops:
        for number in range(CHANGES // 2):
            start(daemon, spec(f"n{number}", busybox))
            daemon.client.delete(f"n{number}", grace=0)
            if number % max(1, CHANGES // 2 // KILLS) == 0:
                daemon.kill()
                daemon.start()
    print(f"names: {CHANGES} changes, {KILLS} kills of the daemon: {drops.words()}")
    assert drops.lost() == []


def test_a_server_that_is_killed_has_a_successor_within_a_second(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    for _ in range(2):
        with rain(inside) as drops:
            (before,) = servers(daemon)
            os.kill(before, signal.SIGKILL)
            wait_for(lambda before=before: servers(daemon) and before not in servers(daemon))
            wait_for(lambda: not refused(inside))
        print(f"names: the server killed: {drops.words()}")
        assert drops.gap() < 1.0


def restart_with(daemon: Daemon, config: str) -> None:
    daemon.end()
    daemon.config = config
    daemon.start()


def resolv_conf(daemon: Daemon, name: str) -> str:
    return daemon.client.exec(name, ["cat", "/etc/resolv.conf"]).stdout.decode()


def refused(path: Path) -> bool:
    """Whether nobody is there to answer."""
    try:
        ask(path, "web")
    except ConnectionRefusedError:
        return True
    return False


@contextmanager
def answering(address: str) -> Iterator[list[str]]:
    """A server of names on the host, which says 192.0.2.7 to everything; what it was asked."""
    asked: list[str] = []

    def serve(opened: socket.socket) -> None:
        while True:
            query, peer = opened.recvfrom(999)
            if not query:
                return
            reply = dnslib.DNSRecord.parse(query).reply()
            asked.append(str(reply.q.qname))
            reply.add_answer(dnslib.RR(reply.q.qname, ttl=60, rdata=dnslib.A("192.0.2.7")))
            opened.sendto(reply.pack(), peer)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((address, 53))
        server = threading.Thread(target=serve, args=(opened,))
        server.start()
        yield asked
        opened.sendto(b"", (address, 53))
        server.join()


@dataclass(slots=True)
class Drops:
    """Questions by number: when each was asked and when answered."""

    asked: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    def lost(self) -> list[int]:
        return sorted(self.asked.keys() - self.answered.keys())

    def gap(self) -> float:
        """Seconds between the first and the last question that was lost."""
        moments = [self.asked[each] for each in self.lost()]
        return max(moments) - min(moments) if moments else 0.0

    def words(self) -> str:
        slowest = max(self.answered[each] - self.asked[each] for each in self.answered)
        return (
            f"{len(self.asked)} asked, {len(self.lost())} lost in {self.gap():.2f} s, slowest {1000 * slowest:.0f} ms"
        )


@contextmanager
def rain(path: Path) -> Iterator[Drops]:
    """A hundred questions a second; each may wait two seconds for its answer."""
    drops, over = Drops(), threading.Event()

    def ask_on(opened: socket.socket) -> None:
        number, due, end = 0, time.monotonic(), None
        while end is None or time.monotonic() < end:
            if over.is_set() and end is None:
                end = time.monotonic() + 2
            if end is None and time.monotonic() >= due:
                number, due = number + 1, due + 0.01
                drops.asked[number] = time.monotonic()
                send(opened, number)
            opened.settimeout(0.005)
            try:
                drops.answered[int.from_bytes(opened.recv(999)[:2], "big")] = time.monotonic()
            except OSError:
                continue

    with asking(path) as opened:
        asker = threading.Thread(target=ask_on, args=(opened,))
        asker.start()
        try:
            yield drops
        finally:
            over.set()
            asker.join()


def send(opened: socket.socket, number: int) -> None:
    query = dnslib.DNSRecord.question("web")
    query.header.id = number
    try:
        opened.send(query.pack())
    except OSError:
        return
