"""Names are answered whatever becomes of the daemon and of the server of names, and the server never outstays (R49)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from tank.model.etcfiles import NAMESERVER
from tank.net.names.leads import PORT
from tank.net.names.line import Line
from tank.node.wiring import CONDITION
from tests.daemon import Daemon
from tests.naming import (
    address,
    namespace,
    rain,
    refused,
    resolv_conf,
    restart_with,
    said,
    servers,
    spec,
    start,
)
from tests.waiting import wait_for

CHANGES = int(os.environ.get("TANK_NAMES_CHANGES", "10"))
KILLS = int(os.environ.get("TANK_NAMES_KILLS", "2"))

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("bridge_goes"),
    pytest.mark.timeout(120 + 2 * CHANGES + 10 * KILLS),
]


def test_names_are_switched_off_and_on_while_pods_run(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    wait_for(lambda: len(servers(daemon)) == 1)
    restart_with(daemon, "[net.dns]\nenabled = false\n")
    wait_for(lambda: not servers(daemon) and NAMESERVER not in resolv_conf(daemon, "web"))
    restart_with(daemon, '[net.dns]\ndomain = "pods.test"\n')
    inside = namespace(daemon, "web")
    wait_for(lambda: len(servers(daemon)) == 1 and "search pods.test" in resolv_conf(daemon, "web"))
    assert said(inside, "web.pods.test") == [address(daemon, "web")]


def test_the_server_has_no_power_and_ends_with_the_last_pod(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox), spec("other", busybox))
    wait_for(lambda: len(servers(daemon)) == 1)
    wait_for(lambda: said(namespace(daemon, "web"), "web") != [], 2)
    status = Path(f"/proc/{servers(daemon)[0]}/status").read_text()
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    powers = [rows["Uid"].split(), rows["CapPrm"], rows["CapEff"], rows["CapBnd"], rows["NoNewPrivs"]]
    assert powers == [["65534"] * 4, *["0" * 16] * 3, "1"]
    daemon.client.delete("other", grace=0)
    daemon.client.wait("other", "gone", timeout=30)
    assert len(servers(daemon)) == 1
    daemon.client.delete("web", grace=0)
    daemon.client.wait("web", "gone", timeout=30)
    wait_for(lambda: not servers(daemon), 2)


def test_nothing_is_lost_by_changes_and_kills_of_the_daemon(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    with rain(inside) as drops:
        for number in range(CHANGES // 2):
            start(daemon, spec(f"n{number}", busybox))
            daemon.client.delete(f"n{number}", grace=0)
            if number % max(1, CHANGES // 2 // KILLS) == 0:
                daemon.kill()
                daemon.start()
    print(f"names: {CHANGES} changes, {KILLS} kills of the daemon: {drops.words()}")
    assert drops.lost() == []


def test_a_server_that_is_killed_has_a_successor_within_a_second(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    for _ in range(2):
        with rain(inside) as drops:
            (before,) = servers(daemon)
            os.kill(before, signal.SIGKILL)
            wait_for(partial(succeeded, daemon, before))
            wait_for(lambda: not refused(inside))
        print(f"names: the server killed: {drops.words()}")
        assert drops.gap() < 1.0


def succeeded(daemon: Daemon, before: int) -> bool:
    """Whether another server is there."""
    return bool(servers(daemon)) and before not in servers(daemon)


def test_a_server_that_hangs_is_replaced(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox))
    (before,) = wait_for(lambda: servers(daemon))
    os.kill(before, signal.SIGSTOP)
    start(daemon, spec("other", busybox))
    wait_for(partial(succeeded, daemon, before), 10)
    wait_for(lambda: said(namespace(daemon, "web"), "other") == [address(daemon, "other")])


def test_a_pod_that_is_being_stopped_may_still_ask(daemon: Daemon, busybox: str) -> None:
    slow = ["sh", "-c", "trap 'sleep 3; exit' TERM; while :; do sleep 0.1; done"]
    start(daemon, spec("web", busybox, command=slow) | {"grace": 9}, spec("other", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "other") != [], 2)
    daemon.client.delete("web")
    wait_for(lambda: said(namespace(daemon, "other"), "web") == [], 2)
    assert said(inside, "other") == [address(daemon, "other")]
    assert daemon.client.status("web").phase == "terminating"
    daemon.client.delete("web", grace=0)
    daemon.client.wait("web", "gone", timeout=30)


def test_a_pod_that_takes_the_place_of_its_server_harms_only_itself(daemon: Daemon, busybox: str) -> None:
    start(daemon, spec("web", busybox), spec("other", busybox))
    inside = namespace(daemon, "web")
    wait_for(lambda: said(inside, "web") != [], 2)
    with squatting(inside) as squatter:
        assert said(inside, "web") == [address(daemon, "web")]  # while the server is there, nobody gets in
        os.kill(servers(daemon)[0], signal.SIGKILL)
        assert squatter.readline() == "in\n"
        start(daemon, spec("late", busybox))
        beside = namespace(daemon, "other")
        wait_for(lambda: not refused(beside) and said(beside, "late") == [address(daemon, "late")], 20)
        wait_for(lambda: "pod web asks" in faults(daemon), 40, "the fault")
    wait_for(lambda: not refused(inside) and said(inside, "late") == [address(daemon, "late")], 40, "its server")
    wait_for(lambda: not faults(daemon), what="the end of the fault")


SQUAT = f"""
import os, socket, time
os.setgid(65534); os.setuid(65534)
def hold(kind):
    while True:
        s = socket.socket(socket.AF_INET, kind); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("{NAMESERVER}", {PORT}))
            return s
        except OSError:
            s.close(); time.sleep(0.001)
print("begun", flush=True)
held = [hold(socket.SOCK_DGRAM), hold(socket.SOCK_STREAM)]
held[1].listen()
print("in", flush=True)
input()
"""


@contextmanager
def squatting(inside: Path) -> Iterator[IO[str]]:
    """A program without rights in the pod, which takes the port of its questions as soon as it can; what it says."""
    command = ["nsenter", f"--net={inside}", sys.executable, "-I", "-c", SQUAT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as squatter:
        try:
            assert squatter.stdout is not None
            assert squatter.stdout.readline() == "begun\n"
            yield squatter.stdout
        finally:
            squatter.kill()


def faults(daemon: Daemon) -> str:
    return next((each["message"] for each in daemon.client.info()["conditions"] if each["type"] == CONDITION), "")


async def test_a_server_of_another_version_is_replaced(short_tmp: Path, installation: str) -> None:
    first, second = (Line(short_tmp / "names", installation, version) for version in ("1", "2"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
        streams.bind(("127.117.0.55", 0))
        streams.listen()
        datagrams.bind(streams.getsockname())
        await first.connect()
        await first.take("a:1", [datagrams.fileno(), streams.fileno()])
    first.hang_up()
    await first.connect()
    assert first.held == {"a:1"}
    ended = asyncio.ensure_future(first.ended())
    await asyncio.sleep(0)
    await second.connect()
    await ended
    assert second.held == frozenset()
    first.hang_up()
    await second.end()
    assert not second.left
