"""What the pools give to a pod's interfaces: bridges that stand, and addresses that are its own. All of it blocks."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from tank.config import Settings
from tank.errors import Waiting
from tank.model.network import Network, Nic, Port
from tank.model.network_checks import MIN_MTU6
from tank.model.pod import Pod
from tank.model.pools import DEFAULT, Pool
from tank.net import bridges
from tank.net.dhcp.clients import program
from tank.net.leases import Leases, pool_named, with_gateways
from tank.net.links import REASON, host_links
from tank.net.seen import Seen
from tank.net.wanted import Grant

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_SCTP = 132


class Grants:
    """The pools of `tank.toml` and who has what of them."""

    def __init__(self, settings: Settings, installation: str) -> None:
        self._settings, self._installation = settings, installation
        self.leases = Leases(settings.data_dir / "net" / "leases.json", installation, _occupied)
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
        return next(_strangers(nic, pool), "") if pool.mode == "bridge" else self._unsupported(pool.mode)

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

    def of(self, pod: Pod, uid: str, *, ensure: bool) -> Mapping[str, Grant]:
        """What each interface gets, by its name. With `ensure` the bridges are made. Raises Waiting, Failed."""
        nics = pod.network.nics if isinstance(pod.network, Network) else ()
        return {nic.name: grant for nic in nics if (grant := self._grant(nic, pod, uid, ensure=ensure))}

    def _grant(self, nic: Nic, pod: Pod, uid: str, *, ensure: bool) -> Grant | None:
        if why := self._refusal(nic):
            raise Waiting(REASON, f"cannot connect {nic.name}: {why}")
        pool = self._pool(nic)
        if pool is None:
            return None
        pool = self.leases.resolved(pool)
        given = self._taken(nic, pool, pod, uid)  # first, for a bridge that has a lease is in use and stays
        if pool.mode == "bridge" and ensure:
            with self.bridging, host_links() as links:
                bridges.ensure(links, pool, self._installation, repair=self._settings.repair)
        parent = bridges.bridge_name(self._installation, pool) if pool.mode == "bridge" else pool.parent
        families = {":" in each for each in (*nic.static, *given)}
        stated = () if nic.pool else nic.gateway
        gateways = stated or tuple(each for each in pool.gateways if (":" in each) in families)
        return Grant(mode=pool.mode, parent=parent, addresses=given, gateways=gateways, pool=pool.name)

    def _taken(self, nic: Nic, pool: Pool, pod: Pod, uid: str) -> tuple[str, ...]:
        """What the pool gives. What is stated is in the book too on a bridge; on a LAN, the LAN is asked."""
        stated = [each.partition("/")[0] for each in nic.static] if pool.mode == "bridge" else []
        who = {"uid": uid, "pod": pod.name, "nic": nic.name}
        return self.leases.take(pool, **who, stated=stated, avoid=self.avoid, gives=nic.pool is not None)

    def resolved(self) -> Mapping[str, Pool]:
        """Every pool whose networks are known by now, by name; `default` only once it was used."""
        found = {each.name: each for each in (Pool(name=DEFAULT), *self._settings.pools)}
        used = {each.pool for each in self.leases.all()}
        return {name: self.leases.resolved(pool) for name, pool in found.items() if pool.subnets or name in used}

    def bridge(self, pool: Pool) -> str:
        """What the pool's bridge is called."""
        return bridges.bridge_name(self._installation, pool)


def _strangers(nic: Nic, pool: Pool) -> Iterator[str]:
    """What is stated and cannot be on the pool's bridge, in words."""
    known = with_gateways(pool)
    for each in map(ipaddress.ip_interface, nic.static if pool.subnets else ()):
        if str(each.ip) in known.gateways:
            yield f"ip: {each.ip} is the gateway of pool {pool.name}"
        if not any(each.ip in ipaddress.ip_network(subnet) for subnet in pool.subnets):
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


def _networks(seen: Seen) -> Iterator[str]:
    for each in seen.addresses:
        yield str(ipaddress.ip_interface(each.address).network)
    for route in seen.routes:
        with contextlib.suppress(ValueError):
            yield str(ipaddress.ip_network(route.to))
