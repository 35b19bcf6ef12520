"""System calls that Python 3.11 lacks, by ctypes. Every failure is an OSError with the kernel's errno.

The numbers are the same on every architecture: all calls younger than Linux 5.1 share one table.
"""

from __future__ import annotations

import ctypes
import os

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 0x1, 0x2, 0x4, 0x8
MOVE_MOUNT_F_EMPTY_PATH = 4

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x100, 0x200, 0x400, 0x800
IN_UNMOUNT, IN_OVERFLOW, IN_IGNORED, IN_ONLYDIR = 0x2000, 0x4000, 0x8000, 0x1000000

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_MOUNT_SETATTR, _QUOTACTL_FD = 442, 443

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def _checked(result: int, *about: str | os.PathLike[str]) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *(os.fspath(each) for each in about[:1]))
    return result


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    """Integers are widened to 64 bits: ctypes would pass them as 32."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *wide))


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _checked(
        _libc.mount(source.encode(), os.fsencode(target), kind.encode() or None, flags, data.encode() or None),
        target,
    )


def umount(target: str | os.PathLike[str], flags: int = 0) -> None:
    """umount2(2)."""
    _checked(_libc.umount2(os.fsencode(target), flags), target)


def fsopen(kind: str) -> int:
    """A descriptor for configuring a file system of this kind."""
    return _syscall(_FSOPEN, kind.encode(), 1)


def fsconfig(fd: int, command: int, key: str | None = None, value: str | None = None) -> None:
    """fsconfig(2) with a flag, a string or a command."""
    _syscall(
        _FSCONFIG,
        fd,
        command,
        key.encode() if key is not None else None,
        os.fsencode(value) if value is not None else None,
        0,
    )


def fsmount(fd: int, attributes: int = 0) -> int:
    """A detached mount of the configured file system; it is gone when the descriptor is closed."""
    return _syscall(_FSMOUNT, fd, 1, attributes)


def move_mount(fd: int, target: str) -> None:
    """Attach a detached mount."""
    _syscall(_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def open_tree(fd: int, *, recursive: bool) -> int:
    """A detached clone of what `fd` holds, as a mount; `recursive`: with the mounts below it."""
    clone, below = 0x1, 0x8000  # OPEN_TREE_CLONE, AT_RECURSIVE
    return _syscall(_OPEN_TREE, fd, b"", clone | os.O_CLOEXEC | AT_EMPTY_PATH | (below if recursive else 0))


def mount_setattr(fd: int, path: bytes, flags: int, attributes: bytes) -> None:
    """mount_setattr(2), since Linux 5.12; `attributes` is a whole `struct mount_attr`."""
    _syscall(_MOUNT_SETATTR, fd, path, flags, attributes, len(attributes))


def rename_new(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename to a name that nobody has. Raises FileExistsError when somebody has it."""
    no_replace = 1  # RENAME_NOREPLACE
    _checked(_libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), no_replace), target)


def inotify_init() -> int:
    """A non-blocking, close-on-exec inotify descriptor."""
    return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))


def inotify_add_watch(fd: int, path: str | os.PathLike[str], mask: int) -> int:
    """The watch descriptor of `path`."""
    return _checked(_libc.inotify_add_watch(fd, os.fsencode(path), mask), path)


def inotify_rm_watch(fd: int, watch: int) -> None:
    """Let go of a watch."""
    _checked(_libc.inotify_rm_watch(fd, watch))


def quotactl(fd: int, command: int, number: int, block: ctypes.Array[ctypes.c_char]) -> None:
    """quotactl_fd(2), since Linux 5.14: of the file system that `fd` lies on."""
    wide = [ctypes.c_long(each) for each in (fd, command, number)]
    _checked(_libc.syscall(ctypes.c_long(_QUOTACTL_FD), *wide, block))
