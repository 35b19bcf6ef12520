"""An address that somebody on the LAN has already is not taken, and its owner is named (C15, RFC 5227, RFC 4862)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tank.errors import Waiting
from tank.model.pod import Container, Network, Nic, Pod
from tank.net.announce import Announcement, frame, open_sender
from tank.net.driver import NetDriver
from tests.segment import NEIGHBOUR, NEIGHBOUR6, Lan, ip, sleeper, talk
from tests.waiting import wait_until

pytestmark = pytest.mark.system

UID = "0123456789ab"


def pod(*addresses: str, name: str = "web") -> Pod:
    nics = (Nic(name="eth0", ip=addresses, gateway=(NEIGHBOUR,)),)
    return Pod(name=name, containers=(Container(name="app", image="x"),), network=Network(nics=nics))


def mac_of_neighbour(segment: Lan) -> str:
    return ip(f"-o link show {segment.far}", segment.neighbour).split("link/ether ")[1].split()[0]


@pytest.mark.parametrize("address", [f"{NEIGHBOUR}/24", f"{NEIGHBOUR6}/64"])
async def test_the_owner_is_named_and_keeps_it(segment: Lan, net: NetDriver, address: str) -> None:
    inside, bare = await segment.namespace("pod"), address.partition("/")[0]

    with pytest.raises(Waiting, match=f"cannot use {bare}: {mac_of_neighbour(segment)} has it") as caught:
        await net.configure(UID, pod("10.66.0.5/24", address), inside)

    assert caught.value.reason == "AddressInUse"
    assert bare not in ip("-o addr", inside)


async def test_it_is_taken_once_it_is_free(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    ip(f"addr add 10.66.0.5/24 dev {segment.far}", segment.neighbour)
    with pytest.raises(Waiting, match=r"10\.66\.0\.5"):
        await net.configure(UID, pod("10.66.0.5/24"), inside)
    ip(f"addr del 10.66.0.5/24 dev {segment.far}", segment.neighbour)

    await net.configure(UID, pod("10.66.0.5/24"), inside)

    assert await talk(segment, segment.neighbour, inside, "10.66.0.5") == NEIGHBOUR


async def test_another_pod_that_lives_on_is_such_an_owner(segment: Lan, net: NetDriver) -> None:
    first, second = await segment.namespace("a"), await segment.namespace("b")
    (held,) = await net.configure(UID, pod("10.66.0.5/24"), first)

    with pytest.raises(Waiting, match=f"{held.mac} has it"):
        await net.configure("ba9876543210", pod("10.66.0.5/24", name="b"), second)


async def test_an_address_of_the_host_itself_is_refused(segment: Lan, net: NetDriver) -> None:
    inside = await segment.namespace("pod")
    ip(f"addr add 10.66.0.9/24 dev {segment.parent}")

    with pytest.raises(Waiting, match=r"cannot use 10\.66\.0\.9: the host itself has it"):
        await net.configure(UID, pod("10.66.0.9/24"), inside)


async def test_what_is_held_is_healed_without_a_question(segment: Lan, net: NetDriver) -> None:
    """Who takes an address while its pod lives is the intruder."""
    inside = await segment.namespace("pod")
    await net.configure(UID, pod("10.66.0.5/24"), inside)
    ip("addr flush dev eth0 scope global", inside)
    ip(f"addr add 10.66.0.5/24 dev {segment.far}", segment.neighbour)

    await net.configure(UID, pod("10.66.0.5/24"), inside)

    assert await net.observe(UID, pod("10.66.0.5/24"), inside) == ()


async def test_an_owner_who_wakes_late_gets_it_back(segment: Lan, net: NetDriver) -> None:
    inside, nudged, wanted = await segment.namespace("pod"), asyncio.Event(), pod("10.66.0.5/24")
    await net.configure(UID, wanted, inside)
    net.watch(UID, inside, nudged.set)
    mac = mac_of_neighbour(segment)
    sender = await segment.namespaces.inside(segment.neighbour, lambda: open_sender(segment.far))
    with contextlib.closing(Announcement(sender, [frame(mac, "10.66.0.5")])):
        await wait_until(nudged.is_set)
        ip(f"addr add 10.66.0.5/24 dev {segment.far}", segment.neighbour)

        assert f"address 10.66.0.5 is used by {mac} too" in await net.observe(UID, wanted, inside)
        with pytest.raises(Waiting, match=f"{mac} has it"):
            await net.configure(UID, wanted, inside)

    assert "10.66.0.5" not in ip("-o addr", inside)


async def test_an_owner_who_always_answers_late_loses_it_once_at_most(segment: Lan, net: NetDriver) -> None:
    """It is taken, for nobody can wait for such an owner at each start; then asked about for as long as it takes."""
    inside, nudged, wanted = await segment.namespace("pod"), asyncio.Event(), pod("10.66.0.5/24")
    async with sleeper(segment, "02:00:00:00:00:77", "10.66.0.5", delay=0.12) as owner:
        await net.configure(UID, wanted, inside)
        net.watch(UID, inside, nudged.set)
        async with asyncio.timeout(5):
            while not any("is used by" in each for each in await net.observe(UID, wanted, inside)):
                nudged.clear()
                await nudged.wait()
        for _ in range(3):
            with pytest.raises(Waiting, match="02:00:00:00:00:77 has it"):
                await net.configure(UID, wanted, inside)
            assert "10.66.0.5" not in ip("-o addr", inside)
        assert owner.taken == 1

    await net.configure(UID, wanted, inside)
    assert "10.66.0.5" in ip("-o addr", inside)


async def test_two_pods_that_come_at_once_never_both_have_it(segment: Lan, net: NetDriver) -> None:
    """Each hears the other's probe: at most one of them goes on."""
    spaces = [await segment.namespace(each) for each in ("a", "b")]
    uids = (UID, "ba9876543210")

    ended = await asyncio.gather(
        *(net.configure(uid, pod("10.66.0.5/24", name=uid), each) for uid, each in zip(uids, spaces, strict=True)),
        return_exceptions=True,
    )

    assert any(isinstance(each, Waiting) for each in ended)
    held = [each for each in spaces if "10.66.0.5" in ip("-o addr", each)]
    assert len(held) <= 1
