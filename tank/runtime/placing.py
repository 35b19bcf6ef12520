"""What a container mounts of the pod's volumes: each put, by descriptor, at a place of Tank's own for the runtime.

The runtime knows only paths. It is given one that nobody but Tank can change: below the bundle, where the volume, or
its part, is mounted already with everything that it is to be (read-only with all below it, no set-uid, no devices,
its propagation). The runtime copies that into the container; it is told every flag
again, since it takes off those that it is not told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tank.config import Settings
from tank.errors import Waiting
from tank.host import files, mounts, reach, trees
from tank.model.launch import Launch
from tank.model.pod import HostPath, ImageVolume, Mount, Volume
from tank.runtime import hostpath, subpath, volumes
from tank.runtime.ocispec import Bind
from tank.runtime.places import Attempt

_NOTHING = "_nothing"  # no volume can be called that
_REASON = "CreateContainerConfigError"


def binds(settings: Settings, launch: Launch, attempt: Attempt, users: int | None = None) -> tuple[Bind, ...]:
    """Place what the container mounts. Makes managed and empty volumes on first use. Raises Waiting, OSError (C10).

    `users`: a descriptor of the pod's user namespace, as whose ids the volumes are to be seen.
    """
    if launch.container.mounts:
        files.make_directory(attempt.mounts)
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
        check_propagation(launch, mount, fd)
        attributes = trees.Attributes(
            read_only=mount.read_only or not volumes.can_grow(volume),
            suid="suid" in mount.allow,
            devices="dev" in mount.allow,
            propagation=mount.propagation,
            users=users,
        )
        trees.place(fd, target, attributes, recursive=is_host)
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


def check_propagation(launch: Launch, mount: Mount, fd: int) -> None:
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


def displace(attempt: Attempt) -> None:
    """Take everything off again. Raises OSError."""
    for top in (attempt.mounts, attempt.images):
        for name in files.names(top):
            mounts.unmount(top / name)
