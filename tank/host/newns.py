"""A short-lived program with one thread: it makes a user namespace, and others inside it, for the daemon to pin.

    python -I -m tank.host.newns KIND…

A user namespace can be made only by a process of one thread, and namespaces made inside it belong to its root. Says
`u` when it is in the new user namespace, waits for `m` (its ids are mapped), says `n` when all are made, and ends with
its input. It imports little, so that it starts in some 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import sys

_FLAGS = {"net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000}  # CLONE_NEW*, linux/sched.h
_NEW_USER = 0x10000000


def main(kinds: list[str]) -> int:
    """Do it; 1 when nobody maps the ids. Raises OSError."""
    _unshare(_NEW_USER)
    os.write(1, b"u")
    if os.read(0, 1) != b"m":
        return 1
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    _unshare(sum(_FLAGS[kind] for kind in kinds))
    os.write(1, b"n")
    os.read(0, 1)
    return 0


def _unshare(flags: int) -> None:
    if flags and ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
