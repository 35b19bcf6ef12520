"""User namespaces: born in a helper, with a range of ids of the host for theirs."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tank.errors import Failed
from tank.host import process

COUNT = 65_536  # ids of each range
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Range:
    """The ids from 0 to COUNT - 1 inside are those from `base` on of the host."""

    base: int

    def holds(self, number: int) -> bool:
        """Whether an id inside has one outside."""
        return 0 <= number < COUNT


@asynccontextmanager
async def born(ids: Range, kinds: Sequence[str]) -> AsyncIterator[int]:
    """The pid of a process in new namespaces: a user namespace with these ids, and in it those of `kinds`.

    It lives as long as the block. Raises Failed.
    """
    child = await process.spawn(
        [sys.executable, "-I", "-m", "tank.host.newns", *kinds], stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_SECONDS):
            await _heard(child, b"u")
            _map(child.pid, ids)
            assert child.stdin is not None
            child.stdin.write(b"m")
            await _heard(child, b"n")
        yield child.pid
    except TimeoutError as error:
        raise Failed(f"cannot make a user namespace: nothing was heard for {_SECONDS:g} s") from error
    finally:
        await process.end(child)


async def _heard(child: Process, word: bytes) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    if await child.stdout.read(1) != word:
        said = (await child.stderr.read()).decode(errors="replace").strip().splitlines()
        raise Failed(f"cannot make a user namespace: {said[-1] if said else 'the helper ended'}")


def _map(pid: int, ids: Range) -> None:
    try:
        for kind in ("uid", "gid"):
            Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {ids.base} {COUNT}")
    except OSError as error:
        raise Failed(f"cannot map the ids from {ids.base} on: {error.strerror}") from error
