"""The daemon dies before and after every effect of every story; a new one finishes the work.

The sweep runs each story once to count its effects, then again for each of them, killed there. Afterwards a new
daemon comes to rest, and what it leaves is what the undisturbed story left: no second copy, nothing lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tank.testing.world import Crash
from tests.loop import harness
from tests.loop.harness import Daemon, pod

Story = Callable[[Daemon], Awaitable[None]]
NIC = {"name": "eth0", "parent": "lan0", "ip": "10.0.0.5/24"}
TWO = [{"name": "a", "image": harness.IMAGE}, {"name": "b", "image": "registry.example/app:2"}]


async def start(daemon: Daemon) -> None:
    await daemon.node.apply([pod(containers=TWO, network={"nics": [NIC]})])
    await daemon.settle()


async def update(daemon: Daemon) -> None:
    await daemon.node.apply([pod(containers=[TWO[0], TWO[1] | {"env": {"A": "1"}}], network={"nics": [NIC]})])
    await daemon.settle()


async def resandbox(daemon: Daemon) -> None:
    await daemon.node.apply([pod(containers=TWO, network={"nics": [NIC]}, hostname="other")])
    await daemon.settle()


async def delete(daemon: Daemon) -> None:
    await daemon.node.delete("web")
    await daemon.settle()


async def crash(daemon: Daemon) -> None:
    daemon.world.exit((await daemon.node.get("web")).uid, "a", 1)
    await daemon.settle()


async def take_back(daemon: Daemon) -> None:
    """Asked to stop for a change that is taken back while the programs still think about it."""
    daemon.world.stubborn = True
    await update(daemon)
    await start(daemon)
    await daemon.pass_time(60)


async def lend(daemon: Daemon) -> None:
    volumes = [{"name": "data", "source": "managed"}]
    await daemon.node.apply([pod(volumes=volumes, containers=TWO, network={"nics": [NIC]}), pod("other")])
    await daemon.settle()


async def hand_over(daemon: Daemon) -> None:
    """An address and a volume go from one pod to the other in one go."""
    nic, volumes = NIC | {"ip": "10.0.0.6/24"}, [{"name": "data", "source": "managed"}]
    taker = pod("other", volumes=volumes, network={"nics": [NIC]})
    await daemon.node.apply([pod(containers=TWO, network={"nics": [nic]}), taker])
    await daemon.settle()


WHOLE: dict[str, Any] = {
    "init": [
        {"name": "setup", "image": harness.IMAGE},
        {"name": "proxy", "image": harness.IMAGE, "restart": "always", "hooks": {"pre_stop": {"sleep": "1s"}}},
    ],
    "containers": [
        TWO[0]
        | {
            "hooks": {"post_start": {"exec": ["warm"]}, "pre_stop": {"exec": ["quit"]}},
            "probes": {"startup": {"tcp": 1}, "live": {"tcp": 2, "failures": 1}, "ready": {"tcp": 3}},
        },
        TWO[1],
    ],
}


async def begin(daemon: Daemon, **more: Any) -> None:
    """A whole pod, from its first init to a probed app."""
    await daemon.node.apply([pod(**WHOLE | more)])
    await daemon.settle()
    for (uid, name), process in list(daemon.world.processes.items()):
        if name == "setup" and process.alive:
            daemon.world.exit(uid, name, 0)
    await daemon.settle()


async def begin_once(daemon: Daemon) -> None:
    await begin(daemon, restart="never")


async def complete(daemon: Daemon) -> None:
    """Its apps end, and its sidecar is ended."""
    for (uid, name), process in list(daemon.world.processes.items()):
        if name in ("a", "b") and process.alive:
            daemon.world.exit(uid, name, 0)
    await daemon.settle()


async def sicken(daemon: Daemon) -> None:
    """A probe fails once, and the container starts anew."""
    daemon.world.answers["a live"] = False
    await daemon.pass_time(10)
    daemon.world.answers.clear()
    await daemon.pass_time(60)


async def update_whole(daemon: Daemon) -> None:
    proxy = WHOLE["init"][1] | {"env": {"A": "1"}}
    await begin(
        daemon, init=[WHOLE["init"][0], proxy], containers=[WHOLE["containers"][0] | {"env": {"A": "1"}}, TWO[1]]
    )


async def resandbox_whole(daemon: Daemon) -> None:
    await begin(daemon, hostname="other")


async def expire(daemon: Daemon) -> None:
    await begin(daemon, deadline="100s")
    await daemon.pass_time(101)


STORIES: dict[str, tuple[Story, ...]] = {
    "start": (start,),
    "update": (start, update),
    "new sandbox": (start, resandbox),
    "crash": (start, crash),
    "delete": (start, delete),
    "take back": (start, take_back),
    "hand over": (lend, hand_over),
    "whole start": (begin,),
    "whole update": (begin, update_whole),
    "whole delete": (begin, delete),
    "whole sandbox": (begin, resandbox_whole),
    "completion": (begin_once, complete),
    "failed probe": (begin, sicken),
    "deadline": (begin, expire),
}


async def tell(daemon: Daemon, story: Story) -> None:
    """The story, until its end or the daemon's."""
    try:
        await story(daemon)
    except* Crash:
        pass
    finally:
        daemon.kill()
        for _, task in list(daemon.loop.flights._tasks.values()):
            task.cancel()
        await asyncio.gather(*(task for _, task in daemon.loop.flights._tasks.values()), return_exceptions=True)


async def outcome(daemon: Daemon) -> tuple[object, ...]:
    world = daemon.world
    running = sorted((name, process.alive, process.started) for (_, name), process in world.processes.items())
    nics = [sandbox.nics for sandbox in world.sandboxes.values()]
    pods = [(each.name, each.phase, each.ready) for each in await daemon.node.list()]
    return running, nics, pods, sorted(world.directories) == sorted(daemon.records.pods())


async def finish(daemon: Daemon, chapters: tuple[Story, ...]) -> Daemon:
    """A new daemon on what the dead one left; what the user had asked for last is asked for again."""
    daemon = harness.again(daemon)
    await daemon.settle()
    last = chapters[-1]
    if last is delete and "web" not in (await daemon.store.read()).pods:
        pass
    elif last not in (crash, begin_once):
        await last(daemon)
    await daemon.settle()
    return daemon


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("name", STORIES)
async def test_killed_at_any_effect_it_converges(name: str, before: bool, tmp_path: Path) -> None:
    chapters = STORIES[name]
    undisturbed = harness.new(tmp_path / "undisturbed")
    for chapter in chapters:
        done = len(undisturbed.world.deeds)
        await chapter(undisturbed)
    effects = len(undisturbed.world.deeds) - done
    expected = await outcome(undisturbed)
    assert effects > 0
    for fuse in range(1, effects + 1):
        daemon = harness.new(tmp_path / f"fuse{fuse}")
        for chapter in chapters[:-1]:
            await chapter(daemon)
        daemon.world.fuse, daemon.world.before = fuse, before
        await tell(daemon, chapters[-1])
        daemon = await finish(daemon, chapters)
        assert (fuse, await outcome(daemon)) == (fuse, expected)
