"""Addresses, interface names and MACs, each in canonical form. All raise `Refused`."""

from __future__ import annotations

import ipaddress
import re

from tank.model.faults import Refused, quoted

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

INTERFACE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}"
_RESERVED = frozenset({"lo", "all", "default"})  # loopback; the kernel's own words under /proc/sys/net


def interface_name(text: str) -> str:
    """An interface's name inside the pod: at most 15 characters."""
    if text in _RESERVED:
        raise Refused(f"{quoted(text)} is the kernel's own and cannot name an interface")
    return parent_name(text)


def parent_name(text: str) -> str:
    """A host interface's name, or `auto`."""
    if re.fullmatch(INTERFACE_NAME, text):
        return text
    raise Refused(f"{quoted(text)} is not an interface's name: letters, digits, '_', '.' and '-', at most 15")


def address(text: str) -> str:
    """One address without a prefix, canonical."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        hint = f"did you mean '{text.partition('/')[0]}'?" if "/" in text else ""
        raise Refused(f"{quoted(text)} is not an IP address", hint) from None
    if "%" in text:
        raise Refused(f"{quoted(text)} must not have a zone")
    return str(found)


def static_address(text: str) -> str:
    """An address with its prefix that one interface can hold: "10.0.0.5/24", canonical."""
    if text in ("dhcp", "slaac"):
        raise Refused(f"{quoted(text)} is not supported yet")
    bare, slash, prefix = text.partition("/")
    if not slash:
        address(text)
        raise Refused(f"{quoted(text)} needs a prefix", f"did you mean '{text}/{64 if ':' in text else 24}'?")
    if not re.fullmatch(r"[0-9]{1,3}", prefix):
        raise Refused(f"{quoted(prefix)} is not a prefix length")
    return with_prefix(bare, int(prefix))


def with_prefix(text: str, prefix: int) -> str:
    """The address with its prefix length, canonical."""
    bare = ipaddress.ip_address(address(text))
    if not 0 < prefix <= bare.max_prefixlen:
        raise Refused(f"the prefix length of {quoted(text)} lies between 1 and {bare.max_prefixlen}")
    found = ipaddress.ip_interface(f"{bare}/{prefix}")
    if bare.is_loopback or bare.is_multicast or bare.is_unspecified or str(bare) == "255.255.255.255":
        raise Refused(f"{quoted(text)} cannot be the address of an interface")
    if isinstance(found, ipaddress.IPv4Interface) and prefix < 31:
        if found.ip == found.network.network_address:
            raise Refused(f"{quoted(text)} is the network's own address", f"{found.network} is the network")
        if found.ip == found.network.broadcast_address:
            raise Refused(f"{quoted(text)} is the broadcast address of {found.network}")
    return str(found)


def destination(text: str) -> str:
    """Where a route leads: a network in CIDR form, canonical."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Refused(f"{quoted(text)} is not a network such as '10.1.0.0/16'") from None
    if "%" in text:
        raise Refused(f"{quoted(text)} must not have a zone")
    if "/" not in text or str(found.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise Refused(f"{quoted(text)} is not a network", f"did you mean '{found}'?")
    return str(found)


def mac(text: str) -> str:
    """A unicast MAC, canonical in lower case with colons."""
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", text):
        raise Refused(f"{quoted(text)} is not a MAC such as '02:00:5e:10:00:01'")
    canonical = text.lower().replace("-", ":")
    if int(canonical[:2], 16) & 1:
        raise Refused(f"{quoted(text)} is a group address, which no interface can have")
    if canonical == "00:00:00:00:00:00":
        raise Refused("a MAC cannot be all zeros")
    return canonical
