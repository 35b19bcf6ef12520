"""Events reach the store, and one that cannot be stored holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.node.report import Report
from tank.store.base import Store
from tank.store.memory import MemoryStore
from tank.store.sqlite import SqliteStore
from tests.waiting import wait_until


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield made
    await made.close()


async def test_a_message_that_quotes_what_is_no_text_is_stored(store: Store) -> None:
    report = Report(store)
    report.warning("web", "0123456789ab", "Failed", "it needs /\udcff")
    await report.flush()
    assert [each.message for each in await store.events()] == ["it needs /?"]


async def test_an_event_that_can_never_be_stored_is_dropped(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "store.db")
    report = Report(store)
    running = asyncio.create_task(report.run())
    report.warning("no \udcff text", "0123456789ab", "Failed", "first")
    report.normal("web", "0123456789ab", "Started", "second")
    try:
        stored = await wait_until(store.events)
        assert [each.message for each in stored] == ["second"]
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()
