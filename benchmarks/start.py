"""From applied to running, of a pod whose image is here: against the floor and against `podman run -d`."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.table import milliseconds, ratio, show
from benchmarks.world import Podman, World, isolated, podman, program, timed, world
from tests.conftest import note_installation
from tests.neighbour import neighbour
from tests.waiting import wait_for

ROUNDS = 30
PEER_ROUNDS = 10


def main() -> None:
    """Print median times and ratios."""
    with world() as made, neighbour(made.directory) as network, podman(made.directory / "podman") as peer:
        bottom = floor(made)
        nic: dict[str, object] = {"name": "eth0", "parent": network.parent, "ip": f"{network.prefix}.5/24"}
        beside = nic | {"ip": f"{network.prefix}.6/24"}
        pooled: dict[str, object] = {"name": "eth0", "ip": {"pool": "default"}}
        ours = {
            "tank, network none": api(made),
            "tank, macvlan, the first on the machine": api(made, network={"nics": [nic]}),
            "tank, macvlan": api(made, beside, network={"nics": [nic]}),
            "tank, bridge": api(made, pooled, network={"nics": [pooled]}),
            "tank apply --wait, network none": command_line(made),
        }
        others = peers(made, peer) if peer else {}
    table = [["start of a pod", "median", "x floor"]]
    rows = {"floor: conmon + crun create + crun start": bottom, **ours, **others}
    table[0] += [f"x {name}" for name in others]
    for name, seconds in rows.items():
        ratios = [ratio(seconds, each) for each in others.values()]
        table.append([name, milliseconds(seconds), ratio(seconds, bottom), *ratios])
    show(f"{ROUNDS} starts each, Podman {PEER_ROUNDS}", table)


def api(made: World, *beside: dict[str, object], **fields: object) -> list[float]:
    """Through the socket, from Python; the pod is deleted between two measurements.

    `beside`: the interface of a pod that stays, so that what all pods share is there.
    """
    client = made.daemon.client
    for nic in beside:
        client.apply(made.pod("resident", network={"nics": [nic]}))
        client.wait("resident", "running", timeout=30)

    def once(number: int) -> float:
        pod = made.pod(f"p{number}", **fields)
        seconds = timed(lambda: (client.apply(pod), client.wait(f"p{number}", "running", timeout=30)))
        client.delete(f"p{number}", grace=0)
        wait_for(lambda: all(each.name != f"p{number}" for each in client.list()), what="the end of the pod")
        return seconds

    once(ROUNDS)  # pulls the image
    found = [once(number) for number in range(ROUNDS)]
    made.daemon.delete_all()
    return found


def command_line(made: World) -> list[float]:
    """The same by `tank apply --wait`, start of the program included."""
    file = made.directory / "pod.json"
    tank = Path(sys.executable).with_name("tank")

    def once(number: int) -> float:
        file.write_text(json.dumps(made.pod(f"c{number}")))
        seconds = timed(program([str(tank), "apply", "-f", str(file), "--wait"], made.daemon.environment))
        made.daemon.delete_all()
        return seconds

    return [once(number) for number in range(PEER_ROUNDS)]


def floor(made: World) -> list[float]:
    """Bare conmon and crun."""
    with rootfs(made) as directory:
        bottom = Floor(made.directory / "floor", directory, f"/tank-{note_installation(made.directory)}")
        (bottom.directory / "exits").mkdir(parents=True)
        seconds: list[float] = []
        names: list[str] = []
        for _ in range(ROUNDS):
            seconds.append(timed(lambda: names.append(bottom.start())))
            bottom.remove(names.pop())
        return seconds


@contextmanager
def rootfs(made: World) -> Iterator[Path]:
    """The image's files, unpacked."""
    directory = made.directory / "rootfs"
    directory.mkdir()
    blobs = made.directory / "busybox/blobs/sha256"
    for blob in blobs.iterdir():
        if tarfile.is_tarfile(blob):
            subprocess.run(["tar", "-xf", blob, "-C", directory], check=True)
    yield directory


def peers(made: World, peer: Podman) -> dict[str, list[float]]:
    """`podman run -d` without a network, and with its default one where it can be had."""
    peer.pull(made.image)
    found = {"podman run, network none": peer_starts(peer, made, "none")}
    try:
        with isolated(peer) as apart:
            found["podman run, default network"] = peer_starts(apart, made, "bridge")
    except subprocess.CalledProcessError as error:
        print("no bridge network for Podman here:", error.stderr.strip().splitlines()[-1][:150])
    return found


def peer_starts(peer: Podman, made: World, network: str) -> list[float]:
    """Start, remove, and again."""
    seconds = []
    for number in range(PEER_ROUNDS):
        name = f"peer-{network}-{number}"
        start = ("run", "-d", *peer.limits, "--name", name, "--network", network, made.image, "sleep", "100000")
        seconds.append(timed(partial(peer.run, *start)))
        peer.run("rm", "--force", "--time", "0", name)
    return seconds
