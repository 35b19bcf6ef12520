"""Parts of the file tree as mounts of their own: cloned by descriptor, given their attributes, attached.

What a descriptor holds cannot be exchanged any more: whoever clones it is led nowhere else by a link, or by a name
that changes between the look and the mount (S17). The clone gets its attributes while nobody can see it yet.
Linux 5.12 and later.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tank.host import syscalls

Propagation = Literal["private", "slave", "shared"]

_ATTRIBUTES = struct.Struct("=QQQQ")  # set, clear, propagation, descriptor of a user namespace
_IDMAP = 0x00100000
_PROPAGATIONS = {"private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}  # MS_PRIVATE, MS_SLAVE, MS_SHARED
_RECURSIVE = 0x8000  # AT_RECURSIVE
_NOFOLLOW = 0x100  # AT_SYMLINK_NOFOLLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """How a clone behaves, with all that is mounted below it. `users`: a descriptor of the user namespace whose ids
    are seen on it as those of the file system."""

    read_only: bool = False
    suid: bool = False
    devices: bool = False
    propagation: Propagation = "private"
    users: int | None = None


def place(source: int, target: Path, attributes: Attributes, *, recursive: bool) -> None:
    """What the descriptor `source` holds is mounted at `target`, which is made: a directory or an empty file.

    `recursive`: with what is mounted below it. Raises OSError.
    """
    if stat.S_ISDIR(os.fstat(source).st_mode):
        target.mkdir(0o700)
    else:
        os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with _cloned(source, recursive=recursive) as tree:
        _set(tree, attributes)
        syscalls.move_mount(tree, str(target))


@contextmanager
def _cloned(source: int, *, recursive: bool) -> Iterator[int]:
    tree = syscalls.open_tree(source, recursive=recursive)
    try:
        yield tree
    finally:
        os.close(tree)


def _set(tree: int, wanted: Attributes) -> None:
    flags = 0 if wanted.suid else syscalls.MOUNT_ATTR_NOSUID
    flags |= 0 if wanted.devices else syscalls.MOUNT_ATTR_NODEV
    flags |= syscalls.MOUNT_ATTR_RDONLY if wanted.read_only else 0
    flags |= _IDMAP if wanted.users is not None else 0
    # One that is shared stays with its peers: a clone of it is one of them already.
    spread = 0 if wanted.propagation == "shared" else _PROPAGATIONS[wanted.propagation]
    syscalls.mount_setattr(
        tree, b"", syscalls.AT_EMPTY_PATH | _RECURSIVE, _ATTRIBUTES.pack(flags, 0, spread, wanted.users or 0)
    )


def part(path: Path) -> None:
    """What happens to the mounts at and below `path` from now on spreads to nobody. No mount is fine. Raises OSError.

    To be called before they are taken off: a peer's mounts are taken off along with them.
    """
    try:
        syscalls.mount_setattr(
            syscalls.AT_FDCWD,
            os.fsencode(path),
            _NOFOLLOW | _RECURSIVE,
            _ATTRIBUTES.pack(0, 0, _PROPAGATIONS["private"], 0),
        )
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ENOSYS):
            raise


def can_map(directory: Path, users: int) -> str:
    """Why the file system of `directory` cannot show other ids (Linux 5.12 and later); empty when it can."""
    try:
        held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    try:
        with _cloned(held, recursive=False) as tree:
            _set(tree, Attributes(users=users))
    except OSError as error:
        return f"{directory}: {error.strerror}"
    finally:
        os.close(held)
    return ""
