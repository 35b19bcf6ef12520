"""From what is wired to what pods are called. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from tank.model.network import Port
from tank.model.pools import Naming, Pool, Wired, Wiring
from tank.net.names.zone import Host, Service, Zone


def told(wiring: Wiring, naming: Naming, pools: Mapping[str, Pool], upstreams: tuple[str, ...]) -> Zone:
    """The zone of these pods. `upstreams`: the host's name servers, for pods whose pools name none."""
    return Zone(
        domain=naming.domain.lower(),
        hosts=tuple(_host(each, naming, pools) for each in wiring.pods if each.addresses),
        upstreams=naming.upstream or upstreams,
    )


def told_outside(wiring: Wiring, naming: Naming, address: str) -> Zone:
    """What those are told who ask at an address of the host: on loopback the host itself, else its LAN.

    The host reaches every pod. The LAN reaches the addresses that pods have there, and where a pod has none, the
    ports that it has of the host.
    """
    here = ipaddress.ip_address(address).is_loopback
    hosts = (_seen_here(each) if here else _seen_outside(each, address) for each in wiring.pods)
    return Zone(domain=naming.domain.lower(), hosts=tuple(each for each in hosts if each), short=False)


def _seen_here(pod: Wired) -> Host | None:
    addresses = tuple(each.ip for each in pod.addresses)
    services = tuple(_services(pod.ports))
    return Host(name=pod.name, uid=pod.uid, ready=pod.ready, addresses=addresses, services=services)


def _seen_outside(pod: Wired, address: str) -> Host | None:
    addresses = tuple(each.ip for each in pod.addresses if each.nic not in pod.pools)
    led = [each for each in pod.ports if each.host_ip in (None, address)]
    if not addresses and not led:
        return None
    services = _services(pod.ports) if addresses else _services(led, published=True)
    return Host(
        name=pod.name,
        uid=pod.uid,
        ready=pod.ready,
        addresses=addresses,
        services=tuple(services),
        shared=() if addresses else (address,),
    )


def _services(ports: Iterable[Port], *, published: bool = False) -> Iterator[Service]:
    """Those that have a name, by their number in the pod or of the host."""
    for each in ports:
        if each.name:
            yield Service(name=each.name, protocol=each.protocol, port=each.host if published else each.container)


def _host(pod: Wired, naming: Naming, pools: Mapping[str, Pool]) -> Host:
    mine = dict.fromkeys([*(each.source for each in pod.addresses), *pod.pools.values()])
    pooled = (server for name in mine if name in pools for server in pools[name].dns)
    own = tuple(dict.fromkeys([*pooled, *pod.dns]))
    return Host(
        name=pod.name,
        uid=pod.uid,
        ready=pod.ready,
        addresses=tuple(each.ip for each in pod.addresses),
        services=tuple(_services(pod.ports)),
        local=tuple(_local(pod)),
        upstreams=() if naming.upstream else own,
    )


def _local(pod: Wired) -> Iterator[str]:
    """The networks of Tank's own bridges: nobody else knows who is who there."""
    for each in pod.addresses:
        if each.nic in pod.pools:
            yield str(ipaddress.ip_interface(each.ip).network)
