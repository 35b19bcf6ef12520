"""A program run from a sealed copy of it in memory.

A runtime that enters containers must not be reachable from inside them, so crun copies itself into sealed memory
and starts a second time, each time it is run (CVE-2019-5736). A copy that is sealed already spares it that: one
start instead of two, which is a fifth of what `crun exec` costs. Where it cannot be made the program itself is run.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

_MFD_EXEC = 0x10  # linux/memfd.h, from 6.3 on; older kernels refuse it and need none
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_ENFORCED = Path("/sys/fs/selinux/enforce")  # there the file decides what its process may do: a copy is another file


class Sealed:
    """The copy of one program, made when it is first asked for, and anew when the program has changed."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._fd = -1
        self._copied: tuple[int, ...] = ()

    def path(self) -> Path:
        """What to execute: a path that holds for as long as this process lives, or the program's own."""
        try:
            found = os.stat(self._program)
            identity = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if identity != self._copied:
                self.close()
                self._copied = identity
                self._fd = _copy(self._program)
        except OSError:
            return self._program
        return Path(f"/proc/{os.getpid()}/fd/{self._fd}") if self._fd >= 0 else self._program

    def close(self) -> None:
        """Let go of the copy. What runs from it keeps it."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._copied = -1, ()


def _copy(program: Path) -> int:
    """A sealed memory file; -1 where none can be had."""
    data = program.read_bytes()
    if not data.startswith(b"\x7fELF") or _is_enforced():
        return -1
    try:
        fd = _create(os.path.basename(program))
    except OSError:
        return -1
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        return -1
    return fd


def _create(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(name, flags)


def _is_enforced() -> bool:
    with suppress(OSError):
        return _ENFORCED.read_text().strip() == "1"
    return False
