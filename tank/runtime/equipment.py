"""What the runtime driver needs of this machine: its own directories and mounts, programs, control groups."""

from __future__ import annotations

import resource
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, Unsupported
from tank.host import cgroup, files, limits, mounts
from tank.runtime import bundle, capabilities, places, seccomp
from tank.runtime.conmon import Conmon
from tank.runtime.crun import Crun

_EXITS_SIZE, _EXITS_INODES = 4 * 2**20, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Names or paths of the programs that are used."""

    crun: str = "crun"
    conmon: str = "conmon"
    reaper: str = "catatonit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """All of it, found."""

    crun: Crun
    conmon: Conmon
    groups: cgroup.Groups
    host: bundle.Host


async def find(settings: Settings, installation: str, programs: Programs) -> Equipment:
    """Find programs and control groups, make directories and mounts. Repeatable, beside what already runs.

    Raises Unsupported when crun, conmon or control groups are missing, Failed when a directory cannot be made.
    """
    crun = Crun(_program(programs.crun), places.states(settings))
    conmon = Conmon(_program(programs.conmon))
    hierarchies = cgroup.find_hierarchies()
    try:
        _make_directories(settings)
    except OSError as error:
        raise Failed(f"cannot make {error.filename or settings.run_dir}: {error.strerror}") from error
    filters = seccomp.Compiled(settings.data_dir / "seccomp-cache", f"{await crun.version()}\n{_library()}")
    groups = cgroup.Groups(hierarchies, cgroup.find_root(installation))
    return Equipment(crun=crun, conmon=conmon, groups=groups, host=_host(programs, hierarchies, filters))


def _host(programs: Programs, hierarchies: cgroup.Hierarchies, filters: seccomp.Compiled) -> bundle.Host:
    reaper = shutil.which(programs.reaper)
    return bundle.Host(
        capabilities=_capabilities(),
        reaper=Path(reaper).resolve() if reaper else None,
        swap_accounting=limits.accounts_for_swap(hierarchies),
        controllers=hierarchies.controllers,
        most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        filters=filters,
    )


def let_go(settings: Settings) -> None:
    """Take off the mounts that `find` made, where no pod is left in them. Raises OSError."""
    if not files.names(settings.run_dir / "pods"):
        mounts.unmount(settings.run_dir / "pods")
    if not files.names(places.exits(settings)):
        mounts.unmount(places.exits(settings))


def _make_directories(settings: Settings) -> None:
    """Nothing here is for anybody but root (S19)."""
    for path in (settings.data_dir / "pods", settings.data_dir / "volumes", settings.run_dir / "pods"):
        files.make_directory(path)
    for path in (places.exits(settings), places.states(settings), places.scratch(settings)):
        files.make_directory(path)
    mounts.make_private(settings.run_dir / "pods")
    if not mounts.is_mounted(places.exits(settings)):
        mounts.tmpfs(places.exits(settings), size=_EXITS_SIZE, mode=0o700, noexec=True, inodes=_EXITS_INODES)


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise Unsupported(f"cannot run containers: {name} is not installed")
    return Path(found).resolve()


def _capabilities() -> tuple[str, ...]:
    """What there is to give: what this kernel knows and the daemon itself may use."""
    status = (files.read("/proc/self/status") or b"").decode()
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:")), 16)
    return tuple(name for number, name in enumerate(capabilities.ALL) if held >> number & 1)


def _library() -> str:
    """The library that compiles filters, whose version decides the outcome."""
    for directory in ("/usr/lib", "/usr/lib64"):
        with suppress(OSError):
            found = sorted(Path(directory).glob("*/libseccomp.so.2")) + sorted(Path(directory).glob("libseccomp.so.2"))
            if found:
                return found[0].resolve().name
    return ""
