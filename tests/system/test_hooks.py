"""Hooks against real containers, at the runtime driver."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tank.model.health import Hook, HttpAction
from tank.model.launch import Answer, Target
from tests.asked import Http, serving
from tests.runtime_rig import Rig, opened
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def hooked(rig: Rig, limit: float = math.inf, **fields: Any) -> Answer:
    """What one hook of the rig's container comes to."""
    target = Target(uid=rig.uid, pod=rig.pod, container=rig.pod.containers[0], attempt=1)
    return replace(await rig.runtime.hook(target, Hook(**fields), limit), lag=0.0)


async def test_a_program_runs_in_the_container_for_as_long_as_it_takes(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    assert (await hooked(rig, exec=("sh", "-c", "sleep 1.2; id -u >/tmp/said"))).good is True
    assert (await hooked(rig, exec=("grep", "-q", "^0$", "/tmp/said"))).good is True


async def test_a_program_that_fails_says_how(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    answer = await hooked(rig, exec=("sh", "-c", "echo no room; exit 4"))
    assert (answer.good, answer.message) == (False, "sh ended with exit code 4: no room")


async def test_a_program_is_ended_at_its_limit_with_all_it_started(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    groups = rig.runtime._groups
    before = groups.processes(f"{rig.uid}/app")
    answer = await hooked(rig, 0.3, exec=("sleep", "1000"))
    assert (answer.good, answer.message) == (False, "sleep did not end within 0.3 s")
    await wait_until(lambda: groups.processes(f"{rig.uid}/app") == before)


async def test_one_that_is_cancelled_is_ended(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    groups = rig.runtime._groups
    before = groups.processes(f"{rig.uid}/app")
    hook = asyncio.create_task(hooked(rig, exec=("sleep", "1000")))
    await wait_until(lambda: groups.processes(f"{rig.uid}/app") != before)
    hook.cancel()
    await asyncio.gather(hook, return_exceptions=True)
    await wait_until(lambda: groups.processes(f"{rig.uid}/app") == before)


async def test_http_is_asked_from_inside_the_pod(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    server = Http({"/drain": (202, "")})
    async with serving(rig, server, 8080):
        answers = [await hooked(rig, http=HttpAction(port=8080, path=path)) for path in ("/drain", "/no")]
    assert [each.good for each in answers] == [True, False]


async def test_a_sleep_ends_well_or_at_its_limit(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    answers = [await hooked(rig, sleep=0.1), await hooked(rig, 0.1, sleep=60.0)]
    assert [each.good for each in answers] == [True, False]
