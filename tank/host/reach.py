"""Whether one place of the file tree reaches another, whatever names lead there (S20).

A place is known by its file system and by where in that it lies, as the kernel tells of an open descriptor: links,
bind mounts and `..` have all been followed by then, and nothing can be exchanged any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tank.errors import Failed
from tank.host import mounts
from tank.host.mounts import Mount


@dataclass(frozen=True, slots=True)
class Place:
    """Where something lies: the device of a file system, and the path within that."""

    device: str
    path: PurePosixPath

    def is_in(self, other: Place) -> bool:
        """Whether it is the other or lies below it."""
        return self.device == other.device and self.path.is_relative_to(other.path)


class Map:
    """Everything that is mounted, as it was when this was made."""

    def __init__(self) -> None:
        self._mounts = {each.id: each for each in mounts.mounts()}

    def mount_of(self, fd: int) -> Mount:
        """The mount through which `fd` was opened. Raises Failed when it is mounted no more."""
        with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
            lines = file.read().decode().splitlines()
        number = next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))
        if number not in self._mounts:
            raise Failed("cannot tell where it lies: what it was opened through is mounted no more")
        return self._mounts[number]

    def place(self, fd: int) -> Place:
        """Where the thing lies that `fd` holds. Raises Failed when that cannot be told."""
        mount, path = self.mount_of(fd), path_of(fd)
        if not path.is_relative_to(mount.target):
            raise Failed(f"cannot tell where {path} lies")
        return Place(mount.device, PurePosixPath(mount.root) / path.relative_to(mount.target))

    def reached(self, fd: int, guarded: Sequence[Path]) -> Path | None:
        """The first of the guarded directories that `fd` lies in, contains, or has mounted below it.

        Raises Failed when it cannot be told.
        """
        seen = [self.place(fd), *self._below(path_of(fd))]
        for directory in guarded:
            for secret in self._places(directory):
                if any(each.is_in(secret) or secret.is_in(each) for each in seen):
                    return directory
        return None

    def shows(self, fd: int) -> bool:
        """Whether anything mounted shows what `fd` holds or a part of it, but for what it was opened through."""
        here, through = self.place(fd), self.mount_of(fd).id
        return any(
            Place(each.device, PurePosixPath(each.root)).is_in(here)
            for each in self._mounts.values()
            if each.id != through
        )

    def _below(self, path: Path) -> Iterator[Place]:
        for each in self._mounts.values():
            if Path(each.target).is_relative_to(path) and each.target != str(path):
                yield Place(each.device, PurePosixPath(each.root))

    def _places(self, directory: Path) -> Iterator[Place]:
        """Where a directory lies. It need not exist."""
        with suppress(FileNotFoundError, NotADirectoryError):
            fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
            try:
                yield self.place(fd)
            finally:
                os.close(fd)


def path_of(fd: int) -> Path:
    """The path of what `fd` holds, as it is now."""
    return Path(os.readlink(f"/proc/self/fd/{fd}"))
