"""What `tank network check` tries for a pod, and whether it should get through. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from tank.model.network import Network, Port
from tank.model.pod import Pod
from tank.model.pools import Pool, Wired

Source = Literal["pod", "host", "outside"]
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One try: `protocol` is tcp, dns (a question to a name server) or echo (a ping). `wanted` as in `Reach`.

    `address` empty: the host's address on the way to the throw-away namespace.
    """

    source: Source
    protocol: str
    address: str
    port: int = 0
    what: str
    wanted: bool | None = True


def questions(
    pod: Pod, wired: Wired, pools: Mapping[str, Pool], servers: Iterable[str], led: Collection[str] = ()
) -> tuple[Question, ...]:
    """Everything that is tried for one pod. `servers`: the name servers of its resolv.conf. `led`: addresses on the
    LAN that the host reaches by a shim."""
    return (
        *_outwards(pod, wired, pools, servers),
        *_from_host(pod, wired, led),
        *(each for port in wired.ports for each in _to_port(port, wired, pools)),
    )


def _outwards(pod: Pod, wired: Wired, pools: Mapping[str, Pool], servers: Iterable[str]) -> Iterator[Question]:
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    held = {ipaddress.ip_interface(each.ip).version for each in wired.addresses}
    pooled = (pools[each.pool].gateways for each in nics if each.pool and each.pool in pools)
    gateways = [*(gateway for each in nics for gateway in each.gateway), *(one for each in pooled for one in each)]
    for gateway in dict.fromkeys(gateways):
        if ipaddress.ip_address(gateway).version in held:
            yield Question(source="pod", protocol="echo", address=gateway, what="gateway")
    for server in servers:
        yield Question(source="pod", protocol="dns", address=server, port=53, what="name server")


def _from_host(pod: Pod, wired: Wired, led: Collection[str]) -> Iterator[Question]:
    """The host reaches pods on its bridges; those on the LAN only over a shim."""
    for address in wired.addresses:
        bare = str(ipaddress.ip_interface(address.ip).ip)
        wanted = True if wired.allow is None and (address.nic in wired.pools or bare in led) else None
        for port in dict.fromkeys(_inside(pod, wired)):
            yield Question(source="host", protocol="tcp", address=bare, port=port, what=address.nic, wanted=wanted)


def _inside(pod: Pod, wired: Wired) -> Iterator[int]:
    """The TCP ports on which something of the pod should listen: those that are published, and those of probes."""
    names = {each.name: each.container for each in wired.ports}
    yield from (each.container for each in wired.ports if each.protocol == "tcp")
    for container in pod.everyone:
        for probe in (container.probes.startup, container.probes.live, container.probes.ready):
            ports = (probe.tcp, probe.http and probe.http.port, probe.grpc and probe.grpc.port) if probe else ()
            yield from (names.get(each, 0) if isinstance(each, str) else each for each in ports if each)


def _to_port(port: Port, wired: Wired, pools: Mapping[str, Pool]) -> Iterator[Question]:
    """By every way that a published port has, and by one that it must not have (S33)."""
    if port.protocol != "tcp":
        return
    wanted = True if wired.allow is None else None
    what, ip = f"port {port.host}", port.host_ip
    yield Question(source="host", protocol="tcp", address=ip or LOOPBACK, port=port.host, what=what, wanted=wanted)
    if ip == LOOPBACK:
        yield Question(source="outside", protocol="tcp", address="", port=port.host, what=what, wanted=False)
    elif ip is None or ":" not in ip:
        yield Question(source="outside", protocol="tcp", address=ip or "", port=port.host, what=what, wanted=wanted)
    if ip is None:  # a pod that comes to itself by the host
        for gateway in _own_gateways(wired, pools):
            yield Question(source="pod", protocol="tcp", address=gateway, port=port.host, what=what, wanted=wanted)


def _own_gateways(wired: Wired, pools: Mapping[str, Pool]) -> Iterator[str]:
    """The host's IPv4 address on each bridge of the pod."""
    for pool in dict.fromkeys(wired.pools.values()):
        yield from (each for each in (pools[pool].gateways if pool in pools else ()) if ":" not in each)
