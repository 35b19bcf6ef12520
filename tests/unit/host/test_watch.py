"""Hints from the kernel, threads that are never left half done, streams without a buffer."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from tank.host import streams, syscalls
from tank.host.threads import in_thread
from tank.host.watch import Process, Watcher, start_time_of
from tests.waiting import wait_until


async def test_every_watcher_of_a_directory_hears_of_a_file(tmp_path: Path) -> None:
    watcher = Watcher()
    first: list[str] = []
    second: list[str] = []
    with watcher.watch(tmp_path, syscalls.IN_CLOSE_WRITE, first.append):
        with watcher.watch(tmp_path, syscalls.IN_CREATE, second.append):
            (tmp_path / "a").touch()
            await wait_until(lambda: first and second)
        second.clear()
        (tmp_path / "b").touch()
        await wait_until(lambda: "b" in first)
    assert second == []
    watcher.close()


async def test_what_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    watcher = Watcher()
    with pytest.raises(FileNotFoundError):
        watcher.add(tmp_path / "none", syscalls.IN_MODIFY, lambda _: None)
    watcher.close()


async def test_a_process_is_itself_only_with_its_start_time() -> None:
    child = await asyncio.create_subprocess_exec("sleep", "100")
    start = start_time_of(child.pid)
    assert start is not None
    assert Process.identified(child.pid, start + 1) is None
    found = Process.identified(child.pid, start)
    assert found is not None
    with found:
        found.signal(9)
        await found.ended()
        await child.wait()
        found.signal(9)
    assert start_time_of(child.pid) is None
    assert Process.identified(child.pid, start) is None


async def test_a_cancelled_wait_for_a_thread_ends_when_the_thread_has() -> None:
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait(10)
        done.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_a_full_pipe_holds_up_the_writer_until_it_is_read() -> None:
    read, write = os.pipe()
    for fd in (read, write):
        streams.set_non_blocking(fd)
    data = os.urandom(300_000)
    writing = asyncio.create_task(streams.write(write, data))
    got = b""
    while len(got) < len(data):
        await streams.readable([read])
        got += streams.read_now(read) or b""
    await writing
    assert got == data
    assert streams.read_now(read) is None
    os.close(write)
    assert streams.read_now(read) == b""
    os.close(read)
