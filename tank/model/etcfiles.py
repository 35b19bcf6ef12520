"""The three files under /etc that a pod gets: hosts, hostname and resolv.conf, rendered from values (C15).

Pure: the runtime writes them, `tank.host.resolver` reads the host's. Pods on the host's network keep the
host's resolver and hosts as they are, plus their own `hosts` entries.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tank.model.pod import Network, Pod
from tank.model.pools import Naming, Pool, pools_of

NAMESERVER = "127.117.0.53"  # inside every pod that asks Tank for names
MAX_SERVERS, MAX_SEARCH, MAX_SEARCH_TEXT, MAX_HOSTNAME = 3, 32, 2048, 63

_LOCAL = (("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost ip6-loopback"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Where names are looked up. `note` says what is wrong with it, for whoever opens the file."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    note: str = ""


def parse_resolv_conf(text: str) -> Resolver:
    """What a resolv.conf says, by the C library's rules: the last `search` or `domain` counts, all else adds."""
    servers: list[str] = []
    options: list[str] = []
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", server, *_]:
                servers.append(server)
            case ["search" | "domain", *domains]:
                search = tuple(domains)
            case ["options", *more]:
                options += more
    return Resolver(servers=tuple(servers), search=search, options=tuple(options))


def resolv_conf(servers: Iterable[str], search: Iterable[str], options: Iterable[str], note: str = "") -> str:
    """A resolv.conf within the C library's limits; what is beyond them is left out, as it would be unread."""
    lines = [f"# {note}"] if note else []
    if domains := _within(search):
        lines.append(f"search {' '.join(domains)}")
    lines += [f"nameserver {server}" for server in tuple(servers)[:MAX_SERVERS]]
    if chosen := tuple(options):
        lines.append(f"options {' '.join(chosen)}")
    return "".join(f"{line}\n" for line in lines)


def resolver_of(
    pod: Pod, host: Resolver, naming: Naming, pools: Iterable[Pool], leased: Resolver = Resolver()
) -> Resolver:
    """Where a pod looks up names while its spec is silent: Tank's server, else its own networks', else the host's.

    Of its networks tell its pools, and `leased`: DHCP. Names of pods come first in the search; then the domains of its
    networks, else the host's.
    """
    network = pod.network if isinstance(pod.network, Network) else Network()
    mine = pools_of(network, pools)
    search = tuple(dict.fromkeys([*(each.domain for each in mine if each.domain), *leased.search])) or host.search
    servers = tuple(dict.fromkeys([*(server for each in mine for server in each.dns), *leased.servers]))
    if naming.enabled and network.nics and network.dns is None:
        return Resolver(servers=(NAMESERVER,), search=tuple(dict.fromkeys((naming.domain, *search))))
    if servers:
        return Resolver(servers=servers, search=search)
    return replace(host, search=search)


def pod_resolv_conf(pod: Pod, host: Resolver) -> str:
    """The pod's resolv.conf; `host` is what holds where the spec is silent. An explicit list is used as it is."""
    network = pod.network if isinstance(pod.network, Network) else Network()
    search = host.search if network.search is None else network.search
    if network.dns is not None:
        return resolv_conf(network.dns, search, ())
    return resolv_conf(host.servers, search, host.options, host.note)


def pod_hostname(pod: Pod) -> str:
    """The host name inside: the spec's, else the pod's name cut to 63 characters."""
    return pod.hostname or pod.name[:MAX_HOSTNAME].rstrip("-.")


def hostname_file(pod: Pod) -> str:
    """The pod's /etc/hostname."""
    return f"{pod_hostname(pod)}\n"


def pod_hosts(pod: Pod, host: str = "", addresses: Iterable[str] = ()) -> str:
    """The pod's /etc/hosts. `host` is the text of the host's own, kept for a pod on the host's network.

    `addresses` with their prefix are those that it has; until then those that it states count.
    """
    if pod.network == "host":
        return host + ("\n" if host and not host.endswith("\n") else "") + _lines(_by_address(pod.hosts))
    held = tuple(str(ipaddress.ip_interface(each).ip) for each in addresses) or pod_addresses(pod)
    own = [(address, pod_hostname(pod)) for address in held or ("127.0.0.1",)]
    return _lines([*_LOCAL, *own, *_by_address(pod.hosts)])


def pod_addresses(pod: Pod) -> tuple[str, ...]:
    """The static addresses of the pod, without their prefix, in the order of its interfaces."""
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    return tuple(str(ipaddress.ip_interface(each).ip) for nic in nics for each in nic.static)


def _by_address(entries: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names of one address share a line, in the order of their first mention."""
    found: dict[str, list[str]] = {}
    for name, address in entries.items():
        found.setdefault(address, []).append(name)
    return [(address, " ".join(names)) for address, names in found.items()]


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{address}\t{names}\n" for address, names in pairs)


def _within(search: Iterable[str]) -> tuple[str, ...]:
    domains = tuple(search)[:MAX_SEARCH]
    while len(" ".join(domains)) > MAX_SEARCH_TEXT:
        domains = domains[:-1]
    return domains
