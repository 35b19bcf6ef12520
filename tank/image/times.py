"""When the directories of a layer were changed: set at the very end, since every file made in one changes it.

Kept packed: a million of them must not cost a gigabyte.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress

from tank.image.refusal import refused
from tank.image.tree import Tree

_TIME = struct.Struct("<qH")
_MOST = 64 * 2**20  # bytes


class Times:
    """The times of one layer's directories, in the order in which they came: the last one of a path counts."""

    def __init__(self) -> None:
        self._table = bytearray()

    def remember(self, path: bytes, mtime: int) -> None:
        """The time of one directory, in nanoseconds. Raises PullFailed."""
        self._table += _TIME.pack(mtime, len(path)) + path
        if len(self._table) > _MOST:
            raise refused("cannot unpack layer: it has too many directories")

    def set(self, tree: Tree) -> None:
        """Give them to the directories, and the epoch to those that had no entry. Raises OSError."""
        for path in tree.implicit:
            _set(tree, path, 0)
        table, at = bytes(self._table), 0
        while at < len(table):
            mtime, length = _TIME.unpack_from(table, at)
            at += _TIME.size + length
            _set(tree, table[at - length : at], mtime)


def _set(tree: Tree, path: bytes, mtime: int) -> None:
    """What is not a directory any more was replaced by a later member, and has its own time."""
    parent, _, base = path.rpartition(b"/")
    above = tree.existing(parent)
    if above is None:
        return
    name = base or b"."
    with suppress(FileNotFoundError):
        if not tree.vacated or stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            os.utime(name, ns=(mtime, mtime), dir_fd=above, follow_symlinks=False)
