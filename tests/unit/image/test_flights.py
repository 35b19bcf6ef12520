"""One flight for all: shared, survived by whoever stays, ended with the last."""

from __future__ import annotations

import asyncio

import pytest

from tank.image.flights import Flights, together, uninterrupted


class Journey:
    """Work that waits to be let go, and counts how often it was begun, ended and cleaned up."""

    def __init__(self) -> None:
        self.begun = self.ended = self.cleaned = 0
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def run(self) -> int:
        self.begun += 1
        try:
            await self.go.wait()
            if self.failure is not None:
                raise self.failure
            self.ended += 1
            return 7
        finally:
            await asyncio.sleep(0)
            self.cleaned += 1


async def boarded(*passengers: asyncio.Task[int]) -> None:
    for _ in passengers:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_all_share_one_flight_and_its_result() -> None:
    flights, journey = Flights(), Journey()
    passengers = [asyncio.create_task(flights.join("a", journey.run)) for _ in range(5)]
    await boarded(*passengers)
    assert "a" in flights
    journey.go.set()

    assert (await asyncio.gather(*passengers), journey.begun) == ([7] * 5, 1)
    assert "a" not in flights


async def test_all_share_its_failure() -> None:
    flights, journey = Flights(), Journey()
    journey.failure = ValueError("no")
    passengers = [asyncio.create_task(flights.join("a", journey.run)) for _ in range(3)]
    await boarded(*passengers)
    journey.go.set()

    assert await asyncio.gather(*passengers, return_exceptions=True) == [journey.failure] * 3


async def test_one_who_leaves_does_not_end_it_for_the_others() -> None:
    flights, journey = Flights(), Journey()
    one, other = (asyncio.create_task(flights.join("a", journey.run)) for _ in range(2))
    await boarded(one, other)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    journey.go.set()

    assert (await other, journey.begun, journey.ended) == (7, 1, 1)


async def test_the_last_to_leave_ends_it_and_waits_until_it_is_cleaned_up() -> None:
    flights, journey = Flights(), Journey()
    passengers = [asyncio.create_task(flights.join("a", journey.run)) for _ in range(2)]
    await boarded(*passengers)
    for each in passengers:
        each.cancel()
    await asyncio.gather(*passengers, return_exceptions=True)

    assert (journey.cleaned, journey.ended, "a" in flights) == (1, 0, False)


async def test_who_comes_while_it_is_ended_gets_a_flight_of_its_own() -> None:
    flights, journey = Flights(), Journey()
    first = asyncio.create_task(flights.join("a", journey.run))
    await boarded(first)
    first.cancel()
    await asyncio.sleep(0)
    second = asyncio.create_task(flights.join("a", journey.run))
    await asyncio.gather(first, return_exceptions=True)
    await boarded(second)
    journey.go.set()

    assert (await second, journey.begun) == (7, 2)


async def test_closing_ends_every_flight() -> None:
    flights, journey = Flights(), Journey()
    passengers = [asyncio.create_task(flights.join(key, journey.run)) for key in "abc"]
    await boarded(*passengers)
    await flights.close()

    assert journey.cleaned == 3
    assert all(
        isinstance(each, asyncio.CancelledError) for each in await asyncio.gather(*passengers, return_exceptions=True)
    )


async def test_together_the_first_failure_ends_the_rest_before_it_is_raised() -> None:
    good, bad = Journey(), Journey()
    bad.failure = ValueError("no")
    bad.go.set()

    async def run(journey: Journey) -> None:
        await journey.run()

    with pytest.raises(ValueError, match="no"):
        await together(run(good), run(bad))
    assert (good.cleaned, good.ended) == (1, 0)


async def test_uninterrupted_work_is_done_before_a_cancellation_is_raised() -> None:
    journey = Journey()
    task = asyncio.create_task(uninterrupted(journey.run()))
    await asyncio.sleep(0)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    journey.go.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert journey.ended == 1


async def test_uninterrupted_work_gives_its_result_and_its_failure() -> None:
    good, bad = Journey(), Journey()
    good.go.set()
    bad.go.set()
    bad.failure = ValueError("no")

    assert await uninterrupted(good.run()) == 7
    with pytest.raises(ValueError, match="no"):
        await uninterrupted(bad.run())
