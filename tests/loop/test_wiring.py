"""The loop of the machine's network: it hears on, whatever it met, and one pod's trouble is no other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tank.errors import Failed
from tank.model.pools import Kept
from tank.node.wiring import CONDITION, Switch
from tank.store.base import Contents
from tank.store.memory import MemoryStore
from tests.loop.harness import Daemon, new, pod
from tests.waiting import wait_until

NIC = {"name": "eth0", "parent": "lan0", "ip": ["10.0.0.5/24"]}


class Ailing(MemoryStore):
    """One that cannot always be read."""

    ailing = False

    async def read(self) -> Contents:
        if self.ailing:
            raise Failed("cannot read the database: disk I/O error")
        return await super().read()


def switch_of(daemon: Daemon) -> Switch:
    return Switch(
        daemon.machine,
        daemon.store,
        daemon.node,
        report=daemon.report,
        pulse=daemon.loop.pulse,
        astray=daemon.loop.astray,
    )


@asynccontextmanager
async def wired(daemon: Daemon) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(switch_of(daemon).run())
    await wait_until(lambda: daemon.world.wirings)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def up(top: Path, *names: str) -> Daemon:
    daemon = new(top)
    daemon.store = Ailing()
    daemon = Daemon(daemon.world, daemon.store, top)
    nics = [{**NIC, "ip": [f"10.0.0.{5 + number}/24"]} for number, _ in enumerate(names)]
    await daemon.node.apply([pod(each, network={"nics": [nic]}) for each, nic in zip(names, nics, strict=True)])
    await daemon.settle()
    return daemon


def ready(daemon: Daemon) -> dict[str, bool]:
    """As the network was told last."""
    return {each.name: each.ready for each in daemon.world.wirings[-1].pods}


async def test_news_are_heard_after_the_store_could_not_be_read(tmp_path: Path) -> None:
    daemon = await up(tmp_path, "web")
    store = daemon.store
    assert isinstance(store, Ailing)
    async with wired(daemon) as task:
        store.ailing = True
        daemon.loop.pulse.publish("web")
        await wait_until(lambda: CONDITION in daemon.node.conditions)
        store.ailing = False
        await wait_until(lambda: CONDITION not in daemon.node.conditions)
        before = len(daemon.world.wirings)
        await daemon.node.delete("web")
        daemon.loop.pulse.publish("web")
        await wait_until(lambda: len(daemon.world.wirings) > before and not any(ready(daemon).values()))
        assert not task.done()


async def test_a_defect_met_by_one_pod_is_no_other_pods(tmp_path: Path) -> None:
    daemon = await up(tmp_path, "web", "db")
    switch = switch_of(daemon)
    daemon.world.refusals["wired-db"] = KeyError("a defect")
    await switch.settle()
    assert ready(daemon) == {"web": True}  # of the other nothing is known
    del daemon.world.refusals["wired-db"]
    await switch.settle()
    daemon.world.refusals["wired-db"] = KeyError("a defect")
    await switch.settle()
    assert ready(daemon) == {"web": True, "db": True}


async def test_what_was_put_right_is_told_though_something_else_cannot_be(tmp_path: Path) -> None:
    daemon = await up(tmp_path, "web")
    daemon.world.kept.append(Kept(changed=("the host's rules had been changed",), fault="the port is taken"))
    await switch_of(daemon).settle()
    await daemon.report.flush()
    told = [(each.reason, each.message) for each in await daemon.store.events("", 0)]
    assert ("NetworkRepaired", "the host's rules had been changed") in told
    assert daemon.node.conditions[CONDITION] == "the port is taken"
