"""The application on a unix socket of its own, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from tank.api.server import Server, serve
from tank.config import Settings
from tank.node.service import Node
from tests.api.node import FakeNode

WEB = {"name": "web", "labels": {"app": "web"}, "containers": [{"name": "app", "image": "nginx:1.27"}]}


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run", group="no-such-group")


@pytest.fixture
async def server(node: FakeNode, settings: Settings) -> AsyncIterator[Server]:
    running = await serve(cast("Node", node), settings)
    yield running
    await running.close()


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession("http://tank", connector=aiohttp.UnixConnector(str(server.path))) as session:
        yield session
