"""What images are taken in from: an archive, a directory, or either as other tools write it.

`oci:PATH[:NAME]`, `oci-archive:PATH[:NAME]` and `docker-archive:PATH[:NAME]` are the words of skopeo and podman. The
daemon opens no file that a client names: it gets an archive in any case, so a directory becomes one on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tank.errors import Failed

_SCHEMES = ("oci:", "oci-archive:", "docker-archive:")
_PIECE = 256 * 1024
_BLOCK = 512


def located(text: str) -> tuple[str, str]:
    """The path, and the tag or reference of the one image that is wanted, or ""."""
    scheme = next((each for each in _SCHEMES if text.startswith(each)), None)
    if scheme is None:
        return text, ""
    path, _, name = text.removeprefix(scheme).partition(":")
    return path, name


@contextmanager
def reading(path: str | Path) -> Iterator[Iterator[bytes]]:
    """The bytes of an archive, or of the one that a directory becomes. Raises OSError."""
    if os.path.isdir(path):
        yield _tarred(path)
        return
    with open(path, "rb") as file:
        yield iter(lambda: file.read(_PIECE), b"")


def _tarred(directory: str | Path) -> Iterator[bytes]:
    """Its files alone: nothing else makes an image. Links to files count as what they lead to."""
    from tarfile import PAX_FORMAT, TarInfo

    for parent, below, files in os.walk(directory):
        below.sort()
        for path in (os.path.join(parent, name) for name in sorted(files)):
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                info = TarInfo(os.path.relpath(path, directory))
                info.size = os.fstat(file.fileno()).st_size
                yield info.tobuf(PAX_FORMAT)
                yield from _body(file, info.size)
    yield bytes(2 * _BLOCK)


def _body(file: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise Failed(f"cannot read {file.name}: it became shorter meanwhile")
        left -= len(piece)
        yield piece
    yield bytes(-size % _BLOCK)
