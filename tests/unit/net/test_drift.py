"""The comparison: what is done next, from what is wanted and what is seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.net.drift import (
    AddAddress,
    AddRoute,
    Change,
    DropAddress,
    DropLink,
    DropRoute,
    MakeLink,
    Parent,
    SetLink,
    bears,
    borrowing,
    compare,
    on_the_lan,
)
from tank.net.seen import Link, LinkAddress, LinkRoute, Seen
from tank.net.wanted import PROTOCOL, Interface, WantedRoute

PREFIX = "tank a1b2c3/000000000000"
PARENT = Parent(name="eth9", index=4, mtu=1500)
ETH0 = Interface(
    name="eth0",
    parent="eth9",
    mac="02:00:00:00:00:01",
    mtu=None,
    addresses=("10.0.0.5/24", "fd00::5/64"),
    routes=(WantedRoute(to="0.0.0.0/0", via="10.0.0.1"), WantedRoute(to="::/0", via="fd00::1")),
    mark=f"{PREFIX}/eth0",
)
LO = Link(index=1, name="lo", alias="", kind="", mac="", mtu=65536, up=True, lower=None)
LINK = Link(index=2, name="eth0", alias=ETH0.mark, kind="macvlan", mac=ETH0.mac, mtu=1500, up=True, lower=PARENT.index)
HELD = (
    LinkAddress(index=1, address="127.0.0.1/8", static=True, protocol=1),
    LinkAddress(index=2, address="10.0.0.5/24", static=True, protocol=PROTOCOL),
    LinkAddress(index=2, address="fd00::5/64", static=True, protocol=PROTOCOL),
    LinkAddress(index=2, address="fe80::1/64", static=False, protocol=3),
)
ROUTES = (
    LinkRoute(index=2, to="10.0.0.0/24", via=None, metric=0, protocol=2),
    LinkRoute(index=2, to="0.0.0.0/0", via="10.0.0.1", metric=0, protocol=PROTOCOL),
    LinkRoute(index=2, to="::/0", via="fd00::1", metric=1024, protocol=PROTOCOL),
)
WHOLE = Seen(links=(LO, LINK), addresses=HELD, routes=ROUTES)


def found(seen: Seen, *wanted: Interface, parent: Parent | None = PARENT) -> tuple[Change, ...]:
    return compare(wanted, seen, PREFIX, {each.name: parent for each in wanted if parent})


def kinds(changes: tuple[Change, ...]) -> list[type[Change]]:
    return [type(change) for change in changes]


def test_an_ipvlan_has_the_mac_of_its_parent_whichever_that_is() -> None:
    parent = replace(PARENT, mac="52:54:00:00:00:09")
    wanted = replace(ETH0, kind="ipvlan", parent="auto")

    assert borrowing((wanted, replace(ETH0, name="eth1")), {"eth0": parent, "eth1": parent}) == (
        replace(wanted, mac=parent.mac, parent="eth9"),
        replace(ETH0, name="eth1"),
    )
    assert borrowing((wanted,), {}) == (wanted,)
    assert found(replace(WHOLE, links=(LO, replace(LINK, kind="ipvlan", mac=parent.mac))), wanted) == ()


def test_on_the_lan_are_those_with_a_mac_of_their_own() -> None:
    assert on_the_lan((ETH0, replace(ETH0, name="eth1", kind="veth")), {"eth0": PARENT, "eth1": PARENT}) == {
        "eth0": PARENT
    }


def test_at_rest_there_is_nothing_to_do() -> None:
    assert found(WHOLE, ETH0) == ()


def test_an_empty_namespace_gets_the_interface_whole() -> None:
    assert kinds(found(Seen(links=(LO,)), ETH0)) == [MakeLink]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (replace(LINK, name="x"), "interface eth0 is called x"),
        (replace(LINK, alias=""), "interface eth0 has lost its mark"),
        (replace(LINK, mac="02:00:00:00:00:09"), "interface eth0 has MAC 02:00:00:00:00:09, not 02:00:00:00:00:01"),
        (replace(LINK, mtu=1400), "interface eth0 has MTU 1400, not 1500"),
        (replace(LINK, up=False), "interface eth0 is down"),
        (replace(LINK, up=False, mtu=1400), "interface eth0 has MTU 1400, not 1500; interface eth0 is down"),
    ],
)
def test_a_link_is_put_right_before_what_lies_on_it(link: Link, words: str) -> None:
    (change,) = found(Seen(links=(LO, link)), ETH0)

    assert (type(change), change.words) == (SetLink, words)


def test_only_what_differs_is_set_and_a_name_needs_the_link_down() -> None:
    (renamed,) = found(Seen(links=(LO, replace(LINK, name="x"))), ETH0)
    (narrowed,) = found(Seen(links=(LO, replace(LINK, mtu=1400))), ETH0)

    assert renamed == SetLink(words=renamed.words, index=2, down=True, name="eth0")
    assert narrowed == SetLink(words=narrowed.words, index=2, mtu=1500)


def test_loopback_is_kept_up() -> None:
    (change,) = found(replace(WHOLE, links=(replace(LO, up=False), LINK)), ETH0)

    assert change == SetLink(words="loopback is down", index=1)


@pytest.mark.parametrize("link", [replace(LINK, lower=5), replace(LINK, kind="veth")])
def test_a_link_that_cannot_be_changed_into_the_right_one_goes(link: Link) -> None:
    assert kinds(found(Seen(links=(LO, link)), ETH0)) == [DropLink]


def test_an_automatic_parent_that_is_unknown_keeps_the_link() -> None:
    assert found(replace(WHOLE, links=(LO, replace(LINK, lower=7))), ETH0, parent=None) == ()


def test_ours_that_nobody_wants_goes_before_anything_comes() -> None:
    half = Link(index=8, name=ETH0.temporary, alias="", kind="macvlan", mac="", mtu=1500, up=False, lower=4)
    stray = replace(LINK, index=9, name="eth1", alias=f"{PREFIX}/eth1")

    changes = found(Seen(links=(LO, half, stray)), ETH0)

    assert changes == (
        DropLink(words=f"interface {half.name} is not wanted", index=8),
        DropLink(words="interface eth1 is not wanted", index=9),
    )


def test_links_of_others_are_left_alone() -> None:
    theirs = [
        replace(LINK, index=9, name="wg0", alias="", kind="wireguard"),
        replace(LINK, index=10, name="eth7", alias="tank a1b2c3/111111111111/eth7"),
        replace(LINK, index=11, name="tk0123456789abc", alias=""),
    ]

    assert found(replace(WHOLE, links=(LO, LINK, *theirs)), ETH0) == ()
    assert [bears(each, PREFIX) for each in theirs] == [False] * 3


def test_a_stray_address_goes_before_the_new_one_comes() -> None:
    """Where an old primary address goes, the kernel takes later ones of its subnet along: so look again."""
    old = replace(HELD[1], address="10.0.0.4/24")

    changes = found(replace(WHOLE, addresses=(HELD[0], old, HELD[2])), ETH0)

    assert changes == (DropAddress(words="address 10.0.0.4/24 on eth0 is not wanted", index=2, address="10.0.0.4/24"),)


def test_a_foreign_address_stays_where_the_kernel_tells_it_apart() -> None:
    foreign = LinkAddress(index=2, address="10.0.0.99/24", static=True, protocol=0)

    assert found(replace(WHOLE, addresses=(*HELD, foreign)), ETH0) == ()


def test_on_an_old_kernel_any_static_address_on_our_link_that_is_not_wanted_goes() -> None:
    unmarked = tuple(replace(each, protocol=0) for each in HELD)
    stray = LinkAddress(index=2, address="10.0.0.99/24", static=True, protocol=0)

    assert found(replace(WHOLE, addresses=unmarked), ETH0) == ()
    assert kinds(found(replace(WHOLE, addresses=(*unmarked, stray)), ETH0)) == [DropAddress]


def test_routes_of_ours_go_when_unwanted_and_foreign_ones_stay() -> None:
    ours = LinkRoute(index=2, to="10.9.0.0/16", via=None, metric=0, protocol=PROTOCOL)
    foreign = replace(ours, to="10.8.0.0/16", protocol=3)

    changes = found(replace(WHOLE, routes=(*ROUTES, ours, foreign)), ETH0)

    assert changes == (DropRoute(words="route to 10.9.0.0/16 is not wanted", route=ours),)


def test_what_is_missing_is_added_addresses_first() -> None:
    changes = found(replace(WHOLE, addresses=HELD[:1], routes=()), ETH0)

    assert kinds(changes) == [AddAddress, AddAddress, AddRoute, AddRoute]
    assert [change.words for change in changes][1:3] == [
        "address fd00::5/64 on eth0 is missing",
        "route to 0.0.0.0/0 by 10.0.0.1 on eth0 is missing",
    ]


def test_a_route_that_somebody_else_added_just_so_will_do() -> None:
    theirs = replace(ROUTES[1], protocol=3, metric=50)

    assert found(replace(WHOLE, routes=(ROUTES[0], theirs, ROUTES[2])), ETH0) == ()
