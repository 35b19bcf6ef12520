"""The watch over the disk (R29, R30, P8): a full one stops new work, never running work, and heals by itself.

Each look is one system call. Short of space, the reserve is let go of, so that records and the database can be written
and a deletion goes through; unused images go; pulls wait, and are tried again as soon as there is more space than
when they were refused. The condition `DiskPressure` says so for as long as it lasts, and `ImageUnreadable` that no
image can be removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from tank.errors import TankError
from tank.host import reserve
from tank.host.reserve import Reserve
from tank.host.space import Space
from tank.image.collect import Goal
from tank.image.pull import ImageStore
from tank.image.refusal import PRESSURE
from tank.model.images import DiskUsage
from tank.model.record import ContainerRecord
from tank.node import usage
from tank.node.collector import Collector
from tank.node.observe import Machine
from tank.node.report import Report

LOOK = 1.0  # seconds between two looks
AGAIN = 10.0  # seconds between two collections that freed nothing
SWEEP = 300.0  # seconds between two collections without need: what is used is noted, what is of no image goes
GREW = 2**20  # bytes more than at the refusal, or inodes below, that make another try worthwhile
GREW_INODES = 64
UNREADABLE = "ImageUnreadable"  # a condition
_LOOKS = 4  # at most, for what nobody seems to own

log = logging.getLogger("tank.node")


class Disk:
    """The watch of one machine."""

    def __init__(
        self,
        machine: Machine,
        images: ImageStore,
        collector: Collector,
        *,
        report: Report,
        nudge: Callable[[str], None],
        hasten: Callable[[str, str], None],
        conditions: dict[str, str],
    ) -> None:
        """`conditions`: of the node, for people; `nudge` makes the loop look at a pod, `hasten` voids its wait."""
        self._machine, self._images, self._collector = machine, images, collector
        self._report, self._nudge, self._conditions, self._hasten = report, nudge, conditions, hasten
        self._reserve = Reserve(machine.settings.data_dir / "reserve")
        self._refused: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._first = True
        self._sweep_at, self._urgent_at = 0.0, 0.0  # boot time of the next collection, with and without need
        self.fault = ""  # why there is pressure, in words; empty when there is none

    async def run(self) -> None:
        """Watch until cancelled."""
        self._sweep_at = self._machine.now().boot + SWEEP
        while True:
            try:
                await self.look()
            except (TankError, OSError) as error:
                log.warning("cannot look after the disk: %s", error)
            await asyncio.sleep(LOOK)

    async def look(self) -> None:
        """One look, and what follows from it. Raises OSError, Unavailable."""
        self.relieve()
        seen = self._images.room.space()
        self._judge(self._images.room.fault(seen))
        self._retry(seen)
        now = self._machine.now().boot
        pressed = self.fault or self._collector.blind or self._collector.over()
        if now < (self._urgent_at if pressed else self._sweep_at):
            return
        self._sweep_at, self._urgent_at = now + SWEEP, now + AGAIN
        if await self._collector.collect(self._lacking(seen)):
            self._urgent_at = now + LOOK  # there may be more to free
        self._tell(self._collector.blind)

    async def usage(self) -> DiskUsage:
        """The owner of every byte. Raises OSError.

        What seems to have none may be coming or going, and is looked at again: its owner may be on record by now.
        """
        pods: dict[str, str] = {}
        top = self._machine.settings.data_dir
        for _ in range(_LOOKS):
            pods |= self._machine.records.names()
            seen = await self._images.keeper.look()
            found = await asyncio.to_thread(usage.usage, top, dict(pods), seen, self._images.room.space())
            if not found.unowned:
                break
        return found

    def _lacking(self, seen: Space) -> Goal:
        """What there is too little of to end the pressure."""
        size, inodes = self._images.room.spare(seen)
        return Goal(size=max(0, -size), entries=max(0, -inodes))

    def relieve(self) -> None:
        """Let go of the reserve while space is short, and take it back when there is plenty. Takes no time."""
        try:
            seen = self._images.room.space()
            size = reserve.size_for(seen.total)
            held = self._reserve.held
            inodes = seen.inodes_free if seen.inodes else 2**62
            if held and (seen.free < size // 4 or inodes < reserve.INODES):
                self._reserve.release()
                log.warning("the disk is full: the reserve of %d bytes is let go of", held)
            elif held < size and seen.free > 3 * size and inodes > 4 * reserve.INODES:
                self._reserve.take(size)
        except OSError as error:
            log.warning("cannot keep a reserve: %s", error)

    def _judge(self, fault: str) -> None:
        if fault:
            self._conditions[PRESSURE] = fault
        else:
            self._conditions.pop(PRESSURE, None)
        if fault and not self.fault:
            log.warning("disk pressure: %s", fault)
            self._report.warning("", "", PRESSURE, f"{fault}; no image is pulled until there is more space")
        if self.fault and not fault:
            log.info("the disk has space again")
            self._report.normal("", "", "DiskPressureGone", "there is space again; images are pulled")
        self.fault = fault

    def _tell(self, blind: str) -> None:
        """That no image can be collected is seen before the disk is full."""
        if blind and UNREADABLE not in self._conditions:
            self._report.warning("", "", UNREADABLE, f"no image is removed: {blind}")
        if blind:
            self._conditions[UNREADABLE] = f"no image is removed: {blind}"
        else:
            self._conditions.pop(UNREADABLE, None)

    def _retry(self, seen: Space) -> None:
        """What was refused for want of space is tried again when there is more of it than then."""
        spare = self._images.room.spare(seen)
        refused = dict(self._refused)
        self._refused = {}
        for uid, record in self._waiting():
            assert record.trouble is not None
            key = (uid, record.name, record.trouble.failures)
            before = refused.get(key) or _less(spare, self._images.fitting.short or spare)
            grew = spare[0] - before[0] >= GREW or spare[1] - before[1] >= GREW_INODES
            if not self.fault and (grew or self._first):
                self._again(uid, record)
            else:
                self._refused[key] = _less(before, spare)
        self._first = False

    def _waiting(self) -> Iterator[tuple[str, ContainerRecord]]:
        for uid in list(self._machine.records.pods()):
            for record in list(self._machine.records.containers(uid).values()):
                if record.trouble is not None and record.trouble.reason == PRESSURE:
                    yield uid, record

    def _again(self, uid: str, record: ContainerRecord) -> None:
        pod = self._machine.records.pod(uid)
        if pod is not None:
            self._hasten(uid, record.name)
            self._nudge(pod.name)


def _less(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The smaller of both, bytes and inodes apart."""
    return min(one[0], other[0]), min(one[1], other[1])
