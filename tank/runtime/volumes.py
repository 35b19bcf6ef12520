"""The sources of a pod's volumes: made where they may be made, found, and refused where they reach Tank itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, Waiting
from tank.host import files, mounts
from tank.model.inputs import ConfigFiles, SecretFiles
from tank.model.launch import Launch
from tank.model.pod import Empty, HostPath, ImageVolume, Managed, Mount, Tmpfs, Volume
from tank.runtime.ocispec import Bind

_NOTHING = "_nothing"  # no volume can be called that
_REASON = "CreateContainerConfigError"


def binds(settings: Settings, launch: Launch, images: Path) -> tuple[Bind, ...]:
    """What the container mounts. Makes managed and empty volumes on first use. Raises Waiting (C10).

    `images`: where those that are images are mounted, each in a directory of its name.
    """
    by_name = {each.name: each for each in launch.pod.volumes}
    return tuple(_bind(settings, launch.uid, by_name, mount, images) for mount in launch.container.mounts)


def _bind(settings: Settings, uid: str, volumes: Mapping[str, Volume], mount: Mount, images: Path) -> Bind:
    volume = volumes.get(mount.volume)
    if volume is None:
        raise Waiting(_REASON, f"cannot mount {mount.volume!r}: the pod has no such volume")
    if isinstance(volume.source, ImageVolume):
        return Bind(source=str(images / volume.name), path=mount.path, read_only=True)
    is_host = isinstance(volume.source, HostPath)
    source = find(settings, uid, volume)
    return Bind(source=str(source), path=mount.path, read_only=mount.read_only, recursive=is_host)


def find(settings: Settings, uid: str, volume: Volume) -> Path:
    """The directory, file or socket that a volume is. Raises Waiting."""
    match volume.source:
        case Managed():
            return _made(settings.data_dir / "volumes" / volume.name, volume)
        case Empty():
            return _made(settings.pod_dir(uid) / "empty" / volume.name, volume)
        case Tmpfs():
            return tmpfs_path(settings, uid, volume)
        case ImageVolume():
            raise Waiting(_REASON, f"cannot mount {volume.name}: an image has no directory of its own")
        case HostPath():
            return _host(settings, volume.name, volume.source)
        case SecretFiles() | ConfigFiles():
            raise Waiting(_REASON, f"cannot mount {volume.name}: secrets and configs are not supported yet")


def check(settings: Settings, uid: str, volume: Volume) -> None:
    """Whether a path of the host can be mounted, and a volume in memory resized. Changes nothing. Raises Waiting."""
    source = volume.source
    if isinstance(source, Tmpfs):
        _check_fill(settings, uid, volume.name, source)
    if isinstance(source, HostPath):
        creates = source.kind in ("directory_or_create", "file_or_create")
        if not (creates and not Path(source.path).exists()):
            _host(settings, volume.name, source)


def mount_images(launch: Launch, top: Path) -> None:
    """Mount the images that are volumes below `top`, read-only. Raises Waiting, Failed, OSError."""
    for mount in launch.container.mounts:
        volume, target = launch.pod.volume(mount.volume), top / mount.volume
        if volume is None or not isinstance(volume.source, ImageVolume) or mounts.is_mounted(target):
            continue
        image = launch.volumes.get(mount.volume)
        if image is None or not image.layers:
            raise Waiting(_REASON, f"cannot mount {mount.volume}: its image has no layers here")
        files.make_directory(target)
        files.make_directory(top / _NOTHING)
        mounts.read_only(image.layers, top / _NOTHING, target)


def unmount_images(top: Path) -> None:
    """Take them off again. Raises OSError."""
    for name in files.names(top):
        mounts.unmount(top / name)


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


def _host(settings: Settings, name: str, source: HostPath) -> Path:
    path = Path(source.path)
    try:
        if source.kind in ("directory_or_create", "file_or_create") and not path.exists():
            _create(settings, path, source.kind)
        real = path.resolve(strict=True)
        status = real.stat()
    except OSError as error:
        raise Waiting(_REASON, f"cannot mount volume {name}: {source.path}: {error.strerror}") from error
    _check_kind(name, source, status.st_mode)
    _check_reach(settings, name, real)
    return real


def _create(settings: Settings, path: Path, kind: str) -> None:
    _check_reach(settings, path.name, path.parent.resolve() / path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "directory_or_create":
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        return
    with files.opened(path, os.O_WRONLY | os.O_CREAT, 0o644) as fd:
        os.fchmod(fd, 0o644)


def _check_kind(name: str, source: HostPath, mode: int) -> None:
    tests = {"directory": stat.S_ISDIR, "file": stat.S_ISREG, "socket": stat.S_ISSOCK}
    wanted = (source.kind or "").removesuffix("_or_create")
    if wanted and not tests[wanted](mode):
        raise Waiting(_REASON, f"cannot mount volume {name}: {source.path} is not a {wanted}")


def _check_reach(settings: Settings, name: str, path: Path) -> None:
    """Whoever can write in Tank's directories or talk to its socket is root on this machine (S20)."""
    for ours in (settings.data_dir, settings.run_dir):
        if _reaches(path, ours.resolve()):
            raise Waiting(_REASON, f"cannot mount volume {name}: {path} reaches Tank's own {ours}")


def _reaches(path: Path, ours: Path) -> bool:
    """Whether one lies in the other: by name, and by device and inode, which a bind mount does not change."""
    if path.is_relative_to(ours) or ours.is_relative_to(path):
        return True
    return _is_any(path, (ours, *ours.parents)) or any(_is_any(each, (ours,)) for each in path.parents)


def _is_any(path: Path, others: Sequence[Path]) -> bool:
    return path.exists() and any(each.exists() and each.samefile(path) for each in others)
