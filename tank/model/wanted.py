"""Which images a pod asks for: one for each container that has one, and one for each volume that is one.

Each goes by a key, under which its digest is pinned: the container's name, or `volume:` and the volume's, which no
container can be called. While an image is resolved anew, the digest that it had before stays pinned under
`before:` and that key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tank.model.pod import Container, ImageVolume, Pod

_BEFORE = "before:"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """One image, as the spec asks for it. `pull` as in C6."""

    key: str
    reference: str
    pull: str


def volume_key(name: str) -> str:
    """The key of an image that is a volume."""
    return f"volume:{name}"


def before_key(key: str) -> str:
    """Where the digest is kept that the image had before a pull was asked for; until that has succeeded (C6)."""
    return f"{_BEFORE}{key}"


def pins_kept(pins: Mapping[str, str], old: Pod, new: Pod) -> dict[str, str]:
    """The pins that outlive a change of the spec: where the same image is asked for in the same way."""
    before, now = all_wanted(old), all_wanted(new)
    keys = {key for key in now if before.get(key) == now[key]}
    return {key: digest for key, digest in pins.items() if key.removeprefix(_BEFORE) in keys}


def pins_settled(pins: Mapping[str, str]) -> dict[str, str]:
    """The pins alone that a revision resolved to, as the history has them."""
    return {key: digest for key, digest in pins.items() if not key.startswith(_BEFORE)}


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
