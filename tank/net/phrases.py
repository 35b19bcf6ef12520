"""Parts of rules of nftables, as text. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

# The hops that are left to what the host has led in to a port that is not for all. Whatever is only forwarded has
# fewer, whoever sends it (RFC 5082). So a pod can tell the two apart: when the host's rules are gone, nobody comes in.
LED = 255


def rendered(name: str, chains: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """A table of nftables with its chains, line by line."""
    yield f"table {name} {{"
    for chain, lines in chains:
        yield f"  chain {chain} {{"
        yield from (f"    {line}" for line in lines)
        yield "  }"
    yield "}"


def braced(addresses: Sequence[str]) -> str:
    """A set without a name."""
    return f"{{ {', '.join(addresses)} }}"


def version_of(address: str) -> int:
    """Of an address or a CIDR: 4 or 6."""
    return ipaddress.ip_network(address, strict=False).version


def family_of(address: str) -> str:
    """As nftables calls it."""
    return "ip6" if version_of(address) == 6 else "ip"


def hops(version: int) -> str:
    """How many routers a packet may pass still, as nftables calls it."""
    return "ip6 hoplimit" if version == 6 else "ip ttl"


def disjoint(cidrs: Iterable[str], version: int) -> list[str]:
    """Those of a family, none within another: a set takes no others."""
    networks = [ipaddress.ip_network(each) for each in cidrs]
    if version == 6:
        return [str(each) for each in ipaddress.collapse_addresses(n for n in networks if n.version == 6)]
    return [str(each) for each in ipaddress.collapse_addresses(n for n in networks if n.version == 4)]
