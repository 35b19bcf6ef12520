"""Which CPUs a group may run on."""

from __future__ import annotations

import errno
from pathlib import Path

from tank.host import files
from tank.host.control import Control, put, text


def cpus(words: str) -> frozenset[int]:
    """The numbers that a list such as `0-3,8` names. Raises ValueError."""
    found: set[int] = set()
    for part in filter(None, words.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def apply(control: Control, wanted: str | None) -> bool:
    """Make it hold; None: all that there are. False: there is no such controller. Raises OSError."""
    directory = control.directory("cpuset")
    if directory is None:
        return False
    if wanted is not None:
        put(directory / "cpuset.cpus", wanted)
    elif control.is_v2("cpuset"):
        _clear(directory)
    elif directory.exists():
        put(directory / "cpuset.cpus", text(directory.parent / "cpuset.cpus"))  # version 1 knows no "any"
    return True


def _clear(directory: Path) -> None:
    """A controller that was not handed down to the group limits nothing in it."""
    path = directory / "cpuset.cpus"
    if not path.exists() or not text(path):
        return
    try:
        put(path, "")
    except OSError as error:
        if error.errno != errno.ENOSPC:  # older kernels take no set away from a group in which something lives
            raise
        put(path, text(directory.parent / "cpuset.cpus.effective"))


def read(control: Control) -> str | None:
    """What holds, as the kernel spells it; None: any. Raises OSError."""
    directory = control.directory("cpuset")
    return None if directory is None else text(directory / "cpuset.cpus") or None


def refusal(control: Control, wanted: str) -> str:
    """Why a group of ours cannot have these CPUs; empty when it can. Raises OSError."""
    directory = control.directory("cpuset")
    tree = control.groups.hierarchies.tree("cpuset")
    if directory is None or tree is None:
        return ""  # told by whoever asks for the controller
    for place in (directory, tree):
        for file in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            if there := (files.read(place / file) or b"").decode().strip():
                missing = ",".join(map(str, sorted(cpus(wanted) - cpus(there))))
                return f"this machine has no CPU {missing}; it has {there}" if missing else ""
    return ""
