"""The memory of a group: its limits, and how they are cut while it runs (C12).

A limit is only ever lowered onto what is free. What is in use is pushed out first, slowed down meanwhile so that
it does not grow again; when that does not suffice the limit stays as it was and Failed says how much is in use.
Version 1 refuses by itself to go below what it cannot push out. Nobody is killed by a change of limits, save by
a program that takes the last of it in the instant between the look and the cut.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path

from tank.errors import Failed
from tank.host.control import number, offer, put
from tank.model.pod import Limits
from tank.model.units import format_size

_UNLIMITED = "-1"
_TRIES = 5
_SLACK = 2**20  # bytes that a group may hold beyond a limit while it is cut


def apply_v2(directory: Path, limits: Limits) -> None:
    """Make the memory limits hold. Raises OSError, Failed."""
    memory = limits.memory
    _offered(directory / "memory.low", limits.memory_low, "0")
    try:
        if memory is not None and (number(directory / "memory.current") or 0) > memory:
            _push_out(directory, memory)
        _offered(directory / "memory.max", memory, "max")
    finally:
        _offered(directory / "memory.high", limits.memory_high, "max")
    _offered(directory / "memory.swap.max", swap_of(limits), "max")


def swap_of(limits: Limits) -> int | None:
    """The bytes of swap that a group may use; None: no limit. A limit of memory alone leaves none (C14)."""
    return 0 if limits.swap is None and limits.memory is not None else limits.swap


def _offered(path: Path, value: int | None, without: str) -> None:
    if not offer(path, without if value is None else str(value)) and value:
        raise Failed(f"cannot set {path.name}: this kernel has no such file")


def _push_out(directory: Path, memory: int) -> None:
    """Throttle what would grow again, reclaim, and see whether it fits now. Raises Failed."""
    reclaim = directory / "memory.reclaim"
    slack = max(memory // 64, _SLACK) if reclaim.exists() else 0  # without, setting `high` is what reclaims
    offer(directory / "memory.high", str(memory + slack))
    for _ in range(_TRIES):
        used = number(directory / "memory.current") or 0
        if used <= memory:
            return
        _reclaim(reclaim, used - max(memory - slack, 0))
    raise _in_use(memory, used)


def _reclaim(path: Path, excess: int) -> None:
    try:
        offer(path, str(excess))
    except OSError as error:
        if error.errno != errno.EAGAIN:  # less than asked for could be reclaimed
            raise


def _in_use(memory: int, used: int) -> Failed:
    wanted, present = format_size(memory), f"{used / 2**20:.1f} MiB"
    return Failed(f"cannot lower the memory limit to {wanted}: {present} are in use and cannot be reclaimed")


def apply_v1(directory: Path, limits: Limits) -> None:
    """Make the limits of memory, and of memory and swap together, hold. Raises OSError, Failed."""
    only, both = directory / "memory.limit_in_bytes", directory / "memory.memsw.limit_in_bytes"
    memory, swap = limits.memory, swap_of(limits)
    if memory is None and not only.exists():
        return
    total = None if memory is None or swap is None else memory + swap
    wanted = [(only, memory), (both, total)] if both.exists() else [(only, memory)]
    # Together they may never be less than memory alone, not even for an instant.
    if both.exists() and _more(total, number(both)):
        wanted.reverse()
    before = [(path, number(path)) for path, _ in reversed(wanted)]
    try:
        for path, value in wanted:
            put(path, _UNLIMITED if value is None else str(value))
    except OSError as error:
        for path, value in before:
            with suppress(OSError):
                put(path, _UNLIMITED if value is None else str(value))
        if error.errno == errno.EBUSY:
            raise _in_use(memory or 0, number(directory / "memory.usage_in_bytes") or 0) from error
        raise


def _more(first: int | None, second: int | None) -> bool:
    return second is not None and (first is None or first > second)


def read_v2(directory: Path, name: str) -> int | None:
    """One of memory, memory_high, memory_low and swap as it holds; None: no limit. Raises OSError."""
    file = {"memory": "max", "memory_high": "high", "memory_low": "low", "swap": "swap.max"}[name]
    return number(directory / f"memory.{file}")


def read_v1(directory: Path, name: str) -> int | None:
    """The same of version 1, which knows memory and swap. Raises OSError."""
    memory = number(directory / "memory.limit_in_bytes")
    if name != "swap":
        return memory if name == "memory" else None
    both = number(directory / "memory.memsw.limit_in_bytes")
    return None if both is None or memory is None else both - memory
