"""Pools of addresses, as `[[net.pools]]` of `tank.toml` states them, and what of the pods crosses into the machine.

A pool is a subnet with a way to reach it. A bridge pool is Tank's own: its bridge, NAT out, ports in. A macvlan
pool is a range of the LAN that its owner has set aside for Tank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tank.model.network import Allow, Network, Port
from tank.model.record import Address

DEFAULT = "default"  # a bridge pool of this name always exists, made on first use


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One pool. `subnets`: a CIDR for each family, IPv4 first; `ranges`: (first, last) to hand out of each; empty: all.

    `parent` of a bridge pool is the bridge's own name. `shims`: the host's own addresses among the pods of a
    macvlan pool.
    """

    name: str
    mode: Literal["bridge", "macvlan", "ipvlan"] = "bridge"
    parent: str = ""
    subnets: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    gateways: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    domain: str = ""
    shims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How pods are called: `<pod>.<domain>`, and who answers what is no pod's name.

    `listen`: (address, port) of the host at which others may ask.
    """

    enabled: bool = True
    domain: str = "tank.internal"
    upstream: tuple[str, ...] = ()
    listen: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """One pod as the rest of the machine's network sees it. `links`: all of its interfaces; `pools` by their names.

    `lan`: of its macvlan interfaces, the parent as it is stated.
    """

    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()
    pools: Mapping[str, str] = field(default_factory=dict)  # of bridge interfaces: the pool they are on
    lan: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    allow: tuple[Allow, ...] | None = None
    ready: bool = False
    asks: bool = False  # it has no name servers of its own choice: it may ask ours
    dns: tuple[str, ...] = ()  # name servers that its LAN has told it


def pools_of(network: Network, pools: Iterable[Pool]) -> tuple[Pool, ...]:
    """The stated pools that the interfaces of a pod are in, in their order."""
    known = {each.name: each for each in pools}
    bridges = {each.parent: each for each in known.values() if each.mode == "bridge" and each.parent}
    found = [
        known.get(nic.pool or "") or (bridges.get(nic.parent) if nic.mode == "bridge" else None) for nic in network.nics
    ]
    return tuple(dict.fromkeys(each for each in found if each is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Everything that the machine's network should say beside each pod's own interfaces. Whole, never a difference.

    `uids`: every pod that is wanted or on record, also one that has no network yet.
    """

    pods: tuple[Wired, ...] = ()
    uids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What came of keeping the machine's network. `changed`: what others had changed, or have, where nothing is to be
    repaired; `fault`: what cannot be, while all else was done; empty: all is so.
    """

    changed: tuple[str, ...] = ()
    fault: str = ""
