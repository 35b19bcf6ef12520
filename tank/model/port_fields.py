"""What published ports, rules of who may connect, and rates may say: the tables of their fields."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tank.model import addresses, words
from tank.model.faults import BAD, Refused, Spot, quoted
from tank.model.grammar import Field, ListOf, MapOf, Record, Scalar, Schema, choice, text, whole, wrong_type

MOST_PORTS = 1000
HIGHEST = 65_535
_SHORT = re.compile(
    r"(?:(?P<ip>\[[0-9A-Fa-f:.]+\]|[0-9.]+):)?(?P<host>[0-9-]+):(?P<container>[0-9-]+)(?:/(?P<protocol>[A-Za-z]+))?"
)
_PROTOCOL = choice("tcp", "udp", "sctp")
_NUMBER = whole(1, HIGHEST)


def port_name(value: str) -> str:
    """The name of a port: a DNS label with a letter in it, so that it is never taken for a number."""
    if re.fullmatch(r"[0-9]+", value):
        raise Refused(f"{quoted(value)} is a number, not the name of a port")
    return words.dns_label(value)


def _host_ip(value: str) -> str | None:
    """One address of the host; `all` and the unspecified addresses are all of them."""
    if value in ("all", "*", "0.0.0.0", "::"):  # noqa: S104 - read, not bound
        return None
    found = addresses.address(value)
    ip = ipaddress.ip_address(found)
    if found == "::1":
        raise Refused("the kernel lets no packet from ::1 out of the host itself", "write 127.0.0.1")
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        raise Refused(f"{quoted(value)} is an IPv4 address in IPv6's form", f"write {ip.ipv4_mapped}")
    if ip.is_multicast or found == "255.255.255.255":
        raise Refused(f"{quoted(value)} is no address of one host")
    return found


PORT = Record(
    "a port",
    {
        "host": Field(_NUMBER, "The port of the host.", required=True),
        "container": Field(_NUMBER, "The port in the pod that it leads to.", required=True),
        "protocol": Field(_PROTOCOL, "tcp, udp or sctp.", default="tcp"),
        "host_ip": Field(text(_host_ip), "Only on this address of the host. Default: on all.", default="all"),
        "name": Field(text(port_name), "A name for probes, rules and SRV records."),
    },
    foreign={"hostPort": "host", "published": "host", "containerPort": "container", "target": "container"}
    | {"hostIP": "host_ip", "ip": "host_ip", "proto": "protocol"},
)


@dataclass(frozen=True, slots=True)
class Ports:
    """A list of ports, each a mapping or short for one or a range of them; canonical: one mapping each."""

    takes: tuple[type, ...] = (list,)

    def read(self, value: Any, spot: Spot) -> Any:
        """Every port, ranges taken apart."""
        if type(value) is not list:
            return wrong_type(spot, "a list of ports", value, "write ['8080:80']")
        each_at = [(each, spot.at(index)) for index, each in enumerate(value)]
        placed = [(port, here) for each, here in each_at for port in self._one(each, here)]
        if len(placed) > MOST_PORTS:
            return spot.fault(f"publishes at most {MOST_PORTS} ports, found {len(placed)}")
        _check_taken([(port, here) for port, here in placed if isinstance(port, dict)])
        return [port for port, _ in placed]

    def _one(self, value: Any, spot: Spot) -> list[Any]:
        if type(value) is dict:
            return [_sound(PORT.read(value, spot))]
        if type(value) is not str:
            hint = f"write '{value}:{value}'" if type(value) is int else ""
            return [wrong_type(spot, "a port such as '8080:80' or a mapping", value, hint)]
        try:
            return list(_short(value))
        except Refused as refused:
            return [spot.fault(refused.message, refused.suggestion)]

    def schema(self) -> Schema:
        """The two forms."""
        short: Schema = {"type": "string", "pattern": r"^(.+:)?[0-9-]+:[0-9-]+(/(tcp|udp|sctp))?$"}
        return {"type": "array", "items": {"anyOf": [short, PORT.schema()]}, "maxItems": MOST_PORTS}


def _check_taken(ports: list[tuple[Any, Spot]]) -> None:
    """None is published twice, and no name is given twice. One written range is one place."""
    taken: dict[tuple[Any, Any], list[Any]] = {}
    names: set[str] = set()
    for port, here in ports:
        ips, ip = taken.setdefault((port.get("host", BAD), port.get("protocol", "tcp")), []), port.get("host_ip")
        if port.get("host", BAD) is not BAD and ips and (ip is None or None in ips or ip in ips):
            here.fault(f"port {port['host']} of the host is published already")
        ips.append(ip)
        if port.get("name", BAD) in names:
            here.at("name").fault(f"another port is called {quoted(port['name'])} already")
        names |= {port["name"]} if isinstance(port.get("name"), str) else set()


def _sound(port: Any) -> Any:
    """Without a host address that means all of them."""
    if isinstance(port, dict) and port.get("host_ip", "") is None:
        del port["host_ip"]
    return port


def _short(value: str) -> Iterator[dict[str, Any]]:
    match = _SHORT.fullmatch(value)
    if match is None:
        hint = f"did you mean '{value}:{value}'?" if re.fullmatch(r"[0-9]+(-[0-9]+)?", value) else ""
        raise Refused(f"{quoted(value)} is not a port: '[ADDRESS:]HOST:CONTAINER[/PROTOCOL]'", hint)
    host, container = _range(match["host"]), _range(match["container"])
    if len(host) != len(container):
        raise Refused(f"{quoted(value)}: {len(host)} ports of the host cannot lead to {len(container)} of the pod")
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise Refused(f"{quoted(protocol)} is no protocol: tcp, udp or sctp")
    ip = _host_ip(match["ip"].strip("[]")) if match["ip"] else None
    for outside, inside in zip(host, container, strict=True):
        found = {"host": outside, "container": inside, "protocol": protocol}
        yield found if ip is None else found | {"host_ip": ip}


def _range(value: str) -> range:
    first, dash, last = value.partition("-")
    if not (first.isdigit() and (last.isdigit() or not dash)):
        raise Refused(f"{quoted(value)} is not a port or a range of ports")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= HIGHEST:
        raise Refused(f"{quoted(value)} is not within 1 to {HIGHEST}, the lower one first")
    if high - low >= MOST_PORTS:
        raise Refused(f"{quoted(value)} are more than {MOST_PORTS} ports")
    return range(low, high + 1)


def _port(value: int | str) -> int | str:
    if isinstance(value, str):
        return port_name(value)
    if not 1 <= value <= HIGHEST:
        raise Refused(f"must lie between 1 and {HIGHEST}")
    return value


@dataclass(frozen=True, slots=True)
class PeerKind:
    """{pods: {label: value}} or a CIDR; canonical: the mapping."""

    takes: tuple[type, ...] = (str, dict)

    def read(self, value: Any, spot: Spot) -> Any:
        """Exactly one of the two."""
        if type(value) is str:
            cidr = _CIDR.read(value, spot)
            return BAD if cidr is BAD else {"cidr": cidr}
        if type(value) is not dict:
            return wrong_type(spot, "{pods: {label: value}} or a CIDR", value)
        found = _PEER.read(value, spot)
        if ("pods" in value) == ("cidr" in value):
            return spot.fault("needs one of pods and cidr")
        if found.get("pods") == {}:
            return spot.at("pods").fault("needs at least one label", "write {cidr: 0.0.0.0/0} for everybody")
        return found

    def schema(self) -> Schema:
        """The two forms."""
        return {"anyOf": [_CIDR.schema(), _PEER.schema()]}


@dataclass(frozen=True, slots=True)
class Renamed:
    """A record some of whose fields cannot be called in Python as people write them."""

    record: Record
    names: Mapping[str, str]

    @property
    def takes(self) -> tuple[type, ...]:
        return (dict,)

    def read(self, value: Any, spot: Spot) -> Any:
        """The fields under Python's names."""
        found = self.record.read(value, spot)
        return {self.names.get(key, key): each for key, each in found.items()} if type(found) is dict else found

    def schema(self) -> Schema:
        return self.record.schema()


_CIDR = text(addresses.destination, pattern="/")
_PEER = Record(
    "a peer",
    {
        "pods": Field(MapOf(words.label_key, text(words.label_value)), "Pods with all of these labels."),
        "cidr": Field(_CIDR, "The addresses of a network: 10.0.0.0/8."),
    },
)
_RULE = Record(
    "a rule",
    {
        "from": Field(PeerKind(), "Who: {pods: {label: value}} or a CIDR.", required=True),
        "ports": Field(
            ListOf(
                Scalar((int, str), _port, {"type": ["integer", "string"]}, "a port's number or name"),
                most=100,
                once=True,
            ),
            "To which ports of the pod, by number or name. Default: to all.",
        ),
    },
    foreign={"peer": "from", "port": "ports"},
)
ALLOW = Renamed(_RULE, {"from": "peer"})


_FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "K": 10**3}


def _bits(value: int | str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kKMG]?)(?:bit|bit/s|bps)?", str(value))
    if match is None:
        raise Refused(f"{quoted(str(value))} is not a rate such as '10M' (bits per second)")
    found = round(float(match[1]) * _FACTORS[match[2]])
    if not 8_000 <= found <= 10**12:
        raise Refused("must lie between 8k and 1000G bits per second")
    return found


_BITS = Scalar((int, str), _bits, {"type": ["integer", "string"]}, "bits per second, such as 10M")
RATE = Renamed(
    Record(
        "a rate",
        {"in": Field(_BITS, "Into the pod."), "out": Field(_BITS, "Out of the pod.")},
        foreign={"ingress": "in", "egress": "out", "incoming": "in", "outgoing": "out"},
    ),
    {"in": "incoming", "out": "outgoing"},
)
