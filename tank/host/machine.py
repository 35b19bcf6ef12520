"""What the machine is called, from where it speaks, and how much it has, as its pods are told (C7)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from tank.host import files
from tank.model.downward import Capacity

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


def capacity() -> Capacity:
    """Processors, memory, swap and process numbers. Raises OSError."""
    lines = (files.read("/proc/meminfo") or b"").decode().splitlines()
    swap = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("SwapTotal:")), 0)
    return Capacity(
        cpus=float(len(os.sched_getaffinity(0))),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        swap=swap,
        pids=int(files.read("/proc/sys/kernel/pid_max") or 2**22),
    )
