"""The host's own name servers, as a pod can use them.

A loopback address in /etc/resolv.conf is a stub (systemd-resolved, NetworkManager's dnsmasq): from inside a
pod's network nobody answers there. What the stub forwards to stands in a file of its own, which is read
instead (R50). Where there is none the list stays empty and says so: no public server is ever made up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tank.model.etcfiles import Resolver, parse_resolv_conf

CONFIGURED = Path("/etc/resolv.conf")
FORWARDED = (
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/no-stub-resolv.conf"),
    Path("/run/NetworkManager/resolv.conf"),
)
HOSTS = Path("/etc/hosts")


def read(
    configured: Path = CONFIGURED, forwarded: Sequence[Path] = FORWARDED, servers: Sequence[str] | None = None
) -> Resolver:
    """The resolver that pods get by default. `servers`, from the settings, stands in for the host's servers.

    Never raises: an unreadable file is an empty one, and the note says what was missing.
    """
    found = parse_resolv_conf(_text(configured))
    if servers is not None:
        return replace(found, servers=tuple(servers))
    usable = _usable(found)
    if usable or not found.servers:
        return replace(found, servers=usable, note="" if usable else f"{configured} names no server")
    for path in forwarded:
        behind = parse_resolv_conf(_text(path))
        if behind_usable := _usable(behind):
            return replace(found, servers=behind_usable, search=found.search or behind.search)
    return replace(
        found,
        servers=(),
        note=f"{configured} names only {', '.join(found.servers)}, which no pod can reach; set dns",
    )


def hosts_text(path: Path = HOSTS) -> str:
    """The host's /etc/hosts, for pods on its network."""
    return _text(path)


def resolv_conf_text(path: Path = CONFIGURED) -> str:
    """The host's /etc/resolv.conf as it is, for pods on its network: there the stub does answer."""
    return _text(path)


def _usable(resolver: Resolver) -> tuple[str, ...]:
    return tuple(server for server in resolver.servers if _reachable(server))


def _reachable(server: str) -> bool:
    """Whether a pod can mean the same machine by this address: no loopback, no zone of the host's."""
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or "%" in server)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
