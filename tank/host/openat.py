"""Files below a root that may be hostile: opening, walking, removing and making them durable, by descriptor.

`openat2` lets the kernel itself refuse or re-root what a path would escape through: with IN_ROOT, `..` and
absolute symbolic links end at the root descriptor, as they would after chroot (S01). Removal keeps its depth
bounded whatever the tree looks like. This module imports nothing heavy: the unpacker loads it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

NO_MAGICLINKS = 0x02
NO_SYMLINKS = 0x04
BENEATH = 0x08
IN_ROOT = 0x10

_OPENAT2 = 437  # the same number on every architecture since Linux 5.6
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_DEEPEST = 64  # levels that removal descends before it moves a directory up

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_How)


@lru_cache(maxsize=64)
def _how(flags: int, mode: int, resolve: int) -> Any:
    """A pointer for the kernel, which only reads what it points to."""
    return ctypes.pointer(_How(flags, mode, resolve))


def openat2(directory: int, path: bytes, flags: int, *, mode: int = 0, resolve: int) -> int:
    """A new close-on-exec descriptor for `path`, resolved from `directory` by the rules `resolve`. Raises OSError."""
    how = _how(flags | os.O_CLOEXEC, mode, resolve)
    found = _syscall(_OPENAT2, directory, path, how, _SIZE)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return int(found)


def open_below(root: int, path: bytes) -> int:
    """The directory `path` as a process chrooted to `root` would see it, for use with `dir_fd`. Raises OSError."""
    flags = os.O_PATH | os.O_DIRECTORY
    return openat2(root, path or b".", flags, resolve=IN_ROOT | NO_MAGICLINKS)


def syncfs(descriptor: int) -> None:
    """Write back everything of the file system that holds `descriptor`. Blocks. Raises OSError."""
    if _libc.syncfs(descriptor) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes, scratch: Path) -> None:
    """Put `data` at `path` so that after a power cut it is either all there or not at all (R23).

    `scratch` is a path on the same file system, used for the unfinished file. Raises OSError.
    """
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.rename(scratch, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(scratch)
        raise
    sync_directory(path.parent)


def _at_once() -> None:
    """The pace of who has no time."""


def remove_tree(path: Path, pace: Callable[[], None] = _at_once) -> None:
    """Remove `path` and all below it, following no link. Gone already is success. Raises OSError.

    `pace` is called before each entry that goes: it may wait, or raise to end the work half way.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        empty(descriptor, pace)
    finally:
        os.close(descriptor)
    with suppress(FileNotFoundError):
        os.rmdir(path)


def empty(top: int, pace: Callable[[], None] = _at_once) -> None:
    """Remove everything in the directory `top`, however deep, in bounded stack and descriptors. Raises OSError.

    A directory deeper than `_DEEPEST` is moved up into `top` and dealt with from there.
    """
    count = 0

    def lift(directory: int, name: str) -> None:
        nonlocal count
        while True:
            count += 1
            try:
                os.rename(name, f".lifted.{count}", src_dir_fd=directory, dst_dir_fd=top)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
            else:
                return

    while names := os.listdir(top):
        for name in names:
            _remove(top, name, 0, lift, pace)


def _remove(directory: int, name: str, depth: int, lift: Callable[[int, str], None], pace: Callable[[], None]) -> None:
    pace()
    with suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)
        elif depth >= _DEEPEST:
            lift(directory, name)
        else:
            _remove_directory(directory, name, depth, lift, pace)


def _remove_directory(
    directory: int, name: str, depth: int, lift: Callable[[int, str], None], pace: Callable[[], None]
) -> None:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        for each in os.listdir(inner):
            _remove(inner, each, depth + 1, lift, pace)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=directory)
