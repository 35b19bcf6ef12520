"""A machine that exists in memory, with a clock that a test holds and a fuse that can blow.

The world outlives the drivers made over it, as a real machine outlives the daemon. With a fuse set, the n-th
effect from now raises `Crash`, before or after it has happened, and every later one too: the daemon is dead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from tank.model.facts import Now
from tank.model.image import Image
from tank.model.pools import Kept, Wiring


class Crash(BaseException):
    """The daemon died here."""


class Violation(BaseException):
    """What must never happen happened."""


@dataclass(slots=True)
class Process:
    """A container's attempt, as the world sees it."""

    attempt: int
    pid: int
    start_time: int
    alive: bool = True
    started: bool = False
    exit_code: int | None = None
    exit_wall: float | None = None
    signals: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Sandbox:
    """A pod's namespaces and what is configured in them."""

    pins: dict[str, bool]
    wanted: tuple[str, ...] = ()
    nics: tuple[str, ...] | None = None


@dataclass(slots=True)
class World:
    """Everything that would survive a SIGKILL of the daemon, and the log of what was done."""

    boot: float = 1000.0
    wall: float = 1_800_000_000.0
    boot_id: str = "boot-1"
    processes: dict[tuple[str, str], Process] = field(default_factory=dict)
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    registry: dict[str, Image] = field(default_factory=dict)  # what a pull would find
    here: dict[str, Image] = field(default_factory=dict)  # by reference, and by repository@digest
    distrusted: dict[str, str] = field(default_factory=dict)  # by digest: why the rules of trust refuse it
    refusals: dict[str, Exception] = field(default_factory=dict)  # by action: raised instead of done
    lacks: str = ""  # what this machine cannot do
    stubborn: bool = False  # processes ignore every signal but the kill
    answers: dict[str, bool | None] = field(default_factory=dict)  # by "NAME KIND" of a probe or hook; else true
    seconds: dict[str, float] = field(default_factory=dict)  # by "NAME KIND" of a hook: how long it takes; else nothing
    files: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)  # by uid: what was refilled last
    deeds: list[str] = field(default_factory=list)
    wirings: list[Wiring] = field(default_factory=list)  # what the machine's network was told to be
    kept: deque[Kept] = field(default_factory=deque)  # what comes of it, the next times
    fuse: int | None = None
    before: bool = True  # the fuse blows before the effect
    dead: bool = False  # the fuse has blown
    pids: int = 100
    sleepers: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    def now(self) -> Now:
        """The held clock."""
        return Now(boot=self.boot, boot_id=self.boot_id, wall=self.wall)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.boot += seconds
        self.wall += seconds
        awake = [sleeper for due, sleeper in self.sleepers if due <= self.boot and not sleeper.done()]
        self.sleepers = [each for each in self.sleepers if each[0] > self.boot]
        for sleeper in awake:
            sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Return when that time has passed by this clock."""
        if seconds > 0:
            sleeper = asyncio.get_running_loop().create_future()
            self.sleepers.append((self.boot + seconds, sleeper))
            await sleeper

    def reboot(self) -> None:
        """Everything volatile is gone, and the boot clock begins anew."""
        self.processes.clear()
        self.sandboxes.clear()
        self.boot, self.boot_id = 10.0, self.boot_id + "+"
        self.wall += 60

    def exit(self, uid: str, container: str, code: int) -> None:
        """The container's program ends by itself, and its monitor writes that down."""
        process = self.processes[uid, container]
        process.alive, process.exit_code, process.exit_wall = False, code, self.wall

    def spark(self, deed: str) -> None:
        """An effect begins. Raises Crash when the fuse blows before it, or what the test wants refused."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0 or (self.fuse == 0 and self.before):
                self.fuse, self.dead = 0, True
                raise Crash(deed)
        if deed.split()[0] in self.refusals:
            raise self.refusals[deed.split()[0]]

    def did(self, deed: str) -> None:
        """The effect has happened. Raises Crash when the fuse blows after it."""
        self.deeds.append(deed)
        if self.fuse == 0:
            self.dead = True
            raise Crash(deed)

    def revive(self) -> None:
        """A new daemon: the fuse is out."""
        self.fuse, self.dead = None, False
