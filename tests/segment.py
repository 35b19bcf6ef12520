"""A LAN for tests: a pair of veth ends, one in the host's namespace as the parent of macvlan interfaces, the
other in a namespace of the test, where the neighbours live. Its frames go nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tank.host import syscalls
from tank.host.netns import Namespaces
from tank.net.announce import frame
from tank.net.conflicts import open_prober, probe

NEIGHBOUR, NEIGHBOUR6 = "10.66.0.1", "fd66::1"


@dataclass(frozen=True, slots=True)
class Lan:
    """`parent` is the host's end, `neighbour` the pinned namespace of the other, whose interface is `far`."""

    parent: str
    far: str
    directory: Path
    namespaces: Namespaces

    @property
    def neighbour(self) -> Path:
        """The namespace with the addresses NEIGHBOUR/24 and NEIGHBOUR6/64."""
        return self.directory / "neighbour" / "net"

    async def namespace(self, name: str) -> Path:
        """A fresh network namespace, as a sandbox has it."""
        await self.namespaces.make(self.directory / name, net=True, hostname=name)
        return self.directory / name / "net"


@asynccontextmanager
async def lan(directory: Path) -> AsyncIterator[Lan]:
    """Make the LAN; all of it, and each namespace made by it, is gone afterwards."""
    name = f"tkt{secrets.token_hex(4)}"
    made = Lan(f"{name}a", f"{name}b", directory, Namespaces())
    private(directory)
    try:
        await made.namespace("neighbour")
        ip(f"link add {made.parent} type veth peer name {made.far}")
        ip(f"link set {made.far} netns {made.neighbour}")
        ip(f"addr add {NEIGHBOUR}/24 dev {made.far}", made.neighbour)
        ip(f"addr add {NEIGHBOUR6}/64 dev {made.far} nodad", made.neighbour)
        ip(f"link set {made.far} up", made.neighbour)
        ip(f"link set {made.parent} up")
        yield made
    finally:
        drop(made.parent)
        for each in os.listdir(directory):
            await made.namespaces.remove(directory / each)
        await made.namespaces.close()
        syscalls.umount(directory, syscalls.MNT_DETACH)


def private(directory: Path) -> None:
    """Make the directory a file system whose mounts spread nowhere, as the runtime does for its pins."""
    syscalls.mount("tmpfs", str(directory), "tmpfs")
    syscalls.mount("", str(directory), "", syscalls.MS_PRIVATE)


def drop(link: str) -> None:
    """Delete a link of the host, if it is there."""
    subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)


def ip(words: str, namespace: Path | None = None) -> str:
    """What `ip WORDS` says, in a pinned namespace or the host's."""
    inside = ["nsenter", f"--net={namespace}"] if namespace else []
    told = subprocess.run([*inside, "ip", *words.split()], check=True, capture_output=True, text=True)
    return told.stdout


@dataclass(slots=True)
class Sleeper:
    """A machine of the LAN that has an address, and says so late: a radio that saves power. `taken`: what it heard
    others announce of its address.
    """

    opened: socket.socket
    mac: str
    address: str
    delay: float
    taken: int = 0

    def hear(self) -> None:
        """Answer each question for the address after the delay."""
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError):
            while True:
                heard = self.opened.recv(2048)
                asker = heard[6:12].hex(":")
                if heard == probe(asker, self.address):
                    loop.call_later(self.delay, self._answer)
                elif heard == frame(asker, self.address):
                    self.taken += 1

    def _answer(self) -> None:
        with suppress(OSError):
            self.opened.send(frame(self.mac, self.address))


@asynccontextmanager
async def sleeper(lan: Lan, mac: str, address: str, delay: float) -> AsyncIterator[Sleeper]:
    """One on the LAN of the neighbour."""
    (opened,) = await lan.namespaces.inside(lan.neighbour, lambda: open_prober(lan.far, [4]))
    loop, made = asyncio.get_running_loop(), Sleeper(opened, mac, address, delay)
    loop.add_reader(opened.fileno(), made.hear)
    try:
        yield made
    finally:
        loop.remove_reader(opened.fileno())
        opened.close()


async def talk(lan: Lan, client: Path, server: Path, address: str) -> str:
    """The address from which a program in `client` reaches one that listens on `address` in `server` by TCP."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = await lan.namespaces.socket(server, family, socket.SOCK_STREAM)
    calling = await lan.namespaces.socket(client, family, socket.SOCK_STREAM)
    with listening, calling:
        listening.bind((address, 0))
        listening.listen()
        async with asyncio.timeout(5):
            await loop.sock_connect(calling, listening.getsockname()[:2])
            accepted, peer = await loop.sock_accept(listening)
        accepted.close()
    return str(peer[0])
