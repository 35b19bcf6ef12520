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
    """The bytes of an archive, or of the one that a directory becomes. Raises OSError; the bytes raise Failed."""
    if os.path.isdir(path):
        yield _tarred(path)
        return
    with open(path, "rb") as file:
        yield iter(lambda: _piece(file, _PIECE), b"")


def _tarred(directory: str | Path) -> Iterator[bytes]:
    """Its files alone: nothing else makes an image."""
    from tarfile import PAX_FORMAT, TarInfo

    for path in _files(directory):
        with _opened(path) as file:
            info = TarInfo(os.path.relpath(path, directory))
            info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf(PAX_FORMAT)
            yield from _body(file, info.size)
    yield bytes(2 * _BLOCK)


def _files(directory: str | Path) -> Iterator[str]:
    """Links count as what they lead to, but none may lead in a circle. Raises Failed."""

    def unreadable(error: OSError) -> None:
        raise _unread(error.filename, error) from error

    seen = set[str]()
    for parent, below, files in os.walk(directory, onerror=unreadable, followlinks=True):
        below.sort()
        if (place := os.path.realpath(parent)) in seen:
            raise Failed(f"cannot read {parent}: it is {place}, which is read already")
        seen.add(place)
        yield from (path for name in sorted(files) if os.path.isfile(path := os.path.join(parent, name)))


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise _unread(path, error) from error


def _piece(file: BinaryIO, most: int) -> bytes:
    try:
        return file.read(most)
    except OSError as error:
        raise _unread(file.name, error) from error


def _unread(path: str, error: OSError) -> Failed:
    """While bytes are on their way to the daemon, what fails on this side must not look like the connection's end."""
    return Failed(f"cannot read {path}: {error.strerror or error}")


def _body(file: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = _piece(file, min(left, _PIECE))
        if not piece:
            raise Failed(f"cannot read {file.name}: it became shorter meanwhile")
        left -= len(piece)
        yield piece
    yield bytes(-size % _BLOCK)
