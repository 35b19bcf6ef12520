"""The control files of one group, by the controller that they belong to: reading numbers and writing values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tank.host import files
from tank.host.cgroup import Groups

_NO_LIMIT = 2**62  # version 1 spells "no limit" as the largest multiple of a page


@dataclass(frozen=True, slots=True)
class Control:
    """One group of ours."""

    groups: Groups
    name: str

    def directory(self, controller: str) -> Path | None:
        """Where its files of a controller lie; None: this machine has no such controller."""
        tree = self.groups.hierarchies.tree(controller)
        return None if tree is None else tree / self.groups.path(self.name).lstrip("/")

    def is_v2(self, controller: str) -> bool:
        """Whether a controller is of version 2."""
        return self.groups.hierarchies.is_v2(controller)


def number(path: Path) -> int | None:
    """What a file says; None: no limit, or no such file. Raises OSError."""
    text = (files.read(path) or b"max").strip()
    value = None if text == b"max" else int(text)
    return None if value is not None and (value >= _NO_LIMIT or value < 0) else value


def text(path: Path) -> str:
    """The words of a file; empty: no such file. Raises OSError."""
    return (files.read(path) or b"").decode().strip()


def put(path: Path, value: str) -> None:
    """Write a value. Raises OSError."""
    with files.opened(path, os.O_WRONLY | os.O_TRUNC) as fd:  # a control file is never created
        os.write(fd, f"{value}\n".encode())


def offer(path: Path, value: str) -> bool:
    """Write a value where there is such a file, and say whether there was. Raises OSError."""
    if not path.exists():
        return False
    put(path, value)
    return True
