"""Files that a command reads or writes, where a dash or nothing means a standard stream."""

from __future__ import annotations

import sys
from typing import Any

from tank.errors import Failed, NotFound


def opened(path: str | None, mode: str) -> Any:
    """The file, or a standard stream, which stays open. Raises NotFound, Failed."""
    from contextlib import nullcontext

    if path in (None, "-"):
        return nullcontext(sys.stdin.buffer if mode == "rb" else sys.stdout.buffer)
    try:
        return open(str(path), mode)
    except OSError as error:
        kind = NotFound if isinstance(error, FileNotFoundError) else Failed
        raise kind(f"cannot open {path}: {error.strerror}") from error
