"""What the pools give to a pod's interfaces: bridges that stand, and addresses that are its own. All of it blocks."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from tank.config import Settings
from tank.errors import Waiting
from tank.model.network import Network, Nic, Port
from tank.model.network_checks import MIN_MTU6
from tank.model.pod import Pod
from tank.model.pools import DEFAULT, Pool
from tank.net import bridges
from tank.net.book import BookFile
from tank.net.dhcp.clients import program
from tank.net.leases import Leases, pool_named
from tank.net.links import REASON, host_links
from tank.net.seen import Seen
from tank.net.wanted import Grant

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_SCTP = 132


class Grants:
    """The pools of `tank.toml` and who has what of them."""

    def __init__(self, settings: Settings, installation: str) -> None:
        self._settings, self._installation = settings, installation
        self.leases = Leases(BookFile(settings.data_dir / "net" / "leases.json"), installation, _occupied)
        self.bridging = threading.Lock()  # two never make or remove bridges at once
        self._has_ipvlan = False
        self.avoid: Collection[str] = ()  # addresses that pods have by their own spec

    def refusal(self, pod: Pod) -> str:
        """Why the pools cannot serve the pod, whatever happens later; empty when they can."""
        if not isinstance(pod.network, Network):
            return ""
        for index, nic in enumerate(pod.network.nics):
            if why := self._refusal(nic):
                return f"network.nics[{index}]: {why}"
        served = [self._pool(nic) for nic in pod.network.nics]
        bridged = [pool for pool in served if pool and pool.mode == "bridge"]
        if pod.network.ports and not bridged:
            return "network.ports: only a bridge interface has ports of the host"
        return next(_unled(pod.network.ports, bridged), "")

    def _refusal(self, nic: Nic) -> str:
        if why := unbuilt(nic):
            return why
        pool = self._pool(nic)
        if pool is None and nic.pool:
            known = ", ".join(sorted({DEFAULT, *(each.name for each in self._settings.pools)}))
            return f"no pool is called {nic.pool}; there are: {known}"
        if pool is None:
            return f"no pool has a bridge called {nic.parent}" if nic.mode == "bridge" else self._unsupported(nic.mode)
        if nic.mode is not None and nic.mode != pool.mode:
            return f"pool {pool.name} is {pool.mode}, not {nic.mode}"
        if (nic.mtu or MIN_MTU6) < MIN_MTU6 and (not pool.subnets or any(":" in each for each in pool.subnets)):
            return f"mtu: IPv6, which pool {pool.name} has, needs at least {MIN_MTU6}"
        if pool.mode != "bridge":
            return self._unsupported(pool.mode)
        return next(_strangers(nic, pool, self.leases.known(pool)), "")

    def _unsupported(self, mode: str | None) -> str:
        """Why this kernel cannot do it. A module that is installed later is found."""
        if mode != "ipvlan" or self._has_ipvlan:
            return ""
        with host_links() as links:
            self._has_ipvlan = links.supports("ipvlan")
        return "" if self._has_ipvlan else "this kernel lacks the ipvlan driver (modprobe ipvlan)"

    def _pool(self, nic: Nic) -> Pool | None:
        """The pool that the interface takes its address from, or on whose bridge it is."""
        if nic.pool:
            return pool_named(self._settings.pools, nic.pool)
        return self._by_bridge(nic.parent) if nic.mode == "bridge" else None

    def _by_bridge(self, name: str) -> Pool | None:
        known = (*self._settings.pools, Pool(name=DEFAULT))
        return next((each for each in known if bridges.bridge_name(self._installation, each) == name), None)

    def bridged(self, pod: Pod) -> Mapping[str, str]:
        """The pool of each interface that is on a bridge, and of those whose pool is not stated any more."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        found = {nic.name: self._pool(nic) for nic in nics}
        known = {name: pool.name for name, pool in found.items() if pool and pool.mode == "bridge"}
        return known | {nic.name: nic.pool for nic in nics if nic.pool and found[nic.name] is None}

    def lan(self, pod: Pod) -> Mapping[str, str]:
        """The parent, as it is stated, of each interface that is a macvlan."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        found = {nic.name: (nic, self._pool(nic)) for nic in nics}
        modes = {name: (pool.mode if pool else nic.mode) or "macvlan" for name, (nic, pool) in found.items()}
        return {
            name: pool.parent if pool else nic.parent
            for name, (nic, pool) in found.items()
            if modes[name] == "macvlan" and (pool or not nic.pool)
        }

    def of(self, pod: Pod, uid: str) -> Mapping[str, Grant]:
        """What each interface has by now or gets, by its name; bridges are made. Raises Waiting, Failed."""
        found = {}
        for nic in self._connected(pod):
            pool, grant = self._grant(nic, self.leases, pod, uid)  # first: a bridge that has a lease is in use
            if pool and grant:
                found[nic.name] = grant
            if pool and pool.mode == "bridge":
                with self.bridging, host_links() as links:
                    bridges.ensure(links, pool, self._installation, repair=self._settings.repair)
        return found

    def foreseen(self, pod: Pod, uid: str) -> Mapping[str, Grant]:
        """What `of` would answer; nothing is made or written down. Raises Waiting, Failed."""
        draft = self.leases.draft()
        found = {nic.name: self._grant(nic, draft, pod, uid)[1] for nic in self._connected(pod)}
        return {name: grant for name, grant in found.items() if grant}

    def settle(self, pod: Pod, uid: str, grants: Mapping[str, Grant]) -> None:
        """The pod has what it was granted: what it had before is free. Raises Failed."""
        held = self._held(pod)
        held |= {(grant.pool, name, each) for name, grant in grants.items() for each in _bare(grant.addresses)}
        self.leases.settle(uid, held)

    def yield_rest(self, pod: Pod, uid: str) -> None:
        """The pod stands nowhere now: what is not its spec's is free, others may wait for it. Raises Failed."""
        held, draft = self._held(pod), self.leases.draft()
        for nic in pod.network.nics if isinstance(pod.network, Network) else ():
            if nic.pool and (pool := self._pool(nic)):
                with contextlib.suppress(Waiting):  # there is none left: then it has none
                    stated = {"": [each for _, _, each in self._held(pod)]}  # whoever has them by now: it is not asked
                    take = partial(draft.take, uid=uid, pod=pod.name, nic=nic.name)
                    given = take(draft.resolved(pool), stated=stated)
                    held |= {(pool.name, nic.name, each) for each in _bare(given)}
        self.leases.settle(uid, held)

    def _held(self, pod: Pod) -> set[tuple[str, str, str]]:
        """What the spec states of pools: of which, on which interface, what."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        return {
            (pool.name, nic.name, each) for nic in nics for pool, stated in self._stated(nic).items() for each in stated
        }

    def _by_nic(self, pod: Pod, pool: Pool) -> Mapping[str, Sequence[str]]:
        """What the spec states of a pool, by interface."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        return {nic.name: self._stated(nic).get(pool, ()) for nic in nics}

    def shun(self, grants: Mapping[str, Grant], address: str) -> str:
        """Of which pool an address was given that another machine has; empty: the spec states it. Raises Failed."""
        found = (each.pool for each in grants.values() if address in _bare(each.addresses))
        if pool := next(found, ""):
            self.leases.shun(pool, address)
        return pool

    def avoided(self, pool: Pool) -> Collection[str]:
        """What of a pool is somebody's: pods have it by their spec, or the LAN is the host's too."""
        return self.avoid if pool.mode == "bridge" else {*self.avoid, *_of_the_host()}

    def _connected(self, pod: Pod) -> Iterator[Nic]:
        for nic in pod.network.nics if isinstance(pod.network, Network) else ():
            if why := self._refusal(nic):
                raise Waiting(REASON, f"cannot connect {nic.name}: {why}")
            yield nic

    def _stated(self, nic: Nic) -> Mapping[Pool, Sequence[str]]:
        """The pools that have what the spec states in their books: that of the bridge, or those of the LAN."""
        own, stated = self._pool(nic), _bare(nic.static)
        if own and own.mode == "bridge":
            return {own: stated}
        lan = [each for each in self._settings.pools if each.mode != "bridge"]
        return {pool: found for pool in lan if (found := [each for each in stated if _within(each, pool)])}

    def _grant(self, nic: Nic, leases: Leases, pod: Pod, uid: str) -> tuple[Pool | None, Grant | None]:
        """The pool with its networks, and what it gives; nothing, where none is asked."""
        own, stated = self._pool(nic), self._stated(nic)
        take = partial(leases.take, uid=uid, pod=pod.name, nic=nic.name)
        for other in (each for each in stated if each != own):
            take(leases.resolved(other), stated=self._by_nic(pod, other), gives=False)
        if own is None:
            return None, None
        pool = leases.resolved(own)
        avoid = partial(self.avoided, pool)
        given = take(pool, stated=self._by_nic(pod, own), avoid=avoid, gives=nic.pool is not None)
        parent = bridges.bridge_name(self._installation, pool) if pool.mode == "bridge" else pool.parent
        families = {":" in each for each in (*nic.static, *given)}
        gateways = () if nic.pool else nic.gateway
        gateways = gateways or tuple(each for each in pool.gateways if (":" in each) in families)
        return pool, Grant(mode=pool.mode, parent=parent, addresses=given, gateways=gateways, pool=pool.name)

    def resolved(self) -> Mapping[str, Pool]:
        """Every pool whose networks are known by now, by name; `default` only once it was used."""
        found = {each.name: each for each in (Pool(name=DEFAULT), *self._settings.pools)}
        used = {each.pool for each in self.leases.all()}
        return {name: self.leases.resolved(pool) for name, pool in found.items() if pool.subnets or name in used}

    def bridge(self, pool: Pool) -> str:
        """What the pool's bridge is called."""
        return bridges.bridge_name(self._installation, pool)


def _bare(addresses: Iterable[str]) -> list[str]:
    return [str(ipaddress.ip_interface(each).ip) for each in addresses]


def _within(address: str, pool: Pool) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(subnet) for subnet in pool.subnets)


def _strangers(nic: Nic, pool: Pool, known: Pool) -> Iterator[str]:
    """What is stated and cannot be on the pool's bridge, in words. `known`: with what was chosen for it."""
    for each in map(ipaddress.ip_interface, nic.static):
        if str(each.ip) in known.gateways:
            yield f"ip: {each.ip} is the gateway of pool {pool.name}"
        if pool.subnets and not _within(str(each.ip), pool):
            yield f"ip: {each.ip} is not in {' or '.join(pool.subnets)}, which pool {pool.name} is"


def _unled(ports: Sequence[Port], pools: Sequence[Pool]) -> Iterator[str]:
    """Ports on an address of a family of which the pod has none on a bridge, in words."""
    if any(not pool.subnets for pool in pools):
        return  # `default` has both
    families = {ipaddress.ip_network(subnet).version for pool in pools for subnet in pool.subnets}
    for port in ports:
        if port.host_ip and ipaddress.ip_address(port.host_ip).version not in families:
            names = " and ".join(dict.fromkeys(pool.name for pool in pools))
            yield f"network.ports: nothing leads from {port.host_ip} into pool {names}, which is of the other IP family"


def unbuilt(nic: Nic) -> str:
    """What of an interface is not built; empty when all is."""
    if nic.asks("dhcp") and program() is None:
        return "ip: dhcp needs udhcpc, which is not installed on this machine"
    return ""


def check_ports(ports: Collection[Port]) -> None:
    """Whether the ports of the host are free. Raises Waiting, naming the first that a foreign process has (R48)."""
    for port in ports:
        for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - all are asked for
            if port.host_ip and (":" in port.host_ip) != (family == socket.AF_INET6):
                continue
            _check_port(port, family, port.host_ip or everywhere)


def _check_port(port: Port, family: socket.AddressFamily, address: str) -> None:
    protocol = _SCTP if port.protocol == "sctp" else 0
    try:
        opened = socket.socket(family, _KINDS[port.protocol] | socket.SOCK_CLOEXEC, protocol)
    except OSError:
        return  # a kernel without that family or protocol: nobody has the port
    with opened:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if port.protocol != "udp":  # where it would let two have it; a connection that ended is nobody's
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((address, port.host))
        except OSError as error:
            what = f"port {port.host}/{port.protocol} of the host"
            where = f" on {port.host_ip}" if port.host_ip else ""
            if error.errno == errno.EADDRNOTAVAIL:
                cure = "this host has no such address (ip address); the pod goes on once it has"
                raise Waiting(REASON, f"cannot publish {what}{where}: {cure}") from error
            raise Waiting("PortInUse", f"cannot publish {what}{where}: {(error.strerror or '').lower()}") from error


def _occupied() -> Collection[str]:
    """The networks that the host has addresses in or routes to."""
    with host_links() as links:
        seen = links.look()
    return tuple(_networks(seen))


def _of_the_host() -> Collection[str]:
    """The host's own addresses, and those of the routers that it knows."""
    with host_links() as links:
        seen = links.look()
    return {*_bare(each.address for each in seen.addresses), *(each.via for each in seen.routes if each.via)}


def _networks(seen: Seen) -> Iterator[str]:
    for each in seen.addresses:
        yield str(ipaddress.ip_interface(each.address).network)
    for route in seen.routes:
        with contextlib.suppress(ValueError):
            yield str(ipaddress.ip_network(route.to))
