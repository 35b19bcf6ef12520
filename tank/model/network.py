"""The pod's own network as values: interfaces, published ports, who may connect, resolver."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tank.model.value import Many, Value


class Route(Value):
    """A route inside the pod: `to` a CIDR, `via` a gateway."""

    to: str
    via: str | None = None


class Rate(Value):
    """The most that an interface carries, in bits per second; None is no limit. Written `{in, out}`."""

    incoming: int | None = None
    outgoing: int | None = None


class FromPool(Value):
    """The next free address of each family of a pool, which also says mode, parent, gateway and resolver."""

    pool: str


class Nic(Value):
    """An interface inside the pod.

    `ip`: "address/prefix" strings, "dhcp" (IPv4), "slaac" (IPv6), and at most one pool. `mode` None: the pool's,
    else macvlan.
    """

    name: str
    mode: Literal["macvlan", "bridge", "ipvlan"] | None = None
    parent: str = "auto"
    ip: Many[str | FromPool]
    gateway: Many[str] = ()  # at most one per family
    mac: str | None = None
    mtu: int | None = None
    routes: Many[Route] = ()
    rate: Rate = Rate()

    @property
    def static(self) -> tuple[str, ...]:
        """The addresses that the spec states."""
        return tuple(each for each in self.ip if isinstance(each, str) and "/" in each)

    @property
    def pool(self) -> str | None:
        """The pool that gives it an address."""
        return next((each.pool for each in self.ip if isinstance(each, FromPool)), None)

    def asks(self, how: Literal["dhcp", "slaac"]) -> bool:
        """Whether it gets an address from the network in this way."""
        return how in self.ip


class Port(Value):
    """A port of the host that leads to one of the pod, over its bridge interface. `host_ip` None: all addresses."""

    host: int
    container: int
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    host_ip: str | None = None
    name: str | None = None


class Peer(Value):
    """Who may connect: the pods with all of these labels, or the addresses of a CIDR. Exactly one is set."""

    pods: dict[str, str] = Field(default_factory=dict)
    cidr: str | None = None


class Allow(Value):
    """One rule: from `peer` (written `from`) to `ports`: numbers, or names of ports; empty: to all."""

    peer: Peer
    ports: Many[int | str] = ()


class Network(Value):
    """The pod's own network: interfaces and resolver. `dns` None: the host's. `allow` None: see policy."""

    nics: Many[Nic] = ()
    ports: Many[Port] = ()
    dns: Many[str] | None = None
    search: Many[str] | None = None
    allow: Many[Allow] | None = None
