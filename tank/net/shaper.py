"""Limits of pods' interfaces made so, or told where they are not. All of it blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tank.errors import Waiting
from tank.net import queues
from tank.net.links import REASON, Links
from tank.net.seen import Link
from tank.net.shapes import Reshaping, limits, reshape
from tank.net.wanted import Interface

_ROUNDS = 4  # the funnel, what is on it, the way into it


def shape(wanted: Sequence[Interface], links: Links) -> None:
    """Everything in a pod's namespace as it should be. Raises Waiting."""
    deeds: tuple[Reshaping, ...] = ()
    for _ in range(_ROUNDS):
        deeds = _missing(wanted, links, links.links())
        for deed in deeds:
            queues.carry_out(deed, links)
        if not deeds:
            return
    raise Waiting(REASON, f"cannot settle the rates: {'; '.join(each.words for each in deeds)}")


def unshaped(wanted: Sequence[Interface], links: Links, seen: Sequence[Link]) -> tuple[str, ...]:
    """What differs there, in words. `seen`: the links that stand."""
    return tuple(dict.fromkeys(each.words for each in _missing(wanted, links, seen)))


def plug_limits(wanted: Sequence[Interface], links: Links, by_name: Mapping[str, Link]) -> Iterator[Reshaping]:
    """What is to be done at the host's ends of cables, for what comes into pods. `by_name`: the host's links."""
    for interface in wanted:
        plug = by_name.get(interface.plug)
        if interface.kind == "veth" and plug is not None:
            standing = queues.root(links, plug.index)
            yield from limits(plug, interface.rate.incoming, standing, f"into {interface.name}")


def _missing(wanted: Sequence[Interface], links: Links, seen: Sequence[Link]) -> tuple[Reshaping, ...]:
    found = queues.queues(links)
    return reshape(wanted, seen, found, queues.leads(links, found))
