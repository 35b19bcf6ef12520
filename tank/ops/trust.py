"""Who but root could change what root is about to run?

The daemon is root. Whoever can write its interpreter, its package or a directory above them is root too, so an
installation from such a place is refused, and all of these places are named.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import tank

PACKAGE = Path(tank.__file__).parent


def places() -> tuple[Path, ...]:
    """Everything that this program is made of: interpreter, environment, package, search path."""
    return (Path(sys.executable), Path(sys.prefix), PACKAGE, *(Path(entry) for entry in sys.path if entry))


def writable_by_others(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the paths, their parents, and where links lead, that not only root can write. Sorted."""
    found = {part for path in paths if os.path.lexists(path) for part in _way_to(path) if _loose(part)}
    return tuple(sorted(found))


def inside(directory: Path) -> Iterator[Path]:
    """Every file and directory below a directory; links are not followed."""
    for top, directories, files in os.walk(directory):
        yield Path(top)
        yield from (Path(top, name) for name in (*directories, *files))


def _way_to(path: Path) -> Iterator[Path]:
    """A path and all directories above it, and the same again for each link on the way."""
    todo, seen = [path.absolute()], set[Path]()
    while todo:
        each = todo.pop()
        if each in seen:
            continue
        seen.add(each)
        yield each
        if each.is_symlink():
            todo.append(each.parent / os.readlink(each))
        if each.parent != each:
            todo.append(each.parent)


def _loose(path: Path) -> bool:
    """Whether somebody but root may write this one thing. A link has no rights of its own, only an owner."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(found.st_mode):
        return found.st_uid != 0
    by_group = bool(found.st_mode & stat.S_IWGRP) and found.st_gid != 0
    return found.st_uid != 0 or by_group or bool(found.st_mode & stat.S_IWOTH)
