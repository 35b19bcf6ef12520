"""Giving up power: a process that is about to read hostile bytes shuts itself in first.

`confine` leaves the calling process with one directory as its whole world: namespaces of its own for mounts,
network and IPC, its root pivoted into that directory on a `nosuid,nodev,noexec` mount, the user nobody (so that it
can signal nothing of root's) with no capabilities but those named, bounds on memory, descriptors and core dumps
(S01). Only the files that it makes are root's (fsuid and fsgid), which spares a change of owner for each. It must run
before any thread is started, and the caller must have imported all that it needs: afterwards there is nothing left to
import from.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path

CAP_CHOWN = 0
CAP_DAC_OVERRIDE = 1
CAP_FOWNER = 3
CAP_FSETID = 4
CAP_MKNOD = 27
CAP_SETFCAP = 31
_CAP_SETGID, _CAP_SETUID = 6, 7

_NEW_MOUNTS = 0x00020000
_NEW_IPC = 0x08000000
_NEW_NETWORK = 0x40000000

_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MS_REMOUNT = 0x20
_MS_BIND = 0x1000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2

_NOBODY = 65534
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
_CAPABILITY_VERSION_3 = 0x20080522

_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217, "armv7l": 218}

_ZEROES = (ctypes.c_ulong(0),) * 3  # prctl is variadic and wants whole registers

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def confine(
    root: Path, *, capabilities: Iterable[int], limits: Mapping[int, int], network: bool = False, makes: bool = True
) -> None:
    """Make `root` all that this process can reach, with `network` beside the network that it is in.

    `limits` maps RLIMIT_* to a hard bound. `makes`: it makes files, which are root's. Raises OSError.
    """
    leave_mounts(network=network)
    _mount(os.fsencode(root), os.fsencode(root), _MS_BIND)
    _mount(None, os.fsencode(root), _MS_BIND | _MS_REMOUNT | _MS_NOSUID_NODEV_NOEXEC)
    pivot(os.fsencode(root))
    for which, bound in limits.items():
        resource.setrlimit(which, (bound, bound))
    os.umask(0)
    keep_only(frozenset(capabilities), makes=makes)
    _prctl(_PR_SET_DUMPABLE, 0)


def leave_mounts(*, network: bool = True) -> None:
    """Go into namespaces of one's own for mounts and IPC, from which nothing spreads. Raises OSError.

    `network`: keep the one that this process is in; else it has an empty one.
    """
    _check(_libc.unshare(_NEW_MOUNTS | _NEW_IPC | (0 if network else _NEW_NETWORK)), "unshare")
    _mount(None, b"/", _MS_REC_PRIVATE)


def pivot(root: bytes) -> None:
    """Make the mount at `root` the root, and let go of all others. Raises OSError."""
    os.chdir(root)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None or _libc.syscall(number, b".", b".") != 0:
        os.chroot(".")  # an initramfs cannot be pivoted away
    else:
        _check(_libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def keep_only(kept: frozenset[int], *, makes: bool) -> None:
    """Be nobody, with no more power than `kept`. Raises OSError.

    Bounding set first, while CAP_SETPCAP is still held; nothing can be won back by executing a program.
    """
    surrender(kept)
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups(())
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _set_capabilities(kept | {_CAP_SETGID, _CAP_SETUID})
    if makes:
        _make_for_root()
    _set_capabilities(kept)


def surrender(kept: frozenset[int]) -> None:
    """No program that is executed from now on has more power than `kept`. Raises OSError."""
    for each in range(_highest_capability() + 1):
        if each not in kept:
            _prctl(_PR_CAPBSET_DROP, each)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def keep_as_root(kept: frozenset[int]) -> None:
    """Have no more power than `kept`, now and after whatever is executed, yet own what root owns. Raises OSError."""
    surrender(kept)
    _set_capabilities(kept)


def bequeath(kept: frozenset[int]) -> None:
    """Let the program that is executed next have what this process, which is nobody, has kept. Raises OSError."""
    _set_capabilities(kept, inheritable=kept)
    for each in kept:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, each)


def _make_for_root() -> None:
    """Give new files to root. These calls report no errors: each answers what was before."""
    for call in (_libc.setfsgid, _libc.setfsuid):
        call(0)
        if call(0) != 0:
            raise PermissionError(errno.EPERM, f"{call.__name__}: {os.strerror(errno.EPERM)}")


def _set_capabilities(kept: frozenset[int], inheritable: frozenset[int] = frozenset()) -> None:
    mask, heirs = (sum(1 << each for each in every) for every in (kept, inheritable))
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable: of each the low half, then of each the high half.
    sets = (ctypes.c_uint32 * 6)(low, low, heirs & 0xFFFFFFFF, high, high, heirs >> 32)
    _check(_libc.capset(header, sets), "capset")


def _highest_capability() -> int:
    """The kernel says EINVAL for the first number that it does not know. /proc is out of sight by now."""
    last = 0
    while _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(last + 1), *_ZEROES) >= 0:
        last += 1
    return last


def _mount(source: bytes | None, target: bytes, flags: int) -> None:
    _check(_libc.mount(source, target, None, ctypes.c_ulong(flags), None), "mount")


def _prctl(option: int, first: int, second: int = 0) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), *_ZEROES[:2]), "prctl")


def _check(answer: int, call: str) -> None:
    if answer != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")
