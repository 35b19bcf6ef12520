"""Questions over the network, asked from inside the pod: connections whose socket belongs to the pod's namespace.

So no image needs a tool for them, every kind of network works, and a program that listens on loopback alone can be
asked (C2). A pod on the host's network is asked from there.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

from tank.errors import Failed, TankError
from tank.host.netns import Namespaces
from tank.host.patience import Patience
from tank.model.launch import Answer, Target

LOOPBACK = "127.0.0.1"
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # says something of this daemon, not of the pod


@dataclass(frozen=True, slots=True)
class Place:
    """The network of one pod. `namespace` None: it is the host's."""

    namespaces: Namespaces
    namespace: Path | None

    async def open(self, address: str) -> socket.socket:
        """A socket fit for this address, which never blocks. Raises Failed."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if self.namespace is not None:
            return await self.namespaces.socket(self.namespace, family, socket.SOCK_STREAM)
        try:
            return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise Failed(f"cannot open a socket: {error.strerror}") from error

    async def connect(self, address: str, port: int) -> socket.socket:
        """A connection. Raises OSError when nobody answers, Failed when it cannot be asked."""
        found = await self.open(address)
        try:
            await asyncio.get_running_loop().sock_connect(found, (address, port))
        except BaseException:
            found.close()
            raise
        return found


def address_of(target: Target) -> str:
    """The pod's first address, 127.0.0.1 if it has none."""
    return target.addresses[0].ip.partition("/")[0] if target.addresses else LOOPBACK


def port_of(target: Target, port: int | str) -> int:
    """A port by number, or by the name that the pod's network gives it. Raises Failed."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for each in getattr(target.pod.network, "ports", ()):
        if each.name == port:
            return int(each.container)
    raise Failed(f"no port of the pod is called {port}")


async def resolve(target: Target, host: str | None) -> str:
    """The address to connect to. A name is one of the pod's own `hosts`, else what the host knows. Raises OSError."""
    if host is None:
        return address_of(target)
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    if host in target.pod.hosts:
        return target.pod.hosts[host]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


async def ask_tcp(place: Place, target: Target, port: int | str) -> Answer:
    """A connection is success, also one that is closed at once (C2)."""
    (await place.connect(address_of(target), port_of(target, port))).close()
    return Answer(good=True)


async def in_time(asked: Coroutine[None, None, Answer], seconds: float) -> Answer:
    """What the question comes to, within `seconds`. Never raises TankError or OSError."""
    patience, asking = Patience(seconds), asyncio.ensure_future(asked)
    try:
        came = await patience.wait(asking)
        answer = _answer(asking) if came else Answer(good=False, message=f"no answer within {seconds:g} s")
    finally:
        if not asking.done():
            asking.cancel()
            await asyncio.wait((asking,))
    return replace(answer, lag=patience.lag)


def _answer(asking: asyncio.Future[Answer]) -> Answer:
    try:
        return asking.result()
    except TankError as error:
        return Answer(good=None, message=str(error))
    except OSError as error:
        return Answer(good=None if error.errno in _OURS else False, message=words(error))


def words(error: OSError) -> str:
    """The kernel's words; a resolver has numbers of its own."""
    return (os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)).lower()
