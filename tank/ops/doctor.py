"""`tank doctor`: what this machine lacks for running pods, each with its cure.

A check looks and answers; it changes nothing. `fail`: pods will not run, or not safely. `warn`: something is missing
that some pods need, or that is better mended.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tank.errors import TankError, Unsupported
from tank.host import cgroup, files, mounts, process
from tank.ops import versions

KERNEL_NEEDED, KERNEL_WANTED = (5, 14), (6, 1)  # cgroup.kill came with 5.14; 6.1 is the oldest one tried
DISK_RESERVE = 2**30
PACKAGES = {"nft": "nftables"}
MODULES = "install the kernel's package of further modules (linux-modules-extra on Ubuntu)"
GATES = ("sch_ingress", "cls_u32", "act_mirred")
MODES = {".": 0o700, "pods": 0o700, "volumes": 0o700, "images": 0o700}


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `cure` is empty when all is well."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""


async def examine(data_dir: Path, run_dir: Path) -> list[Finding]:
    """Every check of the machine itself, in the order of reading."""
    tools = await asyncio.gather(*(_program(name) for name in versions.LEAST))
    found = [kernel(platform.release()), *_control_groups(), *tools, await _runtime_features()]
    found += [_overlay(), _seccomp(), _macvlan(), _gates(), *_disk(data_dir)]
    return [*found, *directories(data_dir, run_dir)]


def kernel(release: str) -> Finding:
    """Whether a kernel's release is new enough."""
    version = versions.parse(release) or (0,)
    if version < KERNEL_NEEDED:
        return Finding("kernel", Verdict.FAIL, f"{release} is too old", "needs 5.14 or later (cgroup.kill)")
    if version < KERNEL_WANTED:
        return Finding("kernel", Verdict.WARN, f"{release} is older than any tried", "6.1 or later is better")
    return Finding("kernel", Verdict.OK, release)


def _control_groups() -> Iterator[Finding]:
    """The mode, the controllers that limits need, and the one mix that crun refuses."""
    try:
        found = cgroup.find_hierarchies()
    except Unsupported as error:
        yield Finding("control groups", Verdict.FAIL, error.message, "mount -t cgroup2 none /sys/fs/cgroup")
        return
    mode = ("hybrid" if found.v2 else "version 1") if found.v1 else "version 2"
    missing = [name for name in ("memory", "cpu", "pids") if found.tree(name) is None]
    if missing:
        cure = "enable them on the kernel's command line (cgroup_enable=memory)"
        yield Finding("control groups", Verdict.WARN, f"{mode}, without {', '.join(missing)}: no such limits", cure)
    else:
        yield Finding("control groups", Verdict.OK, mode)
    if found.v1 and "hugetlb" in found.controllers:
        yield Finding(
            "hugetlb",
            Verdict.FAIL,
            "version 1 control groups, but hugetlb is on version 2: crun refuses this mix",
            "mkdir -p /sys/fs/cgroup/hugetlb && mount -t cgroup -o hugetlb cgroup /sys/fs/cgroup/hugetlb",
        )


async def _program(name: str) -> Finding:
    """Whether a program is here, new enough, and without known holes."""
    optional = name == "catatonit"
    path = shutil.which(name, path=process.ENVIRONMENT["PATH"]) or _beside(name)
    if path is None:
        needed = "needed by containers with `reaper: true`" if optional else "not found"
        cure = f"apt install {PACKAGES.get(name, name)}"
        return Finding(name, Verdict.WARN if optional else Verdict.FAIL, needed, cure)
    version = versions.parse((await _output([path, "--version"])).replace("tini", ""))
    if version is None:
        return Finding(name, Verdict.WARN, f"{path} does not tell its version", "is it the right program?")
    return judge(name, version)


def judge(name: str, version: versions.Version) -> Finding:
    """Whether a program's version is fit, and whether it has known holes (S42)."""
    said, least = versions.words(version), versions.LEAST[name]
    if version < least:
        return Finding(name, Verdict.FAIL, f"{said} is too old", f"needs {versions.words(least)} or later")
    if known := versions.holes(name, version):
        message = f"RuntimeOutdated: {said}: {'; '.join(hole.what for hole in known)}"
        cure = f"{versions.words(known[-1].closed)} or later, or a distribution that has mended its own"
        return Finding(name, Verdict.WARN, message, cure)
    return Finding(name, Verdict.OK, said)


def _beside(name: str) -> str | None:
    """Podman's directory of small programs, where catatonit may be."""
    return next((str(path) for path in (Path("/usr/libexec/podman") / name,) if path.exists()), None)


async def _runtime_features() -> Finding:
    said = await _output(["crun", "--version"])
    if "+SECCOMP" in said:
        return Finding("crun features", Verdict.OK, "seccomp")
    return Finding("crun features", Verdict.WARN, "crun is built without seccomp", "install your distribution's crun")


async def _output(argv: list[str]) -> str:
    """What a program prints; nothing when it cannot be asked."""
    try:
        return (await process.run(argv, seconds=10)).decode(errors="replace")
    except TankError:
        return ""


def _overlay() -> Finding:
    """Overlayfs, and whether it takes layers one by one, which lifts the limit on how many fit."""
    if os.geteuid() != 0:
        return Finding("overlayfs", Verdict.WARN, "cannot tell without root", "sudo tank doctor")
    try:
        one_by_one = mounts.takes_layers_one_by_one()
    except OSError as error:
        return Finding("overlayfs", Verdict.FAIL, f"cannot be mounted: {error.strerror}", "modprobe overlay")
    many = "takes layers one by one" if one_by_one else "layers in one option: images of some 200 layers at most"
    return Finding("overlayfs", Verdict.OK, many)


def _seccomp() -> Finding:
    actions = files.read("/proc/sys/kernel/seccomp/actions_avail") or b""
    if b"errno" in actions:
        return Finding("seccomp", Verdict.OK, "available")
    return Finding("seccomp", Verdict.FAIL, "this kernel has none: containers would run unconfined", "CONFIG_SECCOMP")


def _macvlan() -> Finding:
    """What carries pods of the LAN."""
    missing = lacking(("macvlan",), platform.release())
    if missing is None:
        return Finding("macvlan", Verdict.OK, "no modules here; a pod's status tells when the kernel has it not")
    if not missing:
        return Finding("macvlan", Verdict.OK, "available")
    return Finding("macvlan", Verdict.WARN, "this kernel has none: pods cannot have addresses of the LAN", MODULES)


def _gates() -> Finding:
    """What keeps pods on bridges away from the host's loopback while its rules are flushed (S33)."""
    missing = lacking(GATES, platform.release())
    if missing is None:
        return Finding("gates", Verdict.OK, "no modules here; a cable that has none says so in its alias (ip link)")
    if missing:
        message = f"this kernel lacks {', '.join(missing)}: a flush of the host's rules opens its loopback to pods"
        return Finding("gates", Verdict.WARN, message, MODULES)
    return Finding("gates", Verdict.OK, "pods on bridges are kept from the host's loopback, whoever flushes its rules")


def lacking(names: Iterable[str], release: str, modules: Path = Path("/lib/modules")) -> tuple[str, ...] | None:
    """What is neither built in nor a module that is there to be loaded; None: nothing here tells."""
    place = modules / release
    if not place.exists():
        return None
    listed = (files.read(place / "modules.dep") or b"") + (files.read(place / "modules.builtin") or b"")
    return tuple(each for each in names if f"/{each}.ko".encode() not in listed)


def _disk(data_dir: Path) -> Iterator[Finding]:
    """Room and inodes where the data lies, or will lie."""
    directory = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    said = f"{free / 2**30:.1f} GiB free for {data_dir}"
    if free < DISK_RESERVE:
        yield Finding("disk", Verdict.WARN, said, "make room, or set data_dir elsewhere")
    else:
        yield Finding("disk", Verdict.OK, said)
    if found.f_files and found.f_favail < found.f_files / 20:
        yield Finding("inodes", Verdict.WARN, f"{found.f_favail} left for {data_dir}", "remove files, or set data_dir")


def directories(data_dir: Path, run_dir: Path) -> Iterator[Finding]:
    """Nobody but root may look into the data; nobody but the group may reach the socket (S19)."""
    wanted = {data_dir / name: mode for name, mode in MODES.items()}
    wanted |= {run_dir: 0o750, run_dir / "tank.sock": 0o660}
    loose = {path: mode for path, mode in wanted.items() if _wider(path, mode)}
    for path, mode in loose.items():
        yield Finding("permissions", Verdict.FAIL, f"{path} is open to others", f"chmod {mode:o} {path}")
    if not loose:
        yield Finding("permissions", Verdict.OK, f"{data_dir} and {run_dir} are closed to others")


def _wider(path: Path, mode: int) -> bool:
    """Whether a path allows more than `mode`. What is not there, or cannot be seen, allows nothing."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & ~mode)
    except OSError:
        return False
