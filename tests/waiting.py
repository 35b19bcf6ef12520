"""The one place where tests wait: for a condition, with a deadline, never for a length of time.

A test that must wait says for what. The poll is 10 ms; a deadline is generous, since it is met only by a
failure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

POLL = 0.01
DEADLINE = 10.0


def wait_for(condition: Callable[[], T | None], seconds: float = DEADLINE, what: str = "") -> T:
    """The first true answer of `condition`. Raises AssertionError after `seconds` without one."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what or described(condition)}")
        time.sleep(POLL)
    return answer


@overload
async def wait_until(condition: Callable[[], Awaitable[T]], seconds: float = DEADLINE, what: str = "") -> T: ...
@overload
async def wait_until(condition: Callable[[], T], seconds: float = DEADLINE, what: str = "") -> T: ...
async def wait_until(condition: Callable[[], Any], seconds: float = DEADLINE, what: str = "") -> Any:
    """The same on a running loop; the condition may be a coroutine function."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        found = condition()
        answer = await found if isinstance(found, Awaitable) else found
        if answer:
            return answer
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what or described(condition)}")
        await asyncio.sleep(POLL)


def described(condition: Callable[[], object]) -> str:
    """A condition in words, for the message."""
    return getattr(condition, "__name__", repr(condition))
