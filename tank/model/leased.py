"""What a pod's network says of name servers, from the one who hears it to the one who writes resolv.conf. Pure."""

from __future__ import annotations

import ipaddress
import json

from tank.model.etcfiles import Resolver

RESOLVER = "resolver"  # a file of the pod's run directory


def dumped(resolver: Resolver) -> bytes:
    """As it lies there."""
    return json.dumps({"servers": resolver.servers, "search": resolver.search}).encode()


def loaded(data: bytes | None) -> Resolver:
    """What `dumped` gave; nothing where there is none, or something else."""
    try:
        found = json.loads(data or b"{}")
        servers = tuple(str(ipaddress.ip_address(each)) for each in found.get("servers", ()))
        return Resolver(servers=servers, search=tuple(map(str, found.get("search", ()))))
    except (ValueError, TypeError, AttributeError):
        return Resolver()
