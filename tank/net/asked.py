"""Interfaces whose addresses come from the network: what of them is wanted, once it is known. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tank.model.network_checks import MIN_MTU6
from tank.net.dhcp.lease import Lease
from tank.net.drift import find
from tank.net.seen import Seen
from tank.net.wanted import Interface, WantedRoute

DEFAULT4 = "0.0.0.0/0"


def with_leases(wanted: Sequence[Interface], leases: Mapping[str, Lease], now: float) -> tuple[Interface, ...]:
    """The interfaces with what they have by DHCP: address, default route, MTU. `leases` by interface; `now`: boot time.

    What the spec says of gateway and MTU goes before what a server says.
    """
    return tuple(_with(each, leases[each.name], wanted, now) if each.name in leases else each for each in wanted)


def _with(interface: Interface, lease: Lease, wanted: Sequence[Interface], now: float) -> Interface:
    metric = lead(interface, wanted)
    routes = interface.routes
    if lease.router and metric is not None:
        routes += (WantedRoute(to=DEFAULT4, via=lease.router, metric=metric),)
    stated = lease.address in interface.addresses
    return replace(
        interface,
        addresses=interface.addresses if stated else (*interface.addresses, lease.address),
        leased={} if stated else {lease.address: lease.seconds(now)},
        routes=routes,
        offered_mtu=_bearable(interface, lease.mtu),
    )


def _bearable(interface: Interface, mtu: int | None) -> int | None:
    """Below 1280 the kernel takes IPv6 away (RFC 8200): no server on the LAN has a say in that."""
    six = "slaac" in interface.asks or any(":" in each for each in interface.addresses)
    return max(mtu, MIN_MTU6) if mtu and six else mtu


def lead(interface: Interface, wanted: Sequence[Interface]) -> int | None:
    """The metric of the default route that a lease of this interface brings: after all that are stated.

    None: the interface has one of its own.
    """
    if _leads(interface):
        return None
    before = wanted[: [each.name for each in wanted].index(interface.name)]
    others = sum("dhcp" in each.asks and not _leads(each) for each in before)
    return others + sum(_leads(each) for each in wanted)


def _leads(interface: Interface) -> bool:
    return any(route.to == DEFAULT4 for route in interface.routes)


def without_ways(interface: Interface, version: int) -> Interface:
    """The interface without its routes by gateways that only an address to come will reach."""
    near = [ipaddress.ip_interface(each).network for each in interface.addresses]

    def stands(route: WantedRoute) -> bool:
        via = ipaddress.ip_address(route.via) if route.via else None
        return via is None or via.version != version or via.is_link_local or any(via in each for each in near)

    return replace(interface, routes=tuple(filter(stands, interface.routes)))


def made_by_kernel(interface: Interface, seen: Seen, *, ready: bool = True) -> tuple[str, ...]:
    """The addresses that the kernel has made of routers' prefixes and the interface's MAC, and that can be used.

    Not `ready`: those of which it does not know, or knows that they are another's.
    """
    link = find(interface, seen)
    if link is None:
        return ()
    return tuple(
        each.address
        for each in seen.addresses
        if each.index == link.index and each.ready == ready and is_made(each.address, link.mac)
    )


def is_made(address: str, mac: str) -> bool:
    """Whether an address is what RFC 4291 makes of a MAC, and more than local to the link."""
    found = ipaddress.ip_interface(address).ip
    digits = bytes.fromhex(mac.replace(":", ""))
    own = bytes((digits[0] ^ 2, *digits[1:3], 0xFF, 0xFE, *digits[3:6])) if len(digits) == 6 else b""
    return found.version == 6 and not found.is_link_local and found.packed[8:] == own
