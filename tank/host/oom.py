"""Running out of memory: who ran out, by the kernel's counters, and hearing of it at once on version 1 (C5).

Version 2 kills a whole group by itself when told to. Version 1 kills one process of it; it rings an eventfd as it
looks for that process, before its counter moves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tank.host import files
from tank.host.cgroup import Groups, counters
from tank.host.control import Control, number, put
from tank.model.units import format_size

_MACHINE = "the machine ran out of memory"
_LAG = 2**18  # bytes by which version 1's counters may be behind


def cause(groups: Groups, name: str) -> str:
    """Whose memory was used up when the kernel killed in a group, in words; empty: nothing tells. Raises OSError."""
    control = Control(groups, name)
    directory = control.directory("memory")
    if directory is None or not directory.is_dir():
        return ""
    return _cause_v2(groups, directory) if control.is_v2("memory") else _cause_v1(directory)


def _cause_v2(groups: Groups, directory: Path) -> str:
    assert groups.hierarchies.v2 is not None
    own = number(directory / "memory.max")
    if own is not None and counters(directory / "memory.events.local").get("oom"):
        return _limit(own)
    for above in _above(directory, groups.hierarchies.v2):
        found = number(above / "memory.max")
        if found is not None and counters(above / "memory.events.local").get("oom"):
            where = f"/{above.relative_to(groups.hierarchies.v2)}"
            return f"the memory limit of the control group {where}, {format_size(found)}, was used up"
    return _MACHINE if own is None else f"{_MACHINE}; its own limit was not reached"


def _above(directory: Path, top: Path) -> Iterator[Path]:
    for each in directory.parents:
        if each == top:
            return
        yield each


def _cause_v1(directory: Path) -> str:
    own = number(directory / "memory.limit_in_bytes")
    if own is None:
        return _MACHINE
    most = number(directory / "memory.max_usage_in_bytes") or 0  # its count of failures is not kept by every kernel
    return _limit(own) if most >= own - _LAG else f"{_MACHINE}; its own limit was not reached"


def _limit(size: int) -> str:
    return f"its memory limit of {format_size(size)} was used up"


def bell(groups: Groups, name: str) -> int | None:
    """An eventfd that becomes readable when a group of version 1 runs out of memory, or is removed.

    None: there is no such group, or it is of version 2. Raises OSError. The caller closes it.
    """
    control = Control(groups, name)
    directory = control.directory("memory")
    if directory is None or control.is_v2("memory") or not directory.is_dir():
        return None
    fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        with files.opened(directory / "memory.oom_control", os.O_RDONLY) as told:
            put(directory / "cgroup.event_control", f"{fd} {told}")
    except OSError:
        os.close(fd)
        raise
    return fd


def silence(fd: int) -> None:
    """What an eventfd has rung for is taken note of."""
    with suppress(BlockingIOError):
        os.eventfd_read(fd)


def hang_up(fd: int) -> None:
    """Let go of an eventfd; the kernel forgets it with its last descriptor."""
    os.close(fd)
