"""Through a published port and from pod to pod: throughput and latency, against Podman on its bridge.

Both run the same files: nginx and iperf3 in a Debian. The one who asks sits behind a cable of the same kind, for
Podman's sake at another namespace's end: its bridge and rules are to vanish with that. Rounds take turns.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import ratio, show
from benchmarks.world import Podman, World, isolated, podman, world
from tests import images
from tests.bridged import HOST, Lan, run
from tests.neighbour import Neighbour, neighbour
from tests.waiting import wait_for

ROUNDS, SECONDS, REQUESTS = 3, 2, 3000
PORT, STREAM = 18080, 15201
SERVE = ["sh", "-c", "iperf3 --server --daemon; exec nginx -g 'daemon off;'"]
PEER, PEER_OTHER = "203.0.113.1", "203.0.113.2"
Measured = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Side:
    """One engine with a server and a client in containers. `near`: on its host; `far`: on the LAN; both in words."""

    near: Sequence[str]
    far: Sequence[str]
    address: str
    pod: str
    inside: Callable[[list[str]], str]


def main() -> None:
    """Print medians and ratios."""
    with ExitStack() as stack:
        made = stack.enter_context(world())
        rootfs = debian(made.directory / "debian")
        lan = Lan.of(stack.enter_context(neighbour(made.directory)))
        sides = {"tank": stack.enter_context(tank(made, rootfs, lan))}
        if (peer := stack.enter_context(podman(made.directory / "podman"))) is not None:
            sides["podman"] = stack.enter_context(other(peer, rootfs, lan.neighbour))
        found: dict[str, Measured] = {name: {} for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                for what, value in measured(side, made.directory / "ab"):
                    found[name].setdefault(what, []).append(value)
    table = [["through the network", *sides, *(["tank / podman"] if len(sides) > 1 else [])]]
    for what in found["tank"]:
        values = [each[what] for each in found.values()]
        table.append([what, *(f"{sorted(each)[len(each) // 2]:.2f}" for each in values), *ratios(values)])
    show(f"medians of {ROUNDS}", table)


def ratios(values: list[list[float]]) -> list[str]:
    """Ours to the other's, where there is one."""
    return [ratio(*values)] if len(values) > 1 else []


def measured(side: Side, file: Path) -> Iterator[tuple[str, float]]:
    """Everything once. More is better of Gbit/s, less of ms."""
    stream = ["iperf3", "--json", "--time", str(SECONDS)]
    there = [*side.far, *stream, "--client", side.address, "--port", str(STREAM)]
    yield "Gbit/s, LAN to port", gigabits(output(there))
    yield "Gbit/s, port to LAN", gigabits(output([*there, "--reverse"]))
    yield "Gbit/s, pod to pod", gigabits(side.inside([*stream, "--client", side.pod]))
    for name, where, address in (("LAN", side.far, side.address), ("127.0.0.1", side.near, "127.0.0.1")):
        for words, options in (("same connection", ["-k"]), ("new connections", [])):
            ask = ["ab", "-q", "-r", "-e", str(file), "-n", str(REQUESTS), *options, f"http://{address}:{PORT}/"]
            output([*where, *ask])
            rows = {row[0]: float(row[1]) for row in list(csv.reader(file.open()))[1:]}
            yield f"ms, {name}, {words}, p50", rows["50"]
            yield f"ms, {name}, {words}, p99", rows["99"]


def output(argv: Sequence[str]) -> str:
    """What a program prints. Raises CalledProcessError."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def gigabits(told: str) -> float:
    """What arrived, of a report of iperf3."""
    return float(json.loads(told)["end"]["sum_received"]["bits_per_second"]) / 1e9


def debian(directory: Path) -> Path:
    """The files of the tests' Debian, and iperf3 with its libraries."""
    layout = images.debian()
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]).read_text())
    directory.mkdir()
    for layer in manifest["layers"]:
        subprocess.run(["tar", "-xf", blob(layout, layer), "-C", directory], check=True)
    program = shutil.which("iperf3") or "/usr/bin/iperf3"
    libraries = [word for word in output(["ldd", program]).split() if word.startswith("/")]
    for path in (program, *libraries):
        shutil.copy(path, directory / "usr/lib/x86_64-linux-gnu" if path != program else directory / "usr/bin")
    return directory


def blob(layout: Path, descriptor: dict[str, str]) -> Path:
    """A blob of a layout."""
    return layout / "blobs" / Path(descriptor["digest"].replace(":", "/"))


@contextmanager
def tank(made: World, rootfs: Path, lan: Lan) -> Iterator[Side]:
    """Two pods on the pool `default`."""
    client = made.daemon.client
    nics = [{"name": "eth0", "ip": {"pool": "default"}}]
    for name, command, ports in (
        ("server", SERVE, [f"{PORT}:80", f"{STREAM}:5201"]),
        ("client", ["sleep", "100000"], []),
    ):
        app = {"name": "app", "image": {"rootfs": str(rootfs)}, "command": command}
        client.apply({"name": name, "grace": 0, "network": {"nics": nics, "ports": ports}, "containers": [app]})
        client.wait(name, "ready", timeout=60)
    address = client.status("server").addresses[0].ip.partition("/")[0]
    side = Side((), lan.within, HOST, address, lambda argv: client.exec("client", argv).stdout.decode())
    wait_for(lambda: answers(side), what="the server")
    yield side


@contextmanager
def other(peer: Podman, rootfs: Path, there: Neighbour) -> Iterator[Side]:
    """The same by Podman, in a network namespace of its own, with a cable to the same machine on the LAN."""
    with isolated(peer) as apart:
        own = apart.prefix[1].rpartition("/")[2]
        run(f"ip link add up0 netns {own} type veth peer name lan1 netns {there.name}")
        for name, link, address in ((own, "up0", PEER), (there.name, "lan1", PEER_OTHER)):
            run(f"ip -n {name} address add {address}/24 dev {link}")
            run(f"ip -n {name} link set {link} up")
        run(f"ip -n {own} link set lo up")
        common = ("run", "-d", *peer.limits, "--network", "bridge")
        ports = ("-p", f"{PORT}:80", "-p", f"{STREAM}:5201")
        server = apart.run(*common, "--name", "server", *ports, "--rootfs", f"{rootfs}:O", *SERVE).strip()
        apart.run(*common, "--name", "client", "--rootfs", f"{rootfs}:O", "sleep", "100000")
        address = apart.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", server).strip()
        within = ("ip", "netns", "exec", there.name)
        side = Side(apart.prefix, within, PEER, address, lambda argv: apart.run("exec", "client", *argv))
        wait_for(lambda: answers(side), what="the other server")
        yield side
        apart.run("rm", "--all", "--force", "--time", "0")


def answers(side: Side) -> bool:
    """Whether its server is there by now."""
    asked = subprocess.run([*side.far, "curl", "-sf", "-o", "/dev/null", f"http://{side.address}:{PORT}/"], check=False)
    return asked.returncode == 0
