"""The network driver keeps nobody waiting who asks for something else."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from tank.config import Settings
from tank.model.parse import parse_pod
from tank.net.driver import NetDriver
from tests.waiting import wait_until

POD = parse_pod(
    {
        "name": "web",
        "network": {"nics": [{"name": "eth0", "ip": {"pool": "default"}}]},
        "containers": [{"name": "app", "image": "x"}],
    }
)


@pytest.mark.timeout(10)
async def test_a_book_that_is_slow_to_be_read_holds_up_nobody_else(tmp_path: Path) -> None:
    driver, book = NetDriver(Settings(data_dir=tmp_path), "ab12cd"), tmp_path / "net" / "leases.json"
    book.parent.mkdir()
    os.mkfifo(book)

    def written() -> bool:
        with suppress(OSError):  # nobody reads yet
            opened = os.open(book, os.O_WRONLY | os.O_NONBLOCK)
            os.write(opened, b"{}")
            os.close(opened)
            return True
        return False

    refusal, _ = await asyncio.gather(driver.refusal(POD), wait_until(written))

    await driver.close()
    assert refusal == ""
