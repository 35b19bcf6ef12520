"""Changing the limits of a group while it runs (C12, C14), and reading back what holds.

A memory limit is only ever lowered onto what is free: what is in use is pushed out first, and when that does
not suffice the limit stays as it was and Failed is raised; nobody is killed by a change of limits.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tank.errors import Failed
from tank.host import files
from tank.host.cgroup import Groups
from tank.model.pod import Cpu, Limits

_UNLIMITED = -1
_DEFAULT_PERIOD = 100_000


def apply(groups: Groups, name: str, limits: Limits) -> None:
    """Make `limits` hold for the group; None is unlimited. Blocks while memory is pushed out. Raises Failed."""
    try:
        _apply_memory(groups, name, limits.memory)
        _apply_pids(groups, name, limits.pids)
        _apply_cpu(groups, name, limits.cpu)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise Failed("cannot lower the memory limit: more is in use than it would allow") from error
        raise Failed(f"cannot change the limits of {name}: {error.strerror}") from error


def read(groups: Groups, name: str) -> Limits:
    """The limits that hold for the group now. Raises OSError."""
    return Limits(memory=_read_memory(groups, name), pids=_read_pids(groups, name), cpu=_read_cpu(groups, name))


def _apply_memory(groups: Groups, name: str, memory: int | None) -> None:
    directory = _directory(groups, name, "memory")
    if directory is None:
        return _impossible("memory", memory)
    if groups.hierarchies.is_v2("memory"):
        return _apply_memory_v2(directory, memory)
    # Version 1: memory and swap together must never be below memory alone.
    value = _UNLIMITED if memory is None else memory
    order = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    if memory is None or memory > (_number(directory / order[0]) or 0):
        order.reverse()
    for file in order:
        if (directory / file).exists():
            _put(directory / file, str(value))
    return None


def _apply_memory_v2(directory: Path, memory: int | None) -> None:
    if memory is not None and (_number(directory / "memory.current") or 0) > memory:
        _push_out(directory, memory)
    _put(directory / "memory.max", "max" if memory is None else str(memory))
    if (directory / "memory.swap.max").exists():
        _put(directory / "memory.swap.max", "max" if memory is None else "0")


def _push_out(directory: Path, memory: int) -> None:
    """Throttle what would grow again, reclaim, and see whether it fits now."""
    _put(directory / "memory.high", str(memory))
    try:
        excess = (_number(directory / "memory.current") or 0) - memory
        if excess > 0 and (directory / "memory.reclaim").exists():
            try:
                _put(directory / "memory.reclaim", str(excess))
            except OSError as error:
                if error.errno != errno.EAGAIN:  # less than asked for could be reclaimed
                    raise
        if (_number(directory / "memory.current") or 0) > memory:
            raise OSError(errno.EBUSY, "memory is in use")
    finally:
        _put(directory / "memory.high", "max")


def _apply_pids(groups: Groups, name: str, pids: int | None) -> None:
    directory = _directory(groups, name, "pids")
    if directory is None:
        return _impossible("pids", pids)
    return _put(directory / "pids.max", "max" if pids is None else str(pids))


def _apply_cpu(groups: Groups, name: str, cpu: Cpu | None) -> None:
    directory = _directory(groups, name, "cpu")
    if directory is None:
        return _impossible("cpu", cpu)
    if groups.hierarchies.is_v2("cpu"):
        return _put(directory / "cpu.max", "max" if cpu is None else f"{cpu.quota} {cpu.period}")
    _put(directory / "cpu.cfs_quota_us", str(_UNLIMITED))  # a period may not make the quota exceed the parent's
    _put(directory / "cpu.cfs_period_us", str(cpu.period if cpu else _DEFAULT_PERIOD))
    if cpu is not None:
        _put(directory / "cpu.cfs_quota_us", str(cpu.quota))
    return None


def _read_memory(groups: Groups, name: str) -> int | None:
    directory = _directory(groups, name, "memory")
    if directory is None:
        return None
    if groups.hierarchies.is_v2("memory"):
        return _number(directory / "memory.max")
    value = _number(directory / "memory.limit_in_bytes")
    return None if value is None or value >= 2**62 else value


def _read_pids(groups: Groups, name: str) -> int | None:
    directory = _directory(groups, name, "pids")
    return None if directory is None else _number(directory / "pids.max")


def _read_cpu(groups: Groups, name: str) -> Cpu | None:
    directory = _directory(groups, name, "cpu")
    if directory is None:
        return None
    if groups.hierarchies.is_v2("cpu"):
        quota, _, period = (files.read(directory / "cpu.max") or b"max").decode().strip().partition(" ")
        return None if quota == "max" else Cpu(quota=int(quota), period=int(period))
    value = _number(directory / "cpu.cfs_quota_us")
    period_us = _number(directory / "cpu.cfs_period_us")
    return None if value is None or value < 0 or period_us is None else Cpu(quota=value, period=period_us)


def _directory(groups: Groups, name: str, controller: str) -> Path | None:
    tree = groups.hierarchies.tree(controller)
    return None if tree is None else tree / groups.path(name).lstrip("/")


def _impossible(controller: str, wanted: object) -> None:
    if wanted is not None:
        raise Failed(f"cannot limit {controller}: this machine has no such control group controller")


def _number(path: Path) -> int | None:
    """None for `max`."""
    text = (files.read(path) or b"max").strip()
    return None if text == b"max" else int(text)


def _put(path: Path, value: str) -> None:
    with files.opened(path, os.O_WRONLY) as fd:  # a control file is never created
        os.write(fd, value.encode())
