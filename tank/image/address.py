"""Which hosts may be spoken to, and how: the rules against leaked credentials and misled requests (S25, S26). Pure.

The registry that the user named is trusted to be where it is. Every other host, reached by its redirects or its
token realm, must be a public address, unless the registry itself stands in the same kind of private network. Plain
HTTP goes to this machine only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, urlsplit

from tank.image.refusal import refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Nothing that two readers of URLs could read in two ways.
_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # carrier-grade NAT, also overlay networks
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_EMBEDDING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))  # NAT64
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gob", "gov", "go", "gv", "ltd", "ne", "net", "or", "org"})


class Reach(Enum):
    """What kind of place an address is."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"  # also where clouds keep a machine's secrets
    SPECIAL = "special"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a credential belongs to."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if self.port == usual else f":{self.port}")


def origin_of(url: str, what: str) -> Origin:
    """The origin of an absolute URL; `what` names it in messages. Raises PullFailed."""
    try:
        parts: SplitResult = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise refused(f"cannot pull image: {what} is not a URL") from error
    if parts.scheme not in ("https", "http") or parts.username is not None or _HOST.fullmatch(host.lower()) is None:
        raise refused(f"cannot pull image: {what} is not a URL that is followed")
    return Origin(parts.scheme, host.lower().rstrip("."), port or {"https": 443, "http": 80}[parts.scheme])


def literal(host: str) -> Address | None:
    """The address that a host is, if it is one and no name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """`localhost`, 127.0.0.0/8, ::1: the hosts that may be spoken to in plain HTTP."""
    found = literal(host)
    return host == "localhost" or (found is not None and reach(found) is Reach.LOOPBACK)


def reach(address: Address) -> Reach:
    """What kind of place an address is; one that carries an IPv4 address is the kind of that."""
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
        return reach(inner)
    if address.is_loopback:
        return Reach.LOOPBACK
    if address.is_link_local:
        return Reach.LINK_LOCAL
    if any(address in network for network in (*_PRIVATE, _SHARED, _UNIQUE_LOCAL)):
        return Reach.PRIVATE
    if address.is_multicast or address.is_unspecified or address.is_reserved or not address.is_global:
        return Reach.SPECIAL
    return Reach.PUBLIC


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def may_connect(target: Reach, home: Collection[Reach]) -> bool:
    """Whether a host that the registry sent us to may be there. `home`: where the registry itself was found."""
    if target is Reach.PUBLIC:
        return True
    # A registry with a public address as well could be anybody's name for a private one.
    return target in (Reach.LOOPBACK, Reach.PRIVATE) and set(home) == {target}


def registrable(host: str) -> str:
    """The part of a name that somebody registered: the last two labels, three below co.uk and its like.

    An estimate without the public suffix list. It errs toward narrow for country codes; a registry that names a
    realm of its neighbour would get the credential that it may ask for itself.
    """
    if literal(host) is not None:
        return host
    labels = host.split(".")
    wide = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3 if wide else -2 :])


def may_send_credentials(registry: Origin, realm: Origin) -> bool:
    """Whether the token service at `realm` may see the credentials for `registry` (S25)."""
    if realm.scheme == "http":
        return registry.scheme == "http" and realm.host == registry.host and is_loopback(realm.host)
    return realm.host == registry.host or registrable(realm.host) == registrable(registry.host)
