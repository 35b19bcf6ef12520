"""One flight for all who want the same thing (C6).

Whoever asks for something that is on its way joins in. A passenger that is cancelled leaves; the last one to leave
ends the flight, and waits until it has cleaned up. Success and failure reach every passenger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Any]
    passengers: int = 0


class Flights:
    """What is under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}
        self._leaving: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the flight under `key`, started now if there is none."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()))
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        flight.passengers += 1
        try:
            result: T = await asyncio.shield(flight.task)
            return result
        finally:
            flight.passengers -= 1
            if not flight.passengers and not flight.task.done():
                self._forget(key, flight.task)  # who comes now starts anew, and disturbs nothing
                await self._ended(flight.task)

    def _landed(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        self._forget(key, task)
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when every passenger has left

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]

    async def _ended(self, task: asyncio.Task[Any]) -> None:
        self._leaving.add(task)
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        """End every flight; its passengers see a cancellation."""
        tasks = {flight.task for flight in self._flights.values()} | self._leaving
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Do all at once. The first failure ends the others, and is raised when they have ended."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def uninterrupted(work: Awaitable[T]) -> T:
    """Wait for `work` to its end; a cancellation meanwhile is raised after it. For threads, which cannot be stopped."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001 - raised below, by result()
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
