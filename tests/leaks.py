"""The leak oracle: what of ours stands on the machine, before a test and after it. The difference must be
empty.

Ours is only what a test of this run can have made: processes that carry the run's mark in their
environment, are children of this one, or live in a control group of an installation that was not here
before the run; mounts below the run's own directory; links, routes, tables and loop devices that were not
there before. What stood on the machine when the run began is somebody else's and is never looked at twice,
let alone touched.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

MARK = "TANK_TEST_RUN"
GROUP = re.compile(r"/tank-([0-9a-f]{6})(?:/|$)")
PROC = Path("/proc")
ANYCAST = 0x00100000  # RTF_ANYCAST: the routes that the kernel gives every interface of a host that forwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One look at the machine; every member is a set of descriptions that a person can act upon."""

    processes: frozenset[str]
    groups: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    tables: frozenset[str]
    loops: frozenset[str]
    runtimes: frozenset[str]
    descriptors: frozenset[str]
    threads: frozenset[str]

    def since(self, before: Snapshot) -> list[str]:
        """What is here and was not before, one line each."""
        return [
            f"{each.name}: {found}"
            for each in fields(self)
            for found in sorted(getattr(self, each.name) - getattr(before, each.name))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What belongs to this run: its mark, its directory, and the installations that were here before it."""

    mark: str
    directory: Path
    strangers: frozenset[str]

    def look(self) -> Snapshot:
        """The machine now."""
        gc.collect()
        return Snapshot(
            processes=frozenset(self._processes()),
            groups=frozenset(str(group) for group in groups() if installation(str(group)) not in self.strangers),
            mounts=frozenset(self._mounts()),
            namespaces=frozenset(own_namespaces()),
            links=frozenset(os.listdir("/sys/class/net")),
            routes=frozenset(routes()),
            tables=frozenset(tables()),
            loops=frozenset(loops()),
            runtimes=frozenset(names(Path("/run/crun"))),
            descriptors=frozenset(descriptors()),
            threads=frozenset(thread.name for thread in threading.enumerate()),
        )

    def _mounts(self) -> Iterator[str]:
        """In directories of other runs, daemons come and go meanwhile."""
        for line in mounts():
            if str(self.directory) in line or ("/tank-" in line and str(self.directory.parent) not in line):
                yield line

    def _processes(self) -> Iterator[str]:
        me = str(os.getpid())
        for process in processes():
            if process.pid == me or (process.zombie and process.parent != me):
                continue
            found = installation(process.group)
            ours = found is not None and found not in self.strangers
            if ours or process.parent == me or process.marked(self.mark):
                yield f"{process.pid} {process.words()}"


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc tells of a process."""

    pid: str
    parent: str
    zombie: bool
    group: str

    def marked(self, mark: str) -> bool:
        """Whether its environment carries the mark of a run."""
        return f"{MARK}={mark}".encode() in read(PROC / self.pid / "environ").split(b"\0")

    def words(self) -> str:
        """Its command line, or its name when it has none any more."""
        line = read(PROC / self.pid / "cmdline").replace(b"\0", b" ") or read(PROC / self.pid / "comm")
        return line.decode(errors="replace").strip()[:300] + (" (zombie)" if self.zombie else "")


def read(path: Path) -> bytes:
    """A file that may vanish while it is read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def names(directory: Path) -> list[str]:
    """The entries of a directory that may not be there."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


def processes() -> Iterator[Process]:
    """Every process of the machine."""
    for pid in filter(str.isdigit, os.listdir(PROC)):
        stat = read(PROC / pid / "stat").rpartition(b")")[2].split()
        if stat:
            group = read(PROC / pid / "cgroup").decode(errors="replace")
            yield Process(pid, stat[1].decode(), stat[0] == b"Z", group)


def installation(text: str) -> str | None:
    """The installation whose control group is named in a path or in /proc/PID/cgroup."""
    found = GROUP.search(text.replace("\n", "/"))
    return found[1] if found else None


def hierarchies() -> list[Path]:
    """The mount point of every control group hierarchy, of both versions."""
    rows = [line.split() for line in read(PROC / "self/mountinfo").decode().splitlines()]
    return [Path(row[4]) for row in rows if row[row.index("-") + 1] in ("cgroup", "cgroup2")]


def groups() -> Iterator[Path]:
    """Every control group of every installation outside systemd, the innermost last."""
    for hierarchy in hierarchies():
        for top in hierarchy.glob("tank-*"):
            for directory, _, _ in os.walk(top):
                yield Path(directory)


def mounts() -> list[str]:
    """Mount point, type and source of every mount of our namespace, repeated mounts numbered."""
    found: list[str] = []
    for line in read(PROC / "self/mountinfo").decode(errors="replace").splitlines():
        row = line.split()
        rest = row.index("-")
        text = f"{row[4]} {row[rest + 1]} {row[rest + 2]} root={row[3]}"
        found.append(f"{text} #{found.count(text)}" if text in found else text)
    return found


def own_namespaces() -> Iterator[str]:
    """Network namespaces that a thread of ours sits in, beside the one it was born in."""
    born = os.readlink("/proc/1/ns/net") if os.access("/proc/1/ns/net", os.R_OK) else ""
    for task in (PROC / "self/task").iterdir():
        try:
            now = os.readlink(task / "ns/net")
        except OSError:
            continue
        if now != born:
            yield f"{now} of thread {task.name}"


def routes() -> Iterator[str]:
    """Routes without what counts and ages, and our addresses."""
    for line in read(PROC / "net/route").decode().splitlines()[1:]:
        row = line.split()
        yield f"{row[0]} {row[1]}/{row[7]} via {row[2]}"
    for line in read(PROC / "net/ipv6_route").decode().splitlines():
        row = line.split()
        if not int(row[8], 16) & ANYCAST:
            yield f"{row[9]} {row[0]}/{row[1]} via {row[4]}"
    for line in sorted(set(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", read(PROC / "net/fib_trie").decode()))):
        yield f"address {line}"


def tables() -> list[str]:
    """The tables of nftables."""
    try:
        told = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return told.stdout.splitlines()


def loops() -> Iterator[str]:
    """Loop devices and the files behind them."""
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        yield f"{backing.parts[3]} {read(backing).decode().strip()}"


def descriptors() -> Iterator[str]:
    """Our own open descriptors, by what they lead to."""
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if not target.startswith(("/dev/", "/proc/")) and not target.startswith(sys.prefix):
            yield f"{name} -> {target}"
