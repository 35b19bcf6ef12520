"""Pods find each other by name, whatever becomes of the daemon and of the server of names."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def asking(path: Path, kind: socket.SocketKind = socket.SOCK_DGRAM, seconds: float = 2.0) -> Iterator[socket.socket]:
    """A socket inside a pod that speaks to its server of names."""

    async def opened() -> socket.socket:
        namespaces = Namespaces()
        try:
            return await namespaces.socket(path, socket.AF_INET, kind)
        finally:
            await namespaces.close()

    with asyncio.run(opened()) as made:
        made.settimeout(seconds)
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
    lookup = daemon.client.exec("other", ["nslookup", f"web.{DOMAIN}"]).stdout.decode()
    assert held in lookup
    assert daemon.client.exec("other", ["cat", "/etc/resolv.conf"]).stdout.decode().split("\n")[:2] == [
        *[line for line in daemon.client.exec("web", ["cat", "/etc/resolv.conf"]).stdout.decode().split("\n")[:2]]
    ]
