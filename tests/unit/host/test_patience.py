"""A wait that counts only the time in which we were awake (R56)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import pytest

from tank.host.patience import Patience


class Jumping(asyncio.SelectorEventLoop):
    """A loop whose clock can be set forward, as a loop that was not run for a while finds it."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def run(scene: Callable[[Jumping], object]) -> object:
    """What a coroutine function comes to on such a loop."""
    loop = Jumping()
    try:
        return loop.run_until_complete(scene(loop))  # type: ignore[arg-type]
    finally:
        loop.close()


async def test_an_answer_that_is_there_is_taken_at_once() -> None:
    answer = asyncio.get_running_loop().create_future()
    answer.set_result("yes")
    assert await Patience(60.0).wait(answer)


async def test_an_answer_that_comes_ends_the_wait() -> None:
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    loop.call_soon(answer.set_result, "yes")
    assert await Patience(math.inf).wait(answer)


async def test_without_an_answer_it_ends_and_leaves_the_question_alone() -> None:
    answer = asyncio.get_running_loop().create_future()
    patience = Patience(0.05)
    assert not await patience.wait(answer)
    assert not answer.cancelled()


def test_a_jump_is_lag_and_costs_the_answer_nothing() -> None:
    async def scene(loop: Jumping) -> tuple[bool, bool]:
        answer, patience = loop.create_future(), Patience(100.0)
        loop.call_later(0.0, setattr, loop, "ahead", 150.0)  # while the first step of a second is waited for
        loop.call_later(151.5, answer.set_result, "yes")
        return await patience.wait(answer), 140 < patience.lag < 151

    assert run(scene) == (True, True)


@pytest.mark.parametrize(
    ("took", "left", "lag"), [(0.1, 0.9, 0.0), (0.05, 0.9, 0.0), (0.14, 0.9, 0.04), (0.16, 1.0, 0.06), (5.0, 1.0, 4.9)]
)
def test_a_step_that_ends_late_does_not_count(took: float, left: float, lag: float) -> None:
    patience = Patience(1.0)
    patience._count(0.1, took)
    assert (round(patience._left, 6), round(patience.lag, 6)) == (left, lag)


def test_a_machine_that_never_comes_to_its_senses_is_not_waited_for_without_end() -> None:
    patience = Patience(1.0)
    for _ in range(4):
        patience._count(0.1, 1.0)
    assert patience._left > 0 > patience._most
