"""What the kernel says is in one network namespace, as frozen values. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PROTOCOL = 116  # of our addresses and routes; neither the kernel nor a routing daemon uses the number


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An interface. `lower` is the index of its parent, which lives in the host's namespace."""

    index: int
    name: str
    alias: str
    kind: str
    mac: str
    mtu: int
    up: bool
    lower: int | None
    master: int | None = None  # the bridge that it is plugged into
    queue: str = ""  # the kind of what leaves by it waits in


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAddress:
    """An address/prefix on a link. `static`: no lifetime, and not made by the kernel for the link alone.

    `lasting`: neither a second one of its network nor one that is about to come or to go.
    """

    index: int
    address: str
    static: bool
    protocol: int  # 0: not said, or a kernel before 5.18, which keeps none
    lasting: bool = True
    ready: bool = True  # not tentative: nobody else has claimed it


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRoute:
    """A route of the main table."""

    index: int | None
    to: str
    via: str | None
    metric: int
    protocol: int
    source: str = ""  # the host's address that goes out by it, where it says one


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """What MAC an address of somebody on a link has, and whether that was stated or learned."""

    index: int
    address: str
    mac: str
    stated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at a namespace."""

    links: tuple[Link, ...] = ()
    addresses: tuple[LinkAddress, ...] = ()
    routes: tuple[LinkRoute, ...] = ()

    @property
    def keeps_protocols(self) -> bool:
        """Whether this kernel remembers who added an address: it marks its own, so loopback's shows it."""
        return any(each.protocol for each in self.addresses)
