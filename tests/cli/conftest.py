"""A daemon with a node in memory, in a thread of its own; and the real command line in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from tank.api.server import serve
from tank.config import Settings
from tank.node.service import Node
from tests.api.node import FakeNode

T = TypeVar("T")


class Daemon:
    """The API of a `FakeNode` on a socket. `do` runs something on its loop."""

    def __init__(self, run_dir: Path) -> None:
        self.settings = Settings(run_dir=run_dir, data_dir=run_dir, group="no-such-group")
        self.url = f"unix://{self.settings.socket}"
        self.node = FakeNode()
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))

    def __enter__(self) -> Daemon:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.stop)
        self._thread.join()
        self._loop.close()

    def stop(self) -> None:
        """End the server; to be called on its loop."""
        self._end.set()

    def do(self, deed: Callable[[], T]) -> T:
        async def doing() -> T:
            return deed()

        return asyncio.run_coroutine_threadsafe(doing(), self._loop).result(10)

    async def _run(self) -> None:
        self._end = asyncio.Event()
        server = await serve(cast("Node", self.node), self.settings)
        self._ready.set()
        await self._end.wait()
        await server.close()


class Tank:
    """The `tank` command against one daemon. Calling it runs it to its end."""

    def __init__(self, url: str, home: Path) -> None:
        self.env = {"PATH": os.environ["PATH"], "TANK_HOST": url, "HOME": str(home), "LANG": "C.UTF-8"}
        self.home = home

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tank", *words]

    def __call__(self, *words: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.argv(*words),
            input=stdin,
            env=self.env | env,
            cwd=self.home,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def says(self, *words: str, **options: Any) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        done = self(*words, **options)
        return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path / "run") as running:
        yield running


@pytest.fixture
def tank(daemon: Daemon, tmp_path: Path) -> Tank:
    return Tank(daemon.url, tmp_path)
