"""Files that must survive a power cut, and trees that must be removed without following anybody's link.

Durable means: written under a temporary name, fsynced, renamed, and the directory fsynced (R23). Removal goes
by descriptors, never through a symbolic link and never into another mount.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tank.errors import Failed
from tank.host import openat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NO_XDEV = 0x01  # openat2: a mount, a bind of the same file system included, is not entered
_WITHIN_MOUNT = _NO_XDEV | openat.NO_SYMLINKS
_DEEPEST = 100


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """`path` holds `data`, whole, even if the power goes now. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    _write(temporary, data, mode, durable=True)
    os.replace(temporary, path)
    sync_directory(path.parent)


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """`path` holds `data` or what it held before, never a part; not safe against a power cut. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    _write(temporary, data, mode, durable=False)
    os.replace(temporary, path)


def rewrite(path: Path, data: bytes, mode: int = 0o644) -> None:
    """The file at `path` holds `data` and stays the same inode, since it is bind-mounted elsewhere."""
    _write(path, data, mode, durable=False)


def _write(path: Path, data: bytes, mode: int, *, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, mode)
    try:
        os.fchmod(fd, mode)  # whatever the umask says
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """The directory `path` and all above it exist; those that are made get `mode`. Raises OSError."""
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)


def sync_directory(path: Path) -> None:
    """What was made, renamed or removed in `path` survives a power cut."""
    with opened(path, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


@contextmanager
def opened(path: Path | str, flags: int, mode: int = 0o600) -> Iterator[int]:
    """A descriptor of `path`, for as long as the block lasts."""
    fd = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def read_json(path: Path) -> Any:
    """What the file holds, or None when there is none. Raises Failed when it is not JSON."""
    data = read(path)
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise Failed(f"cannot read {path}: {error}") from error


def read(path: Path | str) -> bytes | None:
    """What the file holds, or None when there is none. Raises OSError for any other reason."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(path: Path) -> None:
    """The file is gone."""
    with suppress(FileNotFoundError):
        path.unlink()


def names(path: Path) -> tuple[str, ...]:
    """What lies in a directory, sorted; nothing when there is none."""
    try:
        return tuple(sorted(os.listdir(path)))
    except (FileNotFoundError, NotADirectoryError):
        return ()


def remove_tree(path: Path) -> None:
    """`path` and all below it is gone. No link is followed, no mount is entered: a mount point raises Failed."""
    try:
        with opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as parent:
            _remove_entry(parent, path.name, None, 0)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise Failed(f"cannot remove {path}: something is mounted below it") from error
        raise


def _remove_entry(parent: int, name: str, top: int | None, depth: int) -> None:
    if depth > _DEEPEST and top is not None:
        # A tree may be deeper than we may recurse or hold descriptors: hang it up higher and come back to it.
        os.rename(name, f".deep-{os.lstat(name, dir_fd=parent).st_ino}", src_dir_fd=parent, dst_dir_fd=top)
        return
    try:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        fd = openat.openat2(parent, os.fsencode(name), _DIRECTORY, resolve=_WITHIN_MOUNT)
    except FileNotFoundError:
        return
    try:
        while entries := os.listdir(fd):
            for each in entries:
                _remove_entry(fd, each, fd if top is None else top, depth + 1)
    finally:
        os.close(fd)
    with suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
