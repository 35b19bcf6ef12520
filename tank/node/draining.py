"""Waiting for the end of every container because the machine goes down.

An end counts once it is on record: what the kernel and conmon know of it, is gone with the machine (R10).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from tank.errors import TankError
from tank.model.record import ContainerRecord
from tank.node.observe import Machine
from tank.node.pulse import Pulse

LOOK = 0.5  # seconds between two looks, if nothing is heard
RECORDING = 5.0  # seconds that the last ends may take to be written down

log = logging.getLogger("tank.node")


async def drained(machine: Machine, pulse: Pulse, nudge: Callable[[str], None]) -> None:
    """Have the passes go on until no container lives, and until each end is on record or cannot be had in time."""
    while living := await _living(machine):
        await _go_on(machine, living, pulse, nudge)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RECORDING):
            while unwritten := _unwritten(machine):
                await _go_on(machine, unwritten, pulse, nudge)


async def _go_on(machine: Machine, uids: Iterable[str], pulse: Pulse, nudge: Callable[[str], None]) -> None:
    with pulse.subscribe() as news, contextlib.suppress(TimeoutError):
        for uid in uids:
            record = machine.records.pod(uid)
            if record is not None:
                nudge(record.name)
        async with asyncio.timeout(LOOK):
            await news.take()


async def _living(machine: Machine) -> list[str]:
    living = []
    for uid in list(machine.records.pods()):
        try:
            seen = await machine.runtime.observe(uid)
        except (TankError, OSError) as error:
            log.warning("pod %s cannot be looked at while the machine goes down: %s", uid, error)
            continue
        if any(each.alive for each in seen.values()):
            living.append(uid)
    return living


def _unwritten(machine: Machine) -> list[str]:
    records = machine.records
    return [uid for uid in records.pods() if any(map(_is_open, records.containers(uid).values()))]


def _is_open(record: ContainerRecord) -> bool:
    """Whether it ran, and nothing says how that ended."""
    attempt = record.attempt
    if attempt is None or attempt.started_at is None:
        return False
    return not any(each.attempt == attempt.number for each in record.exits)
