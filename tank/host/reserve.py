"""Space that is taken in order to be let go of: the reserve of a disk that is full (R29, R30).

A file of real blocks, and empty files for their inodes. Letting go needs no space itself; what is let go of is enough
for records, a deletion and the log of the database, until space is made. It is taken again when there is plenty.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tank.host import files

SIZE = 64 * 2**20  # bytes
INODES = 64
_SHARE = 50  # of a small disk, no more than one part in so many


def size_for(total: int) -> int:
    """How much to reserve of a file system of `total` bytes."""
    return min(SIZE, total // _SHARE)


class Reserve:
    """The reserve in one directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._file = directory, directory / "space"

    @property
    def held(self) -> int:
        """Bytes that are reserved now; 0 when it was let go of."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0

    def take(self, size: int) -> None:
        """Reserve `size` bytes and some inodes. Raises OSError; what could be had is let go of again."""
        try:
            files.make_directory(self._directory)
            for number in range(INODES):
                with files.opened(self._directory / f"inode.{number}", os.O_WRONLY | os.O_CREAT):
                    pass
            with files.opened(self._file, os.O_WRONLY | os.O_CREAT) as fd:
                os.posix_fallocate(fd, 0, size)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let go of everything. Repeatable; never raises."""
        with suppress(OSError):
            os.truncate(self._file, 0)
        for name in (self._file.name, *(f"inode.{number}" for number in range(INODES))):
            with suppress(OSError):
                os.unlink(self._directory / name)
