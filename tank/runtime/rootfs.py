"""Looking into a mounted root that nobody trusts: symbolic links end inside it, devices and pipes are not opened.

Here Tank finds out beforehand what would make exec fail, and with which code (C5): crun itself says 255 for all.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tank.errors import StartFailed, Waiting
from tank.host import openat
from tank.runtime import command, executable, users

_RESERVED = ("dev", "proc", "sys", "etc")
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_INSIDE = openat.IN_ROOT | openat.NO_MAGICLINKS


class Root:
    """A root directory, open. Paths given are those of the container."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def check(self) -> None:
        """Raises StartFailed when a directory that will be mounted over is a link, which a runtime may follow (S09)."""
        for name in _RESERVED:
            with suppress(FileNotFoundError):
                if stat.S_ISLNK(os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode):
                    raise StartFailed(125, f"cannot use this image: its /{name} is a symbolic link")

    def identity(self, user: str, groups: tuple[int, ...]) -> users.Identity:
        """Who `user` is in here. Raises Waiting for an unknown name (C9)."""
        return users.resolve(user, self._text("etc/passwd"), self._text("etc/group"), groups)

    def _text(self, path: str) -> bytes:
        """A regular file, up to a limit; anything else is empty (S11)."""
        try:
            fd = openat.openat2(self._fd, path.encode(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, resolve=_INSIDE)
        except OSError:
            return b""
        try:
            return os.read(fd, users.LARGEST_FILE) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        finally:
            os.close(fd)

    def is_directory(self, path: str) -> bool:
        """Whether there is such a directory."""
        try:
            return stat.S_ISDIR(self._stat(path).st_mode)
        except OSError:
            return False

    def make_directory(self, path: str, owner: users.Identity, base: int = 0) -> None:
        """The directory exists; what has to be made is root's, but for the last, which is the user's (C8).

        `base`: which id of the host the container's root is.
        """
        uid, gid = base + owner.uid, base + owner.gid
        here = os.dup(self._fd)
        parts = [part for part in path.split("/") if part]
        try:
            for depth in range(1, len(parts) + 1):
                ids = (uid, gid) if depth == len(parts) else (base, base)
                inner = self._enter("/".join(parts[:depth]), here, parts[depth - 1], ids)
                os.close(here)
                here = inner
        except OSError as error:
            raise StartFailed(125, f"cannot use the working directory {path!r}: {error.strerror}") from error
        finally:
            os.close(here)

    def _enter(self, path: str, parent: int, name: str, ids: tuple[int, int]) -> int:
        try:
            return openat.open_below(self._fd, path.encode())
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=parent)
            os.chown(name, *ids, dir_fd=parent, follow_symlinks=False)
            return openat.open_below(self._fd, path.encode())

    def program(self, argument: str, environment: Mapping[str, str], cwd: str) -> str:
        """The path of the file that exec will run. Raises StartFailed with 127 (no such) or 126 (not executable)."""
        refused = ""
        for candidate in _candidates(argument, environment.get("PATH", command.DEFAULT_PATH), cwd):
            try:
                mode = self._stat(candidate).st_mode
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                    refused = candidate
                continue
            if stat.S_ISREG(mode) and mode & 0o111:
                self._check_head(candidate)
                return candidate
            refused = candidate
        if refused:
            raise StartFailed(_NOT_EXECUTABLE, f"cannot run {argument!r}: {refused!r} is not an executable file")
        raise StartFailed(_NOT_FOUND, f"cannot run {argument!r}: no such program in the container")

    def _check_head(self, path: str) -> None:
        head = self._head(path)
        if not executable.is_executable(head):
            raise StartFailed(_NOT_EXECUTABLE, f"cannot run {path!r}: it is neither a program nor a script with #!")
        interpreter = executable.interpreter(head)
        try:
            if interpreter is not None:
                self._stat(interpreter)
        except OSError as error:
            # The image's own bytes may be no text: a message shows them and never carries them.
            missing = f"cannot run {path!r}: it needs {interpreter!r}, which is missing"
            raise StartFailed(_NOT_FOUND, missing) from error

    def _head(self, path: str) -> bytes:
        fd = openat.openat2(self._fd, os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK, resolve=_INSIDE)
        try:
            return os.read(fd, executable.HEAD)
        finally:
            os.close(fd)

    def _stat(self, path: str) -> os.stat_result:
        fd = openat.openat2(self._fd, os.fsencode(path), os.O_PATH, resolve=_INSIDE)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)


def _candidates(argument: str, path: str, cwd: str) -> list[str]:
    """Where exec looks, in order: the path itself when it has a slash, else each directory of PATH."""
    if not argument:
        return []
    if "/" in argument:
        return [posixpath.join(cwd, argument)]
    return [posixpath.join(cwd, directory or ".", argument) for directory in path.split(":")]


def working_directory(wanted: str) -> str:
    """A clean absolute path. Raises Waiting for one below /proc, where it could name a leaked descriptor (S07)."""
    clean = posixpath.normpath("/" + wanted.lstrip("/"))
    if clean == "/proc" or clean.startswith("/proc/"):
        raise Waiting("CreateContainerConfigError", f"cannot use {wanted!r} as working directory: it lies in /proc")
    return clean
