"""Kernel settings of the namespaces that the calling thread is in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from tank.errors import Failed
from tank.host import files

_TOP = Path("/proc/sys")
_OF_INTERFACE = re.compile(r"net\.(ipv4|ipv6)\.(conf|neigh)\.")


def path_of(name: str) -> Path:
    """The file of a setting. In its name a `/` stands for a dot that belongs to an interface's name."""
    return _TOP / name.translate({ord("."): "/", ord("/"): "."})


def is_known(name: str) -> bool:
    """Whether this kernel has the setting, as far as that can be told before an interface is there."""
    return bool(_OF_INTERFACE.match(name)) or path_of(name).exists()


def write(settings: Mapping[str, str]) -> None:
    """Make settings hold, in their order. Raises Failed with the one that cannot be."""
    for name, value in settings.items():
        try:
            with files.opened(path_of(name), os.O_WRONLY) as fd:
                os.write(fd, value.encode())
        except FileNotFoundError as error:
            raise Failed(f"cannot set {name}: this kernel has no such setting in a pod's namespaces") from error
        except OSError as error:
            raise Failed(f"cannot set {name} to {value}: {(error.strerror or '').lower()}") from error
