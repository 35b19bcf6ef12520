"""Blocking work off the loop, which is never left half done.

A thread cannot be stopped. Whoever is cancelled while he waits for one therefore waits on until it has
finished, so that nothing still mounts or removes behind the back of whoever comes next.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` returns or raises, run in a thread. A cancellation is delivered when the thread is done."""
    return await run_on(None, functools.partial(function, *args, **kwargs))


async def run_on(executor: Executor | None, call: Callable[[], T]) -> T:
    """The same on an executor of the caller's: one with a single thread does its calls one after the other."""
    future = asyncio.get_running_loop().run_in_executor(executor, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((future,))
        with suppress(Exception):
            future.result()  # looked at, or asyncio would complain of it
        raise
