"""What must hold between the interfaces of one pod, and between the fields of each."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from tank.model.faults import BAD, Spot, did_you_mean, quoted

Draft = dict[str, Any]
MAX_SEARCH_TEXT = 2048  # characters (C15)
MIN_MTU6 = 1280


def check_network(network: Draft, spot: Spot) -> None:
    """Report every contradiction in a network."""
    nics = [(nic, spot.at("nics", index)) for index, nic in enumerate(network.get("nics", [])) if isinstance(nic, dict)]
    _check_taken(nics, "name", "another nic is called")
    _check_taken(nics, "mac", "another nic has the MAC")
    _check_addresses(nics)
    families: set[int] = set()
    for nic, here in nics:
        _check_gateways(nic, here, families)
        _check_routes(nic, here)
        _check_mtu(nic, here)
        _check_mode(nic, here)
    check_ports(network, spot)
    if len(" ".join(each for each in network.get("search", []) if isinstance(each, str))) > MAX_SEARCH_TEXT:
        spot.at("search").fault(f"has at most {MAX_SEARCH_TEXT} characters in all")


def stated(nic: Draft) -> list[str]:
    """The static addresses of a nic."""
    return [each for each in nic.get("ip", []) if isinstance(each, str) and "/" in each]


def _check_mode(nic: Draft, spot: Spot) -> None:
    """What goes with the kind of interface."""
    mode, ip = nic.get("mode"), nic.get("ip", [])
    pools = [each for each in ip if isinstance(each, dict)]
    if len(pools) > 1:
        spot.at("ip").fault("names more than one pool")
    for each in ("dhcp", "slaac"):
        if ip.count(each) > 1:
            spot.at("ip").fault(f"says {each} twice")
        if each in ip and (pools or mode in ("bridge", "ipvlan")):
            spot.at("ip").fault(f"{each} goes with macvlan and without a pool")
    if mode == "bridge" and not pools and stated(nic) and nic.get("parent", "auto") == "auto":
        spot.at("ip").fault("a bridge interface takes its address from a pool", "write ip: {pool: default}")
    if mode == "ipvlan" and "mac" in nic:
        spot.at("mac").fault("an ipvlan interface has the MAC of its parent")
    if pools and "gateway" in nic:
        spot.at("gateway").fault("the pool says the gateway")
    if pools and nic.get("parent", "auto") != "auto":
        spot.at("parent").fault("the pool says the parent")


def check_ports(network: Draft, spot: Spot) -> None:
    """Published ports need an interface on a bridge, and rules the names that they use."""
    ports = network.get("ports", [])
    nics = [each for each in network.get("nics", []) if isinstance(each, dict)]
    bridged = any(
        nic.get("mode") == "bridge" or any(isinstance(each, dict) for each in nic.get("ip", [])) for nic in nics
    )
    if ports and not bridged:
        spot.at("ports").fault(
            "only a bridge interface has ports of the host", "add a nic such as {name: eth0, ip: {pool: default}}"
        )
    if BAD in ports:
        return  # what could not be read may have the name
    names = {each["name"] for each in ports if isinstance(each.get("name"), str)}
    for index, rule in enumerate(network.get("allow", [])):
        for at, named in enumerate(rule.get("ports", []) if isinstance(rule, dict) else ()):
            if isinstance(named, str) and named not in names:
                spot.at("allow", index, "ports", at).fault(
                    f"no port is called {quoted(named)}", did_you_mean(named, names)
                )


def check_port_names(pod: Draft, containers: list[tuple[Draft, Spot]]) -> None:
    """A probe or hook that names a port means one of the pod's published ports, and speaks TCP to it."""
    network = pod.get("network")
    ports = network.get("ports", []) if isinstance(network, dict) else []
    if BAD in ports:
        return  # what could not be read may be what is meant
    known = {each["name"]: each.get("protocol", "tcp") for each in ports if isinstance(each.get("name"), str)}
    for container, here in containers:
        for kind in ("probes", "hooks"):
            for name, asked in _mappings(container.get(kind)):
                for field, port in _asked(asked):
                    _check_port_name(port, known, here.at(kind, name, *field))


def _mappings(value: Any) -> Iterator[tuple[str, Draft]]:
    each = value.items() if isinstance(value, dict) else ()
    return ((name, part) for name, part in each if isinstance(part, dict))


def _asked(asked: Draft) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Where a probe or hook says a port."""
    yield ("tcp",), asked.get("tcp")
    for name in ("http", "grpc"):
        if isinstance(asked.get(name), dict):
            yield (name, "port"), asked[name].get("port")


def _check_port_name(port: Any, known: Mapping[str, Any], spot: Spot) -> None:
    if not isinstance(port, str):
        return
    if port not in known:
        hint = did_you_mean(port, known) if known else "network.ports names none: write its number"
        spot.fault(f"no port is called {quoted(port)}", hint)
    elif known[port] in ("udp", "sctp"):
        spot.fault(f"port {quoted(port)} is {known[port]}, and this asks by tcp")


def _check_taken(nics: list[tuple[Draft, Spot]], field: str, what: str) -> None:
    seen: set[str] = set()
    for nic, here in nics:
        value = nic.get(field)
        if value in seen:
            here.at(field).fault(f"{what} {quoted(value)} already")
        elif value is not None:
            seen.add(value)


def _check_addresses(nics: list[tuple[Draft, Spot]]) -> None:
    seen: set[str] = set()
    for nic, here in nics:
        for each in stated(nic):
            bare = each.partition("/")[0]
            if bare in seen:
                here.at("ip").fault(f"the address {bare} is used twice in the pod")
            seen.add(bare)


def _sound(values: list[Any]) -> Iterator[tuple[int, str]]:
    return ((index, each) for index, each in enumerate(values) if isinstance(each, str))


def _check_gateways(nic: Draft, spot: Spot, families: set[int]) -> None:
    """One default route for each family in the whole pod; each gateway on the link."""
    for _, text in _sound(nic.get("gateway", [])):
        family = ipaddress.ip_address(text).version
        if family in families:
            spot.at("gateway").fault(f"a pod has one default route for IPv{family}, and there is one already")
        families.add(family)
        _check_on_link(text, nic, spot.at("gateway"))


def _check_on_link(text: str, nic: Draft, spot: Spot) -> None:
    """A next hop must be reachable directly: inside a subnet of the interface, or link-local."""
    hop = ipaddress.ip_address(text)
    own = [ipaddress.ip_interface(each) for each in stated(nic)]
    if len(own) < len(nic.get("ip", [])) or not own or (hop.version == 6 and hop.is_link_local):
        return
    if any(each.ip == hop for each in own):
        spot.fault(f"{text} is the interface's own address")
    elif not any(each.version == hop.version and hop in each.network for each in own):
        spot.fault(f"{text} is not in {' or '.join(str(each.network) for each in own)}")


def _check_routes(nic: Draft, spot: Spot) -> None:
    seen: set[str] = set()
    for index, route in enumerate(nic.get("routes", [])):
        if not isinstance(route, dict):
            continue
        here, to, via = spot.at("routes", index), route.get("to"), route.get("via")
        if to in seen:
            here.at("to").fault(f"there is a route to {to} already")
        seen.add(to or "")
        if to is not None and ipaddress.ip_network(to).prefixlen == 0:
            here.at("to").fault("this is the default route", "use gateway")
        if via is not None:
            _check_on_link(via, nic, here.at("via"))
        if via is not None and to is not None and (":" in via) != (":" in to):
            here.at("via").fault(f"{via} is of another family than {to}")


def _check_mtu(nic: Draft, spot: Spot) -> None:
    """A pool may be of IPv4 alone; who knows it, looks."""
    six = any(":" in each for each in stated(nic)) or "slaac" in nic.get("ip", [])
    if nic.get("mtu", MIN_MTU6) < MIN_MTU6 and six:
        spot.at("mtu").fault(f"IPv6 needs at least {MIN_MTU6}")
