"""What a pod's containers find at /etc/hosts, /etc/hostname and /etc/resolv.conf (C15). Pure: text from values."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from tank.model.pod import Network, Pod

_MOST_SERVERS, _MOST_DOMAINS, _LONGEST_SEARCH = 3, 32, 2048
_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def hostname(pod: Pod) -> str:
    """The pod's host name: stated, or its own name, at most 63 characters."""
    return (pod.hostname or pod.name)[:63]


def hosts(pod: Pod, host_file: str) -> str:
    """The pod's addresses under its host name, and the names it adds. On the host's network: the host's file."""
    if pod.network == "host":
        base = host_file if host_file.endswith("\n") or not host_file else host_file + "\n"
    else:
        addresses = _addresses(pod) or ("127.0.0.1",)
        base = _LOCAL + "".join(f"{address}\t{hostname(pod)}\n" for address in addresses)
    return base + "".join(f"{address}\t{name}\n" for name, address in pod.hosts.items())


def _addresses(pod: Pod) -> tuple[str, ...]:
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    return tuple(each.partition("/")[0] for nic in nics for each in nic.ip)


def resolv_conf(pod: Pod, host_files: Sequence[str], settings_dns: Sequence[str] | None) -> str:
    """The stated servers as they are; else the configured ones; else the host's.

    `host_files` are the host's own resolv.conf and, where that names only a stub on the host's loopback, the
    file that says what the stub forwards to; another network namespace cannot reach a stub.
    """
    if pod.network == "host":
        return host_files[0] if host_files else ""
    network = pod.network if isinstance(pod.network, Network) else Network()
    if network.dns is not None:
        return _resolv_conf(network.dns, network.search or ())
    servers, search = _reachable(host_files)
    return _resolv_conf(settings_dns or servers, search if network.search is None else network.search)


def _reachable(host_files: Sequence[str]) -> tuple[list[str], list[str]]:
    for text in host_files:
        servers = [each for each in _words(text, "nameserver") if not _is_loopback(each)]
        if servers:
            return servers, _words(text, "search")
    return [], []


def _words(text: str, keyword: str) -> list[str]:
    lines = (line.split("#", 1)[0].split() for line in text.splitlines())
    return [word for line in lines if line and line[0] == keyword for word in line[1:]]


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True  # no address at all: of no use


def _resolv_conf(servers: Iterable[str], search: Iterable[str]) -> str:
    kept: list[str] = []
    for domain in list(search)[:_MOST_DOMAINS]:
        if len(" ".join([*kept, domain])) <= _LONGEST_SEARCH:
            kept.append(domain)
    lines = [f"search {' '.join(kept)}"] if kept else []
    lines += [f"nameserver {server}" for server in list(servers)[:_MOST_SERVERS]]
    return "".join(f"{line}\n" for line in lines)
