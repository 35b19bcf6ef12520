"""The devices of a container: those that its spec names, those of CDI, and for a privileged one the machine's.

A node is made in the container's own /dev by the runtime, with the numbers that the host's has at that moment, and
its control group lets exactly these through. What is not there makes the pod wait: a stick may be plugged in yet.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tank.errors import Waiting
from tank.model import pod
from tank.runtime import cdi
from tank.runtime.cdi import Edits, Node
from tank.runtime.ocispec import Bind, Device, Setup

_REASON = "CreateContainerConfigError"
_CONTAINERS_OWN = frozenset({"console", "full", "null", "ptmx", "random", "tty", "urandom", "zero"})
_NOT_WALKED = frozenset({"pts", "shm", "mqueue", "hugepages"})
_KINDS = {stat.S_IFBLK: "b", stat.S_IFCHR: "c"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What comes with a container's devices."""

    devices: tuple[Device, ...] = ()
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()


def give(container: pod.Container, directories: Sequence[Path] = cdi.DIRECTORIES) -> Given:
    """All devices that a container asks for. Changes nothing. Raises Waiting."""
    found = {each.path: each for each in _host_devices()} if container.security.privileged else {}
    edits = Edits()
    for wanted in container.devices:
        if wanted.name is not None:
            edits = edits.joined(cdi.edits(wanted.name, directories))
        else:
            device = _device(wanted)
            found[device.path] = device
    found |= {node.path: _node(node) for node in edits.nodes}
    return Given(
        devices=tuple(found.values()),
        binds=edits.binds,
        environment=edits.environment,
        groups=edits.groups,
    )


def added(setup: Setup, given: Given) -> Setup:
    """A container's configuration with its devices and all that comes with them."""
    return replace(
        setup,
        devices=given.devices,
        volumes=(*setup.volumes, *given.binds),
        environment={**setup.environment, **given.environment},
        identity=replace(setup.identity, groups=(*setup.identity.groups, *given.groups)),
    )


def _device(wanted: pod.Device) -> Device:
    assert wanted.path is not None
    found = _read(wanted.path, wanted.target or wanted.path)
    return replace(found, access=wanted.access)


def _read(source: str, path: str) -> Device:
    """The node `source` of the host as the device `path` of the container. Raises Waiting."""
    try:
        status = os.stat(source)
    except OSError as error:
        raise Waiting(_REASON, f"cannot give the device {source}: {(error.strerror or '').lower()}") from error
    if stat.S_IFMT(status.st_mode) not in _KINDS:
        raise Waiting(_REASON, f"cannot give the device {source}: it is no device node")
    return _of(path, status)


def _of(path: str, status: os.stat_result) -> Device:
    return Device(
        path=path,
        kind=_KINDS[stat.S_IFMT(status.st_mode)],
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


def _node(node: Node) -> Device:
    """A node that CDI wants, by the numbers that its file gives, else by the host's node."""
    if node.kind and node.major is not None and node.minor is not None:
        found = Device(path=node.path, kind=node.kind, major=node.major, minor=node.minor, mode=0o666)
    else:
        found = _read(node.source, node.path)
    return replace(
        found,
        mode=found.mode if node.mode is None else node.mode,
        uid=found.uid if node.uid is None else node.uid,
        gid=found.gid if node.gid is None else node.gid,
        access=node.access or found.access,
    )


def _host_devices() -> Iterator[Device]:
    """The machine's device nodes, for a privileged container; those that each container has of its own left out."""
    for top, directories, names in os.walk("/dev"):
        directories[:] = [each for each in directories if each not in _NOT_WALKED]
        for name in names:
            path = os.path.join(top, name)
            status = os.lstat(path)
            if stat.S_IFMT(status.st_mode) not in _KINDS:
                continue
            if not (top == "/dev" and (name in _CONTAINERS_OWN or name.startswith("tty"))):
                yield _of(path, status)
