"""The sources of a pod's volumes: made where they may be made, found, and opened.

What is answered is a descriptor: a volume is mounted by that and never by its path (S17).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, Waiting
from tank.host import files, mounts
from tank.model.inputs import ConfigFiles, SecretFiles
from tank.model.pod import Empty, HostPath, ImageVolume, Managed, Mount, Tmpfs, Volume
from tank.runtime import hostpath, inputs, subpath

_REASON = "CreateContainerConfigError"


@contextmanager
def opened(settings: Settings, uid: str, volume: Volume, images: Path) -> Iterator[int]:
    """The root of a volume, made on first use where it is Tank's own. Raises Waiting, OSError.

    `images`: where the volumes that are images are mounted, each in a directory of its name.
    """
    if isinstance(volume.source, HostPath):
        with hostpath.opened(settings, volume.name, volume.source) as fd:
            yield fd
    else:
        path = images / volume.name if isinstance(volume.source, ImageVolume) else _find(settings, uid, volume)
        with files.opened(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW) as fd:
            yield fd


def _find(settings: Settings, uid: str, volume: Volume) -> Path:
    match volume.source:
        case Managed():
            return _made(managed_path(settings, volume.name), volume)
        case Empty():
            return _made(settings.pod_dir(uid) / "empty" / volume.name, volume)
        case Tmpfs():
            return tmpfs_path(settings, uid, volume)
        case _:
            return inputs.place(settings, uid, volume.name)


def managed_path(settings: Settings, name: str) -> Path:
    """Where a managed volume lies, by its name alone."""
    return settings.data_dir / "volumes" / name


def can_grow(volume: Volume) -> bool:
    """Whether Tank may make a missing `sub_path` in it."""
    return not isinstance(volume.source, ImageVolume | SecretFiles | ConfigFiles)


def check(settings: Settings, uid: str, volume: Volume, mount: Mount) -> None:
    """Whether it can be mounted, and a volume in memory resized, as far as it is there. Raises Waiting."""
    source = volume.source
    if isinstance(source, Tmpfs):
        _check_fill(settings, uid, volume.name, source)
    if isinstance(source, HostPath):
        hostpath.check(settings, volume.name, source)
    if mount.sub_path is not None and isinstance(source, HostPath | Managed | Empty | Tmpfs):
        _check_part(settings, uid, volume, mount.sub_path)


def _check_part(settings: Settings, uid: str, volume: Volume, path: str) -> None:
    """Whether the part of a volume can be had, where the volume is there. Changes nothing. Raises Waiting."""
    match volume.source:
        case HostPath(path=there):
            top = Path(there)
        case Managed():
            top = managed_path(settings, volume.name)
        case Empty():
            top = settings.pod_dir(uid) / "empty" / volume.name
        case _:
            top = tmpfs_path(settings, uid, volume)
    if top.is_dir():
        with files.opened(top, os.O_PATH | os.O_DIRECTORY) as root:
            subpath.check(root, volume.name, path)


def tmpfs_path(settings: Settings, uid: str, volume: Volume) -> Path:
    """Where a volume in memory is mounted, once for all containers of the pod."""
    return settings.pod_run_dir(uid) / "tmpfs" / volume.name


def make_tmpfs(settings: Settings, uid: str, volume: Volume) -> None:
    """Mount a volume in memory; one that is mounted gets the size of the spec. Raises Waiting, Failed."""
    if not isinstance(volume.source, Tmpfs):
        return
    path = tmpfs_path(settings, uid, volume)
    try:
        files.make_directory(path)
        if not mounts.is_mounted(path):
            mounts.tmpfs(path, size=volume.source.size, mode=_mode(volume, 0o1777), noexec=False)
            _own(path, volume)
            return
    except OSError as error:
        raise Failed(f"cannot make volume {volume.name}: {error.strerror}") from error
    _check_fill(settings, uid, volume.name, volume.source)
    try:
        mounts.resize_tmpfs(path, volume.source.size)
    except OSError as error:
        raise Failed(f"cannot give volume {volume.name} another size: {error.strerror}") from error


def _check_fill(settings: Settings, uid: str, name: str, source: Tmpfs) -> None:
    """A volume in memory cannot become smaller than what lies in it."""
    path = settings.pod_run_dir(uid) / "tmpfs" / name
    if source.size is None or not mounts.is_mounted(path):
        return
    found = os.statvfs(path)
    held = (found.f_blocks - found.f_bfree) * found.f_frsize
    if held > source.size:
        raise Waiting(_REASON, f"cannot make volume {name} {source.size} bytes large: it holds {held}")


def _made(path: Path, volume: Volume) -> Path:
    """A directory of Tank's own. It appears under its name only when owner and mode are right."""
    if path.is_dir():
        return path
    files.make_directory(path.parent)
    unfinished = path.with_name(f".{path.name}.new")
    with suppress(FileExistsError):
        unfinished.mkdir(0o700)
    unfinished.chmod(_mode(volume, 0o755))
    _own(unfinished, volume)
    files.sync_directory(unfinished)
    unfinished.rename(path)
    files.sync_directory(path.parent)
    return path


def _own(path: Path, volume: Volume) -> None:
    if volume.owner is not None or volume.group is not None:
        os.chown(path, *(-1 if each is None else each for each in (volume.owner, volume.group)))


def _mode(volume: Volume, default: int) -> int:
    return default if volume.mode is None else int(volume.mode, 8)
