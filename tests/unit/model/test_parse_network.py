"""Networks (C15): each shorthand of interfaces, ports, rules and rates, and each value that is refused."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from tank.model.dump import dump_pod
from tank.model.health import HttpAction
from tank.model.network import Allow, Network, Nic, Peer, Port
from tank.model.parse import parse_pod
from tank.model.schema import json_schema
from tests.unit.model.test_parse_pod import container, nic, pod, told

BRIDGE = {"name": "eth0", "ip": {"pool": "default"}}
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def net(**fields: Any) -> dict[str, Any]:
    """A pod with an interface of the pool `default`, and these fields of its network."""
    return pod(network={"nics": [BRIDGE], **fields})


def network(mapping: dict[str, Any]) -> dict[str, Any]:
    """The canonical network of a pod."""
    found: dict[str, Any] = dump_pod(parse_pod(mapping))["network"]
    return found


NICS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"ip": {"pool": "default"}}, {"parent": "auto", "ip": [{"pool": "default"}]}),
    ({"ip": [{"pool": "lan"}], "mode": "macvlan"}, {"mode": "macvlan", "parent": "auto", "ip": [{"pool": "lan"}]}),
    ({"ip": ["10.0.0.9/24", {"pool": "lan"}]}, {"parent": "auto", "ip": ["10.0.0.9/24", {"pool": "lan"}]}),
    ({"ip": "10.0.0.9/24"}, {"mode": "macvlan", "parent": "auto", "ip": ["10.0.0.9/24"]}),
    ({"ip": "dhcp"}, {"mode": "macvlan", "parent": "auto", "ip": ["dhcp"]}),
    ({"ip": ["dhcp", "slaac", "fd00::9/64"]}, {"mode": "macvlan", "parent": "auto", "ip": ["dhcp", "slaac", "fd00::9/64"]}),
    ({"ip": "10.0.0.9/24", "mode": "ipvlan"}, {"mode": "ipvlan", "parent": "auto", "ip": ["10.0.0.9/24"]}),
    ({"ip": "10.61.0.9/16", "mode": "bridge", "parent": "br0"}, {"mode": "bridge", "parent": "br0", "ip": ["10.61.0.9/16"]}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "canonical"), NICS)
def test_an_interface_gets_its_address_in_one_of_these_ways(written: dict[str, Any], canonical: dict[str, Any]) -> None:
    assert network(pod(network={"nics": [{"name": "eth0", **written}]}))["nics"] == [{"name": "eth0", **canonical}]


RATES: list[tuple[Any, dict[str, int]]] = [
    ({"in": "10M"}, {"in": 10_000_000}),
    ({"in": "1.5Gbit", "out": 9000}, {"in": 1_500_000_000, "out": 9000}),
    ({"out": "100kbps"}, {"out": 100_000}),
    ({"out": "8Kbit/s"}, {"out": 8000}),
]


@pytest.mark.parametrize(("written", "canonical"), RATES)
def test_a_rate_is_stored_in_bits_per_second(written: Any, canonical: dict[str, int]) -> None:
    assert network(nic(rate=written))["nics"][0]["rate"] == canonical


def test_no_rate_is_not_written_down() -> None:
    assert "rate" not in network(nic(rate={}))["nics"][0]


def short(host: int, container: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    """A port in canonical form."""
    return {"host": host, "container": container, "protocol": protocol, **more}


PORTS: list[tuple[list[Any], list[dict[str, Any]]]] = [
    ([], []),
    (["8080:80"], [short(8080, 80)]),
    (["8080:80/udp", "8080:80/tcp"], [short(8080, 80, "udp"), short(8080, 80)]),
    (["8080:80/SCTP"], [short(8080, 80, "sctp")]),
    (["127.0.0.1:8080:80"], [short(8080, 80, host_ip="127.0.0.1")]),
    (["0.0.0.0:8080:80"], [short(8080, 80)]),
    (["[fd00:0::1]:53:5353/udp"], [short(53, 5353, "udp", host_ip="fd00::1")]),
    (["8000-8002:9000-9002"], [short(8000, 9000), short(8001, 9001), short(8002, 9002)]),
    ([{"host": 80, "container": 8080}], [short(80, 8080)]),
    ([{"host": 80, "container": 8080, "host_ip": "all", "name": "web"}], [short(80, 8080, name="web")]),
    ([{"host": 80, "container": 80, "host_ip": "*"}], [short(80, 80)]),
    (["10.0.0.1:80:80", "10.0.0.2:80:80"], [short(80, 80, host_ip="10.0.0.1"), short(80, 80, host_ip="10.0.0.2")]),
]


@pytest.mark.parametrize(("written", "canonical"), PORTS)
def test_a_port_has_one_long_form(written: list[Any], canonical: list[dict[str, Any]]) -> None:
    assert network(net(ports=written)).get("ports", []) == canonical


def test_an_ipv4_address_in_the_form_of_ipv6_is_none_of_the_host() -> None:
    (fault,) = told(net(ports=["[::ffff:192.0.2.1]:8080:80"]))
    assert fault.endswith("is an IPv4 address in IPv6's form (write 192.0.2.1)")


WEB = {"ports": [{"host": 80, "container": 8080, "name": "web"}]}
RULES: list[tuple[Any, dict[str, Any]]] = [
    ({"from": {"pods": {"app": "web"}}}, {"from": {"pods": {"app": "web"}}}),
    ({"from": "10.0.0.0/8"}, {"from": {"cidr": "10.0.0.0/8"}}),
    ({"from": {"cidr": "fd00:0::/8"}, "ports": [80, "web", 80]}, {"from": {"cidr": "fd00::/8"}, "ports": [80, "web"]}),
]


@pytest.mark.parametrize(("written", "canonical"), RULES)
def test_a_rule_says_who_may_connect_to_what(written: Any, canonical: dict[str, Any]) -> None:
    assert network(net(**WEB, allow=[written]))["allow"] == [canonical]


def test_no_rules_and_an_empty_list_of_them_are_not_the_same() -> None:
    silent, closed = parse_pod(net()).network, parse_pod(net(allow=[])).network

    assert isinstance(silent, Network)
    assert isinstance(closed, Network)
    assert (silent.allow, closed.allow) == (None, ())


WHOLE = net(
    ports=["8080:80", {"host": 53, "container": 53, "protocol": "udp", "host_ip": "127.0.0.1", "name": "dns"}],
    allow=[{"from": {"pods": {"a": "b"}}, "ports": ["dns", 9]}, {"from": "10.0.0.0/8"}],
    dns=["10.0.0.1"],
    search=["lan.internal"],
)


def test_a_network_is_read_back_as_it_was() -> None:
    parsed = parse_pod(WHOLE)

    assert parse_pod(dump_pod(parsed)) == parsed


def test_a_network_that_was_built_in_python_is_the_same() -> None:
    built_network = Network(
        nics=(Nic(name="eth0", ip=({"pool": "default"},)),),  # type: ignore[arg-type]
        ports=(Port(host=8080, container=80),),
        allow=(Allow(peer=Peer(cidr="10.0.0.0/8")),),
    )
    written = net(ports=["8080:80"], allow=[{"from": "10.0.0.0/8"}])

    assert parse_pod(parse_pod(pod()).model_copy(update={"network": built_network})) == parse_pod(written)


@pytest.mark.parametrize(
    "mapping",
    [
        WHOLE,
        *(pod(network={"nics": [{"name": "eth0", **each}]}) for each, _ in NICS),
        *(net(ports=each) for each, _ in PORTS),
        *(net(**WEB, allow=[each]) for each, _ in RULES),
        *(nic(rate=each) for each, _ in RATES),
    ],
)
def test_the_schema_accepts_every_form(mapping: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(json.loads(json.dumps(mapping).replace("SCTP", "sctp")))


def probed(**probe: Any) -> dict[str, Any]:
    """A pod with a tcp and a udp port that have names, and a container that is asked in this way."""
    ports = [
        {"host": 80, "container": 8080, "name": "web"},
        {"host": 53, "container": 53, "protocol": "udp", "name": "dns"},
    ]
    app = {"name": "app", "image": "nginx:1.27", "probes": {"live": probe}}
    return pod(network={"nics": [BRIDGE], "ports": ports}, containers=[app])


@pytest.mark.parametrize("probe", [{"tcp": "web"}, {"http": {"port": "web"}}, {"grpc": {"port": "web"}}])
def test_a_probe_may_name_a_port(probe: dict[str, Any]) -> None:
    mapping = probed(**probe)
    live = parse_pod(mapping).containers[0].probes.live
    assert live is not None

    assert "web" in (live.tcp, live.http and live.http.port, live.grpc and live.grpc.port)
    assert VALIDATOR.is_valid(mapping)


def test_a_hook_may_name_a_port() -> None:
    mapping = probed(tcp=80)
    mapping["containers"][0]["hooks"] = {"pre_stop": {"http": {"port": "web"}}}

    hook = parse_pod(mapping).containers[0].hooks.pre_stop

    assert hook is not None
    assert hook.http == HttpAction(port="web")


FAULTS: list[tuple[dict[str, Any], str]] = [
    (probed(tcp="wob"), "containers[0].probes.live.tcp: no port is called 'wob' (did you mean 'web'?)"),
    (probed(http={"port": "dns"}), "containers[0].probes.live.http.port: port 'dns' is udp, and this asks by tcp"),
    (probed(grpc={"port": "x_y"}), "containers[0].probes.live.grpc.port: 'x_y' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'x-y'?)"),
    (container(probes={"live": {"tcp": "web"}}), "containers[0].probes.live.tcp: no port is called 'web' (network.ports names none: write its number)"),
    (container(hooks={"post_start": {"http": {"port": "web"}}}), "containers[0].hooks.post_start.http.port: no port is called 'web' (network.ports names none: write its number)"),
    (nic(ip={"pool": "x", "a": 1}), "network.nics[0].ip.a: unknown field of an address of a pool"),
    (nic(ip={"pool": "Lan"}), "network.nics[0].ip.pool: 'Lan' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'lan'?)"),
    (nic(ip=[{"pool": "a"}, {"pool": "b"}]), "network.nics[0].ip: names more than one pool"),
    (nic(ip=["dhcp", "dhcp"]), "network.nics[0].ip: says dhcp twice"),
    (nic(ip="dhcp", mode="bridge"), "network.nics[0].ip: dhcp goes with macvlan and without a pool"),
    (nic(ip="slaac", mode="ipvlan"), "network.nics[0].ip: slaac goes with macvlan and without a pool"),
    (nic(ip=["dhcp", {"pool": "lan"}]), "network.nics[0].ip: dhcp goes with macvlan and without a pool"),
    (nic(mode="bridge"), "network.nics[0].ip: a bridge interface takes its address from a pool (write ip: {pool: default})"),
    (nic(mode="ipvlan", mac="02:00:00:00:00:01"), "network.nics[0].mac: an ipvlan interface has the MAC of its parent"),
    (nic(ip={"pool": "lan"}, gateway="10.0.0.1"), "network.nics[0].gateway: the pool says the gateway"),
    (nic(ip={"pool": "lan"}, parent="eth0"), "network.nics[0].parent: the pool says the parent"),
    (nic(rate={"in": "10X"}), "network.nics[0].rate.in: '10X' is not a rate such as '10M' (bits per second)"),
    (nic(rate={"out": 100}), "network.nics[0].rate.out: must lie between 8k and 1000G bits per second"),
    (nic(rate={"ingress": 1}), "network.nics[0].rate.ingress: unknown field of a rate (did you mean 'in'?)"),
    (nic(rate=5), "network.nics[0].rate: expected a mapping (a rate), found a whole number"),
    (nic(ports=[80]), "network.nics[0].ports: unknown field of a nic"),
    (pod(network={"ports": ["80:80"]}), "network.ports: only a bridge interface has ports of the host (add a nic such as {name: eth0, ip: {pool: default}})"),
    (net(ports="80:80"), "network.ports: expected a list of ports, found a string (write ['8080:80'])"),
    (net(ports=[80]), "network.ports[0]: expected a port such as '8080:80' or a mapping, found a whole number (write '80:80')"),
    (net(ports=["80"]), "network.ports[0]: '80' is not a port: '[ADDRESS:]HOST:CONTAINER[/PROTOCOL]' (did you mean '80:80'?)"),
    (net(ports=["80:x"]), "network.ports[0]: '80:x' is not a port: '[ADDRESS:]HOST:CONTAINER[/PROTOCOL]'"),
    (net(ports=["0:80"]), "network.ports[0]: '0' is not within 1 to 65535, the lower one first"),
    (net(ports=["80:65536"]), "network.ports[0]: '65536' is not within 1 to 65535, the lower one first"),
    (net(ports=["9-8:9-8"]), "network.ports[0]: '9-8' is not within 1 to 65535, the lower one first"),
    (net(ports=["80-:80"]), "network.ports[0]: '80-' is not a port or a range of ports"),
    (net(ports=["80-81:80"]), "network.ports[0]: '80-81:80': 2 ports of the host cannot lead to 1 of the pod"),
    (net(ports=["1-2000:1-2000"]), "network.ports[0]: '1-2000' are more than 1000 ports"),
    (net(ports=["1-600:1-600", "1-600:1-600/udp"]), "network.ports: publishes at most 1000 ports, found 1200"),
    (net(ports=["80:80/icmp"]), "network.ports[0]: 'icmp' is no protocol: tcp, udp or sctp"),
    (net(ports=["1.2.3:80:80"]), "network.ports[0]: '1.2.3' is not an IP address"),
    (net(ports=["[::1]:80:80"]), "network.ports[0]: the kernel lets no packet from ::1 out of the host itself (write 127.0.0.1)"),
    (net(ports=[{"host": 1, "container": 1, "host_ip": "::1"}]), "network.ports[0].host_ip: the kernel lets no packet from ::1 out of the host itself (write 127.0.0.1)"),
    (net(ports=["224.0.0.1:80:80"]), "network.ports[0]: '224.0.0.1' is no address of one host"),
    (net(ports=["80:80", "80:81"]), "network.ports[1]: port 80 of the host is published already"),
    (net(ports=["80:80", "127.0.0.1:80:81"]), "network.ports[1]: port 80 of the host is published already"),
    (net(ports=["127.0.0.1:80:80", "80:81"]), "network.ports[1]: port 80 of the host is published already"),
    (net(ports=["1-9:1-9", "9:10"]), "network.ports[1]: port 9 of the host is published already"),
    (net(ports=[{"host": 1}]), "network.ports[0].container: a port needs this field"),
    (net(ports=[{"hostPort": 1, "container": 2, "host": 3}]), "network.ports[0].hostPort: unknown field of a port (did you mean 'host'?)"),
    (net(ports=[{"host": 1, "container": 2, "name": "80"}]), "network.ports[0].name: '80' is a number, not the name of a port"),
    (net(ports=[{"host": 1, "container": 2, "name": "a"}, {"host": 2, "container": 2, "name": "a"}]), "network.ports[1].name: another port is called 'a' already"),
    (net(allow=["10.0.0.0/8"]), "network.allow[0]: expected a mapping (a rule), found a string"),
    (net(allow=[{}]), "network.allow[0].from: a rule needs this field"),
    (net(allow=[{"from": {}}]), "network.allow[0].from: needs one of pods and cidr"),
    (net(allow=[{"from": {"pods": {}}}]), "network.allow[0].from.pods: needs at least one label (write {cidr: 0.0.0.0/0} for everybody)"),
    (net(allow=[{"from": {"pods": {"a": "b"}, "cidr": "10.0.0.0/8"}}]), "network.allow[0].from: needs one of pods and cidr"),
    (net(allow=[{"from": "10.0.0.1"}]), "network.allow[0].from: '10.0.0.1' is not a network (did you mean '10.0.0.1/32'?)"),
    (net(allow=[{"from": "10.0.0.0/8", "ports": [0]}]), "network.allow[0].ports[0]: must lie between 1 and 65535"),
    (net(**WEB, allow=[{"from": "10.0.0.0/8", "ports": ["wob"]}]), "network.allow[0].ports[0]: no port is called 'wob' (did you mean 'web'?)"),
    (net(allow=[{"peer": "10.0.0.0/8", "from": "10.0.0.0/8"}]), "network.allow[0].peer: unknown field of a rule (did you mean 'from'?)"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
def test_a_fault_of_a_network(mapping: dict[str, Any], fault: str) -> None:
    assert told(mapping) == [fault]


def test_a_port_that_cannot_be_read_causes_no_further_faults() -> None:
    mapping = probed(tcp="web")
    mapping["network"]["ports"] = ["x"]
    mapping["network"]["allow"] = [{"from": "10.0.0.0/8", "ports": ["web"]}]

    assert [each.partition(":")[0] for each in told(mapping)] == ["network.ports[0]"]
