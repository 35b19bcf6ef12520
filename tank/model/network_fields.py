"""What a network and its interfaces may say: the table of their fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tank.model import addresses, words
from tank.model.faults import BAD, Refused, Spot
from tank.model.grammar import Either, Field, Kind, ListOf, Record, Schema, choice, text, whole, wrong_type

MAX_NAMESERVERS, MAX_SEARCH = 3, 32  # what the C library reads (C15)
MIN_MTU, MAX_MTU = 68, 65_535
_WANTED = "an address such as '10.0.0.5/24' or ['10.0.0.5', 24]"


@dataclass(frozen=True, slots=True)
class StaticAddresses:
    """One address, a pair of address and prefix, or a list of either; canonical: a list of "address/prefix"."""

    takes: tuple[type, ...] = (str, list, dict)

    def read(self, value: Any, spot: Spot) -> Any:
        """The sound ones as "address/prefix", in order."""
        if type(value) is not list or _is_pair(value):
            one = self._one(value, spot)
            return BAD if one is BAD else [one]
        if not 1 <= len(value) <= 64:
            return spot.fault("needs between 1 and 64 addresses")
        found = [self._one(each, spot.at(index)) for index, each in enumerate(value)]
        return [each for each in found if each is not BAD]

    def _one(self, value: Any, spot: Spot) -> Any:
        if type(value) is dict and "pool" in value:
            return spot.at("pool").fault("not supported yet", key=True)
        try:
            if type(value) is str:
                return addresses.static_address(value)
            if type(value) is list and _is_pair(value):
                return addresses.with_prefix(value[0], value[1])
        except Refused as refused:
            return spot.fault(refused.message, refused.suggestion)
        return wrong_type(spot, _WANTED, value)

    def schema(self) -> Schema:
        """The three forms."""
        one: Schema = {"type": "string", "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"}
        pair: Schema = {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "integer"}],
            "items": False,
            "minItems": 2,
        }
        several: Schema = {"type": "array", "items": {"anyOf": [one, pair]}, "minItems": 1, "maxItems": 64}
        return {"anyOf": [one, pair, several]}


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
            choice("macvlan", later=("bridge", "ipvlan")), "macvlan: a MAC of its own on the LAN.", default="macvlan"
        ),
        "parent": Field(
            text(addresses.parent_name, pattern=f"^{addresses.INTERFACE_NAME}$"),
            "The host's interface; auto: the configured uplink, else the one that holds the default route.",
            default="auto",
        ),
        "ip": Field(
            StaticAddresses(), "Static addresses: '10.0.0.5/24', ['10.0.0.5', 24] or a list of them.", required=True
        ),
        "gateway": Field(OneOrMore(_ADDRESS, most=2), "The default route, at most one for each family."),
        "mac": Field(
            text(addresses.mac, pattern="^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$"),
            "The MAC. Default: stable, derived from the names.",
        ),
        "mtu": Field(whole(MIN_MTU, MAX_MTU), "Default: the parent's."),
        "routes": Field(ListOf(ROUTE), "Further routes: {to: 10.1.0.0/16, via: 10.0.0.2}."),
    },
    later=frozenset({"rate"}),
    foreign={"address": "ip", "addresses": "ip", "ips": "ip", "mac_address": "mac", "gw": "gateway", "link": "parent"},
)

NETWORK = Record(
    "a network",
    {
        "nics": Field(ListOf(NIC, most=32), "Interfaces inside the pod."),
        "dns": Field(ListOf(_ADDRESS, most=MAX_NAMESERVERS), "Name servers, used as they are. Default: the host's."),
        "search": Field(ListOf(text(words.host_name), most=MAX_SEARCH), "Search domains. Default: the host's."),
    },
    later=frozenset({"ports", "allow"}),
    foreign={"interfaces": "nics", "nameservers": "dns", "nic": "nics", "publish": "ports"},
)

POD_NETWORK: Kind = Either((choice("none", "host"), NETWORK), "none, host or a mapping")
