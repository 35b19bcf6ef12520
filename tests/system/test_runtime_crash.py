"""What a killed runtime or a killed daemon leaves half made is seen, and gone after one discard (R01, R03)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tank.errors import TankError
from tank.runtime.equipment import Programs
from tests.runtime_rig import Rig, opened

pytestmark = pytest.mark.system

MILLISECONDS = range(0, 60, 5)


def faulty_crun(directory: Path, delay: float) -> Path:
    """A crun whose `create` is killed after `delay` seconds."""
    path = directory / "crun-killed"
    path.write_text(
        f'#!/bin/bash\ncase "$*" in *" create "*) /usr/bin/crun "$@" & sleep {delay}; kill -9 $!; wait $!;;'
        ' *) exec /usr/bin/crun "$@";; esac\n'
    )
    path.chmod(0o755)
    return path


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


def groups_of(installation: str) -> list[Path]:
    """Every control group of an installation that is left, but the tops."""
    return [each for each in Path("/sys/fs/cgroup").glob(f"*/tank-{installation}/*/*") if each.is_dir()]


async def test_a_runtime_killed_while_it_creates_leaves_nothing_after_discard(
    short_tmp: Path, installation: str
) -> None:
    programs = Programs(crun=str(faulty_crun(short_tmp, 0.01)))
    async with opened(short_tmp, installation, programs) as rig:
        await rig.sandbox(rig.container("sleep", "1000"))
        for attempt, delay in enumerate(MILLISECONDS, 1):
            faulty_crun(short_tmp, delay / 1000)
            with suppress(TankError):
                await rig.create(attempt=attempt)
            await rig.runtime.observe(rig.uid)
            await rig.runtime.discard(rig.uid, "app", attempt)
            assert await rig.runtime.observe(rig.uid) == {}
            assert groups_of(installation) in (
                [],
                [each for each in groups_of(installation) if each.name == "_monitor"],
            )
            assert os.listdir(rig.settings.run_dir / "crun") == []


async def test_a_create_that_was_cut_short_anywhere_is_made_whole_by_the_next(rig: Rig) -> None:
    await rig.sandbox(rig.container("sleep", "1000"))
    for attempt, delay in enumerate(MILLISECONDS, 1):
        with suppress(TimeoutError):
            async with asyncio.timeout(delay / 1000):
                await rig.create(attempt=attempt)
        created = await rig.create(attempt=attempt)
        await rig.runtime.start(rig.uid, "app", attempt)
        fact = await rig.fact()
        assert (fact.pid, fact.alive, fact.started, fact.monitored) == (created.pid, True, True, True)
        assert len(rig.runtime._groups.processes(f"{rig.uid}/app")) == 1
        await rig.runtime.kill(rig.uid, "app", attempt)
        await rig.runtime.discard(rig.uid, "app", attempt)


async def test_a_discard_that_was_cut_short_anywhere_is_finished_by_the_next(rig: Rig) -> None:
    await rig.sandbox(rig.container("sleep", "1000"))
    for attempt, delay in enumerate(MILLISECONDS, 1):
        await rig.run(attempt=attempt)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay / 1000):
                await rig.runtime.discard(rig.uid, "app", attempt)
        await rig.runtime.discard(rig.uid, "app", attempt)
        assert await rig.runtime.observe(rig.uid) == {}
        assert not rig.attempt(number=attempt).writable.exists()


async def test_a_pod_whose_run_directory_was_wiped_is_still_found_by_its_group(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    group = rig.runtime._groups
    assert rig.uid in group.names()
    await rig.runtime.remove_sandbox(rig.uid)
    assert rig.uid not in group.names()


async def test_a_sandbox_is_whole_after_repeated_making_and_repinning(rig: Rig) -> None:
    created = await rig.run_one("sleep", "1000")
    pin = rig.settings.pod_run_dir(rig.uid) / "ns/net"
    before = os.readlink(f"/proc/{created.pid}/ns/net")
    from tank.host import mounts

    mounts.unmount(pin)
    pins = await rig.runtime.observe_sandbox(rig.uid, rig.pod)
    assert pins is not None
    assert not pins["net"]
    await rig.runtime.repin_sandbox(rig.uid, rig.pod, created.pid)
    pins = await rig.runtime.observe_sandbox(rig.uid, rig.pod)
    assert pins is not None
    assert all(pins.values())
    assert f"net:[{os.stat(pin).st_ino}]" == before
