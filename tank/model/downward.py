"""Facts of the pod as a container's variables: its name, labels, addresses, limits (C7)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tank.model.inputs import EnvSource
from tank.model.launch import Launch
from tank.model.pod import Limits

_KEYED = re.compile(r"(labels|annotations)\['(.*)'\]")
_USUAL_WEIGHT = 100  # the kernel's own, where none is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the machine has: a container without a limit may use all of it. Sizes in bytes."""

    cpus: float = 1.0
    memory: int = 0
    swap: int = 0
    pids: int = 2**22


def fact(source: EnvSource, launch: Launch, capacity: Capacity) -> str:
    """The value of a field; empty for a label that is not there and for an address that the pod has not got."""
    name = source.field or ""
    if match := _KEYED.fullmatch(name):
        held = launch.pod.labels if match[1] == "labels" else launch.pod.annotations
        return held.get(match[2], "")
    if name.startswith("limits."):
        found = _LIMITS[name.removeprefix("limits.")](launch.container.limits, capacity)
        return str(math.ceil(round(found / (source.divisor or 1.0), 6)))
    return _FACTS[name](launch)


def _addresses(launch: Launch) -> list[str]:
    if launch.pod.network == "host":
        return [launch.host_ip] if launch.host_ip else []
    return [each.ip.partition("/")[0] for each in launch.addresses]


def _cores(limits: Limits, capacity: Capacity) -> float:
    return limits.cpu.quota / limits.cpu.period if limits.cpu is not None else capacity.cpus


_FACTS: Mapping[str, Callable[[Launch], str]] = {
    "name": lambda launch: launch.pod.name,
    "uid": lambda launch: launch.uid,
    "node": lambda launch: launch.node,
    "ip": lambda launch: next(iter(_addresses(launch)), ""),
    "ips": lambda launch: ",".join(_addresses(launch)),
    "host_ip": lambda launch: launch.host_ip,
}
_LIMITS: Mapping[str, Callable[[Limits, Capacity], float]] = {
    "memory": lambda limits, machine: machine.memory if limits.memory is None else limits.memory,
    "memory_high": lambda limits, machine: next(
        each for each in (limits.memory_high, limits.memory, machine.memory) if each is not None
    ),
    "memory_low": lambda limits, _: limits.memory_low or 0,
    "swap": lambda limits, machine: (
        limits.swap if limits.swap is not None else 0 if limits.memory is not None else machine.swap
    ),
    "pids": lambda limits, machine: machine.pids if limits.pids is None else limits.pids,
    "cpu": _cores,
    "cpu_weight": lambda limits, _: limits.cpu_weight or _USUAL_WEIGHT,
    "io_weight": lambda limits, _: limits.io_weight or _USUAL_WEIGHT,
}
