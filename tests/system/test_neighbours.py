"""Beside others who keep rules on the same host: ports of Podman and Docker go on, and a firewall that shuts us out
is told of.

All of it on a host made of namespaces, where the rules of both can be left to whom they belong.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import images
from tests.daemon import Daemon
from tests.docker import docker
from tests.machine import ADDRESS, Machine, machine
from tests.system.conftest import tended
from tests.traffic import traffic
from tests.waiting import wait_for

OURS, THEIRS, ECHO = 18080, 18081, 18082
FLUSHES = int(os.environ.get("TANK_FLUSHES", "10"))

pytestmark = [pytest.mark.system, pytest.mark.timeout(300 + FLUSHES)]

SERVE = ("httpd", "-f", "-p", "80", "-h", "/www")


@pytest.fixture
def host(short_tmp: Path) -> Iterator[Machine]:
    (short_tmp / "sys").mkdir()
    with machine(short_tmp / "sys") as made:
        yield made


@pytest.fixture
def daemon(host: Machine, short_tmp: Path, installation: str) -> Iterator[Daemon]:
    yield from tended(Daemon(short_tmp, installation, within=host.within))


@pytest.fixture
def rootfs(short_tmp: Path) -> Path:
    """The files of busybox."""
    directory = short_tmp / "rootfs"
    directory.mkdir()
    for blob in (images.busybox(short_tmp / "layout") / "blobs/sha256").iterdir():
        if tarfile.is_tarfile(blob):
            subprocess.run(["tar", "-xf", blob, "-C", directory], check=True)
    return directory


def pod(rootfs: Path, name: str, *ports: str) -> dict[str, Any]:
    app = {"name": "app", "image": {"rootfs": str(rootfs)}, "command": list(SERVE)}
    network = {"nics": [{"name": "eth0", "ip": {"pool": "default"}}], "ports": list(ports)}
    return {"name": name, "grace": 0, "network": network, "containers": [app]}


def start(daemon: Daemon, *pods: dict[str, Any]) -> None:
    daemon.client.apply(list(pods))
    for each in pods:
        daemon.client.wait(each["name"], "ready", timeout=60)


def fetched(host: Machine, port: int) -> bool:
    """Whether the machine on the LAN gets the page."""
    url = f"http://{ADDRESS}:{port}/"
    asked = subprocess.run([*host.far, "curl", "-sm", "2", url], capture_output=True, text=True, check=False)
    return asked.stdout == "hello from a pod\n"


def podman(host: Machine, directory: Path, *argv: str) -> str:
    where = ["--root", f"{directory}/root", "--runroot", f"{directory}/run", "--tmpdir", f"{directory}/tmp"]
    how = ["--runtime", "crun", "--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
    done = host.run("podman", *where, *how, "--events-backend", "file", *argv)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def peer(host: Machine, short_tmp: Path, rootfs: Path) -> Iterator[str]:
    """A container of Podman with a published port."""
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    where = short_tmp / "podman"
    ports = ("--publish", f"{THEIRS}:80")
    try:
        yield podman(
            host, where, "run", "-d", *limits, "--network", "bridge", *ports, "--rootfs", f"{rootfs}:O", *SERVE
        )
    finally:
        podman(host, where, "rm", "--all", "--force", "--time", "0")


def test_ports_of_podman_go_on_while_pods_come_and_go(daemon: Daemon, host: Machine, rootfs: Path, peer: str) -> None:
    wait_for(lambda: fetched(host, THEIRS), what="the neighbour's server")
    with traffic("fetch", ADDRESS, THEIRS, 50, within=host.far) as seen:
        for _ in range(3):
            start(daemon, pod(rootfs, "web", f"{OURS}:80"), pod(rootfs, "other"))
            assert fetched(host, OURS)
            assert host.run("nft", "delete", "table", "inet", f"tank_{daemon.installation}").returncode == 0
            wait_for(lambda: fetched(host, OURS), what="the port after a flush")
            daemon.kill()
            daemon.start()
            daemon.delete_all()
    assert seen.failed == []


def test_ours_go_on_while_podman_comes_and_goes(
    daemon: Daemon, host: Machine, rootfs: Path, request: pytest.FixtureRequest
) -> None:
    start(daemon, pod(rootfs, "web", f"{OURS}:80"))
    wait_for(lambda: fetched(host, OURS), what="the server")
    with traffic("fetch", ADDRESS, OURS, 50, within=host.far) as seen:
        request.getfixturevalue("peer")
        wait_for(lambda: fetched(host, THEIRS), what="the neighbour's server")
    assert seen.failed == []


def test_docker_and_we_go_on_beside_each_other(
    daemon: Daemon, host: Machine, rootfs: Path, request: pytest.FixtureRequest
) -> None:
    """Its engine drops what it forwards for others; with the cure that we tell, both serve."""
    request.getfixturevalue("engine")
    wait_for(lambda: fetched(host, THEIRS), what="the neighbour's server")
    with traffic("fetch", ADDRESS, THEIRS, 50, within=host.far) as seen:
        start(daemon, pod(rootfs, "web", f"{OURS}:80"))
        cured(daemon, host)
        assert fetched(host, OURS)
        assert host.run("nft", "delete", "table", "inet", f"tank_{daemon.installation}").returncode == 0
        wait_for(lambda: fetched(host, OURS), what="the port after a flush")
        daemon.delete_all()
    assert seen.failed == []


@pytest.fixture
def engine(host: Machine, short_tmp: Path, rootfs: Path) -> Iterator[None]:
    """Docker's, with its own rules on this host, and a container of it with a published port.

    It drops what others forward where it turned forwarding on itself.
    """
    assert host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward").returncode == 0
    with docker(short_tmp / "docker", host.within, ()) as peer:
        assert peer is not None
        packed = ["tar", "-C", str(rootfs), "-c", "."]
        with subprocess.Popen(packed, stdout=subprocess.PIPE) as tar:
            subprocess.run(peer.argv("import", "-", "page"), stdin=tar.stdout, check=True, capture_output=True)
        try:
            peer.run("run", "-d", "--name", "theirs", "-p", f"{THEIRS}:80", "page", *SERVE)
            yield
        finally:
            peer.run("rm", "--force", "theirs")


def test_p10_a_flush_of_everything_opens_nothing_breaks_nothing_and_is_healed(
    daemon: Daemon, host: Machine, rootfs: Path
) -> None:
    spec = pod(rootfs, "web", f"{OURS}:80", f"{ECHO}:82")
    spec["containers"][0]["command"] = ["sh", "-c", f"nc -ll -p 82 -e cat & exec {' '.join(SERVE)}"]
    start(daemon, spec)
    wait_for(lambda: fetched(host, OURS), what="the server")
    address = daemon.client.status("web").addresses[0].ip.partition("/")[0]
    with (
        traffic("knock", address, 81, 50, within=host.far) as direct,
        traffic("talk", ADDRESS, ECHO, 100, within=host.far) as far,
        traffic("talk", "127.0.0.1", ECHO, 100, within=host.within) as near,
    ):
        for _ in range(FLUSHES):
            assert host.run("nft", "flush", "ruleset").returncode == 0
            wait_for(lambda: fetched(host, OURS), 10, "the port after a flush")
    print(f"\n{FLUSHES} flushes of everything, {direct.done} knocks, {far.done + near.done} exchanges")
    assert (direct.failed, far.failed, near.failed) == ([], [], [])


def test_a_firewall_that_drops_what_is_forwarded_is_told_of_with_the_cure(
    daemon: Daemon, host: Machine, rootfs: Path
) -> None:
    """As Docker sets it, in whose own chain the cure goes."""
    for rule in ("-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"):
        assert host.run("iptables", *rule.split()).returncode == 0
    start(daemon, pod(rootfs, "web", f"{OURS}:80"))
    cured(daemon, host)
    assert fetched(host, OURS)


def cured(daemon: Daemon, host: Machine) -> None:
    """Nobody comes through, and what `tank doctor` says of it is done."""
    assert not fetched(host, OURS)
    told = json.loads(daemon.tank("doctor", "-o", "json").stdout)
    (cure,) = {each["cure"] for each in told if each["check"] == "firewall"}
    for command in re.findall("iptables [^;]+", cure):
        assert "DOCKER-USER" in command
        assert host.run(*command.split()).returncode == 0
