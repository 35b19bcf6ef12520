"""The only spawner: what a child gets, how it ends."""

from __future__ import annotations

import asyncio
import os

import pytest

from tank.errors import Failed, Timeout, ToolFailed
from tank.host import process
from tests.waiting import wait_until


async def test_the_output_of_a_program_given_its_input() -> None:
    data = os.urandom(500_000)
    assert await process.run(["cat"], input=data) == data


async def test_a_code_that_is_not_zero_is_an_error_with_the_last_words() -> None:
    with pytest.raises(ToolFailed) as caught:
        await process.run(["sh", "-c", "echo why >&2; exit 3"])
    assert (caught.value.code, caught.value.stderr) == (3, "why\n")


async def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(Failed, match="cannot run /no/such"):
        await process.run(["/no/such"])


async def test_what_is_too_slow_is_killed() -> None:
    with pytest.raises(Timeout):
        await process.run(["sleep", "100"], seconds=0.05)


async def test_what_was_cancelled_is_killed_and_reaped() -> None:
    child = await process.spawn(["sleep", "100"])
    task = asyncio.create_task(process.end(child))
    await asyncio.sleep(0)
    task.cancel()
    await wait_until(lambda: child.returncode is not None)
    assert child.returncode == -9


async def test_only_the_wanted_descriptors_are_inherited() -> None:
    leak = os.open("/", os.O_RDONLY)
    wanted = os.open("/", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        said = await process.run(["sh", "-c", "ls /proc/$$/fd; true"], pass_fds=(wanted,))
        assert set(said.split()) == {b"0", b"1", b"2", str(wanted).encode()}
    finally:
        os.close(leak)
        os.close(wanted)


async def test_nothing_of_our_environment_is_inherited() -> None:
    os.environ["TANK_SECRET_FOR_TEST"] = "x"
    try:
        said = await process.run(["env"])
    finally:
        del os.environ["TANK_SECRET_FOR_TEST"]
    assert {line.split(b"=")[0] for line in said.splitlines()} == {b"PATH", b"LC_ALL"}


async def test_many_at_once_leave_no_descriptor() -> None:
    await process.run(["true"])
    before = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(process.run(["true"]) for _ in range(30)))
    assert len(os.listdir("/proc/self/fd")) == before
