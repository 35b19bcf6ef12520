"""From what is wired to what pods are called. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from tank.model.pools import Naming, Pool, Wired, Wiring
from tank.net.names.zone import Host, Service, Zone


def told(wiring: Wiring, naming: Naming, pools: Mapping[str, Pool], upstreams: tuple[str, ...]) -> Zone:
    """The zone of these pods. `upstreams`: the host's name servers, for pods whose pools name none."""
    return Zone(
        domain=naming.domain.lower(),
        hosts=tuple(_host(each, naming, pools) for each in wiring.pods if each.addresses),
        upstreams=naming.upstream or upstreams,
    )


def _host(pod: Wired, naming: Naming, pools: Mapping[str, Pool]) -> Host:
    mine = dict.fromkeys([*(each.source for each in pod.addresses), *pod.pools.values()])
    own = tuple(dict.fromkeys(server for name in mine if name in pools for server in pools[name].dns))
    return Host(
        name=pod.name,
        uid=pod.uid,
        ready=pod.ready,
        addresses=tuple(each.ip for each in pod.addresses),
        services=tuple(
            Service(name=each.name, protocol=each.protocol, port=each.container) for each in pod.ports if each.name
        ),
        local=tuple(_local(pod)),
        upstreams=() if naming.upstream else own,
    )


def _local(pod: Wired) -> Iterator[str]:
    """The networks of Tank's own bridges: nobody else knows who is who there."""
    for each in pod.addresses:
        if each.nic in pod.pools:
            yield str(ipaddress.ip_interface(each.ip).network)
