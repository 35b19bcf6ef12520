"""Control groups of version 1, version 2, and both at once, behind one set of verbs.

A group is named by one path, `/tank-3f9a2c/<uid>/<container>`, which is the same in every hierarchy. On a
hybrid machine the version 2 tree may hold no controller at all; it is still the one that kills for certain
and that tells when a group is empty (E.b.4). Everything here is idempotent: gone already is success.

Groups lie at `/tank-<installation>`, or, when the daemon runs as systemd's `tank.service`, below the delegated
group of `tank-pods.service` beside it (decision 9). Groups that are not ours are never touched (R61).
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tank.errors import Failed, Unsupported
from tank.host import files, mounts

UNIT, PODS_UNIT = "tank.service", "tank-pods.service"
HOLDER = "holder"  # the group of the sleeper that holds the delegated one
_MONITORED = ("name=systemd", "memory", "pids", "cpu", "freezer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchies:
    """Where each hierarchy is mounted. `v2` None: there is none; `v1` maps a controller to its tree."""

    v2: Path | None
    v1: dict[str, Path]
    controllers: frozenset[str]  # of version 2

    @property
    def all(self) -> tuple[Path, ...]:
        """Every tree once."""
        return tuple(dict.fromkeys((*([self.v2] if self.v2 else []), *self.v1.values())))

    def tree(self, controller: str) -> Path | None:
        """The tree that holds a controller, of either version."""
        return self.v2 if controller in self.controllers else self.v1.get(controller)

    def is_v2(self, controller: str) -> bool:
        """Whether a controller is of version 2."""
        return controller in self.controllers


def find_hierarchies() -> Hierarchies:
    """What is mounted now. Raises Unsupported on a machine without control groups."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for each in mounts.mounts():
        if not _is_visible(each):
            continue
        if each.kind == "cgroup2" and v2 is None:
            v2 = Path(each.target)
        elif each.kind == "cgroup":
            names = (name for name in each.super_options.split(",") if name not in _OPTIONS)
            v1.update((name, Path(each.target)) for name in names if name not in v1)
    if v2 is None and not v1:
        raise Unsupported("cannot find control groups: nothing is mounted at /sys/fs/cgroup")
    enabled = (files.read(v2 / "cgroup.controllers") or b"").decode().split() if v2 else []
    return Hierarchies(v2=v2, v1=v1, controllers=frozenset(enabled))


def _is_visible(mount: mounts.Mount) -> bool:
    """Whether it is what one sees at its path: another may be mounted over it."""
    try:
        device = Path(mount.target).stat().st_dev
    except OSError:
        return False
    return mount.device == f"{os.major(device)}:{os.minor(device)}"


_OPTIONS = frozenset({"rw", "ro", "xattr", "clone_children", "noprefix", "release_agent"})


def find_root(installation: str) -> str:
    """The path below which an installation's groups lie: what lives at the top, from a start by hand, stays there."""
    hierarchies, own = find_hierarchies(), f"/tank-{installation}"
    if Groups(hierarchies, own).populated(""):
        return own
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        parent, _, name = line.split(":", 2)[2].rpartition("/")
        if name == UNIT and any((tree / parent.lstrip("/") / PODS_UNIT).is_dir() for tree in hierarchies.all):
            return f"{parent}/{PODS_UNIT}"
    return own


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of one installation. Paths given to its methods are below `root`: `<uid>/<container>`."""

    hierarchies: Hierarchies
    root: str

    def path(self, name: str) -> str:
        """The path of a group as the runtime wants it: from the top of each hierarchy."""
        return f"{self.root}/{name}"

    def names(self, name: str = "") -> frozenset[str]:
        """The groups directly below one of ours, in whichever hierarchy."""
        return frozenset(
            entry.name
            for directory in self._everywhere(name)
            for entry in _entries(directory)
            if entry.is_dir(follow_symlinks=False) and (name or entry.name != HOLDER)
        )

    def make(self, name: str) -> tuple[Path, ...]:
        """Make a group for a monitor and return the files into which it must write itself to join.

        Only in the hierarchies that matter for it: version 2, systemd's, and those that charge or freeze.
        """
        directories = [tree / self.path(name).lstrip("/") for tree in self._of_monitors()]
        for directory in directories:
            directory.mkdir(parents=True, exist_ok=True)
        return tuple(directory / "cgroup.procs" for directory in directories)

    def processes(self, name: str) -> frozenset[int]:
        """Every process in a group and below it, in whichever hierarchy."""
        directories = (each for top in self._everywhere(name) for each in _tree(top))
        return frozenset(pid for directory in directories for pid in _pids(directory))

    def _of_monitors(self) -> tuple[Path, ...]:
        trees = [self.hierarchies.v2, *(self.hierarchies.v1.get(each) for each in _MONITORED)]
        return tuple(dict.fromkeys(tree for tree in trees if tree))

    def holds(self, name: str, pid: int) -> bool:
        """Whether a process is a direct member of a group made for a monitor."""
        return pid in _pids(self._of_monitors()[0] / self.path(name).lstrip("/"))

    def populated(self, name: str) -> bool:
        """Whether a process lives in a group or below it. Where there is a version 2 tree, it alone is asked."""
        v2 = self._v2(name)
        if v2 is not None:
            return bool(counters(v2 / "cgroup.events").get("populated"))
        return bool(self.processes(name))

    async def kill(self, name: str, *, seconds: float) -> None:
        """SIGKILL all in a group and below it, thawing what is frozen (R15), until it is empty.

        Raises Failed when something is still alive after `seconds` (R18).
        """
        pause = 0.0005
        try:
            async with asyncio.timeout(seconds):
                while self.strike(name):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.05)
        except TimeoutError as error:
            raise Failed(f"cannot kill all of {name}: {self._survivors(name)}") from error

    def strike(self, name: str) -> bool:
        """SIGKILL all in a group and below it, once, and say whether something is (or was, just now) alive."""
        # Every hierarchy is asked: a creation that was cut short has joined only some of them (R03).
        alive = self.processes(name)
        if not alive and not self.populated(name):
            return False
        v2 = self._v2(name)
        if v2 is not None:
            _put(v2 / "cgroup.kill", "1")
        for pid in alive:
            with suppress(ProcessLookupError, OSError):
                _kill(pid, name, self)
        self._thaw(name)
        return True

    def _thaw(self, name: str) -> None:
        freezer = self.hierarchies.v1.get("freezer")
        for top in self._everywhere(name):
            for directory in _tree(top):
                if freezer is not None and directory.is_relative_to(freezer):
                    _put(directory / "freezer.state", "THAWED")
                elif self.hierarchies.v2 is not None and directory.is_relative_to(self.hierarchies.v2):
                    _put(directory / "cgroup.freeze", "0")

    def _survivors(self, name: str) -> str:
        """Who will not die, and where in the kernel each hangs."""
        waits = ((pid, files.read(f"/proc/{pid}/wchan") or b"") for pid in sorted(self.processes(name)))
        return ", ".join(f"process {pid} hangs in {where.decode() or 'the kernel'}" for pid, where in waits)

    def frozen(self, name: str) -> bool:
        """Whether a group is paused."""
        for controller, file, word in (("freezer", "freezer.state", b"FROZEN"), ("", "cgroup.freeze", b"1")):
            tree = self.hierarchies.v1.get(controller) if controller else self.hierarchies.v2
            if tree and (files.read(tree / self.path(name).lstrip("/") / file) or b"").strip() == word:
                return True
        return False

    async def remove(self, name: str, *, seconds: float = 2.0) -> None:
        """An empty group and all below it is gone from every hierarchy. Raises Failed when it stays busy.

        The kernel lets go of a dead process's group a moment after its death: tried again until `seconds`.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._remove_everywhere(name):
            if asyncio.get_running_loop().time() > deadline:
                raise Failed(f"cannot remove the control group {self.path(name)}: it is still in use")
            await asyncio.sleep(0.002)

    def _remove_everywhere(self, name: str) -> bool:
        done = [self._remove_once(top) for top in self._everywhere(name)]  # all are tried, not only up to a busy one
        return all(done)

    def _remove_once(self, top: Path) -> bool:
        for directory in reversed(list(_tree(top))):
            try:
                directory.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                    return False
                raise
        return True

    def remove_root(self) -> None:
        """The installation's own top group is gone where nothing is left in it. A delegated one stays."""
        if self.root.rpartition("/")[2] == PODS_UNIT:
            return
        for top in self._everywhere(""):
            with suppress(OSError):
                top.rmdir()

    def oom_kills(self, name: str) -> int | None:
        """How many processes of this group the kernel killed for memory since it was made; None: cannot tell."""
        tree = self.hierarchies.tree("memory")
        if tree is None:
            return None
        directory = tree / self.path(name).lstrip("/")
        for file in ("memory.events.local", "memory.events", "memory.oom_control"):
            found = counters(directory / file)
            if "oom_kill" in found:
                return found["oom_kill"]
        return None

    def _v2(self, name: str) -> Path | None:
        return self.hierarchies.v2 / self.path(name).lstrip("/") if self.hierarchies.v2 else None

    def _everywhere(self, name: str) -> Iterator[Path]:
        relative = self.path(name).strip("/")
        for tree in self.hierarchies.all:
            if (directory := tree / relative).is_dir():
                yield directory


def _kill(pid: int, name: str, groups: Groups) -> None:
    """By pidfd, after making sure that the pid still means a process of this group (R16)."""
    fd = os.pidfd_open(pid)
    try:
        if pid in groups.processes(name):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
    finally:
        os.close(fd)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _tree(top: Path) -> Iterator[Path]:
    """A group and all below it, parents first."""
    yield top
    for entry in _entries(top):
        if entry.is_dir(follow_symlinks=False):
            yield from _tree(Path(entry.path))


def _pids(directory: Path) -> tuple[int, ...]:
    try:
        return tuple(int(pid) for pid in (files.read(directory / "cgroup.procs") or b"").split())
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EOPNOTSUPP):  # gone while it was read; threaded
            return ()
        raise


def counters(path: Path) -> dict[str, int]:
    """What a file of `name number` lines says; nothing when it is gone."""
    try:
        lines = (files.read(path) or b"").decode().splitlines()
    except OSError:  # ENODEV: gone while it was read
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines) if value.isdigit()}


def _put(path: Path, value: str) -> None:
    with suppress(OSError):
        path.write_text(value)
