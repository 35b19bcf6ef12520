"""What a container may use of the machine: the tables of limits, resource limits and devices."""

from __future__ import annotations

from typing import Any

from tank.model import kernel_words, words
from tank.model.faults import Refused
from tank.model.grammar import Either, Field, Kind, ListOf, MapOf, Record, Scalar, text, whole
from tank.model.quantities import cpu, size

MAX_PIDS = 2**22  # the kernel's own bound of pid_max
MAX_WEIGHT = 10_000
_ULIMIT_WANTED = "a number, 'unlimited' or [soft, hard]"

LIMITS = Record(
    "the limits",
    {
        "memory": Field(size(least=2**19), "The most memory; beyond it the container is killed."),
        "memory_high": Field(size(least=2**19), "Memory beyond which the container is slowed down."),
        "memory_low": Field(size(), "Memory that is not taken from it while others have some to give."),
        "swap": Field(size(), "The most swap beside memory. Default: none where memory is limited."),
        "pids": Field(whole(1, MAX_PIDS), "The most processes and threads."),
        "cpu": Field(cpu(), "The most CPU: cores (0.5, '500m') or [quota, period] in microseconds."),
        "cpu_weight": Field(whole(1, MAX_WEIGHT), "Its share when CPU is short; 100 is the kernel's default."),
        "cpuset": Field(text(kernel_words.cpuset, pattern="^[0-9]"), "The CPUs that it may run on: '0-3,8'."),
        "io_weight": Field(whole(1, MAX_WEIGHT), "Its share when disks are busy; 100 is the kernel's default."),
    },
    foreign={
        "mem": "memory",
        "cpus": "cpu",
        "processes": "pids",
        "mem_limit": "memory",
        "memory_reservation": "memory_low",
        "memswap": "swap",
        "cpu_shares": "cpu_weight",
        "blkio_weight": "io_weight",
    },
)


def _limit(value: int | str) -> int:
    if value in ("unlimited", -1):
        return words.UNLIMITED
    if isinstance(value, str) or not 0 <= value <= words.UNLIMITED:
        raise Refused(f"expected {_ULIMIT_WANTED}")
    return value


def _ulimit(value: Any) -> list[int]:
    """One number for both, or [soft, hard]."""
    pair = value if type(value) is list else [value, value]
    if len(pair) != 2 or any(type(each) not in (int, str) for each in pair):
        raise Refused(f"expected {_ULIMIT_WANTED}")
    soft, hard = (_limit(each) for each in pair)
    if soft > hard:
        raise Refused("the soft limit cannot exceed the hard one")
    return [soft, hard]


_ULIMIT_FORMS = [{"type": "integer"}, {"const": "unlimited"}, {"type": "array", "minItems": 2, "maxItems": 2}]
ULIMITS = MapOf(words.rlimit_name, Scalar((int, str, list), _ulimit, {"anyOf": _ULIMIT_FORMS}, _ULIMIT_WANTED))

DEVICE: Kind = Either(
    (
        text(kernel_words.device, pattern="^/dev/|="),
        Record(
            "a device",
            {
                "path": Field(text(kernel_words.device_path, pattern="^/"), "A device node of the host: /dev/x."),
                "target": Field(text(kernel_words.device_target, pattern="^/"), "Where it appears. Default: the same."),
                "access": Field(
                    text(kernel_words.device_access, pattern="^[rwm]+$"),
                    "Of r, w and m (make the node).",
                    default="rwm",
                ),
                "name": Field(text(kernel_words.cdi_name, pattern="="), "A CDI device: vendor.com/class=device."),
            },
            foreign={"host": "path", "source": "path", "container": "target", "permissions": "access", "cdi": "name"},
            one_of=("path", "name"),
        ),
    ),
    "a device such as '/dev/x', '/dev/x:/dev/y:rw', a CDI name or a mapping",
)
DEVICES = ListOf(DEVICE, most=100)
