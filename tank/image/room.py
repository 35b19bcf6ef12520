"""What of the disk pulls may take (R29, R30, P8): all but a floor, which is for what runs and for Tank's own records.

The floor is `[images] reserve`, and never more than a tenth of the file system; of the inodes it is one in fifty, and
some hundreds where there are few. What pulls, loads and imports write stops a little above it: then it holds, however
many of them write at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tank.host import reserve, space
from tank.host.space import Space
from tank.image.headroom import STEP, STEP_INODES, Floor, Headroom

_TENTH, _FIFTIETH = 10, 50
_WRITERS = 8  # at once, for each of which a step is kept above the floor
_QUARTER = 4  # of the floor, which is as much as is kept above it on a small disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The room on the file system of `directory`."""

    directory: Path
    reserve: int  # bytes

    def space(self) -> Space:
        """How full it is. Raises OSError."""
        return space.look(self.directory)

    def floor(self, seen: Space) -> Floor:
        """What stays free; never so little that letting go of the reserve would look like space."""
        size = max(min(self.reserve, seen.total // _TENTH), 2 * reserve.size_for(seen.total))
        return Floor(size, max(seen.inodes // _FIFTIETH, min(4 * reserve.INODES, seen.inodes // _TENTH)))

    def edge(self) -> Floor:
        """Where writers stop: the floor, and a step for each of them. Raises OSError."""
        size, inodes = self.floor(self.space())
        above = min(_WRITERS * STEP, size // _QUARTER), min(_WRITERS * STEP_INODES, inodes // _QUARTER)
        return Floor(size + above[0], inodes + above[1])

    def headroom(self) -> Headroom:
        """For one writer. Raises OSError."""
        return Headroom(self.directory, self.edge())

    def spare(self, seen: Space) -> tuple[int, int]:
        """Bytes and inodes above the floor; below zero when it is reached. Where none are counted, plenty."""
        return self.floor(seen).spare(seen)

    def fault(self, seen: Space, size: int = 0) -> str:
        """Why `size` more bytes cannot be taken, in words; empty when they can."""
        return self.floor(seen).fault(seen, size)
