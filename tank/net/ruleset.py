"""The rules of nftables as text, from values. Pure.

What opens and what closes live apart. The host's tables only open: they lead published ports in and pods out, so
that without them a port is closed, never open (P10). What closes is a table inside each pod's own network
namespace (`tank.net.fence`), where no flush or reload of the host's firewall reaches it.

Tables are rendered whole and replaced at one stroke; rules of an earlier spec cannot stay behind (R45). Nothing is
said about anybody else's tables.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A bridge of ours and the networks on it."""

    link: str
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A port of the host that leads to a pod. `host_ip` None: on all addresses of the host."""

    protocol: str
    host_port: int
    host_ip: str | None
    target: str  # the pod's address
    target_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """The host's end of a pod's cable: what may come out of it (S32)."""

    link: str
    mac: str
    addresses: tuple[str, ...]  # without prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """All that the host's tables say."""

    bridges: tuple[Bridge, ...] = ()
    publications: tuple[Publication, ...] = ()
    plugs: tuple[Plug, ...] = ()


def host_rules(installation: str, rules: HostRules) -> str:
    """A script for `nft -f` that makes both tables so, or removes them when there is nothing to say."""
    inet, bridge = f"inet tank_{installation}", f"bridge tank_{installation}"
    script = [f"table {inet} {{}}", f"delete table {inet}", f"table {bridge} {{}}", f"delete table {bridge}"]
    if rules.bridges:
        script += _table(inet, _inet_chains(rules))
    if rules.plugs:
        script += _table(bridge, _plug_chains(rules.plugs))
    return "\n".join(script) + "\n"


def rules_in(script: str) -> int:
    """How many rules a script of ours makes."""
    return sum(line.startswith("    ") and not line.startswith("    type ") for line in script.splitlines())


def _table(name: str, chains: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    yield f"table {name} {{"
    for chain, lines in chains:
        yield f"  chain {chain} {{"
        yield from (f"    {line}" for line in lines)
        yield "  }"
    yield "}"


def _inet_chains(rules: HostRules) -> Iterator[tuple[str, Sequence[str]]]:
    # IPv6 has no way from ::1 to another address, so a published port is closed there, at once.
    ports = in_order(rules.publications)
    yield "published", ["ip6 daddr ::1 return", *(_lead_in(each) for each in ports if not _on_loopback(each))]
    yield "published_here", [_lead_in(each) for each in ports if _on_loopback(each)]
    guard = [line for bridge in rules.bridges for line in _guard(bridge)]
    yield "guard", ["type filter hook prerouting priority raw; policy accept;", *guard]
    local = "fib daddr type local jump published"
    yield "prerouting", ["type nat hook prerouting priority dstnat; policy accept;", local]
    # What came by a cable never asks for a port on loopback, whatever the host lets in there (S33).
    here = ["jump published_here", local]
    yield "output", ["type nat hook output priority -100; policy accept;", *here]
    yield "inward", ["type nat hook postrouting priority srcnat - 1; policy accept;", *_lead_inward(rules.bridges)]
    out = [_lead_out(subnet, bridge) for bridge in rules.bridges for subnet in bridge.subnets]
    yield "postrouting", ["type nat hook postrouting priority srcnat; policy accept;", *out]


def _lead_in(port: Publication) -> str:
    family = _family(port.target)
    where = f"{family} daddr {port.host_ip} " if port.host_ip else ""
    target = f"[{port.target}]" if family == "ip6" else port.target
    asked = f"meta nfproto ipv{_version(port.target)} {where}{port.protocol} dport {port.host_port}"
    return f"{asked} dnat {family} to {target}:{port.target_port}"


def in_order(ports: Iterable[Publication]) -> list[Publication]:
    """One address before all of them: the first rule that fits decides."""
    return sorted(ports, key=_order)


def _order(port: Publication) -> tuple[object, ...]:
    return port.protocol, port.host_port, port.host_ip is None, port.host_ip or "", port.target


def _on_loopback(port: Publication) -> bool:
    return port.host_ip is not None and ipaddress.ip_address(port.host_ip).is_loopback


def _guard(bridge: Bridge) -> Iterator[str]:
    """What only the host itself can mean, and what only comes from the bridge: believed of nobody else.

    Bridges route 127.0.0.0/8, so that the host's own way to a published port works; pods have no business there.
    """
    yield f'iifname "{bridge.link}" ip daddr 127.0.0.0/8 drop'
    for subnet in bridge.subnets:
        yield f'iifname != {{ "lo", "{bridge.link}" }} {_family(subnet)} saddr {subnet} drop'


def _lead_inward(bridges: Sequence[Bridge]) -> Iterator[str]:
    """To a bridge: back by the host where the host or a pod of that bridge comes by a port of the host.

    Whoever else comes keeps its address, for pods judge by it: it is translated to itself, and so by nobody's rules
    that come later, neither a neighbour's nor those by which pods of another bridge go out.
    """
    for bridge in bridges:
        yield f'oifname "{bridge.link}" ip saddr 127.0.0.0/8 ct status dnat masquerade'
        for subnet in bridge.subnets:
            yield f'{_family(subnet)} saddr {subnet} oifname "{bridge.link}" ct status dnat masquerade'
    links = _set([f'"{each.link}"' for each in bridges])
    for version, family in ((4, "ip"), (6, "ip6")):
        yield f"oifname {links} meta nfproto ipv{version} snat {family} to {family} saddr"


def _lead_out(subnet: str, bridge: Bridge) -> str:
    """Out of a bridge with the host's address."""
    family = _family(subnet)
    return f'{family} saddr {subnet} oifname != "{bridge.link}" {family} daddr != {subnet} masquerade'


def _plug_chains(plugs: Sequence[Plug]) -> Iterator[tuple[str, Sequence[str]]]:
    ordered = sorted(plugs, key=lambda each: each.link)
    for plug in ordered:
        yield f"claims_{plug.link}", tuple(_claims(plug))
        yield f"from_{plug.link}", tuple(_plug(plug))
    ways = ", ".join(f'"{plug.link}" : jump from_{plug.link}' for plug in ordered)
    yield "prerouting", ["type filter hook prerouting priority -300; policy accept;", f"iifname vmap {{ {ways} }}"]


def _plug(plug: Plug) -> Iterator[str]:
    """Only with the pod's own MAC and addresses, untagged, and never as a router (CVE-2020-10749).

    A frame with a tag, also with that of no network in particular, would pass as neither ARP nor IP and be read as
    either by whoever gets it.
    """
    own4 = [each for each in plug.addresses if _version(each) == 4]
    own6 = [each for each in plug.addresses if _version(each) == 6]
    local = _link_local(plug.mac)
    # Nearly every packet is let through by one of the first two; the others look at what is left.
    if own4:
        yield f"ether saddr {plug.mac} ether type ip ip saddr {_set(own4)} accept"
    if own6:
        plain = f"ip6 saddr {_set(own6)} ip6 nexthdr {{ tcp, udp, sctp }}"
        yield f"ether saddr {plug.mac} ether type ip6 {plain} accept"
    yield f"ether saddr != {plug.mac} drop"
    yield "ether type != { arp, ip, ip6 } drop"
    yield f"arp saddr ether != {plug.mac} drop"
    yield f"ether type arp arp saddr ip != {_set([*own4, '0.0.0.0'])} drop"  # noqa: S104 - a probe's (RFC 5227)
    yield f"ether type ip ip saddr != {_set(own4)} drop" if own4 else "ether type ip drop"
    yield "icmpv6 type { nd-router-advert, nd-redirect } drop"
    yield f"ether type ip6 ip6 saddr != {_set([*own6, '::', local])} drop"
    yield f"icmpv6 type nd-neighbor-advert jump claims_{plug.link}"


def _claims(plug: Plug) -> Iterator[str]:
    """Whose an advertisement says that an address is: 128 bits behind the first 64 of it. nft has no word for it."""
    for each in (*plug.addresses, _link_local(plug.mac)):
        if _version(each) == 6:
            yield f"@th,64,128 {int(ipaddress.IPv6Address(each)):#034x} return"
    yield "drop"


def _link_local(mac: str) -> str:
    """The address that the kernel makes of a MAC for what stays on one network (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    own = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + own))


def _set(addresses: Sequence[str]) -> str:
    return f"{{ {', '.join(addresses)} }}"


def _version(address: str) -> int:
    return ipaddress.ip_network(address, strict=False).version


def _family(address: str) -> str:
    return "ip6" if _version(address) == 6 else "ip"


def shim_rules(installation: str, links: Iterable[str], macs: Sequence[str]) -> str:
    """A script that puts walls around the host's shims: the LAN must not take them for the host.

    Pods speak to them freely. From all others comes no question who has an address, and nothing for everybody.
    """
    table = f"netdev tank_{installation}"
    ours = f"ether saddr != {_set(macs)}"
    rules = (
        f"{ours} meta pkttype {{ broadcast, multicast }} drop",
        f"{ours} ether type arp drop",
        f"{ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-redirect }} drop",
    )
    chains = [
        (link, (f'type filter hook ingress device "{link}" priority 0; policy accept;', *rules)) for link in links
    ]
    script = [f"table {table} {{}}", f"delete table {table}", *(_table(table, chains) if chains else ())]
    return "\n".join(script) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Who may connect to what of a pod: `sources` CIDRs, empty: nobody, None: everybody; `ports` (protocol, number).

    `link`: only by this interface; empty: by all.
    """

    link: str = ""
    sources: tuple[str, ...] | None
    ports: tuple[tuple[str, int], ...] = ()  # empty: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """What may come into a pod: only what `openings` list."""

    openings: tuple[Opening, ...] = ()


FENCE = "inet tank"  # the pod's own namespace holds no other of ours


def fence_rules(fence: Fence | None) -> str:
    """A script for `nft -f` in the pod's namespace; None takes the fence away."""
    script = [f"table {FENCE} {{}}", f"delete table {FENCE}"]
    if fence is not None:
        script += _table(FENCE, [("input", [*_ALWAYS, *(line for each in fence.openings for line in _opening(each))])])
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
        mine = [each for each in opening.sources or () if _version(each) == version]
        if opening.sources is not None and not mine:
            continue
        source = by + (
            f"{family} saddr {_set(mine)} " if opening.sources is not None else f"meta nfproto ipv{version} "
        )
        if not opening.ports:
            yield f"{source}accept"
        for protocol in ("tcp", "udp", "sctp"):
            numbers = sorted({number for kind, number in opening.ports if kind == protocol})
            if numbers:
                yield f"{source}{protocol} dport {_set([str(each) for each in numbers])} accept"
