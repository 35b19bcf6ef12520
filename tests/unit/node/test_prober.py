"""What is asked when, what is told to whom: the prober with a held clock, then for real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tank.config import Settings
from tank.model.health import Hook, Hooks, Probe, Probes
from tank.model.launch import Answer, Target
from tank.model.pod import Container, Pod
from tank.model.record import Attempt, Health, Stop
from tank.node.lanes import Lanes
from tank.node.observe import Machine
from tank.node.prober import Prober
from tank.node.records import Records
from tank.node.report import Report
from tank.store.memory import MemoryStore
from tank.testing.drivers import FakeImages, FakeRuntime
from tank.testing.net import FakeNet
from tank.testing.world import World
from tests.waiting import wait_until

UID = "0123456789ab"
GOOD, BAD = Answer(good=True), Answer(good=False, message="no")


class Asked(FakeRuntime):
    """Answers as it is told, by the port that is asked; notes when."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.answers: dict[int | str | None, Answer | Exception] = {}
        self.asked: list[tuple[float, int | str | None]] = []
        self.held: asyncio.Event | None = None
        self.under_way = 0

    async def probe(self, target: Target, probe: Probe) -> Answer:
        self.asked.append((self._world.boot, probe.tcp))
        self.under_way += 1
        try:
            if self.held is not None and probe.tcp == 666:
                await self.held.wait()
        finally:
            self.under_way -= 1
        answer = self.answers.get(probe.tcp, GOOD)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Rig:
    """A prober over a world in memory."""

    def __init__(self, top: Path, chance: float = 0.5) -> None:
        self.world = World()
        self.runtime = Asked(self.world)
        settings = Settings(data_dir=top / "data", run_dir=top / "run")
        machine = Machine(
            settings=settings, installation="abcdef", runtime=self.runtime, images=FakeImages(self.world),
            net=FakeNet(self.world), records=Records(settings), now=self.world.now,
        )  # fmt: skip
        self.nudges: list[str] = []
        self.store = MemoryStore()
        self.report = Report(self.store, self.world.now)
        self.prober = Prober(machine, self.report, self.nudges.append, lambda: chance)

    def keep(self, container: Container, number: int = 1, **fields: Any) -> None:
        """As a pass does."""
        pod = Pod(name="web", containers=(container,))
        started = fields.pop("started", self.world.boot)
        attempt = Attempt(
            number=number, boot_id="boot-1", spec=container, digest="", tuning="", revision=1, created_at=0.0,
            started_boot=started, **fields,
        )  # fmt: skip
        self.prober.keep(Target(uid=UID, pod=pod, container=container, attempt=number), attempt)

    async def spend(self, seconds: float) -> list[tuple[float, int | str | None]]:
        """Let time pass; what was asked meanwhile, and when, from now."""
        begun, before = self.world.boot, len(self.runtime.asked)
        while (due := self.prober.next_due()) is not None and due < begun + seconds:
            self.world.advance(max(due - self.world.boot, 0.0))
            await self.prober.turn()
        self.world.advance(begun + seconds - self.world.boot)
        return [(at - begun, port) for at, port in self.runtime.asked[before:]]

    def health(self, number: int = 1) -> Health | None:
        return self.prober.health(UID, "app", number)

    async def events(self) -> list[tuple[str, str]]:
        await self.report.flush()
        return [(each.reason, each.message) for each in await self.store.events()]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def app(hooks: Hooks = Hooks(), **kinds: Probe) -> Container:  # noqa: B008 - a frozen value
    return Container(name="app", image="app", probes=Probes(**kinds), hooks=hooks)


LIVE, READY, STARTUP = Probe(tcp=1, period=10.0), Probe(tcp=2, period=5.0), Probe(tcp=3, period=2.0)


async def test_each_probe_is_asked_every_period_and_only_a_change_is_news(rig: Rig) -> None:
    rig.keep(app(live=LIVE, ready=READY))
    assert await rig.spend(11.0) == [(0, 1), (0, 2), (5, 2), (10, 1), (10, 2)]
    assert (rig.nudges, rig.health()) == (["web"], Health(started=True, ready=True))


async def test_keeping_it_again_changes_nothing(rig: Rig) -> None:
    for _ in range(3):
        rig.keep(app(live=LIVE), started=rig.world.boot)
    assert await rig.spend(9.0) == [(0, 1)]


async def test_what_has_no_probe_is_not_asked_and_has_no_health(rig: Rig) -> None:
    rig.keep(app())
    assert (await rig.spend(100.0), rig.health()) == ([], None)


async def test_startup_holds_back_the_others_and_is_then_never_asked_again(rig: Rig) -> None:
    rig.runtime.answers[3] = BAD
    container = app(startup=STARTUP, live=LIVE, ready=READY)
    rig.keep(container)
    assert await rig.spend(3.0) == [(0, 3), (2, 3)]
    rig.runtime.answers[3] = GOOD
    assert await rig.spend(3.0) == [(1, 3), (1, 1), (1, 2)]
    assert await rig.spend(8.5) == [(3, 2), (8, 1), (8, 2)]


async def test_the_delay_counts_from_the_start_of_the_container(rig: Rig) -> None:
    rig.world.advance(20.0)
    rig.keep(app(live=LIVE.model_copy(update={"delay": 30.0})), started=rig.world.boot - 10)
    assert await rig.spend(25.0) == [(20, 1)]


async def test_three_bad_answers_in_a_row_fail_it_and_it_is_asked_no_more(rig: Rig) -> None:
    rig.runtime.answers[1] = BAD
    rig.keep(app(live=LIVE.model_copy(update={"grace": 3.0})))
    assert len(await rig.spend(100.0)) == 3
    assert rig.health() == Health(
        started=True, ready=True, failed="its live probe failed 3 times in a row: no", grace=3.0
    )
    assert rig.nudges == ["web"]


async def test_a_good_answer_between_them_begins_a_new_row(rig: Rig) -> None:
    rig.keep(app(live=LIVE))
    for answer in (BAD, BAD, GOOD, BAD, BAD):
        rig.runtime.answers[1] = answer
        await rig.spend(10.0)
    assert rig.health() == Health(started=True, ready=True)


@pytest.mark.parametrize("answer", [replace(BAD, lag=1.0), Answer(good=None), RuntimeError("a defect")])
async def test_what_says_nothing_changes_nothing(rig: Rig, answer: Answer | Exception) -> None:
    rig.keep(app(live=LIVE, ready=READY))
    await rig.spend(1.0)
    rig.runtime.answers |= {1: answer, 2: answer}
    await rig.spend(200.0)
    assert (rig.health(), rig.nudges) == (Health(started=True, ready=True), ["web"])


async def test_the_first_bad_answer_of_a_row_is_an_event_and_so_is_a_warning(rig: Rig) -> None:
    rig.keep(app(ready=READY))
    for answer in (BAD, BAD, BAD, BAD, Answer(good=True, message="elsewhere"), GOOD):
        rig.runtime.answers[2] = answer
        await rig.spend(5.0)
    assert await rig.events() == [
        ("Unhealthy", "the ready probe failed: no"),
        ("ProbeWarning", "the ready probe succeeded with a warning: elsewhere"),
    ]


async def test_after_a_restart_of_the_daemon_results_stand_and_the_first_question_comes_within_a_period(
    rig: Rig,
) -> None:
    rig.keep(app(live=LIVE, ready=READY), started=rig.world.boot - 500, health=Health(started=True, ready=True))
    assert rig.health() == Health(started=True, ready=True)
    assert await rig.spend(8.0) == [(2.5, 2), (5.0, 1), (7.5, 2)]
    assert rig.nudges == []


async def test_a_startup_probe_that_has_passed_is_not_asked_by_a_new_daemon(rig: Rig) -> None:
    rig.keep(app(startup=STARTUP, live=LIVE), started=rig.world.boot - 500, health=Health(started=True, ready=True))
    assert await rig.spend(6.0) == [(5.0, 1)]


async def test_another_attempt_begins_anew(rig: Rig) -> None:
    rig.runtime.answers[1] = BAD
    rig.keep(app(live=LIVE))
    await rig.spend(15.0)
    rig.keep(app(live=LIVE), number=2)
    assert (rig.health(1), rig.health(2)) == (None, Health(started=True, ready=True))
    assert await rig.spend(11.0) == [(0, 1), (10, 1)]
    assert rig.health(2) == Health(started=True, ready=True)


async def test_what_is_forgotten_is_not_asked(rig: Rig) -> None:
    rig.keep(app(live=LIVE))
    rig.prober.forget(UID)
    assert (await rig.spend(50.0), rig.health()) == ([], None)


async def test_a_changed_probe_counts_from_nothing_while_its_result_stands(rig: Rig) -> None:
    rig.keep(app(ready=READY, live=LIVE))
    await rig.spend(1.0)
    rig.runtime.answers |= {1: BAD, 8: BAD}
    await rig.spend(20.0)
    rig.keep(app(ready=READY, live=LIVE.model_copy(update={"tcp": 8})), started=0.0)
    assert [port for _, port in await rig.spend(11.0) if port == 8] == [8, 8]
    assert rig.health() == Health(started=True, ready=True)


async def test_a_container_that_is_being_stopped_is_only_asked_whether_it_is_ready(rig: Rig) -> None:
    rig.keep(app(live=LIVE, ready=READY))
    await rig.spend(1.0)
    stop = Stop(deadline=9e9, boot_id="boot-1", grace=30.0, aim="drop")
    rig.keep(app(live=LIVE, ready=READY), stop=stop, health=Health(started=True, ready=True))
    assert {port for _, port in await rig.spend(30.0)} == {2}
    rig.keep(app(live=LIVE, ready=READY), stop=replace(stop, aim="withdrawn"))
    assert {port for _, port in await rig.spend(30.0)} == {1, 2}


async def test_a_post_start_hook_holds_back_every_probe(rig: Rig) -> None:
    container = app(Hooks(post_start=Hook(sleep=1.0)), live=LIVE)
    rig.keep(container)
    assert await rig.spend(30.0) == []
    rig.keep(container, health=Health(hooked=True), started=0.0)
    assert await rig.spend(1.0) == [(0, 1)]


# For real


@pytest.fixture
async def running(rig: Rig) -> AsyncIterator[Rig]:
    task = asyncio.create_task(rig.prober.run())
    yield rig
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await rig.prober.close()


async def test_one_that_hangs_holds_up_no_other(running: Rig) -> None:
    running.runtime.held = asyncio.Event()
    running.keep(app(live=Probe(tcp=666), ready=READY))
    await wait_until(lambda: running.health() == Health(started=True, ready=True))
    assert running.runtime.under_way == 1


async def test_forgetting_ends_what_is_being_asked(running: Rig) -> None:
    running.runtime.held = asyncio.Event()
    running.keep(app(live=Probe(tcp=666)))
    await wait_until(lambda: running.runtime.under_way == 1)
    running.prober.forget(UID)
    await wait_until(lambda: running.runtime.under_way == 0)


async def test_the_quick_lane_is_short_and_the_slow_take_no_place_in_it() -> None:
    lanes, inside, over = Lanes(quick=2, slow=3, moment=0.0), set[int](), asyncio.Event()

    async def one(number: int) -> None:
        async with lanes.place():
            inside.add(number)
            await over.wait()
            inside.remove(number)

    tasks = [asyncio.create_task(one(number)) for number in range(8)]
    await wait_until(lambda: len(inside) == 5)
    over.set()
    await asyncio.gather(*tasks)
    assert (inside, lanes._slow) == (set(), 3)


async def test_quick_ones_wait_for_each_other() -> None:
    lanes, most = Lanes(quick=2, slow=3, moment=60.0), 0
    inside = 0

    async def one() -> None:
        nonlocal inside, most
        async with lanes.place():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(one() for _ in range(20)))
    assert (most, lanes._slow) == (2, 3)
