"""Directories that a layer uses without an entry of their own look as in the layers below.

The unpacker makes them plain, since layers unpack side by side; but in the overlay the uppermost directory decides on
mode, owner and time, and a plain one would take away, say, the sticky bit of /tmp. So once the whole stack is here,
each such directory is given what the next layer below that has it says. A layer is done once, for the first image
that stacks it upon something. Where a link or a whiteout of a lower layer is met, nothing is changed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tank.host import openat
from tank.image.blobs import Blobs

_INSIDE = openat.BENEATH | openat.NO_SYMLINKS | openat.NO_MAGICLINKS
_OTHER = -1
_MOST_LOOKS = 200_000  # of one layer; an honest one has a handful of such directories


def inherit(blobs: Blobs, diff_ids: Sequence[str]) -> None:
    """Do this for a stack, lowest first, of which every layer is here. May be repeated. Blocks. Raises OSError."""
    stack = list(dict.fromkeys(diff_ids))
    for place, diff_id in enumerate(stack[1:], start=1):
        record, layer = blobs.layer_record(diff_id), blobs.layer(diff_id)
        if record is None or layer is None or record.inherited or not record.implicit:
            continue
        below = [path for each in reversed(stack[:place]) if (path := blobs.layer(each)) is not None]
        _inherit(layer, record.implicit[: _MOST_LOOKS // len(below)], below)
        blobs.renew_record(diff_id, replace(record, inherited=True))


def _inherit(layer: Path, implicit: Sequence[str], below: Sequence[Path]) -> None:
    for name in implicit:
        path = os.fsencode(name)
        source = next((found for lower in below if (found := _open(lower, path)) is not None), _OTHER)
        target = _open(layer, path)
        try:
            if source != _OTHER and target is not None and target != _OTHER:
                _copy(source, target)
        finally:
            for each in (source, target):
                if each is not None and each != _OTHER:
                    os.close(each)


def _open(root: Path, path: bytes) -> int | None:
    """A descriptor of the directory `path`; None when there is nothing, _OTHER when there is something else."""
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat.openat2(top, path, os.O_RDONLY | os.O_DIRECTORY, resolve=_INSIDE)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        if error.errno in (errno.ENOTDIR, errno.ELOOP):  # a file or whiteout, a link
            return _OTHER
        raise
    finally:
        os.close(top)


def _copy(source: int, target: int) -> None:
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source):
        if name.startswith("user."):
            os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
