"""A directory tree as an archive, as it comes: owners, modes, times, links, holes and attributes.

Nobody trusts what lies in a volume: everything is opened from the descriptor of its directory, no link is followed,
no other mount entered, no device or pipe opened. A file that changes meanwhile is as long as it was when it was
opened: cut off, or filled up with zeros. Sockets are left out: they are nothing without who listens. Blocks.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tank.errors import Failed
from tank.image import tarwriter
from tank.image.tarwriter import Member

PIECE = 256 * 1024
_DEEPEST = 250
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Links = dict[tuple[int, int], bytes]  # device and inode of a file with several names, and the first of them


def pieces(top: Path) -> Iterator[bytes]:
    """The archive of all in `top`, itself included. Raises Failed, OSError."""
    root = os.open(top, _DIRECTORY)
    try:
        found = os.fstat(root)
        yield tarwriter.head(_member(b"./", found, xattrs=_xattrs(root)))
        yield from _inner(root, b"./", found.st_dev, {}, 0)
    finally:
        os.close(root)
    yield tarwriter.END


def _inner(directory: int, path: bytes, device: int, links: Links, depth: int) -> Iterator[bytes]:
    if depth > _DEEPEST:
        raise Failed("cannot export it: its directories are nested too deeply")
    for name in sorted(os.listdir(directory)):
        with suppress(FileNotFoundError):  # gone meanwhile
            yield from _entry(directory, path, name, device=device, links=links, depth=depth)


def _entry(directory: int, path: bytes, name: str, *, device: int, links: Links, depth: int) -> Iterator[bytes]:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    whole = path + os.fsencode(name)
    if found.st_dev != device or not tarwriter.has_kind(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            yield tarwriter.head(_member(whole + b"/", os.fstat(inner), xattrs=_xattrs(inner)))
            yield from _inner(inner, whole + b"/", device, links, depth + 1)
        finally:
            os.close(inner)
        return
    first = links.get((found.st_dev, found.st_ino))
    if first is not None:
        yield tarwriter.head(_member(whole, found, link=first, hard=True))
        return
    if found.st_nlink > 1:
        links[found.st_dev, found.st_ino] = whole
    if stat.S_ISREG(found.st_mode):
        yield from _file(directory, name, whole)
    else:
        link = os.fsencode(os.readlink(name, dir_fd=directory)) if stat.S_ISLNK(found.st_mode) else b""
        yield tarwriter.head(_member(whole, found, link=link))


def _file(directory: int, name: str, whole: bytes) -> Iterator[bytes]:
    try:
        fd = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # something else by now
            return
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return
        parts = _parts(fd, found)
        yield tarwriter.head(_member(whole, found, size=found.st_size, parts=parts, xattrs=_xattrs(fd)))
        yield from _data(fd, parts if parts is not None else [(0, found.st_size)])
    finally:
        os.close(fd)


def _parts(fd: int, found: os.stat_result) -> list[tuple[int, int]] | None:
    """Where there is data, for a file with holes; None for one without."""
    if found.st_blocks * 512 >= found.st_size:
        return None
    parts, at = [], 0
    while at < found.st_size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = min(os.lseek(fd, start, os.SEEK_HOLE), found.st_size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                break
            raise
        if start < at:
            parts.append((start, at - start))
    # The end is a piece of its own, without length: GNU tar finds the size of the file by it.
    return [*parts, (found.st_size, 0)] if len(parts) < 60_000 else None


def _data(fd: int, parts: list[tuple[int, int]]) -> Iterator[bytes]:
    count = 0
    for start, length in parts:
        for at in range(start, start + length, PIECE):
            wanted = min(PIECE, start + length - at)
            data = os.pread(fd, wanted, at)
            yield data.ljust(wanted, b"\0")
        count += length
    yield tarwriter.padding(count)


def _xattrs(fd: int) -> dict[bytes, bytes]:
    """Plain attributes of users and the capabilities of programs; all others belong to the machine."""
    found = {}
    with suppress(OSError):
        for name in os.listxattr(fd):
            plain = name.startswith("user.") and not name.startswith("user.overlay.")
            if plain or name == "security.capability":
                with suppress(OSError):
                    found[os.fsencode(name)] = os.getxattr(fd, name)
    return found


def _member(
    name: bytes,
    found: os.stat_result,
    *,
    link: bytes = b"",
    hard: bool = False,
    size: int = 0,
    parts: list[tuple[int, int]] | None = None,
    xattrs: dict[bytes, bytes] | None = None,
) -> Member:
    return Member(
        name=name,
        mode=found.st_mode,
        uid=found.st_uid,
        gid=found.st_gid,
        size=size,
        mtime=found.st_mtime_ns,
        link=link,
        hard=hard,
        device=(os.major(found.st_rdev), os.minor(found.st_rdev)),
        xattrs=xattrs or {},
        pieces=parts,
    )
