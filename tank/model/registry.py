"""Registry hosts: `ghcr.io`, `registry.lan:5000`, `[fd00::1]:5000`. Each has one spelling, and `canonical` finds it.

Rules of trust, settings, passwords and what lies on the disk go by this spelling, so none of them can be passed by
writing a host in another way: in capitals, with its usual port or zeros before it, as an IPv6 address of another
shape, by another of Docker Hub's names. What a resolver alone would read as an address (`127.1`, `0x7f.1`) is no host.
"""

from __future__ import annotations

import ipaddress
import re

from tank.model.faults import Refused, quoted

DEFAULT_REGISTRY = "docker.io"
USUAL_PORT = 443

_HUB = (DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_LABEL = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_REGISTRY = re.compile(
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[(?P<six>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)  # as the last label: the whole is an address, never a name


def is_host(first: str) -> bool:
    """Whether the first component of a name is a registry, as Docker has it."""
    return any(sign in first for sign in ".:") or first == "localhost" or first != first.lower()


def canonical(text: str) -> str:
    """The one spelling of a host. Its usual port is left out where it is known for a host without. Raises Refused."""
    match = _REGISTRY.fullmatch(text)
    port = int(match["port"] or USUAL_PORT) if match else 0
    host = _address(match["six"]) if match and match["six"] else _name(match["host"]) if match else ""
    if not host or not 0 < port < 65536:
        raise Refused(f"{quoted(text)} is not a registry host such as 'registry.example.org:5000'")
    if port != USUAL_PORT:
        return f"{host}:{port}"
    if host in _HUB:
        return DEFAULT_REGISTRY
    return host if is_host(host) else with_port(host)


def with_port(host: str) -> str:
    """A canonical host with its port, the usual one too."""
    return host if re.search(r":[0-9]+$", host) else f"{host}:{USUAL_PORT}"


def _name(host: str) -> str:
    """A name in lower case, or an IPv4 address; empty for what only some readers take for an address."""
    plain = host.lower()
    if not _NUMBER.fullmatch(plain.rpartition(".")[2]):
        return plain
    try:
        return str(ipaddress.IPv4Address(plain))
    except ValueError:
        return ""


def _address(six: str) -> str:
    """An IPv6 address at its shortest, in brackets; one that carries an IPv4 address is that."""
    try:
        found = ipaddress.IPv6Address(six)
    except ValueError:
        return ""
    return str(found.ipv4_mapped) if found.ipv4_mapped else f"[{found.compressed}]"
