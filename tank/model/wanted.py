"""Which images a pod asks for: one for each container that has one, and one for each volume that is one.

Each goes by a key, under which its digest is pinned: the container's name, or `volume:` and the volume's, which no
container can be called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tank.model.pod import Container, ImageVolume, Pod


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """One image, as the spec asks for it. `pull` as in C6."""

    key: str
    reference: str
    pull: str


def volume_key(name: str) -> str:
    """The key of an image that is a volume."""
    return f"volume:{name}"


def wanted_images(pod: Pod, container: Container) -> tuple[WantedImage, ...]:
    """All that must be here before the container can be made: its own, and those that it mounts."""
    found = []
    if isinstance(container.image, str):
        found.append(WantedImage(key=container.name, reference=container.image, pull=container.pull))
    for name in dict.fromkeys(mount.volume for mount in container.mounts):
        volume = pod.volume(name)
        if volume is not None and isinstance(volume.source, ImageVolume):
            source = volume.source
            found.append(WantedImage(key=volume_key(name), reference=source.image, pull=source.pull))
    return tuple(found)


def all_wanted(pod: Pod) -> Mapping[str, WantedImage]:
    """Every image that a container of the pod needs, by its key."""
    return {each.key: each for container in pod.everyone for each in wanted_images(pod, container)}


def wanted_by(pod: Pod, key: str) -> tuple[Container, ...]:
    """The containers that need the image of this key."""
    return tuple(each for each in pod.everyone if any(one.key == key for one in wanted_images(pod, each)))
