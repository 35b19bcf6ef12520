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

# With a network of its own nothing on the host is guarded by these, and no capability is needed for them.
_OWN_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}


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
    """A device node that a privileged container gets."""

    path: str
    kind: str  # b, c
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0


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
    kills_groups: bool = False
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
    if "network" in setup.namespaces:
        linux["sysctl"] = dict(_OWN_NETWORK)
    return linux


def _root_propagation(setup: Setup) -> str:
    """Nothing spreads through a root that is less open than what is mounted in it."""
    wanted = {each.propagation for each in setup.volumes}
    return next((f"r{each}" for each in ("shared", "slave") if each in wanted), "private")


def _namespaces(setup: Setup) -> list[dict[str, str]]:
    own = [{"type": kind} for kind in ("pid", "mount", "cgroup")]
    return own + [{"type": kind, "path": path} for kind, path in setup.namespaces.items()]


def _hidden(paths: Sequence[str], setup: Setup) -> list[str]:
    """What stays masked: nothing for a privileged container, and not what the spec takes off the list."""
    if setup.privileged or "ALL" in setup.unmask:
        return []
    return [path for path in paths if path not in setup.unmask]


def _resources(setup: Setup) -> dict[str, Any]:
    found = resources(setup.limits, swap_accounting=setup.swap_accounting)
    found["devices"] = [{"allow": setup.privileged, "access": "rwm"}]
    if setup.kills_groups:
        found["unified"] = {"memory.oom.group": "1"}
    return found


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


def resources(limits: Limits, *, swap_accounting: bool = True) -> dict[str, Any]:
    """The limits as `linux.resources` (C14). A memory limit leaves no swap: `swap` is memory and swap together."""
    found: dict[str, Any] = {}
    if limits.memory is not None:
        found["memory"] = {"limit": limits.memory} | ({"swap": limits.memory} if swap_accounting else {})
    if limits.pids is not None:
        found["pids"] = {"limit": limits.pids}
    if limits.cpu is not None:
        found["cpu"] = {"quota": limits.cpu.quota, "period": limits.cpu.period}
    return found
