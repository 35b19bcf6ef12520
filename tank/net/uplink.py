"""The host's interface that a pod's interface sits on: the one named, or found when the spec says `auto`.

`auto` is the configured uplink, else the interface that holds the default route (the lowest metric, IPv4
before IPv6). All is read from /proc and /sys: no library, and well below a millisecond.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from tank.errors import Waiting
from tank.net.drift import Parent
from tank.net.links import REASON

_SYS = Path("/sys/class/net")
_ROUTES, _ROUTES6 = Path("/proc/self/net/route"), Path("/proc/self/net/ipv6_route")
_RTF_UP, _RTF_REJECT, _IFF_UP = 0x1, 0x200, 0x1


def find(name: str, uplink: str | None, *, own_mac: bool = True) -> Parent:
    """The parent that a spec calls `name`. Raises Waiting with the cure when it cannot carry interfaces now.

    `own_mac`: these have a MAC each.
    """
    wanted = name if name != "auto" else uplink or _automatic()
    try:
        parent = existing(wanted)
    except OSError as error:
        there = ", ".join(sorted(name for _, name in socket.if_nameindex() if name != "lo")) or "none"
        raise Waiting(REASON, f"no interface called {wanted}; there are: {there}") from error
    _check(parent.name, own_mac=own_mac)
    return parent


def existing(name: str) -> Parent:
    """The host's interface as it is. Raises OSError when there is none."""
    mtu, mac = ((_SYS / name / each).read_text().strip() for each in ("mtu", "address"))
    return Parent(name=name, index=socket.if_nametoindex(name), mtu=int(mtu), mac=mac)


def below(lower: int | None, name: str | None) -> Parent | None:
    """The parent of a link that stands: the one called `name`, else the one it has; None when there is none."""
    try:
        return existing(name or socket.if_indextoname(lower or 0))
    except OSError:
        return None


def default_interface(ipv4: str, ipv6: str) -> str | None:
    """The interface of the default route, from the texts of /proc/net/route and /proc/net/ipv6_route. Pure."""
    return next((name for routes in (_defaults4(ipv4), _defaults6(ipv6)) for _, name in sorted(routes)), None)


def _defaults4(text: str) -> Iterator[tuple[int, str]]:
    for line in text.splitlines()[1:]:
        name, to, _, flags, _, _, metric, mask, *_ = line.split()
        usable = int(flags, 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP
        if usable and int(to, 16) == 0 and int(mask, 16) == 0:
            yield int(metric), name


def _defaults6(text: str) -> Iterator[tuple[int, str]]:
    for line in text.splitlines():
        to, length, _, _, _, metric, _, _, flags, name = line.split()
        usable = int(flags, 16) & (_RTF_UP | _RTF_REJECT) == _RTF_UP
        if usable and int(to, 16) == 0 and int(length, 16) == 0 and name != "lo":
            yield int(metric, 16), name


def _automatic() -> str:
    name = default_interface(_text(_ROUTES), _text(_ROUTES6))
    if name is None:
        raise Waiting(REASON, "cannot find a parent: this host has no default route; name the parent or set uplink")
    return name


def _check(name: str, *, own_mac: bool) -> None:
    """Refuse what the kernel would accept and never carry a frame for."""
    directory = _SYS / name
    if own_mac and ((directory / "wireless").exists() or (directory / "phy80211").exists()):
        raise Waiting(
            REASON,
            f"{name} is a Wi-Fi interface: access points drop frames of further MACs; use a wired one, or ipvlan",
        )
    if not int(_text(directory / "flags") or "0", 16) & _IFF_UP:
        raise Waiting(REASON, f"{name} is down (ip link set {name} up)")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
