"""Managed volumes as directories: what there is, and the only deed that removes data. Blocks; each may be repeated.

Beside the volumes lie those that are not there any more, or not yet: `.NAME.HEX.deleted` and `.NAME.HEX.import`. No
volume can be called so. A volume appears and goes by one rename, and what a crash leaves of either is swept.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from tank.config import Settings
from tank.errors import Conflict, Failed, NotFound
from tank.host import files, openat, reach, syscalls
from tank.model.volumes import VolumeStatus
from tank.runtime.volumes import managed_path

_DELETED, _IMPORTED = "deleted", "import"


def names(settings: Settings) -> tuple[str, ...]:
    """Every managed volume."""
    return tuple(name for name in files.names(settings.data_dir / "volumes") if not name.startswith("."))


def existing(settings: Settings, name: str) -> Path:
    """Where the volume lies. Raises NotFound."""
    path = managed_path(settings, name)
    if name.startswith(".") or not path.is_dir():
        raise NotFound(f"no volume is called {name}")
    return path


def look(settings: Settings, name: str) -> VolumeStatus:
    """The volume, measured. Raises NotFound, OSError."""
    path = existing(settings, name)
    found = path.stat()
    size, entries = _measured(path)
    return VolumeStatus(
        name=name,
        path=str(path),
        size=size,
        entries=entries,
        owner=found.st_uid,
        group=found.st_gid,
        mode=f"{stat.S_IMODE(found.st_mode):04o}",
    )


def _measured(top: Path) -> tuple[int, int]:
    """Bytes on disk and entries, each inode once; what goes away meanwhile counts nothing."""
    size, entries, met, todo = 0, 0, set[int](), [str(top)]
    while todo:
        try:
            inside = list(os.scandir(todo.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for each in inside:
            try:
                found = each.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            entries += 1
            size += found.st_blocks * 512 if found.st_ino not in met else 0
            if found.st_nlink > 1:
                met.add(found.st_ino)
            if stat.S_ISDIR(found.st_mode):
                todo.append(each.path)
    return size, entries


def mounted(settings: Settings, name: str) -> bool:
    """Whether the volume, or a part of it, is mounted anywhere in sight of the daemon. Raises OSError, Failed."""
    path = managed_path(settings, name)
    if not path.is_dir():
        return False
    with files.opened(path, os.O_PATH | os.O_DIRECTORY) as fd:
        return reach.Map().shows(fd)


def set_aside(settings: Settings, name: str) -> Path:
    """The volume is no more; what it held lies at the path that is answered. Raises NotFound, OSError."""
    path = existing(settings, name)
    aside = path.with_name(f".{name}.{secrets.token_hex(4)}.{_DELETED}")
    path.rename(aside)
    files.sync_directory(path.parent)
    return aside


def stage(settings: Settings, name: str) -> Path:
    """An empty directory to fill, which no pod can mount. Raises Conflict when there is such a volume, OSError."""
    path = managed_path(settings, name)
    if path.exists():
        raise Conflict(f"cannot import volume {name}: there is one of this name already")
    made = path.with_name(f".{name}.{secrets.token_hex(4)}.{_IMPORTED}")
    files.make_directory(made)
    return made


def publish(settings: Settings, name: str, staged: Path) -> None:
    """What was staged is the volume, whole even if the power goes now. Raises Conflict, OSError."""
    path = managed_path(settings, name)
    with files.opened(staged, os.O_RDONLY | os.O_DIRECTORY) as fd:
        openat.syncfs(fd)
    try:
        syscalls.rename_new(staged, path)
    except FileExistsError as error:
        raise Conflict(f"cannot import volume {name}: there is one of this name by now") from error
    files.sync_directory(path.parent)


def sweep(settings: Settings) -> None:
    """Remove what a crash left of deletions and imports. Raises Failed, OSError."""
    top = settings.data_dir / "volumes"
    for name in files.names(top):
        if name.startswith(".") and name.endswith((f".{_DELETED}", f".{_IMPORTED}")):
            files.remove_tree(top / name)


def remove(aside: Path) -> None:
    """What was set aside is gone. Raises Failed."""
    try:
        files.remove_tree(aside)
    except OSError as error:
        raise Failed(f"cannot remove {aside}: {error.strerror}") from error
