"""The limits of a group while it runs: changed, read back, and refused where this machine has none (C12, C14).

Both versions of control groups are spoken. What version 1 lacks (a soft upper limit of memory, a protected part of
it, swap counted by itself) is refused rather than imitated. A limit that the spec does not name is taken off again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tank.errors import Failed
from tank.host import cpuset, files, memory, weights
from tank.host.cgroup import Groups, Hierarchies
from tank.host.control import Control, number, put, text
from tank.model.pod import Cpu, Limits
from tank.model.units import format_cpu

_DEFAULT_PERIOD = 100_000
_MEMORY = ("memory", "memory_high", "memory_low", "swap")
_NONE = "max"  # as the kernel spells "no limit"
_VERSION_1 = "control groups of version 1, which this machine uses"


def wanted(limits: Limits) -> dict[str, int | str]:
    """The limits that are set, by the spec's names and in the words in which `read` says them."""
    found = {name: getattr(limits, name) for name in type(limits).model_fields}
    if limits.cpu is not None:
        found["cpu"] = format_cpu(limits.cpu.quota, limits.cpu.period)
    return {name: value for name, value in found.items() if value is not None}


def apply(groups: Groups, name: str, limits: Limits) -> None:
    """Make `limits` hold for the group; None is unlimited. Blocks while memory is pushed out. Raises Failed.

    Memory comes last: the others hold even when it cannot be cut.
    """
    control = Control(groups, name)
    for what, value, write in (
        ("pids", limits.pids, _apply_pids),
        ("cpu", limits.cpu, _apply_cpu),
        ("cpu_weight", limits.cpu_weight, weights.set_cpu),
        ("cpuset", limits.cpuset, cpuset.apply),
        ("io_weight", limits.io_weight, weights.set_io),
        ("memory", limits, _apply_memory),
    ):
        _attempt(control, what, value, write)


def apply_io_weight(groups: Groups, name: str, weight: int) -> None:
    """The one limit that no runtime can be trusted with: which file takes it, it does not ask. Raises Failed."""
    _attempt(Control(groups, name), "io_weight", weight, weights.set_io)


def _attempt(control: Control, what: str, value: object, write: Callable[[Control, Any], bool]) -> None:
    try:
        if not write(control, value) and value is not None:
            raise Failed(f"cannot set {what}: this machine has no such control group controller")
    except OSError as error:
        if value is None and isinstance(error, FileNotFoundError):
            return  # nothing to take off
        raise Failed(f"cannot set {what} of {control.name}: {error.strerror}") from error


def read(groups: Groups, name: str, names: Mapping[str, int | str] | Iterable[str]) -> dict[str, int | str]:
    """Those of the limits that hold for the group now: `max` is none, a cpu limit is in cores. Raises OSError.

    `names` may say what was asked for: a disk weight in steps that are wider than one is then told as it was asked.
    """
    control = Control(groups, name)
    found = {each: _read(control, each) for each in names}
    asked = names.get("io_weight") if isinstance(names, Mapping) else None
    if isinstance(asked, int) and weights.is_near(asked, found["io_weight"]):
        found["io_weight"] = asked
    return found


def _read(control: Control, name: str) -> int | str:
    if name in _MEMORY:
        found: int | str | None = _read_memory(control, name)
    else:
        found = _READERS[name](control)
    return _NONE if found is None else found


def refusals(groups: Groups, limits: Limits) -> Iterator[str]:
    """What this machine cannot do of `limits`, and why. Raises OSError."""
    control = Control(groups, "")
    yield from _refused_memory(control, limits)
    for name, controller in (("pids", "pids"), ("cpu", "cpu"), ("cpu_weight", "cpu"), ("cpuset", "cpuset")):
        if getattr(limits, name) is not None and control.directory(controller) is None:
            yield f"{name}: this machine has no {controller} controller"
    if limits.cpuset is not None and (why := cpuset.refusal(control, limits.cpuset)):
        yield f"cpuset: {why}"
    if limits.io_weight is not None and (why := weights.why_no_io(control)):
        yield f"io_weight: {why}"


def _refused_memory(control: Control, limits: Limits) -> Iterator[str]:
    named = [name for name in _MEMORY if getattr(limits, name) is not None]
    if control.directory("memory") is None:
        yield from (f"{name}: this machine has no memory controller" for name in named)
        return
    if limits.swap is not None and not accounts_for_swap(control.groups.hierarchies):
        yield "swap: this kernel does not count it (swapaccount=1 on its command line)"
    if not control.is_v2("memory"):
        for name in ("memory_high", "memory_low"):
            if name in named:
                yield f"{name}: {_VERSION_1}, have no such limit"
        if limits.swap is not None and limits.memory is None:
            yield f"swap: {_VERSION_1}, limit it only together with memory"


def accounts_for_swap(hierarchies: Hierarchies) -> bool:
    """Whether the kernel counts the swap of a group."""
    if hierarchies.is_v2("memory"):
        return files.read("/proc/swaps") is not None
    tree = hierarchies.tree("memory")
    return tree is not None and (tree / "memory.memsw.limit_in_bytes").exists()


def _apply_memory(control: Control, limits: Limits) -> bool:
    directory = control.directory("memory")
    if directory is None:
        return limits.model_copy(update=dict.fromkeys(_NOT_MEMORY)) == Limits()
    if control.is_v2("memory"):
        memory.apply_v2(directory, limits)
    else:
        memory.apply_v1(directory, limits)
    return True


_NOT_MEMORY = tuple(name for name in Limits.model_fields if name not in _MEMORY)


def _read_memory(control: Control, name: str) -> int | None:
    directory = control.directory("memory")
    if directory is None:
        return None
    return (memory.read_v2 if control.is_v2("memory") else memory.read_v1)(directory, name)


def _apply_pids(control: Control, pids: int | None) -> bool:
    directory = control.directory("pids")
    if directory is not None:
        put(directory / "pids.max", _NONE if pids is None else str(pids))
    return directory is not None


def _read_pids(control: Control) -> int | None:
    directory = control.directory("pids")
    return None if directory is None else number(directory / "pids.max")


def _apply_cpu(control: Control, cpu: Cpu | None) -> bool:
    directory = control.directory("cpu")
    if directory is None:
        return False
    if control.is_v2("cpu"):
        put(directory / "cpu.max", _NONE if cpu is None else f"{cpu.quota} {cpu.period}")
    else:
        _apply_cpu_v1(directory, cpu)
    return True


def _apply_cpu_v1(directory: Path, cpu: Cpu | None) -> None:
    put(directory / "cpu.cfs_quota_us", "-1")  # a period may not make the quota exceed the parent's
    put(directory / "cpu.cfs_period_us", str(cpu.period if cpu else _DEFAULT_PERIOD))
    if cpu is not None:
        put(directory / "cpu.cfs_quota_us", str(cpu.quota))


def _read_cpu(control: Control) -> str | None:
    directory = control.directory("cpu")
    if directory is None:
        return None
    if control.is_v2("cpu"):
        quota, _, period = (text(directory / "cpu.max") or _NONE).partition(" ")
        return None if quota == _NONE else format_cpu(int(quota), int(period))
    found, length = number(directory / "cpu.cfs_quota_us"), number(directory / "cpu.cfs_period_us")
    return None if found is None or length is None else format_cpu(found, length)


_READERS: dict[str, Callable[[Control], int | str | None]] = {
    "pids": _read_pids,
    "cpu": _read_cpu,
    "cpu_weight": weights.read_cpu,
    "cpuset": cpuset.read,
    "io_weight": weights.read_io,
}
