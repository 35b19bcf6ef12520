"""What a network and its interfaces may say: the table of their fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tank.model import addresses, words
from tank.model.faults import BAD, Refused, Spot
from tank.model.grammar import Either, Field, Kind, ListOf, Record, Schema, choice, text, whole, wrong_type
from tank.model.port_fields import ALLOW, RATE, Ports

MAX_NAMESERVERS, MAX_SEARCH = 3, 32  # what the C library reads (C15)
MIN_MTU, MAX_MTU = 68, 65_535
_WANTED = "an address such as '10.0.0.5/24' or ['10.0.0.5', 24], {pool: NAME}, dhcp or slaac"
_POOL = Record(
    "an address of a pool",
    {"pool": Field(text(words.dns_label), "Which pool of `tank.toml`; `default` always exists.", required=True)},
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """One address, a pair of address and prefix, a pool, dhcp, slaac, or a list of these; canonical: the list."""

    takes: tuple[type, ...] = (str, list, dict)

    def read(self, value: Any, spot: Spot) -> Any:
        """The sound ones, static ones as "address/prefix", in order."""
        if type(value) is not list or _is_pair(value):
            one = self._one(value, spot)
            return BAD if one is BAD else [one]
        if not 1 <= len(value) <= 64:
            return spot.fault("needs between 1 and 64 addresses")
        found = [self._one(each, spot.at(index)) for index, each in enumerate(value)]
        return [each for each in found if each is not BAD]

    def _one(self, value: Any, spot: Spot) -> Any:
        if type(value) is dict:
            found = _POOL.read(value, spot)
            return BAD if found.get("pool", BAD) is BAD else found
        try:
            if value in ("dhcp", "slaac"):
                return value
            if type(value) is str:
                return addresses.static_address(value)
            if type(value) is list and _is_pair(value):
                return addresses.with_prefix(value[0], value[1])
        except Refused as refused:
            return spot.fault(refused.message, refused.suggestion)
        return wrong_type(spot, _WANTED, value)

    def schema(self) -> Schema:
        """The forms."""
        one: Schema = {"type": "string", "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"}
        pair: Schema = {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "integer"}],
            "items": False,
            "minItems": 2,
        }
        asked: Schema = {"enum": ["dhcp", "slaac"]}
        each = [one, pair, asked, _POOL.schema()]
        several: Schema = {"type": "array", "items": {"anyOf": each}, "minItems": 1, "maxItems": 64}
        return {"anyOf": [*each, several]}


def _is_pair(value: list[Any]) -> bool:
    return len(value) == 2 and type(value[0]) is str and type(value[1]) is int


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """One item or a list of them; canonical: the list."""

    item: Kind
    most: int

    @property
    def takes(self) -> tuple[type, ...]:
        return (*self.item.takes, list)

    def read(self, value: Any, spot: Spot) -> Any:
        """The list, also of a single item."""
        if type(value) is list:
            return ListOf(self.item, most=self.most).read(value, spot)
        one = self.item.read(value, spot)
        return BAD if one is BAD else [one]

    def schema(self) -> Schema:
        return {"anyOf": [self.item.schema(), ListOf(self.item, most=self.most).schema()]}


_ADDRESS = text(addresses.address, pattern="^[0-9A-Fa-f:.]+$")

ROUTE = Record(
    "a route",
    {
        "to": Field(text(addresses.destination, pattern="/"), "The network it leads to: 10.1.0.0/16.", required=True),
        "via": Field(_ADDRESS, "The gateway. Default: directly on the link."),
    },
    foreign={"dst": "to", "destination": "to", "gateway": "via", "gw": "via"},
)

NIC = Record(
    "a nic",
    {
        "name": Field(
            text(addresses.interface_name, pattern=f"^{addresses.INTERFACE_NAME}$"),
            "The interface's name inside the pod: eth0.",
            required=True,
        ),
        "mode": Field(
            choice("macvlan", "bridge", "ipvlan"),
            "macvlan: a MAC of its own on the LAN; bridge: private, NAT out, ports in; ipvlan: the parent's MAC. "
            "Default: the pool's, else macvlan.",
        ),
        "parent": Field(
            text(addresses.parent_name, pattern=f"^{addresses.INTERFACE_NAME}$"),
            "The host's interface; auto: the configured uplink, else the one that holds the default route.",
            default="auto",
        ),
        "ip": Field(
            Addresses(), "'10.0.0.5/24', ['10.0.0.5', 24], {pool: NAME}, dhcp, slaac, or a list of them.", required=True
        ),
        "gateway": Field(OneOrMore(_ADDRESS, most=2), "The default route, at most one for each family."),
        "mac": Field(
            text(addresses.mac, pattern="^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"),
            "The MAC. Default: stable, derived from the names.",
        ),
        "mtu": Field(whole(MIN_MTU, MAX_MTU), "Default: the parent's."),
        "routes": Field(ListOf(ROUTE), "Further routes: {to: 10.1.0.0/16, via: 10.0.0.2}."),
        "rate": Field(RATE, "The most that it carries, in bits per second: {in: 10M, out: 10M}."),
    },
    foreign={"address": "ip", "addresses": "ip", "ips": "ip", "mac_address": "mac", "gw": "gateway", "link": "parent"},
)

NETWORK = Record(
    "a network",
    {
        "nics": Field(ListOf(NIC, most=32), "Interfaces inside the pod."),
        "dns": Field(ListOf(_ADDRESS, most=MAX_NAMESERVERS), "Name servers, used as they are. Default: the host's."),
        "search": Field(ListOf(text(words.host_name), most=MAX_SEARCH), "Search domains. Default: the host's."),
        "ports": Field(Ports(), "Ports of the host that lead here: '8080:80', '127.0.0.1:5353:53/udp'."),
        "allow": Field(ListOf(ALLOW), "Who may connect. With it, only what it lists; an empty list: nobody."),
    },
    foreign={"interfaces": "nics", "nameservers": "dns", "nic": "nics", "publish": "ports"},
)

POD_NETWORK: Kind = Either((choice("none", "host"), NETWORK), "none, host or a mapping")
