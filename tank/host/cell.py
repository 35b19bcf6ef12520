"""A program of others, shut in: it sees the programs and libraries of this machine, read-only, and nothing else.

Unlike `tank.host.confine`, which shuts in the process that reads hostile bytes itself, this ends in `execve`: the
program keeps the few capabilities that it is given, as the user nobody, and can win none. Its processes are in a
namespace of their own, so that it can neither signal nor trace anybody else's. It must run in a process without
threads.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path

from tank.host import confine, syscalls

DAC_READ_SEARCH, NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 2, 10, 12, 13
_TOPS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_READ_ONLY = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
_LIMITS = {
    resource.RLIMIT_AS: 2**28,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 64 * 1024,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_MEMLOCK: 0,
}


def shut_in(box: Path, programs: Mapping[str, str], capabilities: Iterable[int]) -> None:
    """Go into a root of our own, mounted on the directory `box`, with these scripts in it. Raises OSError.

    What is executed next has exactly these capabilities.
    """
    confine.leave_mounts()
    syscalls.mount("tmpfs", str(box), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=64k,nr_inodes=64,mode=755")
    for name in _TOPS:
        _show(Path("/", name), box / name)
    for name, text in programs.items():
        (box / name).write_text(text)
        (box / name).chmod(0o555)
    syscalls.mount("", str(box), "", syscalls.MS_REMOUNT | _READ_ONLY)
    confine.pivot(os.fsencode(box))
    for which, bound in _LIMITS.items():
        resource.setrlimit(which, (bound, bound))
    kept = frozenset(capabilities)
    confine.keep_only(kept, makes=False)
    confine.bequeath(kept)


def _show(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.symlink_to(os.readlink(source))
    elif source.is_dir():
        target.mkdir()
        syscalls.mount(str(source), str(target), "", syscalls.MS_BIND)
        syscalls.mount("", str(target), "", syscalls.MS_REMOUNT | syscalls.MS_BIND | _READ_ONLY)
