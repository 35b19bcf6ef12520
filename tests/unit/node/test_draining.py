"""The machine goes down once each end is on record, not just once nothing lives."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tank.config import Settings
from tank.model.pod import Container, Pod
from tank.model.record import Attempt, ContainerRecord, Exit, PodRecord
from tank.node.draining import drained
from tank.node.observe import Machine
from tank.node.pulse import Pulse
from tank.node.records import Records
from tank.testing.drivers import FakeImages, FakeRuntime
from tank.testing.net import FakeNet
from tank.testing.world import World

UID = "0123456789ab"
APP = Container(name="app", image="app")
RUNNING = ContainerRecord(
    name="app",
    last_number=1,
    attempt=Attempt(
        number=1, boot_id="b", spec=APP, digest="", tuning="", revision=1, created_at=1.0, started_at=1.0
    ),
)  # fmt: skip
END = Exit(attempt=1, code=7, reason="Error", finished_at=2.0, finished_boot=2.0, boot_id="b")


async def test_r10_an_end_that_nobody_has_written_down_is_waited_for(tmp_path: Path) -> None:
    world, pulse, settings = World(), Pulse(), Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run")
    records, passes = Records(settings), list[str]()
    machine = Machine(
        settings=settings, installation="abcdef", runtime=FakeRuntime(world), images=FakeImages(world),
        net=FakeNet(world), records=records, now=world.now,
    )  # fmt: skip
    await records.save_pod(
        PodRecord(
            uid=UID,
            name="web",
            spec=Pod(name="web", containers=(APP,)),
            revision=1,
            installation="abcdef",
            sandbox_digest="",
            boot_id="b",
            created_at=1.0,
        )
    )
    await records.save_container(UID, RUNNING)

    async def write() -> None:
        await records.save_container(UID, replace(RUNNING, exits=(END,)))
        pulse.publish("web")

    async with asyncio.TaskGroup() as tasks:

        def nudge(name: str) -> None:
            passes.append(name)
            tasks.create_task(write())

        await drained(machine, pulse, nudge)
        assert records.containers(UID)["app"].exits == (END,)
    assert passes == ["web"]
    records.close()
