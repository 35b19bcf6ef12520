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
from tank.net.fences import Fence, Opening
from tank.net.ruleset import Bridge, HostRules, Plug, Publication


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
        return Fence(openings=(*(_opening(each, pod, wiring) for each in pod.allow), *_hidden(pod, pools)))
    if not pod.pools:
        return None
    lan = (Opening(link=link, sources=None) for link in pod.links if link not in pod.pools)
    own = (Opening(link=link, sources=pools[pool].subnets) for link, pool in pod.pools.items() if pool in pools)
    return Fence(openings=(*lan, *own, *_published(pod)))


def _published(pod: Wired) -> Iterator[Opening]:
    """A port on one address of the host opens the pod to nobody who comes by another way (S33)."""
    if everywhere := _numbers(each for each in pod.ports if each.host_ip is None):
        yield Opening(sources=None, ports=everywhere)
    if bound := _numbers(each for each in pod.ports if _is_bound(each)):
        for nic in dict.fromkeys(each.nic for each in _targets(pod)):
            yield Opening(link=nic, sources=None, ports=bound, led=True)


def _hidden(pod: Wired, pools: Mapping[str, Pool]) -> Iterator[Opening]:
    """Who comes by a port of the host with the bridge's address was looked at by the host, see `_callers`."""
    ports = _numbers(pod.ports)
    for nic in dict.fromkeys(each.nic for each in _targets(pod)) if ports and _is_crossed(pod) else ():
        if pod.pools[nic] in pools:
            yield Opening(link=nic, sources=pools[pod.pools[nic]].gateways, ports=ports, led=True)


def _numbers(ports: Iterable[Port]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted({(each.protocol, each.container) for each in ports}))


def _is_crossed(pod: Wired) -> bool:
    """Whether an answer to somebody out there may leave by another interface than the question came by."""
    return len(pod.links) > 1


def _is_bound(port: Port) -> bool:
    return port.host_ip is not None and not _on_loopback(port)


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
        publications=tuple(each for pod in wiring.pods for each in _publications(pod, wiring, pools)),
        plugs=tuple(each for pod in wiring.pods for each in _plugs(pod, plugs)),
    )


def _targets(pod: Wired) -> tuple[Address, ...]:
    """Where ports lead: the pod's first address of a family on a bridge; one of a pool before a stated one."""
    found: dict[int, Address] = {}
    for address in sorted(pod.addresses, key=lambda each: not each.source):
        if address.nic in pod.pools:
            found.setdefault(_version(address.ip), address)
    return tuple(found[version] for version in sorted(found))


def _publications(pod: Wired, wiring: Wiring, pools: Mapping[str, Pool]) -> Iterator[Publication]:
    crossed = _is_crossed(pod)
    for port in pod.ports:
        sources = _callers(port, pod, wiring, pools) if crossed and pod.allow is not None else None
        for target in _targets(pod):
            if port.host_ip is None or _version(port.host_ip) == _version(target.ip):
                yield Publication(
                    protocol=port.protocol,
                    host_port=port.host,
                    host_ip=port.host_ip,
                    target=str(ipaddress.ip_interface(target.ip).ip),
                    target_port=port.container,
                    sources=sources,
                    hidden=crossed,
                    told=sources is not None or _is_bound(port),
                )


def _callers(port: Port, pod: Wired, wiring: Wiring, pools: Mapping[str, Pool]) -> tuple[str, ...]:
    """Whom `allow` lets come to a port, where the pod itself sees no more than the bridge's address.

    The host's own programs come to 127.0.0.1 by that address, as to any pod.
    """
    rules = [_opening(each, pod, wiring) for each in pod.allow or ()]
    asked = (port.protocol, port.container)
    found = [cidr for each in rules if not each.ports or asked in each.ports for cidr in each.sources or ()]
    gateways = [one for each in pod.pools.values() if each in pools for one in pools[each].gateways]
    own = any(ipaddress.ip_address(one) in ipaddress.ip_network(cidr) for one in gateways for cidr in found)
    return (*found, "127.0.0.0/8") if own else tuple(found)


def _version(address: str) -> int:
    return ipaddress.ip_interface(address).version


def _plugs(pod: Wired, plugs: Mapping[str, str]) -> Iterator[Plug]:
    for nic in pod.pools:
        mine = [each for each in pod.addresses if each.nic == nic]
        link = plugs.get(f"{pod.uid}/{nic}")
        if mine and link:
            bare = tuple(str(ipaddress.ip_interface(each.ip).ip) for each in mine)
            yield Plug(link=link, mac=mine[0].mac, addresses=bare)
