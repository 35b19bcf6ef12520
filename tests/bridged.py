"""Pods on a bridge as tests have them: what they serve, another machine on the LAN, and questions from every side."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.waiting import wait_for

HOST, OTHER = "198.51.100.1", "198.51.100.2"
ECHO = 82  # of a pod; 80 and 81 say who they are and who asked, and so does datagram port 53
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
def back(c, who):
    while said := c.recv(99):
        c.sendall(said)
def echo(port):
    s = socket.create_server(("", port))
    while True:
        threading.Thread(target=back, args=s.accept()).start()
for port in (80, 81):
    threading.Thread(target=tcp, args=(port,)).start()
threading.Thread(target=udp, args=(53,)).start()
threading.Thread(target=echo, args=(82,)).start()
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
    """The other machine, by a cable that has addresses at both ends and a way to every bridge."""

    neighbour: Neighbour

    @classmethod
    def of(cls, neighbour: Neighbour) -> Lan:
        """Give the cable its addresses."""
        run(f"ip address add {HOST}/24 dev {neighbour.parent}")
        neighbour.run("ip", "address", "add", f"{OTHER}/24", "dev", "lan0")
        neighbour.run("ip", "route", "add", "10.0.0.0/8", "via", HOST)
        return cls(neighbour)

    @property
    def within(self) -> list[str]:
        """What a command begins with to be run there."""
        return ["ip", "netns", "exec", self.neighbour.name]

    def ask(self, address: str, port: int, seconds: float = 2) -> str:
        """What the other machine gets from there; the name of the error when it gets nothing."""
        return self.neighbour.run(sys.executable, "-I", "-c", ASK, address, str(port), str(seconds)).stdout


def run(command: str | list[str]) -> str:
    """What a program prints, that must succeed."""
    argv = command.split() if isinstance(command, str) else command
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def ask(address: str, port: int, seconds: float = 2) -> str:
    """What the host gets from there."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as opened:
            return opened.recv(99).decode()
    except OSError as error:
        return type(error).__name__


def inside(daemon: Daemon, name: str, address: str, port: int) -> str:
    """What a pod gets from there."""
    return daemon.client.exec(name, ["python3", "-c", ASK, address, str(port), "2"]).stdout.decode()


def pod(image: str, name: str = "web", **network: Any) -> dict[str, Any]:
    """On the pool `default`; it serves under its name."""
    serve = {"name": "app", "image": image, "command": ["python3", "-c", SERVE, name]}
    nics = [{"name": "eth0", "ip": {"pool": "default"}}]
    return {"name": name, "grace": 0, "network": {"nics": nics, **network}, "containers": [serve]}


def up(daemon: Daemon, *pods: dict[str, Any], seen: bool = True) -> list[str]:
    """Apply, wait, and answer with the IPv4 addresses. Unless they are `seen` from the host, they ask themselves."""
    for each in pods:
        daemon.client.apply(each)
    for each in pods:
        daemon.client.wait(each["name"], "ready", timeout=60)
    found = [address(daemon, each["name"]) for each in pods]
    for each, where in zip(pods, found, strict=True):
        wait_for(partial(serves, daemon, each["name"], where if seen else None), what="the server")
    return found


def serves(daemon: Daemon, name: str, where: str | None) -> bool:
    """Whether the last of its servers is there."""
    for port in (80, 81):
        answer = ask(where, port) if where else inside(daemon, name, "127.0.0.1", port)
        if answer in ("ConnectionRefusedError", "TimeoutError"):
            return False
    return True


def address(daemon: Daemon, name: str) -> str:
    """Its first, without prefix."""
    return daemon.client.status(name).addresses[0].ip.partition("/")[0]


def tables() -> str:
    """The tables of nftables, by name."""
    return run("nft list tables")
