"""The OCI configuration of one container, from values. Pure.

Least privilege unless the spec says otherwise: a short list of capabilities of which none is inheritable or
ambient (S13), the default filter, no new privileges, devices denied, `/sys` and control groups read-only, the
usual paths masked. Labels and annotations of images and pods never become annotations of the bundle: a
runtime acts on some of those (S12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tank.model.pod import Limits
from tank.model.weights import shares
from tank.runtime.users import Identity

VERSION = "1.0.2"
INIT = "/dev/init"  # where the reaper is mounted: /dev is the container's own tmpfs, so no root is touched

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_NOFILE = (1024, 524_288)  # as systemd gives any service: who needs more raises the soft one to the hard by himself


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A path of the host in the container."""

    source: str
    path: str
    read_only: bool = False
    options: tuple[str, ...] = ("nosuid", "nodev")
    recursive: bool = False
    propagation: str = "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node in the container, and what may be done with it: of r, w and m."""

    path: str
    kind: str  # b, c
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that the configuration says, each thing already found out."""

    root: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    identity: Identity
    capabilities: Sequence[str]
    cgroup: str  # path in every hierarchy
    namespaces: Mapping[str, str]  # ipc, uts and, unless the pod uses the host's, network -> path
    limits: Limits = field(default_factory=Limits)
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    files: Sequence[Bind] = ()  # /etc/hosts and its like, the reaper
    volumes: Sequence[Bind] = ()
    shm: str = ""
    tty: bool = False
    read_only_root: bool = False
    no_new_privileges: bool = True
    privileged: bool = False
    unmask: Sequence[str] = ()
    seccomp: Mapping[str, Any] | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[Device] = ()
    reaper: bool = False
    swap_accounting: bool = True
    controllers: frozenset[str] = frozenset()  # those of version 2
    oom_group: bool = True  # all of it is killed when its memory is used up (C5)
    most_files: int = _NOFILE[1]  # that the machine allows


def config(setup: Setup) -> dict[str, Any]:
    """`config.json` as the runtime specification has it."""
    return {
        "ociVersion": VERSION,
        "root": {"path": setup.root, "readonly": setup.read_only_root},
        "process": _process(setup),
        "mounts": _mounts(setup),
        "annotations": dict(setup.annotations),
        "linux": _linux(setup),
    }


def _process(setup: Setup) -> dict[str, Any]:
    held = list(setup.capabilities)
    return {
        "terminal": setup.tty,
        "user": setup.identity.as_json(),
        "args": [*([INIT, "--"] if setup.reaper else []), *setup.arguments],
        "env": [f"{name}={value}" for name, value in setup.environment.items()],
        "cwd": setup.cwd,
        "capabilities": {
            "bounding": held,
            "effective": held,
            "permitted": held,
            "inheritable": [],
            "ambient": [],
        },
        "rlimits": _rlimits(setup),
        "noNewPrivileges": setup.no_new_privileges,
        "oomScoreAdj": 0,  # not the daemon's own, which may be guarded
    }


def _rlimits(setup: Setup) -> list[dict[str, Any]]:
    soft, hard = (min(each, setup.most_files) for each in _NOFILE)
    limits = {"nofile": (soft, hard)} | dict(setup.rlimits)
    return [{"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard} for name, (soft, hard) in limits.items()]


def _mounts(setup: Setup) -> list[dict[str, Any]]:
    read_only = [] if setup.privileged else ["ro"]
    quiet = ["nosuid", "noexec", "nodev"]
    mounts = [
        _mount("/proc", "proc", "proc", quiet),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        _mount("/dev/mqueue", "mqueue", "mqueue", quiet),
        _mount("/sys", "sysfs", "sysfs", [*quiet, *read_only]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*quiet, "relatime", *read_only]),
    ]
    if setup.shm:
        mounts.append(_mount("/dev/shm", "bind", setup.shm, ["bind", *quiet]))  # noqa: S108 - the container's
    # A mount below another comes after it, whatever the order in the spec.
    volumes = sorted(setup.volumes, key=lambda each: each.path.rstrip("/").count("/"))
    return mounts + [_bind(each) for each in (*setup.files, *volumes)]


def _bind(bind: Bind) -> dict[str, Any]:
    kind = "rbind" if bind.recursive else "bind"
    spread = f"r{bind.propagation}"
    return _mount(bind.path, "bind", bind.source, [kind, spread, *bind.options, "ro" if bind.read_only else "rw"])


def _mount(path: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": path, "type": kind, "source": source, "options": options}


def _linux(setup: Setup) -> dict[str, Any]:
    linux: dict[str, Any] = {
        "cgroupsPath": setup.cgroup,
        "namespaces": _namespaces(setup),
        "resources": _resources(setup),
        "maskedPaths": _hidden(MASKED, setup),
        "readonlyPaths": _hidden(READ_ONLY, setup),
        "rootfsPropagation": _root_propagation(setup),
    }
    if setup.devices:
        linux["devices"] = [_device(each) for each in setup.devices]
    if setup.seccomp is not None:
        linux["seccomp"] = dict(setup.seccomp)
    return linux


def _root_propagation(setup: Setup) -> str:
    """Nothing spreads through a root that is less open than what is mounted in it."""
    wanted = {each.propagation for each in setup.volumes}
    return next((f"r{each}" for each in ("shared", "slave") if each in wanted), "private")


def _namespaces(setup: Setup) -> list[dict[str, str]]:
    own = [{"type": kind} for kind in ("pid", "mount", "cgroup") if kind not in setup.namespaces]
    return own + [{"type": kind, "path": path} for kind, path in setup.namespaces.items()]


def _hidden(paths: Sequence[str], setup: Setup) -> list[str]:
    """What stays masked: nothing for a privileged container, and not what the spec takes off the list."""
    if setup.privileged or "ALL" in setup.unmask:
        return []
    return [path for path in paths if path not in setup.unmask]


def _resources(setup: Setup) -> dict[str, Any]:
    found = resources(setup.limits, swap_accounting=setup.swap_accounting, controllers=setup.controllers)
    # A privileged container may do everything; any other the devices that it was given, and the runtime's own few.
    rules = [] if setup.privileged else [_device_rule(each) for each in setup.devices]
    found["devices"] = [{"allow": setup.privileged, "access": "rwm"}, *rules]
    if "memory" in setup.controllers and setup.oom_group:
        found["unified"] = found.get("unified", {}) | {"memory.oom.group": "1"}
    return found


def _device_rule(device: Device) -> dict[str, Any]:
    numbers = {"major": device.major, "minor": device.minor}
    return {"allow": True, "type": device.kind, **numbers, "access": device.access}


def _device(device: Device) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def resources(
    limits: Limits, *, swap_accounting: bool = True, controllers: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The limits as `linux.resources` (C14). A memory limit leaves no swap: `swap` is memory and swap together.

    What the runtime specification cannot say, or its runtimes translate in ways of their own, goes to the files of
    version 2 directly. A weight for disks does not: no runtime asks which file takes it.
    """
    found: dict[str, Any] = {}
    if limits.memory is not None:
        total = limits.memory + (limits.swap or 0)
        found["memory"] = {"limit": limits.memory} | ({"swap": total} if swap_accounting else {})
    if limits.pids is not None:
        found["pids"] = {"limit": limits.pids}
    if cpu := _cpu(limits, controllers):
        found["cpu"] = cpu
    if unified := _unified(limits, controllers):
        found["unified"] = unified
    return found


def _cpu(limits: Limits, controllers: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if limits.cpu is not None:
        found = {"quota": limits.cpu.quota, "period": limits.cpu.period}
    if limits.cpu_weight is not None and "cpu" not in controllers:
        found["shares"] = shares(limits.cpu_weight)
    if limits.cpuset is not None:
        found["cpus"] = limits.cpuset
    return found


def _unified(limits: Limits, controllers: frozenset[str]) -> dict[str, str]:
    wanted = {
        "memory.high": limits.memory_high,
        "memory.low": limits.memory_low,
        "memory.swap.max": limits.swap if limits.memory is None else None,
        "cpu.weight": limits.cpu_weight,
    }
    known = {file: value for file, value in wanted.items() if file.partition(".")[0] in controllers}
    return {file: str(value) for file, value in known.items() if value is not None}
