"""What of the disk pulls may take (R29, R30, P8): all but a floor, which is for what runs and for Tank's own records.

The floor is `[images] reserve`, and never more than a tenth of the file system; of the inodes it is one in fifty, and
some hundreds where there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tank.host import reserve, space
from tank.host.space import Space

_TENTH, _FIFTIETH = 10, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The room on the file system of `directory`."""

    directory: Path
    reserve: int  # bytes

    def space(self) -> Space:
        """How full it is. Raises OSError."""
        return space.look(self.directory)

    def floor(self, seen: Space) -> int:
        """Bytes that stay free; never so few that letting go of the reserve would look like space."""
        return max(min(self.reserve, seen.total // _TENTH), 2 * reserve.size_for(seen.total))

    def inode_floor(self, seen: Space) -> int:
        """Inodes that stay free."""
        return max(seen.inodes // _FIFTIETH, min(4 * reserve.INODES, seen.inodes // _TENTH))

    def spare(self, seen: Space) -> tuple[int, int]:
        """Bytes and inodes above the floor; below zero when it is reached. Where none are counted, plenty."""
        inodes = seen.inodes_free - self.inode_floor(seen) if seen.inodes else 2**62
        return seen.free - self.floor(seen), inodes

    def fault(self, seen: Space, size: int = 0) -> str:
        """Why `size` more bytes cannot be taken, in words; empty when they can."""
        spare, inodes = self.spare(seen)
        if inodes <= 0:
            return f"of {seen.inodes} inodes {seen.inodes_free} are free, and {self.inode_floor(seen)} are kept free"
        if spare <= 0:
            return f"{_text(seen.free)} are free on the disk, and {_text(self.floor(seen))} are kept free"
        if size > spare:
            kept = _text(self.floor(seen))
            return f"it takes about {_text(size)}, {_text(seen.free)} are free on the disk, and {kept} are kept free"
        return ""


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
