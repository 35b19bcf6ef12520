"""Who may connect to a pod, and which ports of the host lead to it: from what is wired to what the rules say. Pure.

Without `allow`, an interface on the LAN is open like any host there, and one on a bridge is open to its own pool and,
on the published ports, to all. With `allow` only what it lists may connect, by whichever interface.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from tank.model.network import Allow, Network, Port
from tank.model.pod import Pod
from tank.model.pools import Pool, Wired, Wiring
from tank.model.record import Address
from tank.net.ruleset import Bridge, Fence, HostRules, Opening, Plug, Publication


def wired(
    uid: str,
    pod: Pod,
    addresses: tuple[Address, ...],
    *,
    pools: Mapping[str, str],
    ready: bool,
    lan: Mapping[str, str] | None = None,
    dns: tuple[str, ...] = (),
) -> Wired:
    """A pod as the rest of the machine's network sees it. `pools`: of its bridge interfaces; `dns`: told by a LAN."""
    network = pod.network if isinstance(pod.network, Network) else Network()
    return Wired(
        name=pod.name,
        uid=uid,
        labels=dict(pod.labels),
        links=tuple(nic.name for nic in network.nics),
        addresses=addresses,
        pools=pools,
        lan=lan or {},
        ports=network.ports,
        allow=network.allow,
        ready=ready,
        asks=bool(network.nics) and network.dns is None,
        dns=dns,
    )


def fence(pod: Wired, wiring: Wiring, pools: Mapping[str, Pool]) -> Fence | None:
    """What may come into the pod; None: it is open."""
    if pod.allow is not None:
        return Fence(openings=tuple(_opening(each, pod, wiring) for each in pod.allow))
    if not pod.pools:
        return None
    lan = (Opening(link=link, sources=None) for link in pod.links if link not in pod.pools)
    own = (Opening(link=link, sources=pools[pool].subnets) for link, pool in pod.pools.items() if pool in pools)
    published = tuple(sorted({(each.protocol, each.container) for each in pod.ports if not _on_loopback(each)}))
    ports = (Opening(sources=None, ports=published),) if published else ()
    return Fence(openings=(*lan, *own, *ports))


def _on_loopback(port: Port) -> bool:
    """Then only the host itself is led in, and comes with an address of the pod's own pool (S33)."""
    return port.host_ip is not None and ipaddress.ip_address(port.host_ip).is_loopback


def _opening(rule: Allow, pod: Wired, wiring: Wiring) -> Opening:
    peers = (rule.peer.cidr,) if rule.peer.cidr else tuple(_labelled(rule.peer.pods, wiring.pods))
    return Opening(sources=peers, ports=tuple(_ports(rule.ports, pod.ports)))


def _labelled(labels: Mapping[str, str], pods: Iterable[Wired]) -> Iterator[str]:
    for each in pods:
        if labels.items() <= each.labels.items():
            for address in each.addresses:
                yield str(ipaddress.ip_interface(address.ip).ip)


def _ports(wanted: Iterable[int | str], ports: Iterable[Port]) -> Iterator[tuple[str, int]]:
    """A name is one port of one protocol; a number means every protocol."""
    named = {each.name: each for each in ports if each.name}
    for each in wanted:
        if isinstance(each, int):
            yield from ((protocol, each) for protocol in ("tcp", "udp", "sctp"))
        elif each in named:
            yield named[each].protocol, named[each].container


def host_side(
    wiring: Wiring, pools: Mapping[str, Pool], bridges: Mapping[str, str], plugs: Mapping[str, str]
) -> HostRules:
    """All that the host's tables say. `bridges`: of each pool; `plugs`: "uid/nic" -> the host's end of its cable."""
    used = {pool for pod in wiring.pods for pool in pod.pools.values()}
    return HostRules(
        bridges=tuple(
            Bridge(link=bridges[name], subnets=pools[name].subnets) for name in sorted(used) if name in pools
        ),
        publications=tuple(each for pod in wiring.pods for each in _publications(pod)),
        plugs=tuple(each for pod in wiring.pods for each in _plugs(pod, plugs)),
    )


def _publications(pod: Wired) -> Iterator[Publication]:
    """Each port leads to the pod's first address of a family on a bridge; to one of a pool before a stated one."""
    targets: dict[int, str] = {}
    for address in sorted(pod.addresses, key=lambda each: not each.source):
        if address.nic in pod.pools:
            ip = ipaddress.ip_interface(address.ip).ip
            targets.setdefault(ip.version, str(ip))
    for port in pod.ports:
        for version, target in sorted(targets.items()):
            if port.host_ip is None or ipaddress.ip_address(port.host_ip).version == version:
                yield Publication(
                    protocol=port.protocol,
                    host_port=port.host,
                    host_ip=port.host_ip,
                    target=target,
                    target_port=port.container,
                )


def _plugs(pod: Wired, plugs: Mapping[str, str]) -> Iterator[Plug]:
    for nic in pod.pools:
        mine = [each for each in pod.addresses if each.nic == nic]
        link = plugs.get(f"{pod.uid}/{nic}")
        if mine and link:
            bare = tuple(str(ipaddress.ip_interface(each.ip).ip) for each in mine)
            yield Plug(link=link, mac=mine[0].mac, addresses=bare)
