"""What a pod's interfaces should be like, derived from its spec. Pure.

Everything of ours bears a mark (decision 10): a link its whole mark as alias, and until that is set a name that
is a hash of the mark; addresses and routes a protocol number. So what is ours and not wanted any more can be
told from what a workload with CAP_NET_ADMIN has added itself, which is left alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tank.model.network import Rate
from tank.model.pod import Network, Nic, Pod
from tank.net.seen import PROTOCOL as PROTOCOL

TEMPORARY = re.compile("tk[0-9a-f]{12}")
V4, V6 = 2, 10  # AF_INET, AF_INET6
UNLIMITED = Rate()
CABLE_MTU = 1500  # of our bridges and the cables into them, whatever the pods at their other ends want


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRoute:
    """A route by way of one interface. `to` is a CIDR; `metric` is above 0 where two interfaces lead to it."""

    to: str
    via: str | None
    metric: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface of a pod as it should be. `mtu` None: the parent's; of a cable, the pod's end alone has it.

    `kind` is the kernel's: macvlan, ipvlan, or veth, whose `parent` is a bridge of ours.
    """

    name: str
    kind: str = "macvlan"
    parent: str  # "auto": see tank.net.uplink
    mac: str
    mtu: int | None
    addresses: tuple[str, ...]
    routes: tuple[WantedRoute, ...]
    mark: str
    asks: frozenset[str] = frozenset()  # dhcp, slaac: addresses that come from the network
    rate: Rate = UNLIMITED
    leased: Mapping[str, float | None] = field(default_factory=dict)  # of `addresses`: for so many seconds; None: ever
    offered_mtu: int | None = None  # the most that a DHCP server says the LAN carries

    @property
    def plug(self) -> str:
        """The host's end of its cable, where it has one."""
        return plug_name(self.mark)

    @property
    def funnel_mark(self) -> str:
        """The mark of the device through which comes what arrives, where that has a limit (`tank.net.shapes`)."""
        return f"{self.mark}/in"

    @property
    def funnel(self) -> str:
        """What that device is called."""
        return _hashed(self.funnel_mark)

    @property
    def temporary(self) -> str:
        """The name it bears until its alias is set: a mark before the deed."""
        return _hashed(self.mark)


KINDS = {"bridge": "veth", "macvlan": "macvlan", "ipvlan": "ipvlan"}  # of the kernel, by the spec's modes


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a pool gives to one interface: its way, addresses with prefix, and gateways."""

    mode: str
    parent: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    pool: str = ""


def interfaces(
    pod: Pod, uid: str, installation: str, grants: Mapping[str, Grant] | None = None
) -> tuple[Interface, ...]:
    """The interfaces of the pod, in the order of its spec; none on the host's network or without one.

    `grants`: what their pools gave, by the nic's name.
    """
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    led_to: dict[str, int] = {}
    found = []
    for nic in nics:
        grant = (grants or {}).get(nic.name)
        given = grant.addresses if grant else ()
        found.append(
            Interface(
                name=nic.name,
                kind=KINDS[(grant.mode if grant else nic.mode) or "macvlan"],
                parent=grant.parent if grant else nic.parent,
                mac=nic.mac or stable_mac(installation, pod.name, nic.name),
                mtu=nic.mtu,
                addresses=tuple(str(ipaddress.ip_interface(each)) for each in (*nic.static, *given)),
                routes=_routes(nic, grant.gateways if grant else nic.gateway, led_to),
                mark=f"{mark(uid, installation)}/{nic.name}",
                asks=frozenset(each for each in nic.ip if each in ("dhcp", "slaac")),
                rate=nic.rate,
            )
        )
    return tuple(found)


def plug_name(mark: str) -> str:
    """What the host's end of the cable of the interface with this mark is called."""
    return _hashed(f"{mark}/plug")


def _hashed(mark: str) -> str:
    return f"tk{hashlib.sha256(mark.encode()).hexdigest()[:12]}"


def mark(uid: str, installation: str) -> str:
    """What the alias of every link of this pod begins with."""
    return f"tank {installation}/{uid}"


def stable_mac(installation: str, pod: str, nic: str) -> str:
    """A locally administered unicast address that outlives delete and apply: it hangs on names alone."""
    digest = hashlib.sha256(f"{installation}/{pod}/{nic}".encode()).digest()
    first = digest[0] & 0b1111_1100 | 0b10
    return ":".join(f"{byte:02x}" for byte in (first, *digest[1:6]))


def family(address: str) -> int:
    """The address family of an address or a CIDR."""
    return V6 if ":" in address else V4


def _routes(nic: Nic, gateways: Iterable[str], led_to: dict[str, int]) -> tuple[WantedRoute, ...]:
    """Those that lead straight onto the link first: others may need them for their gateway."""
    stated = [(str(ipaddress.ip_network(route.to)), route.via) for route in nic.routes]
    stated += [("::/0" if family(gateway) == V6 else "0.0.0.0/0", gateway) for gateway in gateways]
    found = []
    for to, via in sorted(stated, key=lambda each: each[1] is not None):
        found.append(WantedRoute(to=to, via=str(ipaddress.ip_address(via)) if via else None, metric=led_to.get(to, 0)))
        led_to[to] = led_to.get(to, 0) + 1
    return tuple(found)
