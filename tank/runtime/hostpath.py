"""Paths of the host as volumes: found, made where their kind says so, and refused where they reach Tank itself (S20).

What is answered is a descriptor. It is looked at and mounted by that, so that nothing can be put in its place between
the look and the mount (S17). Links in the path itself are the machine's own affair and are followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, Waiting
from tank.host import mounts, reach
from tank.model.pod import HostPath
from tank.runtime import places

REASON = "CreateContainerConfigError"
_TESTS = {"directory": stat.S_ISDIR, "file": stat.S_ISREG, "socket": stat.S_ISSOCK}
_MADE = ("directory_or_create", "file_or_create")


@contextmanager
def opened(settings: Settings, name: str, source: HostPath) -> Iterator[int]:
    """What the volume `name` is, made if it is missing and may be. Raises Waiting."""
    fd = _open(settings, name, source)
    try:
        _check_kind(name, source, os.fstat(fd).st_mode)
        guard(settings, fd, f"cannot mount volume {name}: {source.path}")
        yield fd
    finally:
        os.close(fd)


def check(settings: Settings, name: str, source: HostPath) -> None:
    """Whether it can be mounted, as far as it exists. Changes nothing. Raises Waiting."""
    if source.kind in _MADE and not Path(source.path).exists():
        return
    with opened(settings, name, source):
        pass


def guard(settings: Settings, fd: int, what: str) -> None:
    """Whoever can write in Tank's directories or talk to its socket is root on this machine (S20). Raises Waiting."""
    try:
        found = reach.Map().reached(fd, guarded(settings))
    except Failed as error:
        raise Waiting(REASON, f"{what}: {error}") from error
    if found is not None:
        raise Waiting(REASON, f"{what} reaches Tank's own {found}")


def guarded(settings: Settings) -> tuple[Path, ...]:
    """Tank's own directories, and what else of them is mounted there: each is a file system of its own."""
    kept = (Path(each.target) for each in mounts.mounts(settings.data_dir.resolve()))
    return tuple(dict.fromkeys((settings.data_dir, settings.run_dir, places.exits(settings), *kept)))


def _open(settings: Settings, name: str, source: HostPath) -> int:
    try:
        try:
            return os.open(source.path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            if source.kind not in _MADE:
                raise
        return _make(settings, name, source)
    except OSError as error:
        raise Waiting(REASON, f"cannot mount volume {name}: {source.path}: {error.strerror}") from error


def _make(settings: Settings, name: str, source: HostPath) -> int:
    """Made below the deepest directory that is there, each step from the descriptor of the one before."""
    there = Path(source.path).parent
    while not there.is_dir():
        there = there.parent
    here = os.open(there, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    *between, last = Path(source.path).relative_to(there).parts
    try:
        _guard_inside(settings, here, f"cannot make volume {name}: {source.path}")
        for part in between:
            here = _stepped(here, part)
        return _stepped(here, last, keep=True) if source.kind == "directory_or_create" else _file(here, last)
    finally:
        os.close(here)


def _guard_inside(settings: Settings, fd: int, what: str) -> None:
    """Nothing is ever made in Tank's own directories. Raises Waiting."""
    known = reach.Map()
    here = known.place(fd)
    for directory in guarded(settings):
        if directory.exists():
            ours = os.open(directory, os.O_PATH | os.O_CLOEXEC)
            try:
                if here.is_in(known.place(ours)):
                    raise Waiting(REASON, f"{what} lies in Tank's own {directory}")
            finally:
                os.close(ours)


def _stepped(parent: int, name: str, *, keep: bool = False) -> int:
    """The directory `name`, made if need be; `parent` is closed unless it is kept."""
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
        made = True
    except FileExistsError:
        made = False
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    if made:
        os.fchmod(fd, 0o755)  # whatever the umask says (C10)
    if not keep:
        os.close(parent)
    return fd


def _file(parent: int, name: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, 0o644, dir_fd=parent)
    os.fchmod(fd, 0o644)
    return fd


def _check_kind(name: str, source: HostPath, mode: int) -> None:
    wanted = (source.kind or "").removesuffix("_or_create")
    if wanted and not _TESTS[wanted](mode):
        raise Waiting(REASON, f"cannot mount volume {name}: {source.path} is not a {wanted}")
