"""Waiting for the disk together: one sync for all who come while another runs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tank.image.syncs import Syncs
from tests.waiting import wait_until


class Disk:
    """A disk whose syncs end when they are let go; what was written by the beginning of one is durable by its end."""

    def __init__(self) -> None:
        self.written = self.durable = self.begun = 0
        self.go = threading.Semaphore(0)
        self.failures: list[OSError] = []

    def sync(self) -> None:
        self.begun += 1
        written = self.written
        assert self.go.acquire(timeout=10)
        if self.failures:
            raise self.failures.pop()
        self.durable = max(self.durable, written)


async def writes(disk: Disk, syncs: Syncs) -> bool:
    """Write something; whether it is durable once it is said to be."""
    disk.written += 1
    mine = disk.written
    await syncs.sync()
    return disk.durable >= mine


async def test_many_who_come_at_once_share_one_sync() -> None:
    disk = Disk()
    syncs = Syncs(disk.sync)
    disk.go.release(2)

    assert await asyncio.gather(*(writes(disk, syncs) for _ in range(100))) == [True] * 100
    assert disk.begun == 1


async def test_who_comes_while_one_runs_gets_the_next() -> None:
    disk = Disk()
    syncs = Syncs(disk.sync)
    first = asyncio.create_task(writes(disk, syncs))
    await wait_until(lambda: disk.begun == 1)
    others = [asyncio.create_task(writes(disk, syncs)) for _ in range(5)]
    await asyncio.sleep(0)
    disk.go.release()
    assert await first
    await wait_until(lambda: disk.begun == 2)
    assert not any(each.done() for each in others)
    disk.go.release()

    assert await asyncio.gather(*others) == [True] * 5
    assert disk.begun == 2


async def test_a_failure_reaches_all_who_shared_it_and_nobody_after() -> None:
    disk = Disk()
    syncs = Syncs(disk.sync)
    disk.failures.append(OSError(5, "the disk is broken"))
    disk.go.release(2)

    found = await asyncio.gather(*(writes(disk, syncs) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [OSError] * 3
    assert await writes(disk, syncs)


async def test_who_is_cancelled_leaves_when_the_sync_has_ended_and_takes_nobody_along() -> None:
    disk = Disk()
    syncs = Syncs(disk.sync)
    one, other = asyncio.create_task(writes(disk, syncs)), asyncio.create_task(writes(disk, syncs))
    await wait_until(lambda: disk.begun == 1)
    one.cancel()
    await asyncio.sleep(0)
    assert not one.done()
    disk.go.release()

    assert await other
    with pytest.raises(asyncio.CancelledError):
        await one
