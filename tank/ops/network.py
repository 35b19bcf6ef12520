"""What on this machine stands in the way of pods' networks: settings of the kernel, Wi-Fi, firewalls of others.

Tank sets what it needs itself and looks again; this says what somebody else may have set against it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tank.errors import TankError
from tank.host import files, process
from tank.model.pools import Pool
from tank.net.dhcp.clients import program
from tank.net.uplink import default_interface
from tank.ops.doctor import Finding, Verdict

_SYSCTL = Path("/proc/sys/net")
_SYS = Path("/sys/class/net")
BRIDGES = "tk+"  # what bridges and cables of ours are called, as iptables writes it


async def examine(uplink: str | None, pools: Iterable[Pool] = (), *, repair: bool = True) -> list[Finding]:
    """Every check of the network. `uplink`: the interface of pods on the LAN, where it is known."""
    found = [forwarding(_value("ipv4/ip_forward"), _value("ipv6/conf/all/forwarding"), repair=repair)]
    found += [reverse_path(_value("ipv4/conf/all/rp_filter"), _value(f"ipv4/conf/{uplink or 'default'}/rp_filter"))]
    found += bridged(_value("bridge/bridge-nf-call-iptables"))
    found.append(asking(program()))
    found += [wireless(each, is_wireless=_is_wireless(each)) for each in bearers(uplink, pools)]
    chains = await _nftables()
    zones = await _zones() if any(each.get("table") == "firewalld" for each in chains) else ""
    return [*found, *forwarded(chains, await _legacy()), *trusting(zones)]


def bearers(uplink: str | None, pools: Iterable[Pool]) -> list[str]:
    """The interfaces of the host that carry frames of pods' own MACs."""
    stated = (each.parent for each in pools if each.mode == "macvlan")
    return [each for each in dict.fromkeys([uplink, *stated]) if each]


def forwarding(ipv4: str, ipv6: str, *, repair: bool) -> Finding:
    """Without it no packet goes from a bridge to the LAN or back."""
    off = [f"net.ipv{version}" for version, value in (("4", ipv4), ("6", ipv6)) if value == "0"]
    if not off:
        return Finding("forwarding", Verdict.OK, "on")
    which = " and ".join(off)
    if repair:
        return Finding("forwarding", Verdict.OK, f"off for {which}; turned on with the first pod on a bridge")
    message = f"off for {which}, and where a bridge stands nobody turns it on ([net] repair = false)"
    settings = {"net.ipv4": "net.ipv4.ip_forward=1", "net.ipv6": "net.ipv6.conf.all.forwarding=1"}
    return Finding("forwarding", Verdict.WARN, message, f"sysctl -w {' '.join(settings[each] for each in off)}")


def reverse_path(everywhere: str, uplink: str) -> Finding:
    """The strict kind drops what comes by another way than its answer would take. The greater of both counts."""
    if "1" in (everywhere, uplink) and "2" not in (everywhere, uplink):
        message = "rp_filter is strict: packets that come by another interface than their answer takes are dropped"
        return Finding("reverse path", Verdict.WARN, message, "sysctl -w net.ipv4.conf.all.rp_filter=2")
    return Finding("reverse path", Verdict.OK, "not strict")


def bridged(call: str) -> Iterator[Finding]:
    """Whether iptables is asked of frames that never leave a bridge. Empty: the module is not loaded."""
    if call == "1":
        message = "the host's iptables decides about frames between pods of one bridge (bridge-nf-call-iptables)"
        cure = "sysctl -w net.bridge.bridge-nf-call-iptables=0, unless a neighbour such as Kubernetes needs it"
        yield Finding("bridges", Verdict.WARN, message, cure)
    else:
        yield Finding("bridges", Verdict.OK, "frames between pods of one bridge are nobody else's")


def asking(client: str | None) -> Finding:
    """The client that asks DHCP servers. Only pods with `ip: dhcp` need it."""
    if client is None:
        return Finding("dhcp", Verdict.WARN, "needed by pods with `ip: dhcp`: udhcpc is missing", "apt install udhcpc")
    return Finding("dhcp", Verdict.OK, client)


def wireless(uplink: str, *, is_wireless: bool) -> Finding:
    """An access point takes frames of one MAC only: no macvlan."""
    if is_wireless:
        message = f"{uplink} is a Wi-Fi interface: access points drop frames of further MACs"
        return Finding("uplink", Verdict.WARN, message, "give pods an address of a bridge pool: ip: {pool: default}")
    return Finding("uplink", Verdict.OK, f"{uplink} can carry pods of its own MAC")


def forwarded(chains: list[dict[str, Any]], legacy: str) -> Iterator[Finding]:
    """Firewalls of others that drop what is forwarded unless they know it. No table can take that back."""
    closed = [each for each in chains if each.get("hook") == "forward" and each.get("policy") == "drop"]
    foreign = [each for each in closed if not str(each.get("table")).startswith("tank")]
    named = [f"{each.get('family')} {each.get('table')} {each.get('name')}" for each in foreign]
    if "-P FORWARD DROP" in legacy:
        named.append("iptables-legacy FORWARD")
    if not named:
        yield Finding("firewall", Verdict.OK, "nothing drops by default what is forwarded")
        return
    docker = "DOCKER-USER" in legacy or any(each.get("name") == "DOCKER-USER" for each in chains)
    chain = "DOCKER-USER" if docker else "FORWARD"
    message = f"{', '.join(named)} drops what is forwarded: pods on bridges are cut off from the LAN"
    cure = f"iptables -I {chain} -i {BRIDGES} -j ACCEPT; iptables -I {chain} -o {BRIDGES} -j ACCEPT"
    yield Finding("firewall", Verdict.WARN, message, cure)


def trusting(zones: str) -> Iterator[Finding]:
    """Whether firewalld lets pods on bridges out. `zones`: its rules of who forwards; empty: it does not run."""
    if not zones:
        return
    if f'"{BRIDGES[:-1]}' in zones:
        yield Finding("firewalld", Verdict.OK, "it knows the bridges of pods")
        return
    message = "firewalld rejects what pods on bridges send to the LAN, unless it trusts their subnets; ports work"
    cure = f"firewall-cmd --permanent --zone=trusted --add-interface={BRIDGES} && firewall-cmd --reload"
    yield Finding("firewalld", Verdict.WARN, message, cure)


async def _zones() -> str:
    try:
        chain = ["nft", "list", "chain", "inet", "firewalld", "filter_FORWARD_ZONES"]
        return (await process.run(chain, seconds=10)).decode(errors="replace")
    except TankError:
        return ""


async def _nftables() -> list[dict[str, Any]]:
    """Every chain of the host; none when it cannot be asked."""
    try:
        said = json.loads(await process.run(["nft", "-j", "list", "chains"], seconds=10))
    except (TankError, ValueError):
        return []
    return [each["chain"] for each in said.get("nftables", ()) if "chain" in each]


async def _legacy() -> str:
    """The older kind of iptables, only where it has tables: asking would make them."""
    if b"filter" not in (files.read("/proc/net/ip_tables_names") or b""):
        return ""
    program = shutil.which("iptables-legacy", path=process.ENVIRONMENT["PATH"])
    if program is None:
        return ""
    try:
        return (await process.run([program, "-S"], seconds=10)).decode(errors="replace")
    except TankError:
        return ""


def default_uplink() -> str | None:
    """The interface of the default route."""
    return default_interface(_text("/proc/net/route"), _text("/proc/net/ipv6_route"))


def _text(path: str) -> str:
    return (files.read(path) or b"").decode()


def _is_wireless(name: str) -> bool:
    return any((_SYS / name / each).exists() for each in ("wireless", "phy80211"))


def _value(path: str) -> str:
    return (files.read(_SYSCTL / path) or b"").decode().strip()
