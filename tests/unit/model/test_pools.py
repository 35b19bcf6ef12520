"""Pools of addresses and names, as `[net]` of `tank.toml` states them."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest

from tank.config import read_settings
from tank.errors import InvalidSpec
from tank.model.pools import Naming, Pool


def pools(text: str) -> Any:
    """The pools that a `tank.toml` states."""
    return read_settings(text)["pools"]


def lan(text: str) -> str:
    """A `tank.toml` with one pool that has these lines."""
    return f"[[net.pools]]\nname = 'lan'\n{text}"


SOUND: list[tuple[str, Pool]] = [
    ("subnet = '10.1.0.0/16'", Pool(name="lan", subnets=("10.1.0.0/16",))),
    ("subnet = ['fd00::/64', '10.1.0.0/16']", Pool(name="lan", subnets=("10.1.0.0/16", "fd00::/64"))),
    ("mode = 'macvlan'\nsubnet = '10.1.0.0/16'", Pool(name="lan", mode="macvlan", parent="auto", subnets=("10.1.0.0/16",))),
    (
        """
        mode = 'macvlan'
        parent = 'eth1'
        subnet = '10.0.0.0/24'
        range = '10.0.0.200-10.0.0.250'
        gateway = '10.0.0.1'
        dns = ['10.0.0.1']
        domain = 'lan.internal'
        """,
        Pool(
            name="lan",
            mode="macvlan",
            parent="eth1",
            subnets=("10.0.0.0/24",),
            ranges=(("10.0.0.200", "10.0.0.250"),),
            gateways=("10.0.0.1",),
            dns=("10.0.0.1",),
            domain="lan.internal",
        ),
    ),
    (
        "mode = 'macvlan'\nsubnet = ['10.1.0.0/16', 'fd01::/64']\nshim = ['10.1.0.9', 'fd01::9']",
        Pool(
            name="lan",
            mode="macvlan",
            parent="auto",
            subnets=("10.1.0.0/16", "fd01::/64"),
            shims=("10.1.0.9", "fd01::9"),
        ),
    ),
    ("parent = 'br9'\nsubnet = '10.1.0.0/16'", Pool(name="lan", parent="br9", subnets=("10.1.0.0/16",))),
    ("mode = 'ipvlan'\nsubnet = '10.1.0.0/16'", Pool(name="lan", mode="ipvlan", parent="auto", subnets=("10.1.0.0/16",))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pool"), SOUND)
def test_a_pool_says_where_its_addresses_lead(text: str, pool: Pool) -> None:
    assert pools(lan(text)) == (pool,)


def test_pools_lie_beside_one_another() -> None:
    text = "[net]\npools = [{name = 'a', subnet = '10.1.0.0/16'}, {name = 'b', subnet = '10.2.0.0/16'}]"

    assert [each.name for each in pools(text)] == ["a", "b"]


def test_the_default_pool_may_be_told_its_network() -> None:
    text = "[[net.pools]]\nname = 'default'\nsubnet = '10.9.0.0/16'"

    assert pools(text) == (Pool(name="default", subnets=("10.9.0.0/16",)),)


def test_a_bridge_is_not_called_auto() -> None:
    assert pools("[[net.pools]]\nname = 'a'\nparent = 'auto'\nsubnet = '10.9.0.0/16'")[0].parent == ""


def test_names_have_settings() -> None:
    text = "[net.dns]\nenabled = false\ndomain = 'pods.lan'\nupstream = ['10.0.0.1']"

    assert read_settings(text)["naming"] == Naming(enabled=False, domain="pods.lan", upstream=("10.0.0.1",))


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("10.0.0.9", ("10.0.0.9", 53)),
        ("10.0.0.9:5353", ("10.0.0.9", 5353)),
        ("fd00::9", ("fd00::9", 53)),
        ("[fd00::9]", ("fd00::9", 53)),
        ("[FD00::9]:5353", ("fd00::9", 5353)),
    ],
)
def test_names_may_be_asked_for_at_an_address_of_the_host(text: str, listen: tuple[str, int]) -> None:
    assert read_settings(f"[net.dns]\nlisten = '{text}'")["naming"] == Naming(listen=listen)


def test_the_host_may_be_kept_from_pods_on_the_lan() -> None:
    assert read_settings("[net]\nshim = false")["shim"] is False


def test_what_is_not_stated_is_not_set() -> None:
    assert {"pools", "naming", "shim"}.isdisjoint(read_settings("[net]"))


_HERE = "net.pools[0]"
FAULTS: list[tuple[str, str]] = [
    (lan(""), f"{_HERE}.subnet: a pool needs this field"),
    ("[[net.pools]]\nsubnet = '10.1.0.0/16'", f"{_HERE}.name: a pool needs this field"),
    ("[[net.pools]]\nname = 'L_N'\nsubnet = '10.1.0.0/16'", f"{_HERE}.name: 'L_N' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'l-n'?)"),
    (lan("subnet = '10.1.0.1'"), f"{_HERE}.subnet: '10.1.0.1' is not a network (did you mean '10.1.0.1/32'?)"),
    (lan("subnet = '10.1.0.0/31'"), f"{_HERE}.subnet: 10.1.0.0/31 is too small for a pool"),
    (lan("subnet = ['10.1.0.0/16', '10.2.0.0/16']"), f"{_HERE}.subnet: has two networks of one family"),
    (lan("subnet = []\nmode = 'bridge'"), f"{_HERE}.subnet: needs at least 1 item, found 0"),
    (lan("subnet = '10.1.0.0/16'\nmode = 'host'"), f"{_HERE}.mode: must be one of bridge, macvlan, ipvlan, found 'host'"),
    (lan("subnet = '10.1.0.0/16'\ngateway = '10.2.0.1'"), f"{_HERE}.gateway: 10.2.0.1 is not in 10.1.0.0/16"),
    (lan("subnet = '10.1.0.0/16'\nrange = '10.1.0.9'"), f"{_HERE}.range: '10.1.0.9' is not a range such as '10.0.0.200-10.0.0.250'"),
    (lan("subnet = '10.1.0.0/16'\nrange = '10.1.0.9-10.1.0.8'"), f"{_HERE}.range: '10.1.0.9-10.1.0.8' does not lead from a lower address to a higher one"),
    (lan("subnet = '10.1.0.0/16'\nrange = '10.1.0.9-fd00::1'"), f"{_HERE}.range: '10.1.0.9-fd00::1' does not lead from a lower address to a higher one"),
    (lan("subnet = '10.1.0.0/16'\nrange = '10.1.0.9-10.2.0.9'"), f"{_HERE}.range: 10.1.0.9-10.2.0.9 is not in 10.1.0.0/16"),
    (lan("subnet = '10.1.0.0/16'\nshim = '10.1.0.9'"), f"{_HERE}.shim: only a macvlan pool has a shim"),
    (lan("mode = 'macvlan'\nsubnet = '10.1.0.0/16'\nshim = '10.2.0.9'"), f"{_HERE}.shim: 10.2.0.9 is not in 10.1.0.0/16"),
    (lan("mode = 'macvlan'\nsubnet = '10.1.0.0/16'\ngateway = '10.1.0.1'\nshim = '10.1.0.1'"), f"{_HERE}.shim: 10.1.0.1 is the gateway"),
    (lan("mode = 'macvlan'\nsubnet = '10.1.0.0/16'\nshim = ['10.1.0.8', '10.1.0.9']"), f"{_HERE}.shim: has two addresses of one family"),
    ("[net.dns]\nlisten = 'eth0'", "net.dns.listen: 'eth0' is not an IP address"),
    ("[net.dns]\nlisten = '0.0.0.0'", "net.dns.listen: '0.0.0.0' is every address of the host (name one of them)"),
    ("[net.dns]\nlisten = '10.0.0.9:0'", "net.dns.listen: '10.0.0.9:0' has no port between 1 and 65535"),
    ("[net.dns]\nenabled = false\nlisten = '10.0.0.9'", "net.dns.listen: needs enabled = true"),
    ("[net]\nshim = 'no'", "net.shim: expected true or false, found a string"),
    (lan("subnet = '10.1.0.0/16'\nbridge = 'br0'"), f"{_HERE}.bridge: unknown field of a pool (did you mean 'parent'?)"),
    ("[net]\npools = [{name = 'a', subnet = '10.1.0.0/16'}, {name = 'a', subnet = '10.2.0.0/16'}]", "net.pools[1].name: another pool is called 'a' already"),
    ("[net]\npools = [{name = 'a', subnet = '10.1.0.0/16'}, {name = 'b', subnet = '10.1.2.0/24'}]", "net.pools[1].subnet: 10.1.2.0/24 overlaps 10.1.0.0/16 of pool a"),
    (lan("subnet = '127.5.0.0/16'"), f"{_HERE}.subnet: 127.5.0.0/16 holds no addresses of hosts"),
    ("[net]\npools = [{name = 'a', subnet = '10.1.0.0/16', parent = 'br0'}, {name = 'b', subnet = '10.2.0.0/16', parent = 'br0'}]", "net.pools[1].parent: pool a has a bridge called 'br0' already"),
    ("[[net.pools]]\nname = 'default'\nmode = 'macvlan'\nsubnet = '10.1.0.0/16'", f"{_HERE}.mode: the default pool is a bridge"),
    ("[[net.pools]]\nname = 'dhcp'\nsubnet = '10.1.0.0/16'", f"{_HERE}.name: 'dhcp' is how an address is asked for, and cannot be a pool's name"),
    ("[net.dns]\nzone = 'x'", "net.dns.zone: unknown field of [net.dns]"),
    ("[net.dns]\nupstream = ['here']", "net.dns.upstream[0]: 'here' is not an IP address"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_fault_of_the_net_of_a_machine(text: str, fault: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        read_settings(text)

    assert [str(each) for each in error.value.problems] == [fault]
