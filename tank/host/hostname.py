"""The machine's own name and address, as its pods are told them (C7)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_ANYWHERE = (
    (socket.AF_INET, ("198.51.100.1", 9)),  # documentation addresses: nothing is ever sent to them
    (socket.AF_INET6, ("2001:db8::1", 9)),
)


def name() -> str:
    """What the machine is called."""
    return os.uname().nodename


def address() -> str:
    """The address from which it speaks to the world, IPv4 first; empty when it has no route there."""
    for family, where in _ANYWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            probe.connect(where)  # of a datagram socket: only chooses the route
            return str(probe.getsockname()[0])
    return ""
