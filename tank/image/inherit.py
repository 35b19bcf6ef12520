"""Directories that a layer uses without an entry of their own look as in the layers below.

Most get this with the skeleton that the layer grows on (`tank.image.chain`). What stays are those that it opens and
empties at once, of which no skeleton is planted: the unpacker makes them plain, and since in the overlay the uppermost
directory decides on mode, owner and time, a plain one would take away, say, the sticky bit of /tmp. So each such
directory is given what shows below. A layer is done once, for the first image that stacks it upon
something. Where a link or a whiteout is met, or the layer itself hides what is below, nothing is changed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tank.host import openat
from tank.image import chain
from tank.image.blobs import Blobs
from tank.image.chain import Node

_INSIDE = openat.BENEATH | openat.NO_SYMLINKS | openat.NO_MAGICLINKS
_ELSE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # nothing; a file or whiteout; a link
_MOST_LOOKS = 200_000  # of one layer; an honest one has a handful of such directories


def inherit(blobs: Blobs, name: str, below: Sequence[Path], synced_later: Callable[[Path], bool]) -> None:
    """Do this for the layer in the directory of the digest `name`, a diff id or chain id, upon the directories `below`.

    They go lowest first, and are done already. What `synced_later` says will be synced is not synced here. May be
    repeated. Blocks. Raises OSError.
    """
    record, layer = blobs.layer_record(name), blobs.layer(name)
    if record is None or layer is None or not below or record.inherited or not record.implicit:
        return
    if not record.opaque_root:
        shown = chain.visible(blobs, below)
        for each in record.implicit[: _MOST_LOOKS // len(shown)]:
            _inherit(layer, shown, os.fsencode(each))
    if not synced_later(layer):
        blobs.sync()
    blobs.renew_record(name, replace(record, inherited=True))


def _inherit(layer: Path, shown: Sequence[Path], path: bytes) -> None:
    above = path.rpartition(b"/")[0]
    if above and chain.look((layer,), above).hides:
        return
    source = chain.look(shown, path).node
    if source is not None and source.target is None:
        _copy(source, layer, path)


def _copy(source: Node, layer: Path, path: bytes) -> None:
    root = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        target = openat.openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, resolve=_INSIDE)
    except OSError as error:
        if error.errno in _ELSE:
            return
        raise
    finally:
        os.close(root)
    try:
        os.fchown(target, source.uid, source.gid)
        os.fchmod(target, source.mode)
        for name, value in source.xattrs:
            os.setxattr(target, name, value)
        os.utime(target, ns=(source.mtime, source.mtime))
    finally:
        os.close(target)
