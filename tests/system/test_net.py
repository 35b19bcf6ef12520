"""The network driver on a LAN of the test's own: made, reached, drifted, healed, changed, released."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import AsyncIPRoute

from tank.errors import Waiting
from tank.model.pod import Container, Network, Nic, Pod, Route
from tank.model.record import Address
from tank.net.announce import frame
from tank.net.driver import NetDriver
from tank.net.links import Links
from tank.net.monitor import Monitor
from tank.net.rtnetlink import NETLINK
from tank.net.wanted import stable_mac
from tests.segment import NEIGHBOUR, NEIGHBOUR6, Lan, drop, ip, talk
from tests.waiting import wait_until

pytestmark = pytest.mark.system

UID = "0123456789ab"


def nic(**more: Any) -> Nic:
    return Nic(**{"name": "eth0", "ip": ("10.66.0.5/24",), "gateway": (NEIGHBOUR,)} | more)


def pod(*nics: Nic, name: str = "web") -> Pod:
    return Pod(name=name, containers=(Container(name="app", image="x"),), network=Network(nics=nics or (nic(),)))


def mac_of(namespace: Path, name: str = "eth0") -> str:
    return ip(f"-o link show {name}", namespace).split("link/ether ")[1].split()[0]


async def test_a_pod_reaches_its_neighbour_and_is_reached(segment: Lan, net: NetDriver, installation: str) -> None:
    inside = await segment.namespace("pod")

    held = await net.configure(UID, pod(), inside)

    mac = stable_mac(installation, "web", "eth0")
    assert held == (Address(nic="eth0", ip="10.66.0.5/24", mac=mac),)
    assert mac_of(inside) == mac
    assert await talk(segment, inside, segment.neighbour, NEIGHBOUR) == "10.66.0.5"
    assert await talk(segment, segment.neighbour, inside, "10.66.0.5") == NEIGHBOUR
    assert f"default via {NEIGHBOUR} dev eth0" in ip("route", inside)
    assert await net.observe(UID, pod(), inside) == ()


async def test_several_interfaces_both_families_routes_mtu_and_mac(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    first = nic(
        ip=("10.66.0.5/24", "10.66.0.6/32", "fd66::5/64"),
        gateway=(NEIGHBOUR, NEIGHBOUR6),
        routes=(
            Route(to="10.9.0.0/16", via="10.66.0.2"),
            Route(to="10.10.0.0/16"),
            Route(to="fd99::/48", via="fe80::1"),
        ),
        mtu=1400,
    )
    second = nic(name="lan1", parent=segment.parent, ip=("10.67.0.5/24",), gateway=(), mac="02:00:5e:10:00:01")

    held = await net.configure(UID, pod(first, second), inside)

    assert [each.ip for each in held] == ["10.66.0.5/24", "10.66.0.6/32", "fd66::5/64", "10.67.0.5/24"]
    assert await talk(segment, inside, segment.neighbour, NEIGHBOUR6) == "fd66::5"
    assert await talk(segment, segment.neighbour, inside, "fd66::5") == NEIGHBOUR6
    assert "mtu 1400" in ip("link show eth0", inside)
    assert mac_of(inside, "lan1") == "02:00:5e:10:00:01"
    routes = ip("route", inside) + ip("-6 route", inside)
    for each in ("10.9.0.0/16 via 10.66.0.2", "10.10.0.0/16 dev eth0", "fd99::/48 via fe80::1", f"via {NEIGHBOUR6}"):
        assert each in routes
    assert await net.observe(UID, pod(first, second), inside) == ()


async def test_configuring_again_changes_nothing(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    await net.configure(UID, pod(), inside)
    before = ip("-o addr", inside) + ip("route", inside)

    await net.configure(UID, pod(), inside)

    assert ip("-o addr", inside) + ip("route", inside) == before


async def test_s32_whoever_makes_it_listen_to_routers_it_stops(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    both = pod(nic(ip=("10.66.0.5/24", "fd66::5/64"), gateway=()))
    await net.configure(UID, both, inside)
    setting = Path("/proc/sys/net/ipv6/conf/eth0/accept_ra")
    assert await segment.namespaces.inside(inside, setting.read_text) == "0\n"

    await segment.namespaces.inside(inside, lambda: setting.write_text("2"))

    assert await net.observe(UID, both, inside) == ("net/ipv6/conf/eth0/accept_ra is not 0",)
    await net.configure(UID, both, inside)
    assert await net.observe(UID, both, inside) == ()
    assert "fd66::5/64" in ip("-6 addr show eth0", inside)


async def test_an_ipv6_address_can_be_bound_at_once(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")

    await net.configure(UID, pod(nic(ip=("fd66::5/64",), gateway=())), inside)

    with await segment.namespaces.socket(inside, socket.AF_INET6, socket.SOCK_STREAM) as listening:
        listening.bind(("fd66::5", 0))


async def test_a_router_cannot_add_addresses_of_its_own(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")

    await net.configure(UID, pod(), inside)

    def read() -> str:
        return Path("/proc/sys/net/ipv6/conf/eth0/accept_ra").read_text().strip()

    assert await segment.namespaces.inside(inside, read) == "0"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("addr flush dev eth0 scope global", "address 10.66.0.5/24 on eth0 is missing"),
        ("route del default", f"route to 0.0.0.0/0 by {NEIGHBOUR} on eth0 is missing"),
        ("route replace default dev eth0", f"route to 0.0.0.0/0 by {NEIGHBOUR} on eth0 is missing"),
        ("link set eth0 down", "interface eth0 is down"),
        ("link set lo down", "loopback is down"),
        ("link del eth0", "interface eth0 is missing"),
        ("link set eth0 mtu 1300", "interface eth0 has MTU 1300, not 1500"),
        ("link set eth0 address 02:00:00:00:00:09", "interface eth0 has MAC 02:00:00:00:00:09, not {mac}"),
    ],
)
async def test_drift_is_heard_of_within_a_second_told_and_healed(
    segment: Lan, net: NetDriver, damage: str, said: str
) -> None:
    inside = await segment.namespace("pod")
    await net.configure(UID, pod(), inside)
    mac, nudged = mac_of(inside), asyncio.Event()
    net.watch(UID, inside, nudged.set)
    await wait_until(lambda: net.watches(UID))

    ip(damage, inside)

    async with asyncio.timeout(1):
        await nudged.wait()
    assert said.format(mac=mac) in await net.observe(UID, pod(), inside)
    await net.configure(UID, pod(), inside)
    assert await net.observe(UID, pod(), inside) == ()
    assert await talk(segment, segment.neighbour, inside, "10.66.0.5") == NEIGHBOUR


async def test_a_renamed_interface_is_ours_still_and_gets_its_name_back(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    await net.configure(UID, pod(), inside)
    for damage in ("link set eth0 down", "link set eth0 name other", "link set other up"):
        ip(damage, inside)

    assert await net.observe(UID, pod(), inside) == ("interface eth0 is called other",)
    await net.configure(UID, pod(), inside)

    assert await net.observe(UID, pod(), inside) == ()


async def test_a_live_change_hands_over_and_leaves_what_is_foreign(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    old = pod(
        nic(routes=(Route(to="10.9.0.0/16", via="10.66.0.2"),)), nic(name="eth1", ip=("10.67.0.5/24",), gateway=())
    )
    await net.configure(UID, old, inside)
    ip("addr add 10.66.0.99/24 dev eth0", inside)
    ip("route add 10.77.0.0/16 via 10.66.0.3", inside)
    new = pod(nic(ip=("10.66.0.7/24",), gateway=("10.66.0.2",), mtu=1400))

    assert len(await net.observe(UID, new, inside)) > 0
    await net.configure(UID, new, inside)

    addresses, routes = ip("-o -4 addr show dev eth0", inside), ip("route", inside)
    assert [each in addresses for each in ("10.66.0.7/24", "10.66.0.5/24")] == [True, False]
    assert [each in routes for each in ("default via 10.66.0.2", "10.9.0.0/16", "10.67.0.0")] == [True, False, False]
    assert "eth1" not in ip("link", inside)
    assert await net.observe(UID, new, inside) == ()
    ip("addr add 10.66.0.98/24 dev eth0", inside)
    ip("route add 10.78.0.0/16 dev eth0", inside)
    await net.configure(UID, new, inside)
    assert "10.66.0.98/24" in ip("-o -4 addr show dev eth0", inside)
    assert "10.78.0.0/16" in ip("route", inside)


async def test_another_parent_makes_the_interface_anew(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    await net.configure(UID, pod(), inside)
    other = f"{segment.parent[:-1]}c"
    ip(f"link add {other} type veth peer name {segment.parent[:-1]}d")
    try:
        ip(f"link set {other} up")
        moved = pod(nic(parent=other))
        assert await net.observe(UID, moved, inside) == (f"interface eth0 has a parent other than {other}",)

        await net.configure(UID, moved, inside)

        assert await net.observe(UID, moved, inside) == ()
    finally:
        drop(other)


async def test_a_link_that_a_crash_left_half_made_is_made_anew(segment: Lan, net: NetDriver, installation: str) -> None:
    inside = await segment.namespace("pod")
    ip(f"link add link {segment.parent} name tk0123456789ab type macvlan mode bridge")
    ip(f"link set tk0123456789ab netns {inside}")

    await net.configure(UID, pod(), inside)

    assert "tk0123456789ab" not in ip("link", inside)


async def test_a_parent_that_is_missing_is_named_with_what_there_is(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")

    with pytest.raises(Waiting, match=f"no interface called nosuch0; there are: .*{segment.parent}") as caught:
        await net.configure(UID, pod(nic(parent="nosuch0")), inside)

    assert caught.value.reason == "NetworkNotReady"


async def test_a_parent_that_is_down_or_too_narrow_or_unfit_says_so(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")

    with pytest.raises(Waiting, match=r"mtu 9000 is more than .* has"):
        await net.configure(UID, pod(nic(mtu=9000)), inside)
    with pytest.raises(Waiting, match=r"cannot put an interface on lo: .*; it is no Ethernet interface"):
        await net.configure(UID, pod(nic(parent="lo")), inside)
    ip(f"link set {segment.parent} down")
    with pytest.raises(Waiting, match=f"{segment.parent} is down"):
        await net.configure(UID, pod(), inside)
    ip(f"link set {segment.parent} up")
    await net.configure(UID, pod(), inside)


async def test_a_parent_in_a_bridge_is_refused_with_the_cure(segment: Lan, net: NetDriver) -> None:
    inside, bridge = await segment.namespace("pod"), f"{segment.parent[:-1]}r"
    ip(f"link add {bridge} type bridge")
    try:
        ip(f"link set {segment.parent} master {bridge}")

        with pytest.raises(Waiting, match=r"it belongs to a bridge or a bond: name that as the parent"):
            await net.configure(UID, pod(), inside)
    finally:
        drop(bridge)


async def test_a_foreign_interface_of_the_same_name_is_left_alone(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    ip("link add eth0 type veth peer name other", inside)

    with pytest.raises(Waiting, match="an interface of that name that is not ours"):
        await net.configure(UID, pod(), inside)

    assert "other@eth0" in ip("link", inside)
    ip("link del eth0", inside)
    await net.configure(UID, pod(), inside)
    assert await net.observe(UID, pod(), inside) == ()


async def test_a_mac_that_another_pod_has_is_refused(segment: Lan, net: NetDriver) -> None:
    first, second = await segment.namespace("a"), await segment.namespace("b")
    mac = "02:00:00:00:00:07"
    await net.configure(UID, pod(nic(mac=mac)), first)

    with pytest.raises(Waiting, match="another interface on the same parent has this MAC"):
        await net.configure("ba9876543210", pod(nic(mac=mac, ip=("10.66.0.8/24",)), name="b"), second)


async def test_released_addresses_are_free_at_once_though_a_process_lives_on(segment: Lan, net: NetDriver) -> None:
    inside, after = await segment.namespace("pod"), await segment.namespace("next")
    await net.configure(UID, pod(), inside)
    ip("link add own type veth peer name other", inside)

    await net.release(UID, pod(), inside)
    await net.release(UID, pod(), inside)

    links = ip("link", inside)
    assert ["eth0" in links, "own" in links] == [False, True]
    await net.configure("ba9876543210", pod(), after)
    assert await talk(segment, segment.neighbour, after, "10.66.0.5") == NEIGHBOUR


async def test_a_cancelled_configuration_is_over_before_the_next_begins(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    for passes in range(8):
        working = asyncio.ensure_future(net.configure(UID, pod(), inside))
        for _ in range(passes):
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await net.release(UID, pod(), inside)

    await net.configure(UID, pod(), inside)

    assert await net.observe(UID, pod(), inside) == ()


async def test_releasing_what_is_gone_is_done(segment: Lan, net: NetDriver, tmp_path: Path) -> None:
    await net.release(UID, pod(), segment.directory / "gone" / "net")


async def test_pods_without_interfaces_need_nothing(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    for mode in ("none", "host"):
        quiet = pod().model_copy(update={"network": mode})

        assert await net.configure(UID, quiet, inside) == ()
        assert await net.observe(UID, quiet, inside) == ()
        await net.release(UID, quiet, inside)


async def test_neighbours_are_told_of_a_new_address(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    wanted = pod(nic(ip=("10.66.0.5/24", "fd66::5/64")))

    with await segment.namespaces.inside(segment.neighbour, lambda: listener(segment.far)) as heard:
        (first, second) = await net.configure(UID, wanted, inside)
        frames = {frame(first.mac, "10.66.0.5"), frame(second.mac, "fd66::5")}
        async with asyncio.timeout(5):
            while frames:
                frames.discard(await asyncio.get_running_loop().sock_recv(heard, 2048))


def listener(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(0x0003))
    opened.bind((interface, 0x0003))
    return opened


async def test_what_we_read_is_what_pyroute2_reads(segment: Lan, net: NetDriver) -> None:
    """The maintained library of this field as the oracle of our own reading."""
    inside = await segment.namespace("pod")
    wanted = nic(ip=("10.66.0.5/24", "fd66::5/64"), gateway=(NEIGHBOUR, NEIGHBOUR6), routes=(Route(to="10.9.0.0/16"),))
    await net.configure(UID, pod(wanted), inside)
    with Links(await segment.namespaces.socket(inside, *NETLINK)) as links:
        seen = links.look()

    opened = await segment.namespaces.socket(inside, socket.AF_NETLINK, socket.SOCK_DGRAM)
    async with AsyncIPRoute(use_socket=opened) as library:
        their_links = [
            (each["index"], *(each.get(key) for key in ("ifname", "ifalias", "mtu", "address", "link")))
            async for each in await library.get_links()
        ]
        their_addresses = {
            (each["index"], f"{each.get('local') or each.get('address')}/{each['prefixlen']}", each.get("proto") or 0)
            async for each in await library.get_addr()
        }
        their_routes = {
            (each.get("oif"), each.get("dst"), each.get("gateway"), each["proto"], each.get("priority") or 0)
            for family in (socket.AF_INET, socket.AF_INET6)
            async for each in await library.get_routes(family=family, table=254, type=1)
        }

    assert [(e.index, e.name, e.alias or None, e.mtu, e.mac, e.lower) for e in seen.links] == their_links
    assert {(e.index, e.address, e.protocol) for e in seen.addresses} == their_addresses
    assert {
        (e.index, None if e.to in ("0.0.0.0/0", "::/0") else e.to.partition("/")[0], e.via, e.protocol, e.metric)
        for e in seen.routes
    } == their_routes


async def test_a_flood_of_changes_costs_messages_but_no_nudge(segment: Lan) -> None:
    """Added addresses concern nobody; that some messages were lost does, and so does the end of the flood."""
    inside, count = await segment.namespace("pod"), 4000
    nudges: list[bool] = []
    opened = await segment.namespaces.socket(inside, *NETLINK)
    monitor = Monitor(opened, lambda: nudges.append(monitor.overrun))
    batch = segment.directory / "batch"
    batch.write_text("".join(f"addr add 127.9.{n // 250}.{n % 250 + 1}/32 dev lo\n" for n in range(count)))

    ip(f"-batch {batch}", inside)  # the loop stands still meanwhile
    batch.unlink()
    ip("addr del 127.9.0.1/32 dev lo", inside)  # dropped in silence, for the socket is full

    await wait_until(lambda: nudges)
    await wait_until(lambda: not monitor.overrun)
    assert nudges[-1] is False
    heard = len(nudges)
    ip("addr del 127.9.0.2/32 dev lo", inside)
    await wait_until(lambda: len(nudges) > heard)
    monitor.close()


async def test_a_watch_moves_on_to_a_new_namespace_at_the_same_path(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    net.watch(UID, inside, lambda: None)
    await segment.namespaces.remove(inside.parent)
    inside = await segment.namespace("pod")
    nudged = asyncio.Event()
    net.watch(UID, inside, nudged.set)
    await wait_until(lambda: net.watches(UID))

    ip("link set lo down", inside)

    async with asyncio.timeout(1):
        await nudged.wait()


async def test_fifty_lives_leave_no_namespace_mount_link_or_descriptor(segment: Lan, net: NetDriver) -> None:
    """A pair of veth ends reaches into each namespace: the near end goes when the namespace really does."""
    await net.configure(UID, pod(), await segment.namespace("first"))
    await net.release(UID, pod(), segment.directory / "first/net")
    before = standing(segment.directory)
    for number in range(50):
        inside = await segment.namespace("pod")
        ip(f"link add near{number} type veth peer name far netns {inside}", segment.neighbour)
        await net.configure(UID, pod(), inside)
        net.watch(UID, inside, lambda: None)
        await net.observe(UID, pod(), inside)
        await net.release(UID, pod(), inside)
        await segment.namespaces.remove(inside.parent)

    await wait_until(lambda: "near" not in ip("link", segment.neighbour))
    assert standing(segment.directory) == before


def standing(place: Path) -> tuple[list[str], list[str], int]:
    """The mounts below `place`, the links in the host's namespace that are not of another test, our descriptors."""
    with open("/proc/self/mountinfo") as mounts:
        ours = sorted(line.split()[4] for line in mounts if str(place) in line)
    links = sorted(name for name in os.listdir("/sys/class/net") if name.startswith("tk"))
    return ours, links, len(os.listdir("/proc/self/fd"))
