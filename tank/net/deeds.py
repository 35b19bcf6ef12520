"""Carrying out what `tank.net.drift` found, one change after the other.

A link is born inside the pod's namespace, down, under a name that is its mark; then its kernel settings are
made, then name, alias and flag in one request, then addresses and routes. Killed anywhere in between, the next
pass finds the half of it by that name and begins anew.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tank.host.netns import Namespaces
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
from tank.net.links import Links, conversation, host_socket
from tank.net.wanted import Interface

_CONF = Path("/proc/sys/net/ipv6/conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where it happens. `arrived` gathers the addresses that are new here, by interface."""

    namespaces: Namespaces
    namespace: Path
    links: Links
    arrived: dict[str, tuple[str, list[str]]] = field(default_factory=dict)  # interface: its MAC, addresses

    def arrive(self, interface: Interface, address: str) -> None:
        """Note an address that the neighbours should hear of."""
        self.arrived.setdefault(interface.name, (interface.mac, []))[1].append(address)


async def carry_out(change: Change, scene: Scene, parents: Mapping[str, Parent]) -> None:
    """Do one change. Raises Waiting with the kernel's words."""
    match change:
        case MakeLink(interface=interface):
            await _make(interface, scene, parents[interface.name])
        case DropLink(index=index):
            await scene.links.drop_link(index)
        case SetLink():
            await _set(change, scene.links)
        case DropAddress(index=index, address=address):
            await scene.links.drop_address(index, address)
        case AddAddress(index=index, address=address, interface=interface):
            await scene.links.add_address(index, address)
            scene.arrive(interface, address)
        case DropRoute(route=gone):
            await scene.links.drop_route(gone)
        case AddRoute(index=index, route=route):
            await scene.links.add_route(index, route)


async def _make(interface: Interface, scene: Scene, parent: Parent) -> None:
    await _bear(interface, scene.namespace, parent)
    name, inet6 = interface.temporary, interface.inet6
    index = await scene.namespaces.inside(scene.namespace, lambda: _prepare(name, inet6))
    await scene.links.set_link(index, name=interface.name, alias=interface.mark, up=True)
    for address in interface.addresses:
        await scene.links.add_address(index, address)
        scene.arrive(interface, address)
    for route in interface.routes:
        await scene.links.add_route(index, route)


async def _bear(interface: Interface, namespace: Path, parent: Parent) -> None:
    """Make the link from the host's side, where the parent is, straight into the pod's namespace."""
    fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        async with conversation(host_socket()) as host:
            await host.make_macvlan(
                interface.temporary, parent=parent.index, mac=interface.mac, mtu=interface.mtu, namespace=fd
            )
    finally:
        os.close(fd)


def _prepare(name: str, inet6: bool) -> int:
    """Runs in the pod's namespace. The interface has the addresses of its spec, none that a router advertises."""
    if (_CONF / name).is_dir():
        (_CONF / name / "accept_ra").write_text("0")
        if inet6:
            (_CONF / name / "disable_ipv6").write_text("0")
    return socket.if_nametoindex(name)


async def _set(change: SetLink, links: Links) -> None:
    if change.down:
        await links.set_link(change.index, up=False)
    await links.set_link(change.index, name=change.name, alias=change.alias, mac=change.mac, mtu=change.mtu, up=True)
