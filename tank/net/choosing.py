"""Which address of a pool somebody gets. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tank.model.pools import Pool

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def choose(
    pool: Pool, subnet: str, taken: Collection[str], last: Iterable[str], resting: Sequence[str] = ()
) -> str | None:
    """A free address of one network of a pool; None: there is none left.

    The one it had last; else the lowest that nobody had (`resting`: others had them, the longest ago first), so that
    who had one finds it again, and nobody who knew the old owner takes the new one for it; else the one that has
    rested longest.
    """
    never = {*pool.gateways, *pool.shims, *taken}
    spans = list(_spans(pool, subnet))
    for each in last:
        if each not in never and any(ipaddress.ip_address(each) in span for span in spans):
            return each
    waiting = set(resting)
    fresh = next((each for each in _candidates(pool, subnet) if each not in never and each not in waiting), None)
    free = (each for each in resting if each not in never)
    return fresh or next((each for each in free if any(ipaddress.ip_address(each) in span for span in spans)), None)


def room(pool: Pool, subnet: str, taken: Iterable[str] = ()) -> int:
    """How many addresses of one network of a pool can be handed out in all, or beside those that are taken."""
    never = {*pool.gateways, *pool.shims, *taken}
    spans = list(_spans(pool, subnet))
    return sum(each.high - each.low + 1 - sum(ipaddress.ip_address(one) in each for one in never) for each in spans)


def _spans(pool: Pool, subnet: str) -> Iterator[Any]:
    yield from (_Span(low, high) for low, high in _ranges(pool, ipaddress.ip_network(subnet)))


@dataclass(frozen=True, slots=True)
class _Span:
    low: int
    high: int

    def __contains__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return self.low <= int(address) <= self.high


def _ranges(pool: Pool, network: Network) -> list[tuple[int, int]]:
    """What is handed out of a network, as numbers: never its own and, in IPv4, its broadcast address."""
    low, high = int(network.network_address) + 1, int(network.broadcast_address) - (network.version == 4)
    stated = [
        (max(int(ipaddress.ip_address(first)), low), min(int(ipaddress.ip_address(last)), high))
        for first, last in pool.ranges
        if ipaddress.ip_address(first) in network
    ]
    return stated or [(low, high)]


def _candidates(pool: Pool, subnet: str) -> Iterator[str]:
    network = ipaddress.ip_network(subnet)
    kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
    for low, high in _ranges(pool, network):
        number = low
        while number <= high:
            yield str(kind(number))
            number += 1
