"""What an interface may carry: the buckets, and what is done about those that are not as they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.model.network import Rate
from tank.net.drift import Parent, compare
from tank.net.seen import Link, Seen
from tank.net.shapes import HANDLE, INGRESS, ROOT, Lead, Queue, Reshaping, Verb, bucket, limits, reshape
from tank.net.wanted import Interface

MARK = "tank a1b2c3/000000000000/eth0"
ETH0 = Interface(
    name="eth0", parent="eth9", mac="02:00:00:00:00:01", mtu=None, addresses=(), routes=(), mark=MARK,
    rate=Rate(incoming=8_000_000, outgoing=80_000_000),
)  # fmt: skip
LINK = Link(index=2, name="eth0", alias=MARK, kind="macvlan", mac=ETH0.mac, mtu=1500, up=True, lower=4)
FUNNEL = Link(
    index=3, name=ETH0.funnel, alias=ETH0.funnel_mark, kind="ifb", mac="", mtu=1500, up=True, lower=None
)  # fmt: skip


def standing(index: int, bits: int) -> Queue:
    wanted = bucket(bits, 1500)
    assert wanted is not None
    return Queue(
        index=index, kind="tbf", handle=HANDLE, parent=ROOT, rate=wanted.rate, limit=wanted.limit, ticks=wanted.ticks
    )


OUT, IN = standing(2, 80_000_000), standing(3, 8_000_000)
CATCH = Queue(index=2, kind="ingress", handle=0xFFFF_0000, parent=INGRESS)
LED = Lead(index=2, to=3)


def verbs(deeds: tuple[Reshaping, ...]) -> list[tuple[Verb, int]]:
    return [(each.verb, each.index) for each in deeds]


@pytest.mark.parametrize(
    ("bits", "mtu", "rate", "burst"),
    [
        (8_000, 1500, 1_000, 3_044),  # never less than two frames
        (10_000_000, 1500, 1_250_000, 12_500),
        (10**12, 1500, 125 * 10**9, 1_250_000_000),
        (1_000_000, 9000, 125_000, 18_044),
    ],
)
def test_a_bucket_holds_a_hundredth_of_a_second_and_two_frames(bits: int, mtu: int, rate: int, burst: int) -> None:
    found = bucket(bits, mtu)
    assert found is not None
    assert (found.rate, found.burst) == (rate, burst)
    assert found.burst < found.limit < 2**33


def test_no_limit_is_no_bucket() -> None:
    assert bucket(None, 1500) is None


def test_at_rest_there_is_nothing_to_do() -> None:
    assert reshape([ETH0], [LINK, FUNNEL], [OUT, IN, CATCH], [LED]) == ()


def test_a_fresh_interface_is_limited_and_gets_its_funnel() -> None:
    assert verbs(reshape([ETH0], [LINK], [], [])) == [(Verb.LIMIT, 2), (Verb.FUNNEL, 0)]


def test_the_funnel_is_limited_before_anything_is_led_into_it() -> None:
    assert verbs(reshape([ETH0], [LINK, FUNNEL], [OUT], [])) == [(Verb.LIMIT, 3), (Verb.LEAD, 2)]


@pytest.mark.parametrize(
    "wrong",
    [
        replace(OUT, rate=OUT.rate + 1),
        replace(OUT, limit=1),
        replace(OUT, ticks=OUT.ticks * 2),
        replace(OUT, kind="htb"),
        replace(OUT, handle=0x1_0000),
        replace(OUT, parent=0x1_0001),
    ],
)
def test_a_changed_bucket_is_put_right(wrong: Queue) -> None:
    (deed,) = reshape([ETH0], [LINK, FUNNEL], [wrong, IN, CATCH], [LED])
    assert (deed.verb, deed.words) == (Verb.LIMIT, "the rate out of eth0 is not 80000000 bit/s")


def test_what_the_kernel_rounds_is_no_difference() -> None:
    near = replace(OUT, ticks=OUT.ticks + OUT.ticks // 100)
    assert reshape([ETH0], [LINK, FUNNEL], [near, IN, CATCH], [LED]) == ()


@pytest.mark.parametrize(
    ("funnel", "led", "expected"),
    [
        (replace(FUNNEL, up=False), LED, [(Verb.FUNNEL, 3)]),
        (replace(FUNNEL, kind="dummy"), LED, [(Verb.FUNNEL, 3)]),
        (FUNNEL, Lead(index=2, to=9), [(Verb.LEAD, 2)]),
        (FUNNEL, None, [(Verb.LEAD, 2)]),
    ],
)
def test_a_funnel_that_carries_nothing_is_put_right(
    funnel: Link, led: Lead | None, expected: list[tuple[Verb, int]]
) -> None:
    assert verbs(reshape([ETH0], [LINK, funnel], [OUT, IN, CATCH], [led] if led else [])) == expected


def test_a_limit_that_goes_takes_its_way_away_before_its_funnel() -> None:
    free = replace(ETH0, rate=Rate())
    deeds = reshape([free], [LINK, FUNNEL], [OUT, IN, CATCH], [LED])
    assert verbs(deeds) == [(Verb.FREE, 2), (Verb.UNLEAD, 2), (Verb.UNFUNNEL, 3)]
    assert {each.words for each in deeds} == {"the rate out of eth0 is not wanted", "the rate into eth0 is not wanted"}


def test_queues_of_others_stay_where_there_is_no_limit() -> None:
    foreign = [replace(OUT, handle=0x1_0000), CATCH]
    assert reshape([replace(ETH0, rate=Rate())], [LINK], foreign, [Lead(index=2, to=7)]) == ()


def test_behind_a_cable_there_is_no_funnel() -> None:
    cabled = replace(ETH0, kind="veth")
    assert reshape([cabled], [replace(LINK, kind="veth")], [OUT], []) == ()
    plug = replace(LINK, index=9, kind="veth")
    assert verbs(tuple(limits(plug, 8_000_000, [], "into eth0"))) == [(Verb.LIMIT, 9)]
    assert tuple(limits(plug, 8_000_000, [standing(9, 8_000_000)], "into eth0")) == ()


def test_a_funnel_goes_with_its_interface_and_not_before() -> None:
    parents = {"eth0": Parent(name="eth9", index=4, mtu=1500)}
    prefix = "tank a1b2c3/000000000000"
    assert compare([ETH0], Seen(links=(LINK, FUNNEL)), prefix, parents) == ()
    gone = compare([], Seen(links=(LINK, FUNNEL)), prefix, {})
    assert [each.words for each in gone] == ["interface eth0 is not wanted", f"interface {FUNNEL.name} is not wanted"]
