"""The rules of nftables as text, from values. Pure.

What opens and what closes live apart. The host's tables only open: they lead published ports in and pods out, so
that without them a port is closed, never open (P10). What closes is a table inside each pod's own network
namespace (`tank.net.fences`), where no flush or reload of the host's firewall reaches it.

Tables are rendered whole and replaced at one stroke; rules of an earlier spec cannot stay behind (R45). Nothing is
said about anybody else's tables.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tank.net.phrases import LED, braced, disjoint, family_of, hops, rendered, version_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A bridge of ours and the networks on it."""

    link: str
    subnets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A port of the host that leads to a pod. `host_ip` None: on all addresses of the host.

    `sources`: CIDRs; nobody else is led in; None: everybody is. `hidden`: whoever comes gets the bridge's address, for
    the answer might leave by another interface of the pod. `told`: the pod is shown that it was led in (see `LED`).
    """

    protocol: str
    host_port: int
    host_ip: str | None
    target: str  # the pod's address
    target_port: int
    sources: tuple[str, ...] | None = None
    hidden: bool = False
    told: bool = False


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
        script += rendered(inet, _inet_chains(rules))
    if rules.plugs:
        script += rendered(bridge, _plug_chains(rules.plugs))
    return "\n".join(script) + "\n"


def rules_in(script: str) -> int:
    """How many rules a script of ours makes."""
    return sum(line.startswith("    ") and not line.startswith("    type ") for line in script.splitlines())


def _inet_chains(rules: HostRules) -> Iterator[tuple[str, Sequence[str]]]:
    # IPv6 has no way from ::1 to another address, so a published port is closed there, at once.
    ports = in_order(rules.publications)
    everywhere = [line for each in ports if not _on_loopback(each) for line in _lead_in(each)]
    yield "published", ["ip6 daddr ::1 return", *everywhere]
    yield "published_here", [line for each in ports if _on_loopback(each) for line in _lead_in(each)]
    guard = [line for bridge in rules.bridges for line in _guard(bridge)]
    yield "guard", ["type filter hook prerouting priority raw; policy accept;", *guard]
    local = "fib daddr type local jump published"
    yield "prerouting", ["type nat hook prerouting priority dstnat; policy accept;", local]
    # What came by a cable never asks for a port on loopback, whatever the host lets in there (S33).
    here = ["jump published_here", local]
    yield "output", ["type nat hook output priority -100; policy accept;", *here]
    if told := [_tell(each) for each in ports if each.told]:
        yield "led", ["type filter hook postrouting priority mangle; policy accept;", *told]
    hide = [f"{_arrived(each)} masquerade" for each in ports if each.hidden]
    inward = [*hide, *_lead_inward(rules.bridges)]
    yield "inward", ["type nat hook postrouting priority srcnat - 1; policy accept;", *inward]
    out = [_lead_out(subnet, bridge) for bridge in rules.bridges for subnet in bridge.subnets]
    yield "postrouting", ["type nat hook postrouting priority srcnat; policy accept;", *out]


def _lead_in(port: Publication) -> Iterator[str]:
    family, version = family_of(port.target), version_of(port.target)
    where = f"{family} daddr {port.host_ip} " if port.host_ip else ""
    if port.sources is not None:
        mine = disjoint(port.sources, version)
        if not mine:
            return
        where += f"{family} saddr {braced(mine)} "
    target = f"[{port.target}]" if family == "ip6" else port.target
    asked = f"meta nfproto ipv{version} {where}{port.protocol} dport {port.host_port}"
    yield f"{asked} dnat {family} to {target}:{port.target_port}"


def _tell(port: Publication) -> str:
    return f"{_arrived(port)} {hops(version_of(port.target))} set {LED}"


def _arrived(port: Publication) -> str:
    """What has been led in by a port, on its way to the pod."""
    return f"{family_of(port.target)} daddr {port.target} {port.protocol} dport {port.target_port} ct status dnat"


def in_order(ports: Iterable[Publication]) -> list[Publication]:
    """One address before all of them: the first rule that fits decides."""
    return sorted(ports, key=_order)


def _order(port: Publication) -> tuple[object, ...]:
    return port.protocol, port.host_port, port.host_ip is None, port.host_ip or "", port.target


def _on_loopback(port: Publication) -> bool:
    return port.host_ip is not None and ipaddress.ip_address(port.host_ip).is_loopback


def _guard(bridge: Bridge) -> Iterator[str]:
    """What only the host itself can mean, and what only comes from the bridge: believed of nobody else.

    Bridges route 127.0.0.0/8 for the host's own way to a published port; pods have no business there. Their cables
    have gates (`tank.net.gates`), but one that an earlier daemon plugged in, or on a kernel without, has none.
    """
    yield f'iifname "{bridge.link}" ip daddr 127.0.0.0/8 drop'
    for subnet in bridge.subnets:
        yield f'iifname != {{ "lo", "{bridge.link}" }} {family_of(subnet)} saddr {subnet} drop'


def _lead_inward(bridges: Sequence[Bridge]) -> Iterator[str]:
    """To a bridge: back by the host where the host or a pod of that bridge comes by a port of the host.

    Whoever else comes keeps its address, for pods judge by it: it is translated to itself, and so by nobody's rules
    that come later, neither a neighbour's nor those by which pods of another bridge go out.
    """
    for bridge in bridges:
        yield f'oifname "{bridge.link}" ip saddr 127.0.0.0/8 ct status dnat masquerade'
        for subnet in bridge.subnets:
            yield f'{family_of(subnet)} saddr {subnet} oifname "{bridge.link}" ct status dnat masquerade'
    links = braced([f'"{each.link}"' for each in bridges])
    for version, family in ((4, "ip"), (6, "ip6")):
        yield f"oifname {links} meta nfproto ipv{version} snat {family} to {family} saddr"


def _lead_out(subnet: str, bridge: Bridge) -> str:
    """Out of a bridge with the host's address."""
    family = family_of(subnet)
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
    own4 = [each for each in plug.addresses if version_of(each) == 4]
    own6 = [each for each in plug.addresses if version_of(each) == 6]
    local = _link_local(plug.mac)
    # Nearly every packet is let through by one of the first two; the others look at what is left.
    if own4:
        yield f"ether saddr {plug.mac} ether type ip ip saddr {braced(own4)} accept"
    if own6:
        plain = f"ip6 saddr {braced(own6)} ip6 nexthdr {{ tcp, udp, sctp }}"
        yield f"ether saddr {plug.mac} ether type ip6 {plain} accept"
    yield f"ether saddr != {plug.mac} drop"
    yield "ether type != { arp, ip, ip6 } drop"
    yield f"arp saddr ether != {plug.mac} drop"
    yield f"ether type arp arp saddr ip != {braced([*own4, '0.0.0.0'])} drop"  # noqa: S104 - a probe's (RFC 5227)
    yield f"ether type ip ip saddr != {braced(own4)} drop" if own4 else "ether type ip drop"
    yield "icmpv6 type { nd-router-advert, nd-redirect } drop"
    yield f"ether type ip6 ip6 saddr != {braced([*own6, '::', local])} drop"
    yield f"icmpv6 type nd-neighbor-advert jump claims_{plug.link}"


def _claims(plug: Plug) -> Iterator[str]:
    """Whose an advertisement says that an address is: 128 bits behind the first 64 of it. nft has no word for it."""
    for each in (*plug.addresses, _link_local(plug.mac)):
        if version_of(each) == 6:
            yield f"@th,64,128 {int(ipaddress.IPv6Address(each)):#034x} return"
    yield "drop"


def _link_local(mac: str) -> str:
    """The address that the kernel makes of a MAC for what stays on one network (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    own = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + own))


def shim_rules(installation: str, links: Iterable[str], macs: Sequence[str]) -> str:
    """A script that puts walls around the host's shims: the LAN must not take them for the host.

    Pods speak to them freely. From all others comes no question who has an address, and nothing for everybody.
    """
    table = f"netdev tank_{installation}"
    ours = f"ether saddr != {braced(macs)}"
    rules = (
        f"{ours} meta pkttype {{ broadcast, multicast }} drop",
        f"{ours} ether type arp drop",
        f"{ours} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, nd-redirect }} drop",
    )
    chains = [
        (link, (f'type filter hook ingress device "{link}" priority 0; policy accept;', *rules)) for link in links
    ]
    script = [f"table {table} {{}}", f"delete table {table}", *(rendered(table, chains) if chains else ())]
    return "\n".join(script) + "\n"
