"""The floor of the disk, held while something grows (R29, R30).

Nobody knows beforehand what a layer unpacks to, and it is not alone: other layers grow beside it, and containers write.
So whoever writes takes what it is about to write, and what is free is looked at again after each small step. The last
steps are smaller. Several writers may each have taken one at the same time; hence they stop a little above the floor
(`tank.image.room`). Imports nothing heavy: the unpacker loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tank.host import space
from tank.host.space import Space

STEP, STEP_INODES = 2**20, 64  # that one writer may have taken beyond what it has written
_SHARE = 8  # and no more than one part in so many of what there is
_BLOCK = 4096  # bytes for the last block of a file, its name and its inode
_PLENTY = 2**62


class Floor(NamedTuple):
    """Bytes and inodes that stay free."""

    size: int
    inodes: int

    def spare(self, seen: Space) -> tuple[int, int]:
        """Bytes and inodes above it; below zero when it is reached. Where no inodes are counted, plenty."""
        return seen.free - self.size, seen.inodes_free - self.inodes if seen.inodes else _PLENTY

    def fault(self, seen: Space, size: int = 0, inodes: int = 0) -> str:
        """Why so much more cannot be taken, in words; empty when it can."""
        spare, left = self.spare(seen)
        if left <= inodes:
            return f"of {seen.inodes} inodes {seen.inodes_free} are free, and {self.inodes} are kept free"
        if spare <= 0:
            return f"{_text(seen.free)} are free on the disk, and {_text(self.size)} are kept free"
        if size > spare:
            kept = _text(self.size)
            return f"it takes about {_text(size)}, {_text(seen.free)} are free on the disk, and {kept} are kept free"
        return ""


class Headroom:
    """What one writer may take above a floor. `where`: a directory or descriptor on the file system."""

    def __init__(self, where: Path | int, floor: Floor, look: Callable[[Path | int], Space] = space.look) -> None:
        self._where, self._floor, self._seen = where, floor, look
        self._size = self._inodes = 0  # taken, and not written yet

    def take(self, size: int, inodes: int = 0) -> str:
        """Take these before they are written. Answers why that cannot be, in words; empty when it can. Raises OSError.

        Costs a subtraction, and a system call once a step.
        """
        self._size -= size + _BLOCK
        self._inodes -= inodes
        return "" if self._size >= 0 and self._inodes >= 0 else self._look(size + _BLOCK, inodes)

    def _look(self, size: int, inodes: int) -> str:
        seen = self._seen(self._where)
        fault = self._floor.fault(seen, size, inodes)
        if not fault:
            spare, left = self._floor.spare(seen)
            self._size = min(STEP, (spare - size) // _SHARE)
            self._inodes = min(STEP_INODES, (left - inodes) // _SHARE)
        return fault


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
