"""Project quotas: how much all files below one directory may take together (ext4 and XFS).

A project is a number on files, which new files take over from their directory; the file system counts the bytes of each
number and refuses what goes beyond. The numbers belong to the whole file system, and nothing gives them out: ours come
from a range of their own, from a place in it that follows from the directory's path, past those in use.

Root passes every limit of ext4 (CAP_SYS_RESOURCE), but not through an overlay, which gives that up for all who write
in it. A root user in a container can still take the number off files of its own: the limit is a fence against running
full, not against malice.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tank.errors import Failed, Unsupported
from tank.host import syscalls
from tank.host.mounts import Mount, mounts

_FIRST, _COUNT = 0x7A000000, 0x00FFFFFF
_TRIES = 1000
_GETXATTR, _SETXATTR = 0x801C581F, 0x401C5820  # FS_IOC_FS{GET,SET}XATTR
_FSXATTR = struct.Struct("=IIIII8s")  # flags, extent size, extents, project, cow extent size, padding
_INHERIT = 0x200  # FS_XFLAG_PROJINHERIT
_GETQUOTA, _SETQUOTA = 0x80000702, 0x80000802  # of projects; both file systems understand both
_DQBLK = struct.Struct("=8QI4x")  # hard, soft, space, inodes hard, soft, used, two times of grace, what is valid
_LIMITS = 1  # of _DQBLK: those of space are valid
_BLOCK = 1024  # bytes: the unit of its limits
_giving = threading.Lock()


def refusal(path: Path) -> str:
    """Why nothing below `path` can be limited in size; empty when it can."""
    found = _file_system(path)
    if found is None or found.kind not in ("ext4", "xfs"):
        kind = found.kind if found is not None else "an unknown file system"
        return f"{path} lies on {kind}, which has no project quotas; ext4 and xfs have"
    options = set(found.super_options.split(","))
    if found.kind == "xfs" and not options & {"prjquota", "pquota"}:
        return f"the xfs at {found.target} is mounted without prjquota"
    if found.kind == "ext4" and "prjquota" not in options:
        return f"the ext4 at {found.target} is mounted without prjquota (and needs: tune2fs -O project,quota)"
    return ""


def limit(directory: Path, size: int) -> None:
    """All that will lie below `directory`, which is empty, takes at most `size` bytes. Raises Unsupported, Failed."""
    if why := refusal(directory):
        raise Unsupported(f"cannot limit the size of {directory}: {why}")
    try:
        with _giving, _opened(directory) as fd:
            project = _free(fd, directory)
            _set_limit(fd, project, size)
            flags, extent, extents, _, cow, rest = _FSXATTR.unpack(fcntl.ioctl(fd, _GETXATTR, bytes(_FSXATTR.size)))
            fcntl.ioctl(fd, _SETXATTR, _FSXATTR.pack(flags | _INHERIT, extent, extents, project, cow, rest))
    except OSError as error:
        raise Failed(f"cannot limit the size of {directory}: {error.strerror}") from error


def release(directory: Path) -> None:
    """The limit of `directory`, if it has one of ours, is no more. To be called before the directory goes."""
    try:
        with _opened(directory) as fd:
            project = _project(fd)
            if _FIRST <= project <= _FIRST + _COUNT:
                _set_limit(fd, project, 0)
    except OSError:  # no such directory, no such file system: no limit
        return


def used(directory: Path) -> tuple[int, int] | None:
    """Bytes that are taken below a limited directory, and the limit; None when there is none of ours."""
    with _opened(directory) as fd:
        project = _project(fd)
        if not _FIRST <= project <= _FIRST + _COUNT:
            return None
        return _usage(fd, project)


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _project(fd: int) -> int:
    project: int = _FSXATTR.unpack(fcntl.ioctl(fd, _GETXATTR, bytes(_FSXATTR.size)))[3]
    return project


def _free(fd: int, directory: Path) -> int:
    start = zlib.crc32(os.fsencode(directory.resolve()))
    for step in range(_TRIES):
        project = _FIRST + (start + step) % _COUNT
        if _usage(fd, project) == (0, 0):
            return project
    raise OSError(errno.EBUSY, "no project number is free")


def _file_system(path: Path) -> Mount | None:
    """What the path lies on: the last mount over the longest way to it."""
    real = path.resolve()
    above = [each for each in mounts() if real.is_relative_to(each.target)]
    return max(enumerate(above), key=lambda pair: (len(pair[1].target), pair[0]))[1] if above else None


def _usage(fd: int, project: int) -> tuple[int, int]:
    """Bytes in use, and the limit."""
    block = ctypes.create_string_buffer(_DQBLK.size)
    try:
        syscalls.quotactl(fd, _GETQUOTA, project, block)
    except (FileNotFoundError, ProcessLookupError):  # never heard of
        return 0, 0
    fields = _DQBLK.unpack(block.raw)
    return fields[2], fields[0] * _BLOCK


def _set_limit(fd: int, project: int, size: int) -> None:
    blocks = -(-size // _BLOCK)
    data = _DQBLK.pack(blocks, blocks, 0, 0, 0, 0, 0, 0, _LIMITS)
    syscalls.quotactl(fd, _SETQUOTA, project, ctypes.create_string_buffer(data, _DQBLK.size))
