"""The interfaces of the host below those of a pod: what they have, and what can carry new ones. All of it blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tank.errors import Waiting
from tank.net import uplink
from tank.net.drift import Parent, find
from tank.net.links import REASON
from tank.net.seen import Seen
from tank.net.wanted import CABLE_MTU, Interface


def found(wanted: Sequence[Interface], seen: Seen, configured: str | None) -> Mapping[str, Parent]:
    """The parent of each interface; one that is still to be made needs a parent that can carry it. Raises Waiting."""
    parents = dict(standing(wanted, seen, configured))
    for interface in wanted:
        if find(interface, seen) is None:
            parents[interface.name] = _new(interface, configured)
    for interface in wanted:
        parent = parents.get(interface.name)
        if parent and (interface.mtu or 0) > parent.mtu:
            raise Waiting(REASON, f"mtu {interface.mtu} is more than {parent.name} has ({parent.mtu})")
    return parents


def standing(wanted: Sequence[Interface], seen: Seen, configured: str | None) -> Mapping[str, Parent]:
    """The parents of the interfaces that stand. `auto` keeps what it has, unless an uplink is configured."""
    parents = {}
    for interface in wanted:
        if link := find(interface, seen):
            name = configured if interface.parent == "auto" else interface.parent
            lower = 0 if interface.kind == "veth" else link.lower
            parents[interface.name] = _carrying(interface, uplink.below(lower, name))
    return {name: parent for name, parent in parents.items() if parent}


def _carrying(interface: Interface, parent: Parent | None) -> Parent | None:
    """A bridge says what its cables are to carry, not what the least of them has made of it."""
    return replace(parent, mtu=CABLE_MTU) if parent and interface.kind == "veth" else parent


def _new(interface: Interface, configured: str | None) -> Parent:
    if interface.kind == "veth":
        return replace(uplink.existing(interface.parent), mtu=CABLE_MTU)
    return uplink.find(interface.parent, configured, own_mac=interface.kind != "ipvlan")
