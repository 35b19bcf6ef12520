"""The words of the kernel: settings of a namespace, sets of CPUs, device nodes and CDI devices.

Each function answers the canonical form, or raises `Refused`.
"""

from __future__ import annotations

import re
from typing import Any

from tank.model import words
from tank.model.faults import Refused, quoted

MAX_CPU = 8191
_PART = r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"  # a '/' stands for a '.' in the name of an interface
_OF_IPC = re.compile(r"kernel\.(shm[a-z_]+|msg[a-z_]+|sem|sem_next_id)|fs\.mqueue\.[a-z_]+")
_VENDOR, _CLASS = r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]", r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_CDI = re.compile(rf"{_VENDOR}/{_CLASS}=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?")


def sysctl_name(text: str) -> str:
    """A kernel setting that belongs to the pod's own namespaces: those of its network, and of its IPC."""
    if len(text) > 253 or not re.fullmatch(rf"[a-z0-9_]+(\.{_PART})+", text):
        raise Refused(f"{quoted(text)} is not a kernel setting such as 'net.core.somaxconn'")
    if text in ("kernel.hostname", "kernel.domainname"):
        raise Refused(f"{text} cannot be set here", "see hostname" if text == "kernel.hostname" else "")
    if is_of_network(text) or _OF_IPC.fullmatch(text):
        return text
    raise Refused(
        f"{quoted(text)} is a setting of the whole machine: a pod has net.*, kernel.shm*, kernel.msg*, kernel.sem "
        "and fs.mqueue.* of its own"
    )


def is_of_network(name: str) -> bool:
    """Whether the kernel setting belongs to the network namespace."""
    return name.startswith("net.")


def sysctl_value(value: str | int) -> str:
    """A kernel setting's value: one line of words."""
    text = " ".join(str(value).split())
    if not text or len(text) > 1000 or not text.isascii():
        raise Refused("a kernel setting's value is one line of ASCII, at most 1000 characters")
    return text


def cpuset(text: str) -> str:
    """A set of CPUs such as `0-3,8`: canonical in order, ranges joined."""
    if not re.fullmatch(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?){0,255}", text):
        raise Refused(f"{quoted(text)} is not a set of cpus such as '0-3,8'")
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) < int(first) or int(last or first) > MAX_CPU:
            raise Refused(f"{quoted(part)} is not a range of cpus")
        found |= set(range(int(first), int(last or first) + 1))
    return ",".join(_ranges(sorted(found)))


def _ranges(numbers: list[int]) -> list[str]:
    runs: list[list[int]] = []
    for each in numbers:
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def device_path(text: str) -> str:
    """A device node, on the host or in the container: below /dev."""
    path = words.absolute_path(text)
    if not path.startswith("/dev/"):
        raise Refused(f"{quoted(text)} is not below /dev")
    return path


def device_target(text: str) -> str:
    """Where a device appears: not where Tank or the kernel has its own."""
    path = device_path(text)
    if words.is_below(path, "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"):  # noqa: S108 (a place inside)
        raise Refused(f"{quoted(text)} is the kernel's own place")
    return path


def device_access(text: str) -> str:
    """What may be done with it: of r (read), w (write) and m (make the node), in this order."""
    if not text or set(text) - set("rwm") or len(set(text)) < len(text):
        raise Refused(f"{quoted(text)} is not an access: of 'r', 'w' and 'm', each once")
    return "".join(each for each in "rwm" if each in text)


def cdi_name(text: str) -> str:
    """A device by its name in the Container Device Interface: `vendor.com/class=device`."""
    if len(text) > 253 or not _CDI.fullmatch(text):
        raise Refused(f"{quoted(text)} is not a CDI device such as 'vendor.com/gpu=0'")
    return text


def device(text: str) -> dict[str, Any]:
    """`/dev/x`, `/dev/x:/dev/y`, `/dev/x:rw`, `/dev/x:/dev/y:rw`, or a CDI name."""
    if not text.startswith("/"):
        return {"name": cdi_name(text)}
    path, *rest = text.split(":")
    found = {"path": device_target(path) if not rest or not rest[0].startswith("/") else device_path(path)}
    if rest and rest[0].startswith("/"):
        found["target"] = device_target(rest.pop(0))
    if rest:
        found["access"] = device_access(rest.pop(0))
    if rest:
        raise Refused(f"{quoted(text)} is not a device: '/dev/x', '/dev/x:/dev/y:rw' or a CDI name")
    return found


def message_path(text: str) -> str:
    """Where a program leaves its last words (C5)."""
    path = words.absolute_path(text)
    if path == "/" or words.is_below(path, "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        raise Refused(f"{quoted(text)} cannot hold a message")
    return path
