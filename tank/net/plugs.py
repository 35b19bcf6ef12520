"""The host's ends of the pods' cables: on their bridge, marked, up, and as fast as they may be. All of it blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tank.net import gates, queues
from tank.net.drift import Parent
from tank.net.links import Links, host_links
from tank.net.seen import Link
from tank.net.shaper import plug_limits
from tank.net.wanted import CABLE_MTU, Interface

_UNGUARDED = "/unguarded"  # at the end of a cable's mark: the kernel that it was made on has no gates


@dataclass(frozen=True, slots=True, kw_only=True)
class Cabling:
    """One look at a pod's cables: what is wrong, in words, and the indexes of its links and bridges on the host."""

    wrong: tuple[str, ...] = ()
    cables: frozenset[int] = frozenset()
    bridges: frozenset[int] = frozenset()


def cabling(wanted: Sequence[Interface]) -> Cabling:
    """How they are; cables that are not there are missed by those who look into the pod."""
    cabled = _cabled(wanted)
    if not cabled:
        return Cabling()
    with host_links() as links:
        by_name = {each.name: each for each in links.links()}
        wrong = tuple(_wrong(links, wanted, by_name))
        slow = tuple(each.words for each in plug_limits(wanted, links, by_name))
    return Cabling(
        wrong=(*wrong, *slow),
        cables=frozenset(by_name[each.plug].index for each in cabled if each.plug in by_name),
        bridges=frozenset(by_name[each.parent].index for each in cabled if each.parent in by_name),
    )


def plug_in(wanted: Sequence[Interface], parents: Mapping[str, Parent]) -> None:
    """Put right what is wrong. Raises Waiting."""
    if _cabled(wanted):
        with host_links() as links:
            _plug_in(links, wanted, parents)


def _plug_in(links: Links, wanted: Sequence[Interface], parents: Mapping[str, Parent]) -> None:
    by_name = {each.name: each for each in links.links()}
    for interface in _cabled(wanted):
        link, parent = by_name.get(interface.plug), parents.get(interface.name)
        if link and parent and not (_right(link, interface, parent.index) and _guarded(links, link)):
            connect(links, link.index, interface, parent)
    for deed in plug_limits(wanted, links, by_name):
        queues.carry_out(deed, links)


def connect(links: Links, plug: int, interface: Interface, parent: Parent) -> None:
    """Put a cable's end on its bridge, with its gate before. Raises Waiting."""
    guard = "" if gates.put_up(links, plug) else _UNGUARDED
    links.plug_in(plug, parent.index, f"{interface.mark}/plug{guard}", mtu=parent.mtu)
    _hairpin(interface.plug).write_text("1")


def _cabled(wanted: Sequence[Interface]) -> list[Interface]:
    return [each for each in wanted if each.kind == "veth"]


def _wrong(links: Links, wanted: Sequence[Interface], by_name: Mapping[str, Link]) -> Iterator[str]:
    for interface in _cabled(wanted):
        link, bridge = by_name.get(interface.plug), by_name.get(interface.parent)
        if link and not _guarded(links, link):
            yield f"the cable of {interface.name} lets through what is for the host's loopback"
        if link and not (bridge and _right(link, interface, bridge.index)):
            yield f"the cable of {interface.name} is not plugged into {interface.parent} as it should be"


def _guarded(links: Links, link: Link) -> bool:
    """Whether it has its gate, or can have none: whoever looks for one again puts nothing right."""
    return link.alias.endswith(_UNGUARDED) or gates.stands(links, link.index)


def _right(link: Link, interface: Interface, bridge: int) -> bool:
    marked = link.alias.removesuffix(_UNGUARDED) == f"{interface.mark}/plug"
    plugged = link.master == bridge and link.up and link.mtu == CABLE_MTU
    return marked and plugged and _hairpin(link.name).read_text().strip() == "1"


def _hairpin(plug: str) -> Path:
    """Whether a frame may leave by the cable it came from: a pod that comes to itself by a port of the host, where
    the host's rules are asked of bridged packets too (net.bridge.bridge-nf-call-iptables)."""
    return Path("/sys/class/net", plug, "brport", "hairpin_mode")
