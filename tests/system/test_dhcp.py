"""Addresses from the network: leased by a router that nobody told of Tank, and made of its prefix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tank.host import cell
from tank.host.watch import start_time_of
from tank.net.dhcp.client import CLIENT, STATE
from tank.net.dhcp.holding import carry_over
from tank.net.dhcp.lease import Lease
from tests.daemon import Daemon
from tests.dhcp import PREFIX6, Router
from tests.neighbour import Neighbour
from tests.segment import Lan, ip, lan
from tests.system.conftest import tended
from tests.waiting import wait_for, wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

RESOLVER = Path("/etc/resolv.conf")


@pytest.fixture
def router(neighbour: Neighbour, tmp_path: Path) -> Iterator[Router]:
    neighbour.run("ip", "address", "add", f"{PREFIX6}1/64", "dev", "lan0", "nodad")
    made = Router(neighbour, tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def tank(short_tmp: Path, installation: str, router: Router) -> Iterator[Daemon]:
    """A daemon on the router's network. All leases are given back in the end."""
    config = f"[host]\nuplink = '{router.neighbour.parent}'\n"
    yield from tended(Daemon(short_tmp, installation, config=config))
    if router.process is not None:
        wait_for(lambda: not router.leases, what="the end of every lease")


def spec(image: str, *how: str, name: str = "web", **network: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": ["httpd", "-f", "-p", "80"], "reaper": False}
    nics = [{"name": "eth0", "ip": list(how)}]
    return {"name": name, "grace": 0, "network": {"nics": nics, **network}, "containers": [container]}


def start(tank: Daemon, document: dict[str, Any]) -> dict[str, str]:
    """The addresses of the pod once it runs, by their source."""
    tank.client.apply(document)
    tank.client.wait(document["name"], "ready", timeout=60)
    return addresses(tank, document["name"])


def addresses(tank: Daemon, name: str = "web") -> dict[str, str]:
    return {each.source: each.ip.partition("/")[0] for each in tank.client.status(name).addresses}


def inside(tank: Daemon, name: str = "web") -> Path:
    return tank.run / "pods" / tank.client.status(name).uid / "ns" / "net"


def told(tank: Daemon, name: str) -> Any:
    """What a file of the only client says; no daemon is asked."""
    (found,) = tank.run.glob(f"pods/*/dhcp/eth0/{name}")
    return json.loads(found.read_bytes())


def pids(tank: Daemon) -> tuple[int, int]:
    """Of keeper and client."""
    return told(tank, CLIENT)["keeper"][0], told(tank, CLIENT)["client"][0]


def until(tank: Daemon) -> float:
    """When the lease ends."""
    return float(told(tank, STATE)["lease"]["until"])


def events(tank: Daemon, reason: str) -> list[str]:
    return [each.message for each in tank.client.events() if each.reason == reason]


def test_a_lease_with_all_that_comes_with_it(tank: Daemon, router: Router, busybox: str) -> None:
    before = RESOLVER.read_text()

    address = start(tank, spec(busybox, "dhcp"))["dhcp"]

    (lease,) = router.leases
    assert (lease[2], lease[3]) == (address, "web")
    assert lease[1] == tank.client.status("web").addresses[0].mac
    held, ways = ip("-d -o addr show dev eth0", inside(tank)), ip("route", inside(tank))
    assert f"{address}/24 brd {router.neighbour.prefix}.255" in held
    assert "valid_lft forever" not in held.partition("inet6")[0]
    assert f"default via {router.neighbour.address}" in ways
    assert "mtu 1400" in ip("link show eth0", inside(tank))
    assert router.neighbour.run("busybox", "ping", "-c1", "-W2", address).returncode == 0
    assert "lan.test" in tank.client.exec("web", ["cat", "/etc/resolv.conf"]).stdout.decode()
    assert RESOLVER.read_text() == before


def test_the_client_has_little_power_and_sees_nothing(tank: Daemon, router: Router, busybox: str) -> None:
    start(tank, spec(busybox, "dhcp"))
    keeper, client = pids(tank)

    def rows(pid: int) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    asking, keeping = rows(client), rows(keeper)
    power = f"{1 << cell.NET_RAW | 1 << cell.NET_BIND_SERVICE:016x}"
    assert [asking[each] for each in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")] == [power] * 3 + ["1"]
    assert set(asking["Uid"].split()) == {"65534"}
    assert os.listdir(f"/proc/{client}/root").count("etc") == 0
    bound = f"{1 << cell.NET_ADMIN | 1 << cell.DAC_READ_SEARCH:016x}"
    assert [keeping[each] for each in ("CapEff", "CapBnd", "NoNewPrivs")] == [bound] * 2 + ["1"]
    for pid in (keeper, client):
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert Path(f"/proc/{keeper}/comm").read_text() == "sh\n"


def test_renewed_and_kept_while_no_daemon_runs(tank: Daemon, router: Router, busybox: str) -> None:
    address, before = start(tank, spec(busybox, "dhcp"))["dhcp"], pids(tank)
    tank.kill()
    ends = until(tank)
    os.kill(before[1], signal.SIGUSR1)

    wait_for(lambda: until(tank) > ends, what="a renewal")
    tank.start()

    assert (pids(tank), addresses(tank)["dhcp"]) == (before, address)
    wait_for(lambda: tank.client.status("web").ready)
    assert events(tank, "NetworkRepaired") == []


@pytest.mark.parametrize("which", [0, 1])
def test_a_client_that_dies_has_a_successor(tank: Daemon, router: Router, busybox: str, which: int) -> None:
    address, before = start(tank, spec(busybox, "dhcp"))["dhcp"], pids(tank)

    os.kill(before[which], signal.SIGKILL)

    wait_for(lambda: not {*pids(tank)} & {*before}, what="another client")
    wait_for(lambda: [each for each in events(tank, "NetworkRepaired") if "DHCP client of eth0 has ended" in each])
    assert addresses(tank)["dhcp"] == address
    assert [start_time_of(pid) for pid in before] == [None, None]


def test_a_refusal_leads_to_another_address_and_is_told(tank: Daemon, router: Router, busybox: str) -> None:
    first = start(tank, spec(busybox, "dhcp"))["dhcp"]
    router.forget(150, 169)

    os.kill(pids(tank)[1], signal.SIGUSR1)

    wait_for(lambda: addresses(tank)["dhcp"] != first, 20, "another address")
    second = addresses(tank)["dhcp"]
    assert int(second.rpartition(".")[2]) in range(150, 170)
    held = ip("-o addr show dev eth0", inside(tank))
    assert (first in held, second in held) == (False, True)
    assert events(tank, "AddressChanged") == [f"eth0 has {second}/24 now, and had {first}/24"]


def test_the_address_outlives_the_containers_and_ends_with_the_pod(tank: Daemon, router: Router, busybox: str) -> None:
    address = start(tank, spec(busybox, "dhcp"))["dhcp"]
    started = tank.client.status("web").containers[0].pid
    tank.client.restart("web")
    wait_for(lambda: (now := tank.client.status("web")).ready and now.containers[0].pid != started)
    assert addresses(tank)["dhcp"] == address
    assert router.said("DHCPRELEASE") == 0

    tank.client.delete("web")
    tank.client.wait("web", "gone", timeout=60)

    assert router.said("DHCPRELEASE") == 1
    assert router.leases == []


def test_a_pod_that_is_made_anew_asks_for_what_it_had(tank: Daemon, router: Router, busybox: str) -> None:
    address = start(tank, spec(busybox, "dhcp"))["dhcp"]
    started = tank.client.status("web").containers[0].pid

    tank.client.apply(spec(busybox, "dhcp") | {"hostname": "other"})

    wait_for(lambda: (now := tank.client.status("web")).ready and now.containers[0].pid != started, 60)
    wait_for(lambda: router.leases[0][3] == "other", 20, "the new name in the router's book")
    assert (addresses(tank)["dhcp"], router.said("DHCPRELEASE")) == (address, 0)

    tank.client.apply(spec(busybox, "192.0.2.77/24") | {"hostname": "third"})
    wait_for(lambda: router.said("DHCPRELEASE"), 60, "the end of what is not asked for any more")


def test_a_client_of_another_version_has_a_successor(tank: Daemon, router: Router, busybox: str) -> None:
    address, before = start(tank, spec(busybox, "dhcp"))["dhcp"], pids(tank)
    tank.kill()
    (wish,) = tank.run.glob("pods/*/dhcp/eth0/wish")
    hostname, metric, *_ = json.loads(wish.read_bytes())
    wish.write_text(json.dumps([hostname, metric, "0.0.1", "/usr/lib/python2/bin/python"]))

    tank.start()

    wait_for(lambda: not {*pids(tank)} & {*before}, what="another client")
    wait_for(lambda: [each for each in events(tank, "NetworkRepaired") if "is that of another Tank" in each])
    assert (addresses(tank)["dhcp"], router.said("DHCPRELEASE")) == (address, 0)


def test_no_server_takes_ipv6_away_and_the_host_reaches_the_pod(tank: Daemon, router: Router, busybox: str) -> None:
    router.stop()
    router.mtu = 576
    router.start()
    ip(f"address add {router.neighbour.prefix}.9/24 dev {router.neighbour.parent}")

    found = start(tank, spec(busybox, "dhcp", "slaac"))

    assert "mtu 1280 " in ip("link show eth0", inside(tank))
    assert router.neighbour.run("busybox", "ping", "-6", "-c1", "-W2", found["slaac"]).returncode == 0
    ping = ["busybox", "ping", "-c1", "-W1", found["dhcp"]]
    wait_for(lambda: subprocess.run(ping, capture_output=True, check=False).returncode == 0, what="the way by the shim")


def test_without_a_server_a_pod_waits_and_says_so(tank: Daemon, router: Router, busybox: str) -> None:
    router.stop()
    tank.client.apply(spec(busybox, "dhcp"))

    where = f"no DHCP server answers on {router.neighbour.parent} (eth0)"
    wait_for(lambda: where in tank.client.status("web").message, 20, "the reason")
    assert tank.client.status("web").reason == "NetworkNotReady"
    router.start()

    tank.client.wait("web", "ready", timeout=60)
    assert addresses(tank)["dhcp"] == router.leases[0][2]


def test_an_address_of_a_routers_prefix(tank: Daemon, router: Router, busybox: str) -> None:
    found = start(tank, spec(busybox, "dhcp", "slaac", "198.51.100.7/24"))

    assert set(found) == {"", "dhcp", "slaac"}
    assert found["slaac"].startswith("fd66:1::") or found["slaac"].startswith("fd66:1:0:0:")
    assert "default via fe80:" in ip("-6 route", inside(tank))
    assert router.neighbour.run("busybox", "ping", "-6", "-c1", "-W2", found["slaac"]).returncode == 0
    tank.kill()
    tank.start()
    wait_for(lambda: tank.client.status("web").ready)
    assert (addresses(tank), events(tank, "NetworkRepaired")) == (found, [])

    tank.client.apply(spec(busybox, "198.51.100.7/24"))

    wait_for(lambda: set(addresses(tank)) == {""}, what="the end of what was asked for")
    left = ip("-o addr show dev eth0", inside(tank))
    assert [each in left for each in ("198.51.100.7", found["slaac"], found["dhcp"])] == [True, False, False]
    assert "default" not in ip("-6 route", inside(tank)) + ip("route", inside(tank))


async def test_an_address_that_nobody_renews_goes_by_itself(tmp_path: Path) -> None:
    async with lan(tmp_path) as segment:
        await _expires(segment)


async def _expires(segment: Lan) -> None:
    lease = Lease(address="10.66.0.9/24", until=100.0)
    await segment.namespaces.inside(
        segment.neighbour, lambda: carry_over(segment.far, None, lease, metric=None, now=99.0)
    )
    assert "10.66.0.9/24" in ip("-o addr", segment.neighbour)
    await wait_until(lambda: "10.66.0.9" not in ip("-o addr", segment.neighbour))


async def test_a_lease_gives_a_stated_address_no_end_and_another_router_takes_over(tmp_path: Path) -> None:
    async with lan(tmp_path) as segment:
        far, where = segment.far, segment.neighbour
        ip(f"addr add 10.66.0.8/24 dev {far}", where)
        first = Lease(address="10.66.0.8/24", until=110.0, router="10.66.0.3")
        second = Lease(address="10.66.0.9/24", until=110.0, router="10.66.0.4")

        await segment.namespaces.inside(where, lambda: carry_over(far, None, first, metric=0, now=50.0))
        (held,) = [each for each in ip("-o addr", where).splitlines() if "10.66.0.8/24" in each]
        assert "valid_lft forever" in held
        assert "default via 10.66.0.3" in ip("route", where)
        await segment.namespaces.inside(where, lambda: carry_over(far, first, second, metric=0, now=50.0))

        assert "default via 10.66.0.4" in ip("route", where)
        assert "default via 10.66.0.3" not in ip("route", where)
        assert [each in ip("-o addr", where) for each in ("10.66.0.8/24", "10.66.0.9/24")] == [True, True]
