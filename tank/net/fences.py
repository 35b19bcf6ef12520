"""What closes: the table inside each pod's own network namespace, as text, from values. Pure.

No flush or reload of the host's firewall reaches it. It is rendered whole and replaced at one stroke (R45).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tank.net.phrases import LED, braced, hops, rendered, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Who may connect to what of a pod: `sources` CIDRs, empty: nobody, None: everybody; `ports` (protocol, number).

    `link`: only by this interface; empty: by all. `led`: only what the host has led in (`LED`), to a port that says so.
    """

    link: str = ""
    sources: tuple[str, ...] | None
    ports: tuple[tuple[str, int], ...] = ()  # empty: all
    led: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What may come into a pod: only what `openings` list."""

    openings: tuple[Opening, ...] = ()


FENCE = "inet tank"  # the pod's own namespace holds no other of ours


def fence_rules(fence: Fence | None) -> str:
    """A script for `nft -f` in the pod's namespace; None takes the fence away."""
    script = [f"table {FENCE} {{}}", f"delete table {FENCE}"]
    if fence is not None:
        script += rendered(
            FENCE, [("input", [*_ALWAYS, *(line for each in fence.openings for line in _opening(each))])]
        )
    return "\n".join(script) + "\n"


_ALWAYS = (
    "type filter hook input priority filter; policy drop;",
    'iifname "lo" accept',
    "ct state established,related accept",
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big } accept",
    "icmp type { destination-unreachable, time-exceeded, parameter-problem } accept",
    # Who never hears the question which groups it is in, is left out by switches, of neighbours' questions too.
    "icmpv6 type mld-listener-query accept",
    "ip protocol igmp accept",
    "udp sport 67 udp dport 68 accept",  # the answers of a DHCP server
)


def _opening(opening: Opening) -> Iterator[str]:
    by = f'iifname "{opening.link}" ' if opening.link else ""
    for version, family in ((4, "ip"), (6, "ip6")):
        mine = [each for each in opening.sources or () if version_of(each) == version]
        if opening.sources is not None and not mine:
            continue
        source = by + (
            f"{family} saddr {braced(mine)} " if opening.sources is not None else f"meta nfproto ipv{version} "
        )
        source += f"{hops(version)} {LED} " if opening.led else ""
        if not opening.ports:
            yield f"{source}accept"
        for protocol in ("tcp", "udp", "sctp"):
            numbers = sorted({number for kind, number in opening.ports if kind == protocol})
            if numbers:
                yield f"{source}{protocol} dport {braced([str(each) for each in numbers])} accept"
