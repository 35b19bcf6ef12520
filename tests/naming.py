"""Asking for names from inside pods: by sockets of the test in their namespaces."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dnslib

from tank.host.netns import Namespaces
from tank.model.etcfiles import NAMESERVER
from tests.daemon import Daemon

DOMAIN = "tank.internal"
NIC = {"name": "eth0", "ip": {"pool": "default"}}


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
        try:
            yield asked
        finally:
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
