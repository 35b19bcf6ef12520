"""What is told of images and of the disk: the answers of the daemon, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStatus:
    """One image. `used_by`: pods that need it now; `previous_of`: pods whose earlier revision needs it.

    Sizes are bytes: `size` compressed, as a registry has it; `disk` unpacked; `unique` of that what no other image
    shares. `used_at` is RFC 3339.
    """

    digest: str
    references: tuple[str, ...] = ()
    size: int = 0
    disk: int = 0
    unique: int = 0
    used_at: str = ""
    used_by: tuple[str, ...] = ()
    previous_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStatus:
    """One layer of an image, by the name of its directory. `shared`: another image has it too."""

    name: str
    size: int
    entries: int
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetail:
    """All of one image: its status, its layers, its platform and what it says of itself."""

    image: ImageStatus
    layers: tuple[LayerStatus, ...] = ()
    platform: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What a deletion or a prune took away. `freed`: bytes that become free."""

    references: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    freed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What one owner has on the disk: `kind`: image, layers, packed, volume, root, logs, scratch, reserve, store."""

    kind: str
    name: str
    size: int
    inodes: int
    shared: int = 0  # of an image: bytes in layers of other images too, counted with `layers`


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """The owner of every byte below the data directory, and how full its file system is.

    `unowned` is what nobody knows: 0, and then `strays` is empty.
    """

    path: str
    used: int
    unowned: int
    strays: tuple[str, ...]
    owners: tuple[Owner, ...]
    disk_total: int
    disk_free: int
    inodes_total: int
    inodes_free: int
