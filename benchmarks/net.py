"""Through a published port and from pod to pod: throughput and latency, against Podman and Docker on their bridges.

All run the same files, nginx and iperf3 in a Debian, each on a host made of namespaces, with a cable to the one who
asks: what other rules this machine has is in nobody's way, and nothing of any is left. Rounds take turns.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.table import ratio, show
from benchmarks.world import Podman, podman, world
from tests import images
from tests.conftest import note_installation
from tests.daemon import Daemon
from tests.docker import docker
from tests.machine import ADDRESS, Machine, machine
from tests.waiting import wait_for

ROUNDS, SECONDS, REQUESTS = 5, 1, 3000
PORT, STREAM = 18080, 15201
SERVE = ["sh", "-c", "iperf3 --server --daemon; exec nginx -g 'daemon off;'"]
Measured = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Side:
    """One engine: the address of a server in a container of it, and what runs a program in another one."""

    host: Machine
    pod: str
    inside: Callable[[list[str]], str]


def main() -> None:
    """Print medians and ratios."""
    with ExitStack() as stack:
        made = stack.enter_context(world())
        rootfs = debian(made.directory / "debian")
        sides = {"tank": stack.enter_context(tank(made.directory, rootfs))}
        if (peer := stack.enter_context(podman(made.directory / "podman"))) is not None:
            sides["podman"] = stack.enter_context(by_podman(peer, made.directory, rootfs))
        if (engine := stack.enter_context(by_docker(made.directory, rootfs))) is not None:
            sides["docker"] = engine
        found: dict[str, Measured] = {name: {} for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                for what, value in measured(side, made.directory / "ab"):
                    found[name].setdefault(what, []).append(value)
    others = [name for name in sides if name != "tank"]
    table = [["through the network", *sides, *(f"tank / {name}" for name in others)]]
    for what, ours in found["tank"].items():
        values = [f"{median(each[what]):.2f}" for each in found.values()]
        table.append([what, *values, *(ratio(ours, found[name][what]) for name in others)])
    show(f"medians of {ROUNDS}", table)


def measured(side: Side, file: Path) -> Iterator[tuple[str, float]]:
    """Everything once. More is better of Gbit/s and requests/s, less of ms."""
    stream = ["iperf3", "--json", "--time", str(SECONDS)]
    there = [*side.host.far, *stream, "--client", ADDRESS, "--port", str(STREAM)]
    yield "Gbit/s, LAN to port", gigabits(output(there))
    yield "Gbit/s, port to LAN", gigabits(output([*there, "--reverse"]))
    yield "Gbit/s, pod to pod", gigabits(side.inside([*stream, "--client", side.pod]))
    for name, where, address in (("LAN", side.host.far, ADDRESS), ("127.0.0.1", side.host.within, "127.0.0.1")):
        for words, options in (("same connection", ["-k"]), ("new connections", [])):
            ask = ["ab", "-q", "-r", "-e", str(file), "-n", str(REQUESTS), *options, f"http://{address}:{PORT}/"]
            output([*where, *ask])
            rows = {row[0]: float(row[1]) for row in list(csv.reader(file.open()))[1:]}
            yield f"ms, {name}, {words}, p50", rows["50"]
            yield f"ms, {name}, {words}, p99", rows["99"]
        loaded = ["wrk", "--threads", "1", "--connections", "32", "--duration", f"{SECONDS}s", "--latency"]
        report = output([*where, *loaded, f"http://{address}:{PORT}/"])
        yield f"requests/s, {name}, 32 connections", float(picked(r"Requests/sec:\s+([\d.]+)", report)[0])
        number, unit = picked(r"99%\s+([\d.]+)(us|ms|s)", report)
        yield f"ms, {name}, 32 connections, p99", float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def picked(pattern: str, report: str) -> tuple[str, ...]:
    """The groups of the only match. Raises AssertionError without one."""
    match = re.search(pattern, report)
    assert match is not None, report
    return match.groups()


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
        extract = [
            "tar",
            "-xf",
            str(blob(layout, layer)),
            "-C",
            str(directory),
            "--exclude=.wh.*",
        ]  # too much does no harm
        subprocess.run(extract, check=True)
    config = directory / "etc/nginx/nginx.conf"  # a line of a log for each request would be measured too
    config.write_text(re.sub(r"access_log [^;]+;", "access_log off;", config.read_text()))
    program = shutil.which("iperf3") or "/usr/bin/iperf3"
    libraries = [word for word in output(["ldd", program]).split() if word.startswith("/")]
    for path in (program, *libraries):
        shutil.copy(path, directory / "usr/lib/x86_64-linux-gnu" if path != program else directory / "usr/bin")
    return directory


def blob(layout: Path, descriptor: dict[str, str]) -> Path:
    """A blob of a layout."""
    return layout / "blobs" / Path(descriptor["digest"].replace(":", "/"))


@contextmanager
def host(directory: Path, name: str) -> Iterator[Machine]:
    """One of the two."""
    (directory / name).mkdir()
    with machine(directory / name) as made:
        yield made


@contextmanager
def tank(directory: Path, rootfs: Path) -> Iterator[Side]:
    """Two pods on the pool `default` of a daemon."""
    with host(directory, "tank-sys") as here:
        daemon = Daemon(directory / "n", note_installation(directory), within=here.within)
        daemon.directory.mkdir()
        daemon.start()
        client = daemon.client
        nics = [{"name": "eth0", "ip": {"pool": "default"}}]
        ports = [f"{PORT}:80", f"{STREAM}:5201"]
        try:
            for name, command, published in (("server", SERVE, ports), ("client", ["sleep", "100000"], [])):
                app = {"name": "app", "image": {"rootfs": str(rootfs)}, "command": command}
                network = {"nics": nics, "ports": published}
                client.apply({"name": name, "grace": 0, "network": network, "containers": [app]})
                client.wait(name, "ready", timeout=60)
            address = client.status("server").addresses[0].ip.partition("/")[0]
            side = Side(here, address, lambda argv: client.exec("client", argv).stdout.decode())
            wait_for(lambda: answers(side), what="the server")
            yield side
        finally:
            daemon.delete_all()
            daemon.end()


@contextmanager
def by_podman(peer: Podman, directory: Path, rootfs: Path) -> Iterator[Side]:
    """The same by Podman."""
    with host(directory, "podman-sys") as here:
        apart = Podman(peer.directory, here.within)
        common = ("run", "-d", *peer.limits, "--network", "bridge")
        ports = ("-p", f"{PORT}:80", "-p", f"{STREAM}:5201")
        try:
            server = apart.run(*common, "--name", "server", *ports, "--rootfs", f"{rootfs}:O", *SERVE).strip()
            apart.run(*common, "--name", "client", "--rootfs", f"{rootfs}:O", "sleep", "100000")
            address = apart.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", server).strip()
            side = Side(here, address, lambda argv: apart.run("exec", "client", *argv))
            wait_for(lambda: answers(side), what="the other server")
            yield side
        finally:
            apart.run("rm", "--all", "--force", "--time", "0")


@contextmanager
def by_docker(directory: Path, rootfs: Path) -> Iterator[Side | None]:
    """The same by Docker, where it can be had."""
    with host(directory, "docker-sys") as here, docker(directory / "docker", here.within, ()) as peer:
        if peer is None:
            yield None
            return
        packed = ["tar", "-C", str(rootfs), "-c", "."]
        with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
            subprocess.run(peer.argv("import", "-", "bench"), stdin=tar.stdout, check=True, capture_output=True)
        ports = ("-p", f"{PORT}:80", "-p", f"{STREAM}:5201")
        try:
            peer.run("run", "-d", "--name", "server", *ports, "bench", *SERVE)
            peer.run("run", "-d", "--name", "client", "bench", "sleep", "100000")
            address = peer.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "server").strip()
            side = Side(here, address, lambda argv: peer.run("exec", "client", *argv))
            wait_for(lambda: answers(side), what="the server of docker")
            yield side
        finally:
            peer.run("rm", "--force", "server", "client")


def answers(side: Side) -> bool:
    """Whether its server is there by now."""
    asked = subprocess.run([*side.host.far, "curl", "-sf", "-o", "/dev/null", f"http://{ADDRESS}:{PORT}/"], check=False)
    return asked.returncode == 0
