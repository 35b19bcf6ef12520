"""Limits by the real kernel: set at creation, changed while a program runs, read back, and what their end means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tank.errors import Failed
from tank.model.pod import Cpu, EnvVar, Limits, Pod
from tests.runtime_rig import Rig, opened
from tests.waiting import wait_until

pytestmark = pytest.mark.system

MIB = 2**20
EVERYTHING: dict[str, Any] = {
    "memory": 64 * MIB,
    "swap": 16 * MIB,
    "pids": 20,
    "cpu": Cpu(quota=50_000, period=100_000),
    "cpu_weight": 250,
    "cpuset": "0",
}
ONLY_V2 = {"memory_high": 48 * MIB, "memory_low": 8 * MIB}
HOG = "x=0123456789abcdef; while [ ${#x} -lt %d ]; do x=$x$x; done"


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


def fitting(rig: Rig) -> Limits:
    """Every limit that this machine has."""
    more = ONLY_V2 if rig.runtime._groups.hierarchies.is_v2("memory") else {}
    return Limits.model_validate(EVERYTHING | more)


def said(limits: Limits) -> dict[str, int | str]:
    """How they are read back."""
    found = limits.model_dump(exclude_none=True, exclude={"cpu"})
    return found | ({"cpu": f"{limits.cpu.quota / limits.cpu.period:g}"} if limits.cpu else {})


async def test_every_limit_holds_from_the_first_instruction_and_is_read_back(rig: Rig) -> None:
    wanted = fitting(rig)
    await rig.sandbox(rig.container("sleep", "1000", limits=wanted))
    await rig.create()
    assert (await rig.fact()).actual == said(wanted)
    await rig.runtime.start(rig.uid, "app", 1)
    assert (await rig.fact()).actual == said(wanted)


async def test_limits_change_while_it_runs_and_can_be_taken_off_again(rig: Rig) -> None:
    created = await rig.run_one("sleep", "1000", limits=fitting(rig))
    for changed in (
        Limits(memory=128 * MIB, swap=0, pids=40, cpu=Cpu(quota=20_000, period=50_000), cpu_weight=1, cpuset="0-1"),
        Limits(memory=32 * MIB, pids=10, cpu_weight=10_000),
        fitting(rig),
    ):
        await rig.runtime.tune(rig.uid, "app", 1, changed)
        fact = await rig.fact()
        assert (fact.actual, fact.pid) == (said(changed), created.pid)
    await rig.runtime.tune(rig.uid, "app", 1, Limits())
    assert (await rig.fact()).actual == {}
    # Asked for anew, each starts from what the kernel has by itself.
    await rig.runtime.tune(rig.uid, "app", 1, Limits(cpu_weight=100))
    assert (await rig.fact()).actual == {"cpu_weight": 100}


async def test_the_limits_that_are_read_back_are_known_to_the_next_daemon(rig: Rig, short_tmp: Path) -> None:
    await rig.run_one("sleep", "1000", limits=Limits(pids=30))
    await rig.runtime.tune(rig.uid, "app", 1, Limits(pids=40))
    await rig.runtime.close()
    rig.runtime = type(rig.runtime)(rig.settings, rig.installation)
    await rig.runtime.open()
    assert (await rig.fact()).actual == {"pids": 40}


async def test_memory_in_use_is_not_taken_away_and_the_message_says_how_much_it_is(rig: Rig) -> None:
    script = f"{HOG % (16 * MIB)}; echo full; while :; do sleep 1000; done"
    await rig.run_one("sh", "-c", script, limits=Limits(memory=128 * MIB, pids=50))
    await wait_until(rig.output, seconds=20)
    with pytest.raises(Failed, match=r"cannot lower the memory limit to 4MiB: [0-9.]+ MiB are in use"):
        await rig.runtime.tune(rig.uid, "app", 1, Limits(memory=4 * MIB, pids=60))
    fact = await rig.fact()
    assert (fact.alive, fact.actual) == (True, {"memory": 128 * MIB, "pids": 60})


async def test_what_the_machine_has_not_is_refused_when_it_is_applied(rig: Rig) -> None:
    async def refusal(limits: Limits) -> str:
        return await rig.runtime.unsupported(Pod(name="p", containers=(rig.container("true", limits=limits),)))

    assert await refusal(fitting(rig)) == ""
    assert "container app: limits.cpuset: this machine has no CPU 999" in await refusal(Limits(cpuset="0,999"))
    if not rig.runtime._groups.hierarchies.is_v2("memory"):
        assert "limits.memory_high: control groups of version 1" in await refusal(Limits(memory_high=MIB))
        assert "limits.memory_low: control groups of version 1" in await refusal(Limits(memory_low=MIB))
        assert "limits.swap: control groups of version 1" in await refusal(Limits(swap=MIB))


async def hogged(rig: Rig, oom: Literal["group", "single"]) -> None:
    """A first process that waits beside a child that eats too much."""
    hog = EnvVar(name="HOG", value=HOG % (256 * MIB))
    script = 'sh -c "$HOG" 2>/dev/null; echo survived; sleep 1000'
    await rig.run_one("sh", "-c", script, limits=Limits(memory=16 * MIB), oom=oom, env=(hog,))


async def test_by_default_a_child_out_of_memory_takes_all_of_it_along(rig: Rig) -> None:
    await hogged(rig, "group")
    fact = await rig.ended()
    assert (fact.exit_code, fact.populated) == (137, False)
    assert (fact.oom_kills or 0) >= 1
    assert fact.oom_cause == "its memory limit of 16MiB was used up"


async def test_with_single_only_the_child_dies(rig: Rig) -> None:
    await hogged(rig, "single")
    assert "survived" in await wait_until(rig.output, seconds=20)
    fact = await rig.fact()
    assert (fact.alive, fact.oom_kills) == (True, 1)


async def test_a_daemon_that_was_away_kills_the_rest_when_it_looks_again(rig: Rig) -> None:
    await hogged(rig, "single")  # as version 1 leaves it while nobody listens
    await wait_until(rig.output, seconds=20)
    rig.attempt().kept.unlink()
    if not rig.runtime._groups.hierarchies.is_v2("memory"):
        await rig.fact()
        assert (await rig.ended()).exit_code == 137


async def test_the_io_weight_is_given_when_a_disk_goes_by_weights(rig: Rig) -> None:
    """No disk of a development machine does: written as at a start, and read back, where the kernel has the file."""
    await rig.run_one("sleep", "1000", limits=Limits(io_weight=300))
    fact = await rig.fact()
    assert fact.actual == {"io_weight": 300}
