"""Interfaces whose addresses come from the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tank.net.asked import is_made, lead, made_by_kernel, with_leases, without_ways
from tank.net.dhcp.lease import Lease
from tank.net.drift import AddAddress, DropAddress, SetLink, compare
from tank.net.newcomers import newcomers
from tank.net.seen import Link, LinkAddress, Seen
from tank.net.wanted import PROTOCOL, Interface, WantedRoute

DHCP = frozenset({"dhcp"})
STATED = WantedRoute(to="0.0.0.0/0", via="10.1.0.1")
LEASE = Lease(address="10.0.0.5/24", until=160.0, router="10.0.0.1", mtu=1400)


def made(name: str = "eth0", **more: Any) -> Interface:
    said = {"parent": "up0", "mac": "02:00:00:00:00:01", "mtu": None, "addresses": (), "routes": ()}
    return Interface(**{**said, "name": name, "mark": f"tank a/b/{name}", **more})


def link(**more: Any) -> Link:
    said = {"index": 2, "name": "eth0", "alias": "tank a/b/eth0", "kind": "macvlan", "mac": "02:00:00:00:00:01"}
    return Link(**{**said, "mtu": 1500, "up": True, "lower": 4, **more})


def test_a_lease_brings_address_route_and_mtu() -> None:
    (found,) = with_leases([made(asks=DHCP)], {"eth0": LEASE}, 100.0)

    assert (found.addresses, found.leased) == (("10.0.0.5/24",), {"10.0.0.5/24": 60.0})
    assert found.routes == (WantedRoute(to="0.0.0.0/0", via="10.0.0.1"),)
    assert (found.mtu, found.offered_mtu) == (None, 1400)


@pytest.mark.parametrize(
    ("more", "mtu"),
    [({}, 576), ({"addresses": ("fd00::5/64",)}, 1280), ({"asks": frozenset({"dhcp", "slaac"})}, 1280)],
)
def test_no_lease_takes_ipv6_away(more: dict[str, Any], mtu: int) -> None:
    (found,) = with_leases([made(**{"asks": DHCP, **more})], {"eth0": replace(LEASE, mtu=576)}, 100.0)

    assert found.offered_mtu == mtu


def test_what_the_spec_says_goes_before() -> None:
    own = made(asks=DHCP, addresses=("10.0.0.5/24",), routes=(STATED,))

    (found,) = with_leases([own], {"eth0": LEASE}, 100.0)

    assert (found.addresses, found.leased, found.routes) == (("10.0.0.5/24",), {}, (STATED,))


def test_default_routes_of_leases_come_after_the_stated_ones_and_in_order() -> None:
    several = [made("eth0", asks=DHCP), made("eth1", routes=(STATED,)), made("eth2", asks=DHCP)]

    assert [lead(each, several) for each in several] == [1, None, 2]


def test_ways_by_gateways_wait_for_the_address() -> None:
    ways = [WantedRoute(to=f"10.{each}.0.0/16", via=via) for each, via in enumerate((None, "10.0.0.1", "10.9.0.1"))]
    six = [WantedRoute(to=f"fd0{each}::/64", via=via) for each, via in enumerate((None, "fe80::1", "fd99::1"))]
    interface = made(addresses=("10.9.0.2/24",), routes=(*ways, *six))

    assert without_ways(interface, 4).routes == (ways[0], ways[2], *six)
    assert without_ways(interface, 6).routes == (*ways, *six[:2])


@pytest.mark.parametrize(
    ("address", "its"),
    [
        ("fd00::ff:fe00:1/64", True),
        ("2001:db8::ff:fe00:1/64", True),
        ("fe80::ff:fe00:1/64", False),
        ("fd00::5/64", False),
        ("10.0.0.5/24", False),
    ],
)
def test_what_the_kernel_makes_of_a_mac(address: str, its: bool) -> None:
    assert is_made(address, "02:00:00:00:00:01") is its


def test_only_what_can_be_used_counts() -> None:
    ready, claimed = (
        LinkAddress(index=2, address=f"fd0{number}::ff:fe00:1/64", static=False, protocol=2, ready=not number)
        for number in (0, 1)
    )
    elsewhere = LinkAddress(index=3, address="fd02::ff:fe00:1/64", static=False, protocol=2)
    seen = Seen(links=(link(),), addresses=(ready, claimed, elsewhere))

    assert made_by_kernel(made(), seen) == (ready.address,)
    assert made_by_kernel(made(), seen, ready=False) == (claimed.address,)
    assert made_by_kernel(made("eth9", mac="02:00:00:00:00:09"), seen) == ()


def test_the_comparison_knows_leases_and_leaves_the_kernels_own() -> None:
    asks = frozenset({"dhcp", "slaac"})
    kernels = LinkAddress(index=2, address="fd00::ff:fe00:1/64", static=True, protocol=0)
    old = LinkAddress(index=2, address="10.0.0.4/24", static=True, protocol=0)
    (wanted,) = with_leases([made(asks=asks)], {"eth0": LEASE}, 100.0)

    changes = compare([wanted], Seen(links=(link(mtu=1400),), addresses=(kernels, old)), "tank a/b", {})
    assert [each.address for each in changes if isinstance(each, DropAddress)] == ["10.0.0.4/24"]

    changes = compare([wanted], Seen(links=(link(),)), "tank a/b", {})
    assert [each.mtu for each in changes if isinstance(each, SetLink)] == [1400]

    ours = LinkAddress(index=2, address="10.0.0.4/24", static=False, protocol=PROTOCOL)
    changes = compare([wanted], Seen(links=(link(mtu=1400),), addresses=(kernels, ours)), "tank a/b", {})
    assert [each.address for each in changes if isinstance(each, DropAddress)] == ["10.0.0.4/24"]

    changes = compare([wanted], Seen(links=(link(mtu=1400),)), "tank a/b", {})
    assert [each.address for each in changes if isinstance(each, AddAddress)] == ["10.0.0.5/24"]


def test_nobody_is_asked_about_a_leased_address_again() -> None:
    (wanted,) = with_leases([made(asks=DHCP, addresses=("10.7.0.5/24",))], {"eth0": LEASE}, 100.0)

    (fresh,) = newcomers([wanted], Seen(), frozenset())

    assert fresh.addresses == ("10.7.0.5/24",)
