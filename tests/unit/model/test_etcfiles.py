"""The three files under /etc, as values in and text out."""

from __future__ import annotations

import pytest

from tank.model.etcfiles import (
    NAMESERVER,
    Resolver,
    hostname_file,
    parse_resolv_conf,
    pod_addresses,
    pod_hostname,
    pod_hosts,
    pod_resolv_conf,
    resolv_conf,
    resolver_of,
)
from tank.model.network import FromPool
from tank.model.pod import Container, Network, Nic, Pod
from tank.model.pools import Naming, Pool

HOST = Resolver(servers=("192.0.2.53",), search=("lan.example",), options=("timeout:1",))


def pod(**more: object) -> Pod:
    return Pod.model_validate({"name": "web", "containers": (Container(name="app", image="x"),)} | more)


def networked(**more: object) -> Pod:
    return pod(network=Network.model_validate(more))


NICS = (
    Nic(name="eth0", ip=("10.0.0.5/24", "fd00::5/64")),
    Nic(name="eth1", ip=("10.1.0.5/24",)),
)


def test_a_resolv_conf_is_read_as_the_c_library_does() -> None:
    text = "# x\ndomain old\nnameserver 10.0.0.1\nsearch a b\noptions rotate ndots:2\nnameserver  ::1 # y\nnameserver\n"

    found = parse_resolv_conf(text)

    assert found == Resolver(servers=("10.0.0.1", "::1"), search=("a", "b"), options=("rotate", "ndots:2"))


def test_only_what_the_c_library_reads_is_written() -> None:
    text = resolv_conf([f"10.0.0.{n}" for n in range(5)], [f"d{n}.example" for n in range(40)], ["rotate"])

    lines = text.splitlines()
    assert lines[0].split() == ["search", *(f"d{n}.example" for n in range(32))]
    assert lines[1:] == [*(f"nameserver 10.0.0.{n}" for n in range(3)), "options rotate"]


def test_search_domains_end_where_the_line_gets_too_long() -> None:
    (line,) = resolv_conf([], [f"{'x' * 99}{n}" for n in range(30)], []).splitlines()

    assert len(line.removeprefix("search ")) <= 2048
    assert line.endswith("x19")


def test_without_a_word_about_it_a_pod_resolves_as_the_host_does() -> None:
    expected = "search lan.example\nnameserver 192.0.2.53\noptions timeout:1\n"

    assert [pod_resolv_conf(each, HOST) for each in (pod(), networked())] == [expected] * 2


def test_an_explicit_list_is_used_as_it_is() -> None:
    said = networked(dns=("127.0.0.1",), search=())

    assert pod_resolv_conf(said, HOST) == "nameserver 127.0.0.1\n"
    assert pod_resolv_conf(networked(dns=()), HOST) == "search lan.example\n"


OURS, OFF = Naming(domain="pods.test"), Naming(enabled=False)
LAN = Pool(name="lan", mode="macvlan", dns=("10.0.0.1",), domain="lan.internal")
OWN = Pool(name="own", parent="br7", dns=("10.7.0.1",))
POOLS = (LAN, OWN)
FROM_LAN = Nic(name="eth0", ip=(FromPool(pool="lan"),))
ON_OWN = Nic(name="eth1", mode="bridge", parent="br7", ip=("10.7.0.5/24",))
FREE = Nic(name="eth2", ip=("10.9.0.5/24",))


@pytest.mark.parametrize(
    ("network", "naming", "servers", "search"),
    [
        ({"nics": (FREE,)}, OURS, (NAMESERVER,), ("pods.test", "lan.example")),
        ({"nics": (FROM_LAN,)}, OURS, (NAMESERVER,), ("pods.test", "lan.internal")),
        ({"nics": (FROM_LAN,)}, OFF, ("10.0.0.1",), ("lan.internal",)),
        ({"nics": (ON_OWN, FROM_LAN)}, OFF, ("10.7.0.1", "10.0.0.1"), ("lan.internal",)),
        ({"nics": (FREE,)}, OFF, HOST.servers, ("lan.example",)),
        ({"nics": ()}, OURS, HOST.servers, ("lan.example",)),
        ({"nics": (FREE,), "dns": ("192.0.2.9",)}, OURS, HOST.servers, ("lan.example",)),
    ],
)
def test_who_is_asked_while_the_spec_is_silent(
    network: dict[str, object], naming: Naming, servers: tuple[str, ...], search: tuple[str, ...]
) -> None:
    found = resolver_of(networked(**network), HOST, naming, POOLS)

    assert (found.servers, found.search) == (servers, search)


def test_what_is_wrong_with_the_resolver_stands_in_the_file() -> None:
    assert pod_resolv_conf(pod(), Resolver(note="no server")) == "# no server\n"


def test_the_host_name_is_the_pods_cut_to_63_or_the_stated_one() -> None:
    long = pod(name="a" * 62 + ".b")

    assert [pod_hostname(long), pod_hostname(pod(hostname="other"))] == ["a" * 62, "other"]
    assert hostname_file(pod()) == "web\n"


def test_hosts_names_the_pod_at_each_of_its_addresses() -> None:
    text = pod_hosts(pod(network=Network(nics=NICS), hosts={"db": "10.0.0.9", "cache": "10.0.0.8", "sql": "10.0.0.9"}))

    assert text.splitlines() == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "10.0.0.5\tweb",
        "fd00::5\tweb",
        "10.1.0.5\tweb",
        "10.0.0.9\tdb sql",
        "10.0.0.8\tcache",
    ]
    assert pod_addresses(pod()) == ()


def test_a_pod_without_an_address_finds_itself_on_loopback() -> None:
    assert pod_hosts(pod()).splitlines()[-1] == "127.0.0.1\tweb"


def test_addresses_that_were_given_are_its_own_too() -> None:
    given = ("10.61.0.2/16", "fd00:61::2/64")
    assert pod_hosts(pod(), addresses=given).splitlines()[-2:] == ["10.61.0.2\tweb", "fd00:61::2\tweb"]


def test_on_the_hosts_network_the_hosts_file_stays_and_entries_are_added() -> None:
    said = pod(network="host", hosts={"db": "10.0.0.9"})

    assert pod_hosts(said, "127.0.0.1 localhost") == "127.0.0.1 localhost\n10.0.0.9\tdb\n"
    assert pod_hosts(pod(network="host"), "x\n") == "x\n"
