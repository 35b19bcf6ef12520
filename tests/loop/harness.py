"""A whole node over a world in memory: real loop, planner, store and records; fake machine; held clock."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tank.config import Settings
from tank.model.image import Image
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.node.input_verbs import InputVerbs
from tank.node.inputs import StoredInputs
from tank.node.observe import Machine
from tank.node.pulse import Pulse
from tank.node.reconciler import Reconciler
from tank.node.records import Records
from tank.node.recover import take_back
from tank.node.report import Report
from tank.node.service import Node
from tank.store.base import Store
from tank.store.memory import MemoryStore
from tank.store.seal import KeyFile
from tank.testing.drivers import FakeImages, FakeRuntime
from tank.testing.net import FakeNet
from tank.testing.world import Crash, World

IMAGE = "registry.example/app:1"


class Daemon:
    """One life of the daemon. Dropping it and making another over the same world is a crash and a start."""

    def __init__(self, world: World, store: Store, top: Path, *, repair: bool = True) -> None:
        self.world, self.store, self.top = world, store, top
        settings = Settings(data_dir=top / "data", run_dir=top / "run", repair=repair)
        self.records = Records(settings)
        self.records.load()
        self.machine = Machine(
            settings=settings, installation="abcdef", runtime=FakeRuntime(world), images=FakeImages(world),
            net=FakeNet(world), records=self.records, now=world.now,
            inputs=StoredInputs(store, KeyFile(path=top / "key")),
        )  # fmt: skip
        self.report = Report(store, world.now)
        self.loop = Reconciler(self.machine, store, self.report, Pulse())
        self.node = Node(self.machine, store, self.loop, self.report)
        self.loop.astray.conditions = self.node.conditions
        self.node.inputs = InputVerbs(store, KeyFile(path=top / "key"), world.now, self.node.conditions)

    async def recover(self) -> tuple[str, ...]:
        return await take_back(self.store, self.records)

    async def settle(self) -> None:
        """Look at everything, and go on until nothing is due and no pull is under way."""
        for name in await self.loop._names():
            self.loop.nudge(name)
        await self.go_on()

    async def go_on(self) -> None:
        """Do what is due, pulls included."""
        for _ in range(200):
            taken = await self.loop.turn() + await self.loop.prober.turn()
            flown = await self.loop.flights.landed()
            for _ in range(5):  # hooks that take no time come to their end
                await asyncio.sleep(0)
            if self.world.dead:  # it may have died in a pull or hook, beside the loop
                raise Crash("in the background")
            if not taken and not flown and not self._is_due():
                return
        raise AssertionError("the loop does not come to rest")

    def kill(self) -> None:
        """Nothing of it goes on."""
        for run in self.loop.hooks._runs.values():
            run.task.cancel()

    def _is_due(self) -> bool:
        return any(due <= self.world.boot for due in self.loop._due.values())

    async def pass_time(self, seconds: float) -> None:
        """So much time, a probe at a time."""
        end = self.world.boot + seconds
        while (due := self.loop.prober.next_due()) is not None and due < end:
            self.world.advance(max(due - self.world.boot, 0.0))
            await self.go_on()
        self.world.advance(end - self.world.boot)
        await self.go_on()


def new(top: Path, *, repair: bool = True) -> Daemon:
    world = World()
    world.registry[IMAGE] = Image(digest="sha256:" + "1" * 64)
    world.registry["registry.example/app:2"] = Image(digest="sha256:" + "2" * 64)
    return Daemon(world, MemoryStore(), top, repair=repair)


def again(daemon: Daemon) -> Daemon:
    """The daemon was killed; another one starts on what it left."""
    daemon.kill()
    daemon.world.revive()
    return Daemon(daemon.world, daemon.store, daemon.top, repair=daemon.machine.settings.repair)


def pod(name: str = "web", **more: Any) -> Pod:
    return parse_pod({"name": name, "containers": [{"name": "app", "image": IMAGE}]} | more)
