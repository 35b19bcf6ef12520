"""Carrying out what `tank.net.drift` found, one change after the other. All of it blocks.

A link is born inside the pod's namespace, down, under a name that is its mark; then it gets name, alias and flag
in one request, then addresses and routes. Killed anywhere in between, the next pass finds the half of it by that
name and begins anew.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tank.net.drift import (
    AddAddress,
    AddRoute,
    Change,
    DropAddress,
    DropLink,
    DropRoute,
    MakeLink,
    Parent,
    SetLink,
)
from tank.net.links import Links, host_links
from tank.net.plugs import connect
from tank.net.wanted import Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where it happens. `arrived` gathers the addresses that are new here, by interface."""

    namespace: Path
    arrived: dict[str, tuple[str, list[str]]] = field(default_factory=dict)  # interface: its MAC, addresses

    def arrive(self, interface: Interface, address: str) -> None:
        """Note an address that the neighbours should hear of."""
        self.arrived.setdefault(interface.name, (interface.mac, []))[1].append(address)


def carry_out(change: Change, links: Links, scene: Scene, parents: Mapping[str, Parent]) -> None:
    """Do one change. Raises Waiting with the kernel's words."""
    match change:
        case MakeLink(interface=interface):
            _make(interface, links, scene, parents[interface.name])
        case DropLink(index=index):
            links.drop_link(index)
        case SetLink():
            _set(change, links)
        case DropAddress(index=index, address=address):
            links.drop_address(index, address)
        case AddAddress(index=index, address=address, interface=interface):
            links.add_address(index, address, seconds=interface.leased.get(address))
            scene.arrive(interface, address)
        case DropRoute(route=gone):
            links.drop_route(gone)
        case AddRoute(index=index, route=route):
            links.add_route(index, route)


def _make(interface: Interface, links: Links, scene: Scene, parent: Parent) -> None:
    _bear(interface, scene.namespace, parent)
    index = links.index(interface.temporary)
    links.set_link(index, name=interface.name, alias=interface.mark)
    for address in interface.addresses:
        links.add_address(index, address, seconds=interface.leased.get(address))
        scene.arrive(interface, address)
    for route in interface.routes:
        links.add_route(index, route)


def _bear(interface: Interface, namespace: Path, parent: Parent) -> None:
    """Make the link from the host's side, where the parent is, straight into the pod's namespace."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with host_links() as host:
            _bear_on(host, interface, fd, parent)
    finally:
        os.close(fd)


def _bear_on(host: Links, interface: Interface, namespace: int, parent: Parent) -> None:
    name, mtu = interface.temporary, interface.mtu
    match interface.kind:
        case "veth":
            plug = interface.plug
            inner = mtu or parent.mtu
            host.make_veth(plug, mtu=parent.mtu, peer=name, mac=interface.mac, peer_mtu=inner, namespace=namespace)
            connect(host, host.index(plug), interface, parent)
        case "ipvlan":
            host.make_ipvlan(name, parent=parent.index, mtu=mtu, namespace=namespace)
        case _:
            host.make_macvlan(name, parent=parent.index, mac=interface.mac, mtu=mtu, namespace=namespace)


def _set(change: SetLink, links: Links) -> None:
    if change.down:
        links.set_link(change.index, up=False)
    links.set_link(change.index, name=change.name, alias=change.alias, mac=change.mac, mtu=change.mtu)
