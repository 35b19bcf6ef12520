"""One daemon per data directory: an flock that the kernel lets go of with the process (R20)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tank.errors import Conflict


def take(path: Path) -> int:
    """Take the lock and return its descriptor; closing it lets go. Raises Conflict, naming the holder's pid."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Conflict(f"cannot start: a daemon with pid {holder} already works on {path.parent}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
