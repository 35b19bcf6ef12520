"""Limits of pods' interfaces made so, or told where they are not. All of it blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tank.errors import Waiting
from tank.net import queues
from tank.net.links import REASON, Links
from tank.net.seen import Link
from tank.net.shapes import BUCKET, Reshaping, limits, reshape
from tank.net.wanted import UNLIMITED, Interface

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
    plugs = [(each, by_name[each.plug]) for each in wanted if each.kind == "veth" and each.plug in by_name]
    if not any(each.rate.incoming is not None or plug.queue == BUCKET for each, plug in plugs):
        return  # nearly always: nobody looks at the queues of all the host
    standing = queues.queues(links)
    for interface, plug in plugs:
        yield from limits(plug, interface.rate.incoming, standing, f"into {interface.name}")


def _missing(wanted: Sequence[Interface], links: Links, seen: Sequence[Link]) -> tuple[Reshaping, ...]:
    marks = {each.funnel_mark for each in wanted}
    limited = any(each.rate != UNLIMITED for each in wanted)
    if not limited and not any(each.queue == BUCKET or each.alias in marks for each in seen):
        return ()
    found = queues.queues(links)
    return reshape(wanted, seen, found, queues.leads(links, found))
