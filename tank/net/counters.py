"""What the kernel has counted of a pod's interfaces. All of it blocks.

The counters are the interface's: they begin when it is made, and a daemon that ends takes nothing of them along.
What a limit (`tank.net.shapes`) had no more room for is counted by its queue, and added here.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tank.model.stats import NicStats
from tank.net import queues
from tank.net import rtnetlink as wire
from tank.net.links import Links, host_links, refused
from tank.net.rtnetlink import attributes, text
from tank.net.shapes import ROOT
from tank.net.wanted import plug_name

_HEADER, _EVERY = struct.Struct("=BxHiII"), struct.Struct("=8Q")
_ALIAS, _STATS64 = 20, 23  # IFLA_*


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """One link: packets, bytes, errors and drops, each in and out in turn."""

    index: int
    numbers: tuple[int, ...]


def counters(links: Links, marks: Mapping[str, str], limited: Collection[str] = ()) -> tuple[NicStats, ...]:
    """For each of `marks` (by the interface's name, in order) that is there; into those `limited` not all may come."""
    with refused("look at the interfaces"):
        bodies = links.conversation.dump(wire.GETLINK, _HEADER.pack(0, 0, 0, 0, 0))
    by_alias = dict(filter(None, map(_counted, bodies)))
    dropped = {each.index: each.dropped for each in queues.queues(links) if each.parent == ROOT}
    plugs = _dropped_at_plugs(limited) if limited else {}
    found = []
    for name, mark in marks.items():
        if mine := by_alias.get(mark):
            funnel = by_alias.get(f"{mark}/in")
            late = dropped.get(funnel.index, 0) if funnel else plugs.get(mark, 0)
            found.append(_told(name, mine.numbers, late, dropped.get(mine.index, 0)))
    return tuple(found)


def _dropped_at_plugs(marks: Iterable[str]) -> Mapping[str, int]:
    """What the limits at the host's ends of these cables had no room for, by mark."""
    wanted = {plug_name(mark): mark for mark in marks}
    with host_links() as links:
        plugs = {wanted[each.name]: each.index for each in links.links() if each.name in wanted}
        found = {each.index: each.dropped for each in queues.queues(links) if each.parent == ROOT}
        return {mark: found.get(index, 0) for mark, index in plugs.items()}


def _counted(body: bytes) -> tuple[str, _Counted] | None:
    _, _, index, _, _ = _HEADER.unpack_from(body)
    told = attributes(body[_HEADER.size :])
    alias, numbers = text(told.get(_ALIAS)), told.get(_STATS64, b"")
    if not alias or len(numbers) < _EVERY.size:
        return None
    return alias, _Counted(index=index, numbers=_EVERY.unpack_from(numbers))


def _told(name: str, numbers: tuple[int, ...], late_in: int, late_out: int) -> NicStats:
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped = numbers
    return NicStats(
        name=name,
        rx_bytes=rx_bytes,
        rx_packets=rx_packets,
        rx_errors=rx_errors,
        rx_dropped=rx_dropped + late_in,
        tx_bytes=tx_bytes,
        tx_packets=tx_packets,
        tx_errors=tx_errors,
        tx_dropped=tx_dropped + late_out,
    )
