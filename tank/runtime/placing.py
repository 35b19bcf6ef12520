"""What a container mounts of the pod's volumes: each put, by descriptor, at a place of Tank's own for the runtime.

The runtime knows only paths. It is given one that nobody but Tank can change: below the bundle, where the volume, or
its part, is mounted already with everything that it is to be (read-only with all below it, no set-uid, no devices,
its propagation). The runtime copies that into the container; it is told every flag
again, since it takes off those that it is not told.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tank.config import Settings
from tank.errors import Waiting
from tank.host import files, mounts, reach, trees
from tank.model.launch import Launch
from tank.model.pod import HostPath, ImageVolume, Mount, Volume
from tank.runtime import hostpath, subpath, volumes
from tank.runtime.ocispec import Bind
from tank.runtime.places import Attempt

_PASSABLE = 0o711  # for a pod's own root, which is nobody on the host
_NOTHING = "_nothing"  # no volume can be called that
_REASON = "CreateContainerConfigError"


def binds(settings: Settings, launch: Launch, attempt: Attempt, users: int | None = None) -> tuple[Bind, ...]:
    """Place what the container mounts. Makes managed and empty volumes on first use. Raises Waiting, OSError (C10).

    `users`: a descriptor of the pod's user namespace, as whose ids the volumes are to be seen.
    """
    if launch.container.mounts:
        files.make_directory(attempt.mounts, _PASSABLE)
    return tuple(
        _placed(settings, launch, mount, attempt, users=users, number=number)
        for number, mount in enumerate(launch.container.mounts)
    )


def _placed(
    settings: Settings, launch: Launch, mount: Mount, attempt: Attempt, *, users: int | None, number: int
) -> Bind:
    volume = launch.pod.volume(mount.volume)
    if volume is None:
        raise Waiting(_REASON, f"cannot mount {mount.volume!r}: the pod has no such volume")
    is_host = isinstance(volume.source, HostPath)
    target = attempt.mounts / str(number)
    with _opened(settings, launch.uid, volume, mount, attempt.images) as fd:
        _check_propagation(launch, mount, fd)
        attributes = trees.Attributes(
            read_only=mount.read_only or not volumes.can_grow(volume),
            suid="suid" in mount.allow,
            devices="dev" in mount.allow,
            propagation=mount.propagation,
            users=None if isinstance(volume.source, ImageVolume) else users,  # its layers show them already
        )
        try:
            trees.place(fd, target, attributes, recursive=is_host)
        except OSError as error:
            if attributes.users is None or error.errno != errno.EINVAL:
                raise
            raise Waiting(_REASON, f"cannot mount {mount.volume}: ids cannot be mapped on it") from error
    return Bind(
        source=str(target),
        path=mount.path,
        read_only=attributes.read_only,
        options=mounts.options(target),
        recursive=is_host,
        propagation=mount.propagation,
    )


@contextmanager
def _opened(settings: Settings, uid: str, volume: Volume, mount: Mount, images: Path) -> Iterator[int]:
    with volumes.opened(settings, uid, volume, images) as root:
        if mount.sub_path is None:
            yield root
            return
        fd = subpath.opened(root, volume.name, mount.sub_path, make=volumes.can_grow(volume) and not mount.read_only)
        try:
            if isinstance(volume.source, HostPath):
                hostpath.guard(settings, fd, f"cannot mount {mount.sub_path!r} of volume {volume.name}")
            yield fd
        finally:
            os.close(fd)


def check(settings: Settings, launch: Launch) -> None:
    """Whether mounts of the host can spread as they are asked to, as far as they are there. Raises Waiting."""
    for mount in launch.container.mounts:
        volume = launch.pod.volume(mount.volume)
        if mount.propagation == "private" or volume is None or not isinstance(volume.source, HostPath):
            continue
        if Path(volume.source.path).exists():
            with hostpath.opened(settings, volume.name, volume.source) as fd:
                _check_propagation(launch, mount, fd)


def _check_propagation(launch: Launch, mount: Mount, fd: int) -> None:
    """Whether mounts can spread as they are asked to. Raises Waiting."""
    if mount.propagation == "private":
        return
    what = f"cannot mount {mount.volume} with propagation {mount.propagation}"
    if mount.propagation == "shared" and not launch.container.security.privileged:
        raise Waiting(_REASON, f"{what}: only for privileged containers")
    if mount.propagation == "shared" and launch.pod.users == "auto":
        raise Waiting(_REASON, f"{what}: nothing spreads out of a user namespace")
    peers = reach.Map().mount_of(fd).peers
    wanted = ("shared:",) if mount.propagation == "shared" else ("shared:", "master:")
    if not any(each.startswith(wanted) for each in peers):
        raise Waiting(_REASON, f"{what}: on the host it lies on a mount that is private")


def files_placed(binds: Iterable[Bind], attempt: Attempt, users: int) -> Iterator[Bind]:
    """Tank's own files for the container, where its root gets as far and sees them as its own. Raises OSError."""
    files.make_directory(attempt.mounts, _PASSABLE)
    for number, bind in enumerate(binds):
        target = attempt.mounts / f"file{number}"
        # Where the run directory cannot show other ids (tmpfs before Linux 6.3), the files are nobody's, and readable.
        mapped = users if not trees.can_map(Path(bind.source), users) else None
        with files.opened(bind.source, os.O_PATH) as fd:
            trees.place(fd, target, trees.Attributes(read_only=bind.read_only, users=mapped), recursive=False)
        yield replace(bind, source=str(target), options=mounts.options(target))


@contextmanager
def layers_for(layers: Sequence[Path], attempt: Attempt, users: int | None) -> Iterator[Sequence[Path]]:
    """The layers as the pod's ids see them: an overlay keeps what it was given of them. Raises OSError."""
    if users is None:
        yield layers
        return
    files.make_directory(attempt.layers)
    try:
        for number, layer in enumerate(layers):
            with files.opened(layer, os.O_PATH | os.O_DIRECTORY) as fd:
                attributes = trees.Attributes(suid=True, devices=True, users=users)
                trees.place(fd, attempt.layers / str(number), attributes, recursive=False)
        yield [attempt.layers / str(number) for number in range(len(layers))]
    finally:
        for name in files.names(attempt.layers):
            mounts.unmount(attempt.layers / name)
            (attempt.layers / name).rmdir()


def mount_images(launch: Launch, attempt: Attempt, users: int | None = None) -> None:
    """Mount the images that are volumes, read-only. Raises Waiting, Failed, OSError."""
    top = attempt.images
    for mount in launch.container.mounts:
        volume, target = launch.pod.volume(mount.volume), top / mount.volume
        if volume is None or not isinstance(volume.source, ImageVolume) or mounts.is_mounted(target):
            continue
        image = launch.volumes.get(mount.volume)
        if image is None or not image.layers:
            raise Waiting(_REASON, f"cannot mount {mount.volume}: its image has no layers here")
        files.make_directory(target)
        files.make_directory(top / _NOTHING)
        with layers_for(image.layers, attempt, users) as layers:
            mounts.read_only(layers, top / _NOTHING, target)


def displace(attempt: Attempt) -> None:
    """Take everything off again. Raises OSError."""
    for top in (attempt.mounts, attempt.images, attempt.layers):
        for name in files.names(top):
            mounts.unmount(top / name)
