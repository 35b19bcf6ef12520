"""A part of a volume, opened so that nothing in the volume can lead out of it (C10, S17).

The kernel itself resolves the path: links inside the volume are followed, and whatever would leave it is refused,
also when names are exchanged meanwhile. What is missing is made as a directory, each from the descriptor of its
parent, with the mode and the owner of the volume's root.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from tank.errors import Waiting
from tank.host import openat

REASON = "CreateContainerConfigError"
_RULES = openat.BENEATH | openat.NO_MAGICLINKS
_TRIES = 16  # a name that is exchanged all the time is met again and again
_FRESH = 0o700  # the mode of one that is not finished
_KINDS = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISSOCK)


def opened(root: int, volume: str, path: str, *, make: bool) -> int:
    """A descriptor of `path` below `root`. `make`: missing directories are made. Raises Waiting."""
    try:
        return _found(root, volume, path, make=make)
    except FileNotFoundError as error:
        raise Waiting(REASON, f"{_what(volume, path)}: {error.strerror}") from error


def check(root: int, volume: str, path: str) -> None:
    """Whether `path`, if it is there, can be mounted. Changes nothing. Raises Waiting."""
    with suppress(FileNotFoundError):
        os.close(_found(root, volume, path, make=False))


def _what(volume: str, path: str) -> str:
    return f"cannot mount {path!r} of volume {volume}"


def _found(root: int, volume: str, path: str, *, make: bool) -> int:
    """Raises Waiting, FileNotFoundError."""
    what = _what(volume, path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise Waiting(REASON, f"{what}: it is no path within the volume")
    try:
        fd = _opened(root, parts, make)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        raise Waiting(REASON, f"{what}: {_words(error)}") from error
    if any(test(os.fstat(fd).st_mode) for test in _KINDS):
        return fd
    os.close(fd)
    raise Waiting(REASON, f"{what}: it is no directory, file or socket")


def _words(error: OSError | ValueError) -> str:
    """EXDEV and ELOOP are what the kernel says of a path that leaves, EAGAIN of one that moves about."""
    if isinstance(error, ValueError):
        return "it is no path"
    if error.errno in (errno.EXDEV, errno.ELOOP):
        return "a link in it leads out of the volume"
    return "it changes all the time" if error.errno == errno.EAGAIN else str(error.strerror)


def _opened(root: int, parts: list[str], make: bool) -> int:
    for _ in range(_TRIES):
        try:
            return _at(root, parts)
        except BlockingIOError:  # something was renamed while the kernel looked
            continue
        except FileNotFoundError:
            if not make:
                raise
            _make(root, parts)
    return _at(root, parts)


def _at(root: int, parts: list[str]) -> int:
    return openat.openat2(root, os.fsencode("/".join(parts) or "."), os.O_PATH, resolve=_RULES)


def _make(root: int, parts: list[str]) -> None:
    """One more of the missing directories, if nobody else has made it by now."""
    for depth in range(len(parts)):
        parent = _at(root, parts[:depth])
        try:
            if _made(root, parent, parts[depth]):
                return
        finally:
            os.close(parent)


def _made(root: int, parent: int, name: str) -> bool:
    try:
        os.mkdir(name, _FRESH, dir_fd=parent)
    except FileExistsError:
        return False
    like = os.fstat(root)
    # Without following: whoever can write here may have put a link or another directory in its place by now.
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        found = os.fstat(fd)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o777 == _FRESH:
            os.fchown(fd, like.st_uid, like.st_gid)
            os.fchmod(fd, stat.S_IMODE(like.st_mode))
    finally:
        os.close(fd)
    return True
