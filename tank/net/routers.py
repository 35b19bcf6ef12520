"""Addresses that the kernel makes of IPv6 routers' words (RFC 4862), in the namespace of the calling thread.

They hang on the interface's MAC, so they stay the same; none for a while only (RFC 8981). Where nobody asks for them,
routers are not listened to at all (S32).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tank.errors import Waiting
from tank.net.links import REASON

_SETTINGS = {"use_tempaddr": "0", "autoconf": "1", "addr_gen_mode": "0", "router_solicitation_delay": "0"}
USUAL = 1.0  # seconds
_ALWAYS = "2"  # of accept_ra: also where the pod forwards packets
_SOLICITATION = bytes((133, 0, 0, 0, 0, 0, 0, 0))
_EVERY_ROUTER = "ff02::2"


def prepare() -> None:
    """Interfaces to be made here ask at once whether their first address is somebody's, not within a second."""
    with contextlib.suppress(FileNotFoundError):  # no IPv6: `heed` says so
        _set("default", "router_solicitation_delay", "0")


def hasten(interface: str, seconds: float = USUAL) -> None:
    """How long the kernel waits for the answer (RFC 4862). It asks all neighbours by this clock."""
    with contextlib.suppress(FileNotFoundError):  # the interface is gone
        Path("/proc/sys/net/ipv6/neigh", interface, "retrans_time_ms").write_text(str(round(seconds * 1000)))


def heed(interface: str) -> None:
    """Make addresses of what routers say. Raises Waiting."""
    try:
        for name, value in {**_SETTINGS, "accept_ra": _ALWAYS}.items():
            _set(interface, name, value)
    except FileNotFoundError as error:
        raise Waiting(REASON, "cannot ask an IPv6 router: this kernel has no IPv6") from error


def ignore(interfaces: Iterable[str]) -> None:
    """Listen to no router, and have nothing of what one said: the interfaces lose all that is IPv6, for a moment."""
    for each in interfaces:
        with contextlib.suppress(FileNotFoundError):  # the interface is gone
            _set(each, "accept_ra", "0")
            for value in ("1", "0"):
                _set(each, "disable_ipv6", value)


def silence(interfaces: Iterable[str]) -> None:
    """Those of the interfaces that listen to routers do so no more."""
    ignore([each for each in interfaces if any(_wrong(each, {"accept_ra": "0"}))])


def misled(heeds: Mapping[str, bool]) -> tuple[str, ...]:
    """What of the interfaces' settings is not as it should be, in words. `heeds`: whether each listens to routers."""
    wanted = {name: {**_SETTINGS, "accept_ra": _ALWAYS} if each else {"accept_ra": "0"} for name, each in heeds.items()}
    return tuple(words for name, settings in wanted.items() for words in _wrong(name, settings))


def _wrong(interface: str, settings: Mapping[str, str]) -> Iterator[str]:
    for name, value in settings.items():
        with contextlib.suppress(FileNotFoundError):  # no such interface yet, or no IPv6
            if _path(interface, name).read_text().strip() != value:
                yield f"net/ipv6/conf/{interface}/{name} is not {value}"


def solicit(opened: socket.socket, link: int) -> None:
    """Ask every router there. It has to be said again until something comes of it."""
    with contextlib.suppress(OSError):  # no address yet to say it from
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        opened.sendto(_SOLICITATION, (_EVERY_ROUTER, 0, 0, link))


def _set(interface: str, name: str, value: str) -> None:
    path = _path(interface, name)
    if path.read_text().strip() != value:
        path.write_text(value)


def _path(interface: str, name: str) -> Path:
    return Path("/proc/sys/net/ipv6/conf", interface, name)
