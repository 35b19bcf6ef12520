"""A file that is read while it grows: by a process that may read it and nothing else, told how far it has come.

Who lets it grow says so in lines, each the number of bytes that lie there by now; the end of the lines is the end of
the file. So the bytes themselves go through no pipe: they are read where they lie, and are in memory as they were
written just now. Imports nothing heavy: the unpacker loads it.
"""

from __future__ import annotations

import os

_PIECE = 2**18


def said(count: int) -> bytes:
    """The line that says it."""
    return b"%d\n" % count


class Growing:
    """The bytes in order, b"" at the end. `file` is the file; `lines` is where the numbers come from."""

    def __init__(self, file: int, lines: int) -> None:
        self._file, self._lines = file, lines
        self._at, self._length, self._begun = 0, 0, b""

    def __call__(self) -> bytes:
        """The next of them; waits for some. Raises OSError, and ValueError when what is said is no number."""
        while self._at >= self._length:
            if not self._listen():
                return b""
        piece = os.pread(self._file, min(_PIECE, self._length - self._at), self._at)
        self._at += len(piece)
        return piece

    def _listen(self) -> bool:
        heard = os.read(self._lines, 2**12)
        *lines, self._begun = (self._begun + heard).split(b"\n")
        if lines:
            self._length = int(lines[-1])
        return bool(heard)
