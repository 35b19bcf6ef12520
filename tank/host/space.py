"""How full a file system is: bytes and inodes, as `df` counts them (R29, R30).

Blocks that are kept for root count as neither used nor free: root could take them, and should not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One look. `inodes` is 0 where the file system counts none (btrfs)."""

    used: int  # bytes
    free: int
    inodes_used: int = 0
    inodes_free: int = 0

    @property
    def total(self) -> int:
        """Bytes that there are to use."""
        return self.used + self.free

    @property
    def inodes(self) -> int:
        """Inodes that there are to use."""
        return self.inodes_used + self.inodes_free

    @property
    def per_cent(self) -> float:
        """How full it is, by bytes or inodes, whatever is more."""
        parts = [(self.used, self.total), (self.inodes_used, self.inodes)]
        return max(100.0 * used / total if total else 0.0 for used, total in parts)


def look(directory: Path | int) -> Space:
    """The file system that holds `directory`, or a descriptor in it, now. Raises OSError."""
    found = os.statvfs(directory)
    return Space(
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes_used=found.f_files - found.f_ffree,
        inodes_free=found.f_favail,
    )
