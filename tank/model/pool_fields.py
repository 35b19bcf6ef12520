"""What `[net]` of `tank.toml` may say: pools of addresses, and names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from tank.model import addresses, words
from tank.model.faults import BAD, Refused, Spot, quoted
from tank.model.grammar import Field, ListOf, Record, choice, flag, text
from tank.model.network_fields import MAX_NAMESERVERS, OneOrMore
from tank.model.pools import DEFAULT, Naming, Pool

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DNS = 53
_ADDRESS = text(addresses.address)
_SUBNET = text(addresses.destination)


def _range(value: str) -> tuple[str, str]:
    first, dash, last = value.partition("-")
    if not dash:
        raise Refused(f"{quoted(value)} is not a range such as '10.0.0.200-10.0.0.250'")
    low, high = ipaddress.ip_address(addresses.address(first)), ipaddress.ip_address(addresses.address(last))
    if low.version != high.version or int(low) > int(high):
        raise Refused(f"{quoted(value)} does not lead from a lower address to a higher one")
    return str(low), str(high)


def _listener(value: str) -> tuple[str, int]:
    """An address of the host, and a port: 53 where none is stated."""
    bare = re.fullmatch(r"\[(.*)\](?::([0-9]{1,5}))?|([^:]*):([0-9]{1,5})", value)
    address, port = (bare[1] or bare[3], bare[2] or bare[4]) if bare else (value, None)
    found = addresses.address(address or "")
    if ipaddress.ip_address(found).is_unspecified:
        raise Refused(f"{quoted(value)} is every address of the host", "name one of them")
    if not 1 <= int(port or DNS) <= 65_535:
        raise Refused(f"{quoted(value)} has no port between 1 and 65535")
    return found, int(port or DNS)


POOL = Record(
    "a pool",
    {
        "name": Field(text(words.dns_label), "What a spec calls it.", required=True),
        "mode": Field(
            choice("bridge", "macvlan", "ipvlan"), "A bridge of our own, or a part of the LAN.", default="bridge"
        ),
        "parent": Field(
            text(addresses.parent_name),
            "macvlan, ipvlan: the host's interface, or auto. bridge: what the bridge is called.",
        ),
        "subnet": Field(OneOrMore(_SUBNET, most=2), "A network, or one of each family.", required=True),
        "range": Field(OneOrMore(text(_range), most=2), "What of it is handed out. Default: all but the gateway's."),
        "gateway": Field(
            OneOrMore(_ADDRESS, most=2), "The default route. bridge: its own address; default: the first."
        ),
        "dns": Field(ListOf(_ADDRESS, most=MAX_NAMESERVERS), "Name servers for its pods."),
        "domain": Field(text(words.host_name), "The search domain of its pods."),
        "shim": Field(
            OneOrMore(_ADDRESS, most=2), "macvlan: the host's own address among the pods. Default: its address there."
        ),
    },
    foreign={"subnets": "subnet", "bridge": "parent", "interface": "parent", "gw": "gateway"},
)
NAMES = Record(
    "[net.dns]",
    {
        "enabled": Field(flag(), "Whether pods find each other by name.", default=True),
        "domain": Field(text(words.host_name), "What their names end with.", default="tank.internal"),
        "upstream": Field(ListOf(_ADDRESS, most=MAX_NAMESERVERS), "Who answers all else. Default: the host's."),
        "listen": Field(text(_listener), "An address of the host at which others may ask for pods: '10.0.0.9:53'."),
    },
)
NET = Record(
    "[net]",
    {
        "pools": Field(ListOf(POOL), "Addresses to hand out."),
        "dns": Field(NAMES, "Names of pods."),
        "repair": Field(
            flag(), "Whether what others change in the network of pods is put right; else it is told.", default=True
        ),
        "shim": Field(flag(), "Whether the host and pods on the LAN reach each other.", default=True),
    },
)


def net(draft: Mapping[str, Any], spot: Spot) -> dict[str, Any]:
    """What the table means for the fields of `Settings`; None: nothing was stated."""
    return {
        "repair": draft.get("repair"),
        "pools": pools(draft.get("pools", []), spot.at("pools")) or None,
        "naming": naming(draft["dns"], spot.at("dns")) if "dns" in draft else None,
        "shim": draft.get("shim"),
    }


def pools(draft: list[Any], spot: Spot) -> tuple[Pool, ...]:
    """The pools that are sound by themselves and beside each other."""
    found: list[Pool] = []
    for index, each in enumerate(draft):
        here = spot.at(index)
        if each is BAD or not isinstance(each.get("subnet"), list) or BAD in each["subnet"]:
            continue
        pool = _pool(each, here)
        _check_beside(pool, found, here)
        found.append(pool)
    return tuple(found)


def naming(draft: Mapping[str, Any], spot: Spot) -> Naming:
    """How names are given."""
    listen = draft.get("listen")
    if listen is not None and draft.get("enabled") is False:
        spot.at("listen").fault("needs enabled = true")
    return Naming(
        enabled=draft.get("enabled", True),
        domain=draft.get("domain", "tank.internal"),
        upstream=tuple(draft.get("upstream", ())),
        listen=None if listen is BAD else listen,
    )


def _pool(draft: Mapping[str, Any], spot: Spot) -> Pool:
    subnets = sorted((ipaddress.ip_network(each) for each in draft["subnet"]), key=lambda each: each.version)
    if not subnets:
        spot.at("subnet").fault("needs at least 1 item, found 0")
    if len({each.version for each in subnets}) < len(subnets):
        spot.at("subnet").fault("has two networks of one family")
    for each in subnets:
        if each.num_addresses < 4:
            spot.at("subnet").fault(f"{each} is too small for a pool")
        if each.is_loopback or each.is_multicast or each.is_unspecified:
            spot.at("subnet").fault(f"{each} holds no addresses of hosts")
    mode = draft.get("mode", "bridge")
    gateways = _within(draft, "gateway", subnets, spot)
    return Pool(
        name=draft.get("name", "") if draft.get("name") is not BAD else "",
        mode=mode if mode is not BAD else "bridge",
        parent=_parent(draft, mode),
        subnets=tuple(str(each) for each in subnets),
        ranges=_ranges(draft, subnets, spot),
        gateways=gateways,
        dns=tuple(draft.get("dns", ())),
        domain=draft.get("domain", ""),
        shims=_shims(draft, subnets, gateways, spot),
    )


def _shims(draft: Mapping[str, Any], subnets: list[Network], gateways: tuple[str, ...], spot: Spot) -> tuple[str, ...]:
    found = _within(draft, "shim", subnets, spot)
    if found and draft.get("mode") != "macvlan":
        spot.at("shim").fault("only a macvlan pool has a shim")
    for each in found:
        if each in gateways:
            spot.at("shim").fault(f"{each} is the gateway")
    if len({ipaddress.ip_address(each).version for each in found}) < len(found):
        spot.at("shim").fault("has two addresses of one family")
    return found


def _parent(draft: Mapping[str, Any], mode: Any) -> str:
    """`auto` is the uplink's; a bridge that is called so, or not at all, is called by its mark."""
    stated = draft.get("parent", "auto")
    if mode == "bridge":
        return "" if stated in ("auto", BAD) else str(stated)
    return str(stated) if stated is not BAD else "auto"


def _within(draft: Mapping[str, Any], field: str, subnets: list[Network], spot: Spot) -> tuple[str, ...]:
    found = [each for each in draft.get(field, []) if each is not BAD]
    for each in found:
        if not any(ipaddress.ip_address(each) in subnet for subnet in subnets):
            spot.at(field).fault(f"{each} is not in {' or '.join(map(str, subnets))}")
    return tuple(found)


def _ranges(draft: Mapping[str, Any], subnets: list[Network], spot: Spot) -> tuple[tuple[str, str], ...]:
    found = [each for each in draft.get("range", []) if each is not BAD]
    for first, last in found:
        if not any(
            ipaddress.ip_address(first) in subnet and ipaddress.ip_address(last) in subnet for subnet in subnets
        ):
            spot.at("range").fault(f"{first}-{last} is not in {' or '.join(map(str, subnets))}")
    return tuple(found)


def _check_beside(pool: Pool, others: list[Pool], spot: Spot) -> None:
    for other in others:
        if other.name == pool.name:
            spot.at("name").fault(f"another pool is called {quoted(pool.name)} already")
        if pool.mode == other.mode == "bridge" and pool.parent and other.parent == pool.parent:
            spot.at("parent").fault(f"pool {other.name} has a bridge called {quoted(pool.parent)} already")
        for mine in pool.subnets:
            for theirs in other.subnets:
                if _overlap(mine, theirs):
                    spot.at("subnet").fault(f"{mine} overlaps {theirs} of pool {other.name}")
    if pool.name in ("dhcp", "slaac"):
        spot.at("name").fault(f"{quoted(pool.name)} is how an address is asked for, and cannot be a pool's name")
    if pool.name == DEFAULT and pool.mode != "bridge":
        spot.at("mode").fault("the default pool is a bridge")


def _overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)
