"""What goes through a published port while rules are deleted and the daemon is killed (P10, R44, R47).

TANK_FLUSHES and TANK_KILLS set how often: `./dev sweep-net` takes a thousand and fifty.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tank.host.netns import Namespaces
from tank.net.anchor import Anchor
from tank.net.plugs import cabling
from tank.net.wanted import Interface
from tests.bridged import ECHO, HOST, Lan, ask, pod, run, up
from tests.daemon import Daemon
from tests.traffic import traffic
from tests.waiting import wait_for

FLUSHES = int(os.environ.get("TANK_FLUSHES", "20"))
KILLS = int(os.environ.get("TANK_NET_KILLS", "3"))
RATE = 200  # requests a second
INTO_LOOPBACK = """
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0)); me = s.getsockname()[4]
own, to, port, mac = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 30, 1, 0, 64, 17, 0, own, to)
sum_ = sum(struct.unpack("!10H", head)); sum_ = ~(sum_ + (sum_ >> 16)) & 0xFFFF
packet = head[:10] + struct.pack("!H", sum_) + head[12:] + struct.pack("!HHHH", 9, port, 10, 0) + b"in"
for tag in (b"", bytes.fromhex("81000000")):
    s.send(bytes.fromhex(mac.replace(":", "")) + me + tag + b"\\x08\\x00" + packet)
"""

pytestmark = [pytest.mark.system, pytest.mark.timeout(180 + FLUSHES + 10 * KILLS)]


@pytest.fixture
def ports() -> tuple[int, int]:
    """Ports of the host that nobody has."""
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        return int(one.getsockname()[1]), int(other.getsockname()[1])


def test_p10_a_flush_opens_nothing_breaks_nothing_and_is_healed(
    daemon: Daemon, lan: Lan, debian: str, ports: tuple[int, int]
) -> None:
    port, other = ports
    (web,) = up(daemon, pod(debian, ports=[f"{port}:80", f"{other}:{ECHO}"]))
    times = []
    with (
        traffic("knock", web, 81, 50, within=lan.within) as knocks,
        traffic("talk", HOST, other, 100, within=lan.within) as far,
        traffic("talk", "127.0.0.1", other, 100) as near,
    ):
        for number in range(FLUSHES):
            times.append(healed(daemon, port, "flush" if number % 4 == 3 else "delete"))
    median, worst = (1000 * each for each in (statistics.median(times), max(times)))
    broken, slowest = [*far.failed, *near.failed], 1000 * max(far.slowest, near.slowest)
    print(f"\n{FLUSHES} flushes, healed after {median:.0f} ms, {worst:.0f} ms at most")
    print(f"{knocks.done} knocks at closed ports, {len(knocks.failed)} answered")
    print(f"{far.done + near.done} exchanges on two connections, {len(broken)} failed, the slowest {slowest:.0f} ms")
    assert (knocks.failed, broken) == ([], [])
    assert max(times) < 5  # a second on a machine that has nothing else to do

    def told() -> bool:
        """At the pace above, none may be still when the next one comes: that is told as `NetworkFault`."""
        healed(daemon, port, "delete")
        with contextlib.suppress(AssertionError):
            wait_for(lambda: any(each.reason == "NetworkRepaired" for each in daemon.client.events()), 1)
            return True
        return False

    wait_for(told, 10, "the event of a table that was deleted")


def healed(daemon: Daemon, port: int, verb: str) -> float:
    """Seconds until the port is open again, after the rules were taken away in one of the ways there are."""
    run(f"nft {verb} table inet tank_{daemon.installation}")
    with contextlib.suppress(subprocess.CalledProcessError):  # it is gone while all is made anew
        run(f"nft {verb} table bridge tank_{daemon.installation}")
    began = time.monotonic()
    wait_for(lambda: ask("127.0.0.1", port, 0.3).startswith("web "), 10, "the port after a flush")
    return time.monotonic() - began


def test_r47_no_request_fails_while_the_daemon_is_killed(
    daemon: Daemon, lan: Lan, debian: str, ports: tuple[int, int]
) -> None:
    port, other = ports
    up(daemon, pod(debian, ports=[f"{port}:80", f"127.0.0.1:{other}:80"]))
    with (
        traffic("request", HOST, port, RATE // 2, within=lan.within) as far,
        traffic("request", "127.0.0.1", other, RATE // 2) as near,
    ):
        for _ in range(KILLS):
            daemon.kill()
            daemon.start()
    failed = [*far.failed, *near.failed]
    slowest = 1000 * max(far.slowest, near.slowest)
    print(f"\n{KILLS} kills, {far.done + near.done} requests, {len(failed)} failed, the slowest {slowest:.0f} ms")
    assert failed == []


async def test_no_flush_takes_the_anchor_and_it_goes_with_its_owner(installation: str) -> None:
    namespaces, anchor = Namespaces(), Anchor(installation)
    with await namespaces.fresh() as kept:
        within = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{kept.fileno()}", "nft"]
        await namespaces.inside(Path(f"/proc/self/fd/{kept.fileno()}"), anchor.hold)
        run([*within, "flush", "ruleset"])
        assert f"tank_{installation}_anchor" in run([*within, "list", "tables"])
        anchor.let_go()
        wait_for(lambda: run([*within, "list", "tables"]) == "", what="the end of the table")
    await namespaces.close()


def heard(web: str, pid: int | None, bridge: str, address: str) -> bool:
    """Whether a frame of the pod's own making gets to a program of the host there. `pid`: of the pod."""
    assert Path("/proc/sys/net/ipv4/conf", bridge, "route_localnet").read_text() == "1\n"
    mac = Path("/sys/class/net", bridge, "address").read_text().strip()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((address, 0))
        opened.settimeout(0.5)
        words = [web, address, str(opened.getsockname()[1]), mac]
        run(["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-c", INTO_LOOPBACK, *words])
        try:
            return opened.recv(9) == b"in"
        except TimeoutError:
            return False


def test_s33_no_pod_reaches_the_loopback_of_the_host_by_its_gate_nor_by_its_rules(daemon: Daemon, debian: str) -> None:
    (web,) = up(daemon, pod(debian))
    status, bridge = daemon.client.status("web"), daemon.client.networks.inspect("default").parent
    asked = partial(heard, web, status.containers[0].pid, bridge)
    (own, _) = daemon.client.networks.inspect("default").gateways
    mark = f"tank {daemon.installation}/{status.uid}/eth0"
    eth0 = Interface(
        name="eth0", kind="veth", parent=bridge, mac="", mtu=None, addresses=(), routes=(), mark=mark
    )  # fmt: skip
    daemon.kill()

    run(f"nft delete table inet tank_{daemon.installation}")
    flushed = asked(own), asked("127.0.0.1"), asked("127.9.9.9"), cabling([eth0]).wrong
    daemon.start()
    wait_for(lambda: run("nft list tables").count(f"inet tank_{daemon.installation}\n"), what="the rules")
    daemon.kill()
    run(f"tc qdisc del dev {eth0.plug} ingress")
    ungated = asked(own), asked("127.0.0.1"), asked("127.9.9.9"), cabling([eth0]).wrong
    run(["ip", "link", "set", eth0.plug, "alias", f"{mark}/plug/unguarded"])
    unguarded = cabling([eth0]).wrong
    daemon.start()

    assert flushed == (True, False, False, ())
    told = "the cable of eth0 lets through what is for the host's loopback"
    assert (ungated, unguarded) == ((True, False, False, (told,)), ())
