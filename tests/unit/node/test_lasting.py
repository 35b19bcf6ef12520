"""What should last is begun again, whatever ends it, and that is told."""

from __future__ import annotations

import asyncio

from tank.node.lasting import lasting
from tests.waiting import wait_until


async def test_what_ends_is_told_and_begun_again_until_it_is_cancelled() -> None:
    told, ends = list[str](), [OSError("no"), None, ExceptionGroup("in a group", [KeyError("x")])]

    async def work() -> None:
        if not ends:
            await asyncio.Event().wait()
        if (fault := ends.pop(0)) is not None:
            raise fault

    task = asyncio.create_task(lasting("network", work, told.append, pause=0))
    await wait_until(lambda: not ends and len(told) == 3)
    assert [each.partition(":")[0] for each in told] == ["network"] * 3
    assert "it ended by itself" in told[1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
