"""The termination message: a file of each attempt's own, into which a program says why it ends (C5).

It is the container's to write to as it likes: what is read from it is bounded, and is text whatever it holds.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tank.errors import Failed
from tank.host import files
from tank.model.pod import Container
from tank.runtime.ocispec import Bind

LONGEST = 4096  # bytes


def make(path: Path) -> None:
    """An empty message, which any user of the container may write. Nobody on the host gets as far. Raises OSError."""
    files.write(path, b"", 0o666)


def bind(path: Path, container: Container) -> Iterator[Bind]:
    """Where the container sees it; nowhere when a volume is mounted there, or none is wanted."""
    wanted = container.termination_message
    if wanted and all(each.path.rstrip("/") != wanted for each in container.mounts):
        yield Bind(source=str(path), path=wanted)


def read(path: Path) -> str:
    """What was written, up to its longest; empty when there is nothing to be read. Raises Failed."""
    try:
        with files.opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) as fd:
            data = os.read(fd, LONGEST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # none, or a link, which nobody follows
            return ""
        raise Failed(f"cannot read {path}: {error.strerror}") from error
    return _text(data)


def _text(data: bytes) -> str:
    """Text without a letter cut in two at the end, and without what cannot be stored or shown."""
    text = data.decode(errors="replace")
    if len(data) == LONGEST:
        text = text.rstrip("\N{REPLACEMENT CHARACTER}")
    return text.replace("\0", "").strip()
