"""Hooks beside the passes: begun once, answered later, ended when nobody wants them any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tank.config import Settings
from tank.model.health import Hook, Hooks
from tank.model.launch import Answer, Target
from tank.model.pod import Container, Pod
from tank.node import hooks
from tank.node.observe import Machine
from tank.node.records import Records
from tank.node.report import Report
from tank.store.memory import MemoryStore
from tank.testing.drivers import FakeImages, FakeRuntime
from tank.testing.net import FakeNet
from tank.testing.world import World
from tests.waiting import wait_until

UID = "0123456789ab"
APP = Container(
    name="app", image="app", hooks=Hooks(post_start=Hook(sleep=1.0), pre_stop=Hook(exec=("drain",))), command=("run",)
)
POST: hooks.Key = (UID, "app", 1, "post_start")
PRE: hooks.Key = (UID, "app", 1, "pre_stop")


class Slow(FakeRuntime):
    """Every hook takes until it is let go; an answer may be a defect."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.go, self.answer, self.begun, self.under_way = asyncio.Event(), Answer(good=True), list[Hook](), 0

    async def hook(self, target: Target, hook: Hook, limit: float) -> Answer:
        self.begun.append(hook)
        self.under_way += 1
        try:
            await self.go.wait()
        finally:
            self.under_way -= 1
        if self.answer.message == "a defect":
            raise RuntimeError(self.answer.message)
        return self.answer


class Rig:
    """Hooks over a world in memory."""

    def __init__(self, top: Path) -> None:
        self.world, self.store, self.nudges = World(), MemoryStore(), list[str]()
        self.runtime, settings = Slow(self.world), Settings(data_dir=top / "data", run_dir=top / "run")
        machine = Machine(
            settings=settings, installation="abcdef", runtime=self.runtime, images=FakeImages(self.world),
            net=FakeNet(self.world), records=Records(settings), now=self.world.now,
        )  # fmt: skip
        self.report = Report(self.store, self.world.now)
        self.hooks = hooks.Hooks(machine, self.report, self.nudges.append)

    def start(self, kind: hooks.Moment, attempt: int = 1, container: Container = APP) -> None:
        pod = Pod(name="web", containers=(container,))
        self.hooks.start(Target(uid=UID, pod=pod, container=container, attempt=attempt), kind, 10.0)

    async def land(self, answer: Answer) -> None:
        """Let what is under way end so."""
        self.runtime.answer = answer
        self.runtime.go.set()
        await self.hooks.landed()
        self.runtime.go.clear()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


async def test_a_hook_is_begun_once_and_its_answer_is_kept_for_a_later_pass(rig: Rig) -> None:
    rig.start("post_start")
    rig.start("post_start")
    assert (rig.hooks.running(*POST), rig.hooks.result(*POST), rig.nudges) == (True, None, [])
    await rig.land(Answer(good=True))
    rig.start("post_start")
    assert (rig.hooks.running(*POST), rig.hooks.result(*POST)) == (False, Answer(good=True))
    assert (len(rig.runtime.begun), rig.nudges) == (1, ["web"])


async def test_the_two_hooks_of_a_container_are_apart(rig: Rig) -> None:
    rig.start("post_start")
    rig.start("pre_stop")
    await wait_until(lambda: rig.runtime.begun == [APP.hooks.post_start, APP.hooks.pre_stop])
    await rig.hooks.close()


async def test_without_a_hook_nothing_is_begun(rig: Rig) -> None:
    rig.start("post_start", container=Container(name="app", image="app"))
    assert (await rig.hooks.landed(), rig.hooks.result(*POST)) == (0, None)


@pytest.mark.parametrize("answer", [Answer(good=False, message="no"), Answer(good=None, message="a defect")])
async def test_what_fails_is_told(rig: Rig, answer: Answer) -> None:
    rig.start("pre_stop")
    await rig.land(answer)
    await rig.report.flush()
    assert [(each.reason, each.message) for each in await rig.store.events()] == [
        ("FailedPreStopHook", f"the pre_stop hook failed: {answer.message}")
    ]
    assert rig.hooks.result(*PRE) == answer


async def test_cancelled_hooks_are_ended_and_forgotten(rig: Rig) -> None:
    rig.start("post_start")
    await wait_until(lambda: rig.runtime.under_way == 1)
    rig.hooks.cancel(UID)
    await wait_until(lambda: rig.runtime.under_way == 0)
    assert (rig.hooks.running(*POST), rig.nudges) == (False, [])


async def test_the_next_attempt_runs_its_own(rig: Rig) -> None:
    rig.start("post_start")
    await rig.land(Answer(good=True))
    rig.start("post_start", attempt=2)
    assert (rig.hooks.result(*POST), rig.hooks.running(UID, "app", 2, "post_start")) == (None, True)
    await rig.hooks.close()


async def test_a_stop_that_was_taken_back_lets_its_hook_run_again(rig: Rig) -> None:
    rig.start("pre_stop")
    rig.hooks.renew(*PRE)
    assert rig.hooks.running(*PRE)
    await rig.land(Answer(good=True))
    rig.hooks.renew(*PRE)
    rig.start("pre_stop")
    await wait_until(lambda: len(rig.runtime.begun) == 2)
    await rig.hooks.close()


async def test_closing_ends_every_hook(rig: Rig) -> None:
    rig.start("post_start")
    rig.start("pre_stop")
    await wait_until(lambda: rig.runtime.under_way == 2)
    await rig.hooks.close()
    assert rig.runtime.under_way == 0
