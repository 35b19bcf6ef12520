"""What a killed run left behind is swept by the next one; what lives, or is not ours, is never touched.

Every run has a directory of its own below one root, and writes there before anything else who it is (pid
and start time) and later which installations it makes. A directory whose owner is gone is evidence enough
to end the processes in these installations' control groups and those that carry the run's mark, and to take
away its mounts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tank.host import syscalls
from tests import leaks
from tests.waiting import wait_for

ROOT = Path("/var/tmp/tank-tests")


def begin() -> Path:
    """A fresh directory for this run, with its owner written in it. Its name is the run's mark."""
    ROOT.mkdir(mode=0o755, exist_ok=True)
    directory = ROOT / secrets.token_hex(3)
    directory.mkdir(mode=0o755)
    (directory / "owner").write_text(f"{os.getpid()} {start_time(os.getpid())}")
    return directory


def start_time(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when there is none."""
    row = leaks.read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return row[19].decode() if row and row[0] != b"Z" else ""


def alive(directory: Path) -> bool:
    """Whether the run that owns a directory still goes on."""
    pid, _, began = leaks.read(directory / "owner").decode().partition(" ")
    return bool(pid) and start_time(int(pid)) == began


def sweep() -> list[str]:
    """Remove what dead runs left. Answers with the names of these runs."""
    dead = [directory for directory in ROOT.glob("*") if directory.is_dir() and not alive(directory)]
    for directory in dead:
        clear(directory)
    return [directory.name for directory in dead]


def clear(directory: Path) -> None:
    """End and remove everything that one run made, and its directory."""
    found = installations(directory)
    kill(directory.name, found)
    for name in found:
        remove_groups(name)
        remove_tables(name)
    for link in leaks.read(directory / "links").decode().split():
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
    for neighbour in leaks.read(directory / "neighbours").decode().split():
        subprocess.run(["ip", "netns", "delete", neighbour], capture_output=True, check=False)
    unmount(directory)
    shutil.rmtree(directory, ignore_errors=True)


def installations(directory: Path) -> frozenset[str]:
    """The installation ids that a run noted, and those that stand in its data directories."""
    found = set(leaks.read(directory / "installations").decode().split())
    for path, directories, files in os.walk(directory):
        directories[:] = [] if "installation" in files else [name for name in directories if name != "roots"]
        if "installation" in files:
            found.add(leaks.read(Path(path) / "installation").decode().strip())
    return frozenset(name for name in found if len(name) == 6)


def kill(mark: str, found: frozenset[str]) -> None:
    """End every process of a run, until none is left; new ones may be born meanwhile."""

    def none_left() -> bool:
        left = list(members(mark, found))
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_for(none_left, what=f"the end of what run {mark} left")


def members(mark: str, found: frozenset[str]) -> Iterator[int]:
    """The processes of a run, by mark and by control group."""
    for process in leaks.processes():
        if process.pid == str(os.getpid()) or process.zombie:
            continue
        if leaks.installation(process.group) in found or process.marked(mark):
            yield int(process.pid)


def remove_groups(name: str) -> None:
    """The control groups of one installation, in every hierarchy."""
    for hierarchy in leaks.hierarchies():
        for directory, _, _ in os.walk(hierarchy / f"tank-{name}", topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def remove_tables(name: str) -> None:
    """The tables of one installation."""
    for line in leaks.tables():
        if line.endswith(f" tank_{name}"):
            subprocess.run(["nft", "delete", *line.split()], capture_output=True, check=False)


def unmount(directory: Path) -> None:
    """Every mount below a directory, the last one made first, until none is seen."""

    def none_left() -> bool:
        points = [line.split(" ", 1)[0] for line in leaks.mounts()]
        found = [each for each in points if each.startswith(f"{directory}/")]
        for point in reversed(found):
            with contextlib.suppress(OSError):  # one that went with another
                syscalls.umount(point, syscalls.MNT_DETACH)
        return not found

    wait_for(none_left, what=f"the end of the mounts below {directory}")
