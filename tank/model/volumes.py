"""What is told of managed volumes: the answers of the daemon, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStatus:
    """One managed volume. `used_by`: declared pods that name it; `mounted_by`: pods that have it mounted now.

    `size` is bytes on the disk, `entries` files and directories; `owner`, `group` and `mode` (octal) its root's.
    """

    name: str
    path: str
    size: int = 0
    entries: int = 0
    owner: int = 0
    group: int = 0
    mode: str = ""
    used_by: tuple[str, ...] = ()
    mounted_by: tuple[str, ...] = ()
