"""What a DHCP client said, taken for no more than addresses, numbers and names (RFC 2131, RFC 2132). Pure and light.

A server on the LAN may be anybody's, and what it sends passes through a program written in C. So nothing of it is ever
evaluated, executed or quoted: each value is of its kind, within its bounds, or it is not there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

END = b"end\0"  # of a message: nothing else in it lacks a "="
MOST = 16 * 1024  # bytes of a message
BOUND = ("bound", "renew")  # the events by which a client has a lease
CHANGES = (*BOUND, "nak")  # and by which a lease changes
FOR_EVER = 2**32 - 1  # as a server says it
LEAST_MTU, MOST_MTU = 576, 65_535
SHORTEST = 8  # prefix: no LAN is larger, and half of the world is not on this link
_MOST_SERVERS, _MOST_DOMAINS = 3, 6
_NAME = re.compile(r"(?=.{1,253}\.?\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*\.?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An address with prefix, until when (boot time; None: for ever) it may be used, and what the server said with it.

    `router` is on the link; `mtu` None: not said.
    """

    address: str
    until: float | None
    router: str | None = None
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int | None = None
    server: str = ""

    def seconds(self, now: float) -> float | None:
        """How long it holds still; None: for ever."""
        return None if self.until is None else max(self.until - now, 0.0)

    def valid(self, now: float) -> bool:
        """Whether it may be used now."""
        return self.until is None or self.until > now


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What has come of asking. `event` was the client's last, `why` says what was wrong with what came, if anything."""

    event: str = ""
    why: str = ""
    lease: Lease | None = None


def parsed_message(message: bytes) -> tuple[str, Mapping[str, str]]:
    """The event and the variables of one message without its end. What is garbled is an event of no name.

    Whatever the client itself has said comes before the first zero.
    """
    first, *rest = message.partition(b"\0")[2].split(b"\0")
    event = first.removeprefix(b"event=").decode("ascii", "replace")
    pairs = (each.decode("utf-8", "replace").partition("=") for each in rest)
    values = {name: value for name, mark, value in pairs if mark}
    return (event if event.isalpha() and len(event) < 20 else ""), values


def advanced(state: State, event: str, values: Mapping[str, str], now: float) -> State:
    """The state after an event. All but `CHANGES` (deconfig, leasefail) change no lease: it ends by its own time."""
    if event == "nak":
        return State(event=event, why="the DHCP server takes the address back")
    if event not in CHANGES:
        return replace(state, event=event)
    try:
        return State(event=event, lease=parsed(values, now))
    except ValueError as error:
        return replace(state, event=event, why=f"the DHCP server's answer is of no use: {error}")


def parsed(values: Mapping[str, str], now: float) -> Lease:
    """The lease in the client's variables. Raises ValueError, with the reason in words of ours alone."""
    address = _address(values)
    return Lease(
        address=str(address),
        until=_until(values.get("lease", "3600"), now),
        router=next((each for each in _hosts(values.get("router", "")) if _leads(each, address)), None),
        dns=_hosts(values.get("dns", ""))[:_MOST_SERVERS],
        search=_names(values.get("search") or values.get("domain", "")),
        mtu=_number(values.get("mtu", ""), LEAST_MTU, MOST_MTU),
        server=next(iter(_hosts(values.get("serverid", ""))), ""),
    )


def _address(values: Mapping[str, str]) -> ipaddress.IPv4Interface:
    try:
        found = ipaddress.IPv4Interface(f"{ipaddress.IPv4Address(values['ip'])}/{_prefix(values['subnet'])}")
    except (KeyError, ValueError):
        raise ValueError("it gives no address, or no subnet mask") from None
    if not _is_host(found.ip):
        raise ValueError(f"{found.ip} is no address of a host")
    if found.network.prefixlen < 31 and found.ip in (found.network.network_address, found.network.broadcast_address):
        raise ValueError(f"{found} is no address of a host")
    return found


def _prefix(mask: str) -> int:
    """A mask has its ones first; `ipaddress` alone would take a wildcard for one too."""
    bits = int(ipaddress.IPv4Address(mask))
    length = bits.bit_count()
    if length < SHORTEST or bits != (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF:
        raise ValueError("no mask")
    return length


def _until(text: str, now: float) -> float | None:
    seconds = _number(text, 1, FOR_EVER)
    if seconds is None:
        raise ValueError("it does not say for how long")
    return None if seconds == FOR_EVER else now + seconds


def _number(text: str, least: int, most: int) -> int | None:
    found = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
    return found if least <= found <= most else None


def _hosts(text: str) -> tuple[str, ...]:
    found = []
    for each in text[:1024].split(" "):
        try:
            address = ipaddress.IPv4Address(each)
        except ValueError:
            continue
        if _is_host(address):
            found.append(str(address))
    return tuple(dict.fromkeys(found))


def _is_host(address: ipaddress.IPv4Address) -> bool:
    """Not loopback: what a server on the LAN says must never lead to the pod's own programs."""
    return int(address) >> 24 not in (0, 127) and int(address) >> 28 < 0xE


def _leads(router: str, own: ipaddress.IPv4Interface) -> bool:
    address = ipaddress.IPv4Address(router)
    return address in own.network and address != own.ip


def _names(text: str) -> tuple[str, ...]:
    found = [each.rstrip(".").lower() for each in text[:2048].split(" ") if _NAME.match(each)]
    return tuple(dict.fromkeys(found))[:_MOST_DOMAINS]


def dumped(state: State) -> Mapping[str, Any]:
    """The state as plain data."""
    return asdict(state)


def loaded(data: Any) -> State:
    """What `dumped` gave. Raises KeyError, TypeError, ValueError."""
    lease = data["lease"]
    if lease is not None:
        lease = Lease(**{**lease, "dns": tuple(lease["dns"]), "search": tuple(lease["search"])})
    return State(event=data["event"], why=data["why"], lease=lease)
