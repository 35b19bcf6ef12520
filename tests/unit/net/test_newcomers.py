"""Which addresses are asked about before they are used, and what waits for the answer."""

from __future__ import annotations

from typing import Any

from tank.net.newcomers import held_back, newcomers
from tank.net.seen import Link, LinkAddress, LinkRoute, Seen
from tank.net.wanted import Interface, WantedRoute

MARK = "tank i/u/eth0"
DEFAULT = WantedRoute(to="0.0.0.0/0", via="10.0.0.1")


def interface(**more: Any) -> Interface:
    said = {"name": "eth0", "parent": "up0", "mac": "02:00:00:00:00:01", "mtu": None, "mark": MARK}
    return Interface(**said | {"addresses": ("10.0.0.5/24",), "routes": (DEFAULT,)} | more)


def seen(*addresses: str, routes: bool = False) -> Seen:
    link = Link(index=2, name="eth0", alias=MARK, kind="macvlan", mac="", mtu=1500, up=True, lower=7)
    held = tuple(LinkAddress(index=2, address=each, static=True, protocol=116) for each in addresses)
    route = LinkRoute(index=2, to="0.0.0.0/0", via="10.0.0.1", metric=0, protocol=116)
    return Seen(links=(link,), addresses=held, routes=(route,) if routes else ())


def test_an_address_is_new_where_it_is_neither_held_nor_known() -> None:
    wanted = (interface(addresses=("10.0.0.5/24", "10.0.0.6/24", "10.0.0.7/24")),)

    (fresh,) = newcomers(wanted, seen("10.0.0.5/24"), frozenset({"10.0.0.6/24"}))

    assert fresh.addresses == ("10.0.0.7/24",)
    assert newcomers((interface(),), seen("10.0.0.5/24"), frozenset()) == ()
    assert [each.addresses for each in newcomers((interface(),), Seen(), frozenset())] == [("10.0.0.5/24",)]


def test_of_an_ipvlan_the_lan_is_asked_too() -> None:
    assert [each.kind for each in newcomers((interface(kind="ipvlan"),), Seen(), frozenset())] == ["ipvlan"]


def test_on_a_bridge_of_ours_nobody_is_asked() -> None:
    assert newcomers((interface(kind="veth"),), Seen(), frozenset()) == ()


def test_new_addresses_and_routes_wait_and_what_stands_stays() -> None:
    wanted = (interface(addresses=("10.0.0.5/24", "10.0.0.6/24")), interface(name="eth1", mark="tank i/u/eth1"))
    fresh = (interface(addresses=("10.0.0.6/24",)),)

    first, second = held_back(wanted, fresh, seen("10.0.0.5/24", routes=True))

    assert (first.addresses, first.routes) == (("10.0.0.5/24",), (DEFAULT,))
    assert second == wanted[1]
    (alone, _) = held_back(wanted, wanted[:1], Seen())
    assert (alone.addresses, alone.routes) == ((), ())
