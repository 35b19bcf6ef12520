"""What is known of pods by name, and what follows for a question. Pure, and without pydantic: the server loads it.

Only a pod that is ready has a name; one that is not has none, rather than a name without addresses. A question about
a name that cannot be a pod's is foreign: somebody else is asked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

A, SOA, PTR, AAAA, SRV, ANY = 1, 6, 12, 28, 33, 255  # RFC 1035, 3596, 2782
NOERROR, NXDOMAIN = 0, 3
TTL = 5  # seconds: how long a pod that is gone may be remembered

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A named port."""

    name: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One pod. `addresses` with their prefix; `local`: those networks that nobody but Tank gives addresses of.

    `shared`: addresses of the host's own by which the pod is reached; nothing leads back from them.
    """

    name: str
    uid: str
    ready: bool = False
    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    local: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()  # of its own, else those of the zone
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """Every pod, whole. `upstreams` answer what is no pod's name. `short`: a pod's name alone is one, too."""

    domain: str = "tank.internal"
    hosts: tuple[Host, ...] = ()
    upstreams: tuple[str, ...] = ()
    short: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """One answer: the owner is `name` as it was asked for, or the pod's full name. `value`: address, name, or SRV."""

    name: str
    kind: int
    value: str
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is said of a name of ours."""

    code: int = NOERROR
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


@dataclass(slots=True)
class Directory:
    """A zone, made ready for questions. Names are in lower case, without the last dot."""

    zone: Zone
    _hosts: dict[str, Host] = field(default_factory=dict)
    _uids: dict[str, Host] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _services: dict[str, list[Service]] = field(default_factory=dict)
    _addresses: dict[Address, str] = field(default_factory=dict)
    _local: set[Network] = field(default_factory=set)

    def __post_init__(self) -> None:
        for host in self.zone.hosts:
            self._known.add(host.name)
            self._uids[host.uid] = host
            self._local.update(ipaddress.ip_network(each) for each in host.local)
            for each in host.addresses:
                self._addresses.setdefault(ipaddress.ip_interface(each).ip, "")
            if host.ready:
                self._add(host)

    def _add(self, host: Host) -> None:
        self._hosts.setdefault(host.name, host)
        for each in host.addresses:
            self._addresses[ipaddress.ip_interface(each).ip] = host.name
        for service in host.services:
            self._services.setdefault(f"_{service.protocol}.{host.name}", [])
            self._services.setdefault(f"_{service.name}._{service.protocol}.{host.name}", []).append(service)

    def upstreams(self, uid: str) -> tuple[str, ...]:
        """Who is asked for this pod."""
        host = self._uids.get(uid)
        return host.upstreams if host and host.upstreams else self.zone.upstreams

    def find(self, name: str, kind: int, uid: str = "") -> Found | None:
        """What is to be said to the pod `uid`; None: the name is not ours."""
        domain = self.zone.domain
        if name == domain:
            return Found()
        if name.endswith(f".{domain}"):
            return self._inside(name, name.removesuffix(f".{domain}"), kind, uid)
        if self.zone.short and (name in self._known or name in self._services):
            return self._inside(name, name, kind, uid)
        address = reversed_address(name)
        return self._reverse(name, address, kind) if address is not None else None

    def _inside(self, name: str, label: str, kind: int, uid: str) -> Found:
        host = self._hosts.get(label)
        if host is not None:
            return Found(records=tuple(self._of(host, name, kind, uid)))
        if label not in self._services:
            return Found(code=NXDOMAIN)
        if kind not in (SRV, ANY):
            return Found()
        target = label.rpartition(".")[2]
        full = f"{target}.{self.zone.domain}"
        return Found(
            records=tuple(Record(name, SRV, full, each.port) for each in self._services[label]),
            additional=tuple(self._of(self._hosts[target], full, ANY, uid)) if self._services[label] else (),
        )

    def _of(self, host: Host, name: str, kind: int, uid: str) -> Iterator[Record]:
        """Addresses on a network of the asker's come first: there it needs no router."""
        asker = self._uids.get(uid)
        near = [ipaddress.ip_interface(each).network for each in asker.addresses] if asker else []
        own = [ipaddress.ip_interface(each).ip for each in host.addresses]
        for ip in sorted(
            own, key=lambda ip: not any(ip in network for network in near if network.version == ip.version)
        ):
            record = A if ip.version == 4 else AAAA
            if kind in (record, ANY):
                yield Record(name, record, str(ip))
        for each in host.shared:
            record = AAAA if ":" in each else A
            if kind in (record, ANY):
                yield Record(name, record, each)

    def _reverse(self, name: str, address: Address, kind: int) -> Found | None:
        label = self._addresses.get(address)
        if label:
            asked = kind in (PTR, ANY)
            return Found(records=(Record(name, PTR, f"{label}.{self.zone.domain}"),) if asked else ())
        if label is not None or any(address in each for each in self._local if each.version == address.version):
            return Found(code=NXDOMAIN)
        return None


def reversed_address(name: str) -> Address | None:
    """The whole address that a name below in-addr.arpa or ip6.arpa stands for."""
    try:
        if name.endswith(".in-addr.arpa"):
            return ipaddress.IPv4Address(".".join(reversed(name.removesuffix(".in-addr.arpa").split("."))))
        if name.endswith(".ip6.arpa"):
            digits = name.removesuffix(".ip6.arpa").split(".")
            if len(digits) == 32 and all(len(each) == 1 for each in digits):
                return ipaddress.IPv6Address(int("".join(reversed(digits)), 16))
    except ValueError:
        pass
    return None


def dumped(zone: Zone) -> Mapping[str, Any]:
    """The zone as plain data."""
    return asdict(zone)


def loaded(data: Mapping[str, Any]) -> Zone:
    """What `dumped` gave. Raises KeyError, TypeError, ValueError."""
    hosts = []
    for each in data["hosts"]:
        services = tuple(Service(**service) for service in each["services"])
        plain = {key: tuple(each[key]) for key in ("addresses", "local", "upstreams", "shared")}
        hosts.append(Host(name=each["name"], uid=each["uid"], ready=each["ready"], services=services, **plain))
    upstreams = tuple(data["upstreams"])
    return Zone(domain=data["domain"], hosts=tuple(hosts), upstreams=upstreams, short=data["short"])
