"""What of the wiring is told to the server of names."""

from __future__ import annotations

from dataclasses import replace

from tank.model.network import Port
from tank.model.pools import Naming, Pool, Wired, Wiring
from tank.model.record import Address
from tank.net.names.told import told, told_outside
from tank.net.names.zone import Host, Service, Zone

PORTS = (Port(host=8080, container=80, name="http"), Port(host=8081, container=81))
WEB = Wired(
    name="web",
    uid="a",
    ready=True,
    asks=True,
    addresses=(
        Address(nic="eth0", ip="10.61.0.2/16", mac="", source="default"),
        Address(nic="lan0", ip="192.0.2.5/24", mac="", source="lan"),
    ),
    pools={"eth0": "default"},
    ports=PORTS,
)
POOLS = {"default": Pool(name="default"), "lan": Pool(name="lan", mode="macvlan", dns=("192.0.2.1",))}


def test_addresses_named_ports_own_networks_and_the_pools_servers() -> None:
    found = told(Wiring(pods=(WEB,)), Naming(domain="Pods.Test"), POOLS, ("198.51.100.1",))
    host = Host(
        name="web",
        uid="a",
        ready=True,
        addresses=("10.61.0.2/16", "192.0.2.5/24"),
        services=(Service(name="http", protocol="tcp", port=80),),
        local=("10.61.0.0/16",),
        upstreams=("192.0.2.1",),
    )
    assert found == Zone(domain="pods.test", hosts=(host,), upstreams=("198.51.100.1",))


def test_what_the_settings_name_goes_before_pools_and_host() -> None:
    found = told(Wiring(pods=(WEB,)), Naming(upstream=("203.0.113.1",)), POOLS, ("198.51.100.1",))
    assert (found.upstreams, found.hosts[0].upstreams) == (("203.0.113.1",), ())


def test_a_pod_without_an_address_has_no_name() -> None:
    assert told(Wiring(pods=(Wired(name="quiet", uid="b"),)), Naming(), {}, ()).hosts == ()


LAN_ONLY = replace(WEB, name="lan", uid="b", addresses=WEB.addresses[1:], pools={})
BRIDGED = replace(WEB, name="box", uid="c", addresses=WEB.addresses[:1])
INWARD = replace(BRIDGED, name="db", uid="d", ports=(Port(host=5432, container=5432, host_ip="127.0.0.1"),))


def outside(*pods: Wired, address: str = "192.0.2.9") -> list[tuple[str, tuple[str, ...], tuple[str, ...], list[int]]]:
    found = told_outside(Wiring(pods=pods), Naming(), address)
    assert not found.short
    return [(each.name, each.addresses, each.shared, [one.port for one in each.services]) for each in found.hosts]


def test_the_lan_is_told_the_addresses_that_it_reaches() -> None:
    assert outside(WEB, LAN_ONLY) == [
        ("web", ("192.0.2.5/24",), (), [80]),
        ("lan", ("192.0.2.5/24",), (), [80]),
    ]


def test_of_a_pod_on_a_bridge_the_lan_is_told_the_host_and_its_published_ports() -> None:
    assert outside(BRIDGED, INWARD) == [("box", (), ("192.0.2.9",), [8080])]


def test_the_host_itself_reaches_every_pod() -> None:
    assert outside(BRIDGED, INWARD, address="127.0.0.1") == [
        ("box", ("10.61.0.2/16",), (), [80]),
        ("db", ("10.61.0.2/16",), (), []),
    ]


def test_servers_that_a_lan_told_come_after_those_of_pools() -> None:
    found = told(Wiring(pods=(replace(WEB, dns=("192.0.2.9", "192.0.2.1")),)), Naming(), POOLS, ())
    assert found.hosts[0].upstreams == ("192.0.2.1", "192.0.2.9")
