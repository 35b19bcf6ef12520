"""The host's interfaces among its pods: what there should be, and what is done about what stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.model.pools import Pool
from tank.net.drift import Parent
from tank.net.ruleset import rules_in, shim_rules
from tank.net.seen import Link, LinkAddress, LinkRoute, Neighbour, Seen
from tank.net.shims import Look, Plan, Seat, links_between, places_between, plan, settings_between
from tank.net.wanted import PROTOCOL

ETH = Parent(name="eth0", index=2, mtu=1500)
POD = Seat(address="10.0.0.5/24", mac="02:00:00:00:00:05", parent=ETH)
POD6 = Seat(address="fd00::5/64", mac="02:00:00:00:00:05", parent=ETH)
LAN = Pool(name="lan", mode="macvlan", parent="eth0", subnets=("10.0.0.0/24",), shims=("10.0.0.9",))


def on(address: str, index: int = 2, *, static: bool = True, lasting: bool = True) -> LinkAddress:
    return LinkAddress(index=index, address=address, static=static, protocol=0, lasting=lasting)


def made(
    *seats: Seat, held: tuple[LinkAddress, ...] = (on("10.0.0.1/24"),), pool: Pool | None = None, **given: str
) -> Plan:
    pools = {pool.name: pool} if pool else {}
    return plan(seats, Seen(addresses=held), pools, {name: [each] for name, each in given.items()}, "ab12cd")


def sources(found: Plan) -> dict[str, str]:
    return {way.to: way.source for shim in found.shims for way in shim.ways}


def test_the_host_goes_out_with_the_address_that_it_has_on_the_parent() -> None:
    found = made(POD, POD6, held=(on("10.0.0.1/24"), on("fd00::1/64"), on("fe80::1/64"), on("10.0.0.3/24", 3)))

    assert sources(found) == {"10.0.0.5": "10.0.0.1", "fd00::5": "fd00::1"}
    assert found.shims[0].addresses == {"10.0.0.1/32", "fd00::1/128"}
    assert found.led == {"10.0.0.5", "fd00::5"}


def test_an_address_that_lasts_goes_before_one_that_does_not() -> None:
    passing = on("fd00::abcd/64", lasting=False)

    assert sources(made(POD6, held=(passing, on("fd00::1/64", static=False)))) == {"fd00::5": "fd00::1"}


def test_a_pool_may_fix_the_address_and_gives_one_where_the_host_has_none() -> None:
    plain = replace(LAN, shims=())

    assert sources(made(POD, pool=LAN)) == {"10.0.0.5": "10.0.0.9"}
    assert sources(made(POD, pool=plain, lan="10.0.0.77")) == {"10.0.0.5": "10.0.0.1"}
    assert sources(made(POD, pool=plain, held=(), lan="10.0.0.77")) == {"10.0.0.5": "10.0.0.77"}


@pytest.mark.parametrize("held", [(), (on("10.9.0.1/24"),), (on("10.0.0.5/24"),)])
def test_without_an_address_beside_the_pod_nothing_is_made(held: tuple[LinkAddress, ...]) -> None:
    found = made(POD, held=held)

    assert (found.shims, found.lost) == ((), (POD,))


def test_each_parent_has_a_shim_of_its_own() -> None:
    other = Seat(address="10.1.0.5/24", mac="02:00:00:00:00:06", parent=Parent(name="eth1", index=3, mtu=9000))
    found = made(POD, other, held=(on("10.0.0.1/24"), on("10.1.0.1/24", 3)))

    assert [(each.parent.name, each.mark) for each in found.shims] == [
        ("eth0", "tank ab12cd/shim/eth0"),
        ("eth1", "tank ab12cd/shim/eth1"),
    ]
    assert len({each.mac for each in found.shims} | {each.name for each in found.shims}) == 4


SHIM = made(POD).shims[0]
LINK = Link(index=9, name=SHIM.name, alias=SHIM.mark, kind="macvlan", mac=SHIM.mac, mtu=1500, up=True, lower=2)
ROUTE = LinkRoute(index=9, to="10.0.0.5/32", via=None, metric=0, protocol=PROTOCOL, source="10.0.0.1")
KNOWN = Neighbour(index=9, address="10.0.0.5", mac=POD.mac, stated=True)
HELD = LinkAddress(index=9, address="10.0.0.1/32", static=False, protocol=PROTOCOL)
WHOLE = Look(seen=Seen(links=(LINK,), addresses=(on("10.0.0.1/24"), HELD), routes=(ROUTE,)), neighbours=(KNOWN,))


def said(wanted: Plan, look: Look) -> list[str]:
    """The words of the first kind of difference: links, what they are set to, what lies on them."""
    kinds = links_between(wanted, look, "ab12cd"), settings_between(wanted, look), places_between(wanted, look)
    found = next((words for each in kinds if (words := [one.words for one in each])), [])
    return [each.replace(SHIM.name, "TK") for each in found]


def look(link: Link | None = LINK, **seen: object) -> Look:
    links = (link,) if link else ()
    return replace(WHOLE, seen=replace(WHOLE.seen, links=links, **seen))  # type: ignore[arg-type]


HERE = "on the shim on eth0"


@pytest.mark.parametrize(
    ("stands", "words"),
    [
        (WHOLE, []),
        (look(None), ["the shim on eth0 is missing"]),
        (look(replace(LINK, alias="")), ["the shim on eth0 has lost its mark"]),
        (look(replace(LINK, name="x0")), ["the shim on eth0 is called x0"]),
        (look(replace(LINK, up=False, mtu=900)), ["the shim on eth0 has MTU 900, not 1500; the shim on eth0 is down"]),
        (look(replace(LINK, lower=7)), ["the shim on eth0 is on another interface", "the shim on eth0 is missing"]),
        (look(addresses=()), [f"the address 10.0.0.1/32 {HERE} is missing"]),
        (look(addresses=(HELD, on("10.0.0.8/32", 9))), [f"the address 10.0.0.8/32 {HERE} is not wanted"]),
        (look(addresses=(HELD, on("fe80::8/64", 9))), []),
        (look(routes=()), [f"the route to 10.0.0.5 {HERE} is missing"]),
        (
            look(routes=(replace(ROUTE, source="10.0.0.7"),)),
            [f"the route to 10.0.0.5/32 {HERE} is not wanted", f"the route to 10.0.0.5 {HERE} is missing"],
        ),
        (look(routes=(ROUTE, replace(ROUTE, to="10.0.0.6/32", protocol=4))), []),
        (
            replace(WHOLE, neighbours=(replace(KNOWN, mac="02:00:00:00:00:99"),)),
            [f"the neighbour 10.0.0.5 {HERE} is not wanted", f"the neighbour 10.0.0.5 {HERE} is missing"],
        ),
        (replace(WHOLE, neighbours=(KNOWN, Neighbour(index=9, address="10.0.0.8", mac="", stated=False))), []),
    ],
)  # fmt: skip
def test_what_differs_is_found(stands: Look, words: list[str]) -> None:
    assert said(made(POD), stands) == words


def test_with_the_last_pod_the_shim_goes() -> None:
    assert said(Plan(), WHOLE) == ["the shim TK is not wanted"]


def test_the_shims_of_another_installation_are_none_of_ours() -> None:
    assert said(Plan(), look(replace(LINK, alias="tank 999999/shim/eth0"))) == []


def test_where_a_parent_is_not_known_now_everything_stays() -> None:
    wanted = plan([replace(POD, parent=None)], WHOLE.seen, {}, {}, "ab12cd")

    assert (said(wanted, WHOLE), wanted.kept) == ([], (SHIM.name,))


def test_beside_a_pod_whose_parent_is_not_known_another_comes_and_goes() -> None:
    other = Seat(address="10.0.0.6/24", mac="02:00:00:00:00:06", parent=ETH)
    wanted = plan([replace(POD, parent=None), other], WHOLE.seen, {}, {}, "ab12cd")

    assert said(wanted, WHOLE) == [
        f"the neighbour 10.0.0.6 {HERE} is missing",
        f"the route to 10.0.0.6 {HERE} is missing",
    ]


def test_walls_let_only_pods_ask() -> None:
    script = shim_rules("ab12cd", ["tk0", "tk1"], ["02:00:00:00:00:05"])

    assert rules_in(script) == 6
    assert 'device "tk0"' in script
    assert "ether saddr != { 02:00:00:00:00:05 } ether type arp drop" in script
    assert shim_rules("ab12cd", [], []) == "table netdev tank_ab12cd {}\ndelete table netdev tank_ab12cd\n"
