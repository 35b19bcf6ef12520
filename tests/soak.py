"""A hundred programs a second, asked of healthy containers beside a CPU hog: not one may be killed (R56).

    sudo ./dev soak-probes [SECONDS]     # 120

The whole engine runs in this process, so that its processor time is this process's own. Prints numbers; fails when
a container was restarted, found unready or asked nothing.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from time import monotonic, process_time

from tank.config import Settings
from tank.daemon import Engine
from tank.model.health import Probe, Probes
from tank.model.pod import Container, Pod, Rootfs
from tests import sweeping
from tests.runtime_rig import make_root

PODS, CONTAINERS = 10, 10
ASKED = Probe(exec=("true",), period=1.0, timeout=1.0, failures=3)
HOG = ("busybox", "sh", "-c", "while :; do :; done")


def pods(root: Path) -> list[Pod]:
    """All of them healthy for as long as the machine lets them be."""
    image = Rootfs(rootfs=str(root))
    probes = Probes(live=ASKED)
    names = [f"c{number}" for number in range(CONTAINERS)]
    containers = tuple(Container(name=name, image=image, command=("sleep", "100000"), probes=probes) for name in names)
    return [Pod(name=f"p{number}", containers=containers, grace=0.0) for number in range(PODS)]


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """So many processes that do nothing but burn."""
    running = [subprocess.Popen(HOG) for _ in range(count)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


async def soak(engine: Engine, seconds: float) -> bool:
    """Let it run, and say what came of it. True when nothing was killed."""
    prober, node = engine.reconciler.prober, engine.node
    before, cpu, begun = prober.answers.total(), process_time(), monotonic()
    late: list[float] = []
    while monotonic() < begun + seconds:
        await asyncio.sleep(2.0)
        late += prober.lateness
        prober.lateness.clear()
    took = monotonic() - begun
    statuses = await node.list()
    restarts = sum(each.restarts for status in statuses for each in status.containers)
    unhealthy = sum([event.count async for event in node.events() if event.reason == "Unhealthy"])
    asked = prober.answers.total() - before
    print(f"{asked / took:.1f} probes/s for {took:.0f} s: {dict(prober.answers)}")
    late = quantiles(late, n=100)
    print(f"lateness p50 {late[49]:.3f} s, p99 {late[98]:.3f} s")
    print(f"daemon: {100 * (process_time() - cpu) / took:.1f} % of one processor")
    print(f"false kills: {restarts}; events of bad answers: {unhealthy}")
    return restarts == 0 and asked > 0 and all(status.ready for status in statuses)


async def run(top: Path, seconds: float, load: int) -> bool:
    """Start everything, soak, and take everything away."""
    engine = Engine(Settings(data_dir=top / "d", run_dir=top / "r", dns=()))
    async with engine:
        wanted = pods(make_root(top / "root"))
        await engine.node.apply(wanted)
        for pod in wanted:
            await engine.node.wait(pod.name, "ready", timeout=120)
        with hogs(load):
            done = await soak(engine, seconds)
        for pod in wanted:
            await engine.node.delete(pod.name, grace=0)
        for pod in wanted:
            await engine.node.wait(pod.name, "gone", timeout=120)
    return done


def main() -> int:
    """The exit code."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    sweeping.sweep()
    top = sweeping.begin()
    try:
        load = int(os.environ.get("TANK_HOGS", os.cpu_count() or 1))
        print(f"{PODS * CONTAINERS} containers, each asked once a second, beside {load} busy loops")
        return 0 if asyncio.run(run(top, seconds, load)) else 1
    finally:
        sweeping.clear(top)


if __name__ == "__main__":
    sys.exit(main())
