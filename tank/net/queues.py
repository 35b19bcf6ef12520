"""The kernel's queues of one namespace, as typed functions over a conversation (`tank.net.links`). All of it blocks.

What is asked of the kernel is the least of what is everywhere: tbf, the ingress queue, and a filter of the oldest
kind (u32) that takes everything and leads it elsewhere (mirred).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import replace

from tank.net import rtnetlink as wire
from tank.net.links import Links, refused
from tank.net.rtnetlink import attribute, attributes, nested, number, text
from tank.net.shapes import ARRIVING, HANDLE, INGRESS, ROOT, Bucket, Lead, Queue, Reshaping, Verb

_TC = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_KIND, _OPTIONS = 1, 2  # TCA_*
_LINK, _IFNAME, _LINKINFO, _INFO_KIND = struct.Struct("=BxHiII"), 3, 18, 1  # ifinfomsg, IFLA_*
_STATS, _STATS_QUEUE, _COUNTS = 7, 3, struct.Struct("=III")  # TCA_STATS2; packets, bytes waiting, drops
_PARMS, _RATE64, _BURST = 1, 4, 6  # TCA_TBF_*
_SPEC = struct.Struct("=BBHhHI")  # tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate
_ETHERNET = 1  # the link layer; without one, the kernel asks for a table of times
_NUMBERS = struct.Struct("=III")  # limit, buffer, mtu
_SELECTION, _ACTIONS = 5, 7  # TCA_U32_*
_ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_MIRRED = struct.Struct("=IIiiiiI")  # tc_mirred: index, capabilities, action, counts, what, to which link
_STOLEN, _REDIRECT = 4, 1
_WHOLE = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + struct.pack("=IIii", 0, 0, 0, 0)  # tc_u32_sel: all
_FIRST = (1 << 16) | socket.htons(3)  # priority 1, every protocol
_NODE = 1  # and before others of that priority

_CURES = {
    errno.ENOENT: "this kernel lacks the tbf queue (modprobe sch_tbf)",
    errno.EOPNOTSUPP: "this kernel lacks queues with limits",
}
_FUNNEL_CURES = {errno.EOPNOTSUPP: "this kernel lacks the ifb driver (modprobe ifb)"}
_LEAD_CURES = {
    errno.ENOENT: "this kernel lacks what leads packets elsewhere (modprobe -a sch_ingress cls_u32 act_mirred)",
    errno.EOPNOTSUPP: "this kernel lacks the ingress queue",
}


def queues(links: Links) -> tuple[Queue, ...]:
    """All queues of all links."""
    with refused("look at the queues"):
        return tuple(map(_queue, links.conversation.dump(wire.GETQDISC, _TC.pack(0, 0, 0, 0, 0))))


def leads(links: Links, found: Sequence[Queue]) -> tuple[Lead, ...]:
    """Where our filters lead what arrives, of the links that have a queue for it."""
    told = []
    for index in sorted({each.index for each in found if each.parent == INGRESS}):
        with refused("look at a filter"):
            bodies = links.conversation.dump(wire.GETTFILTER, _TC.pack(0, index, 0, ARRIVING, 0))
        told += [Lead(index=index, to=to) for body in bodies if (to := _led_to(body))]
    return tuple(told)


def carry_out(deed: Reshaping, links: Links) -> None:
    """Do one thing. Raises Waiting with the kernel's words."""
    match deed.verb:
        case Verb.LIMIT if deed.bucket is not None:
            _limit(links, deed.index, deed.bucket)
        case Verb.FREE:
            _free(links, deed.index)
        case Verb.FUNNEL:
            _make_funnel(links, deed)
        case Verb.UNFUNNEL:
            links.drop_link(deed.index)
        case Verb.LEAD:
            _lead(links, deed.index, deed.to)
        case Verb.UNLEAD:
            _unlead(links, deed.index)


def _limit(links: Links, index: int, wanted: Bucket) -> None:
    """A bucket of ours that stands is changed under way, and loses no packet, unless it becomes smaller.

    A packet that waits, and is larger than a smaller bucket ever gets, would wait for ever, and all others behind it.
    """
    standing = [each for each in queues(links) if each.index == index and each.is_ours()]
    if not standing or standing[0].burst > wanted.burst:
        _free(links, index)
    rate = _SPEC.pack(0, _ETHERNET, 0, 0, 0, min(wanted.rate, 0xFFFF_FFFF))
    numbers = _NUMBERS.pack(min(wanted.limit, 0xFFFF_FFFF), min(wanted.ticks, 0xFFFF_FFFF), 0)
    inner = [attribute(_PARMS, rate + bytes(_SPEC.size) + numbers), attribute(_BURST, wanted.burst)]
    if wanted.rate > 0xFFFF_FFFF:
        inner.append(attribute(_RATE64, struct.pack("=Q", wanted.rate)))
    body = _TC.pack(0, index, HANDLE, ROOT, 0) + attribute(_KIND, "tbf") + nested(_OPTIONS, *inner)
    with refused("limit the rate of an interface", cures=_CURES):
        links.conversation.request(wire.NEWQDISC, body, wire.CREATE | wire.REPLACE)


def _free(links: Links, index: int) -> None:
    """The kernel's own queue again, which cannot be removed."""
    with refused("end the limit of an interface", done=(errno.ENOENT, errno.EINVAL, errno.ENODEV)):
        links.conversation.request(wire.DELQDISC, _TC.pack(0, index, 0, ROOT, 0))


def _make_funnel(links: Links, deed: Reshaping) -> None:
    if deed.index:
        links.drop_link(deed.index)
    body = _LINK.pack(0, 0, 0, 0, 0) + attribute(_IFNAME, deed.name)
    body += nested(_LINKINFO, attribute(_INFO_KIND, "ifb"))
    with refused("limit what comes into a pod", done=(errno.EEXIST,), cures=_FUNNEL_CURES):
        links.conversation.request(wire.NEWLINK, body, wire.CREATE | wire.EXCL)
    links.set_link(links.index(deed.name), alias=deed.mark)


def _lead(links: Links, index: int, to: int) -> None:
    body = _TC.pack(0, index, 0xFFFF_0000, INGRESS, 0) + attribute(_KIND, "ingress")
    with refused("catch what arrives at an interface", done=(errno.EEXIST,), cures=_LEAD_CURES):
        links.conversation.request(wire.NEWQDISC, body, wire.CREATE | wire.EXCL)
    action = nested(
        1,
        attribute(_ACT_KIND, "mirred"),
        nested(_ACT_OPTIONS, attribute(_MIRRED_PARMS, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, to))),
    )
    options = nested(_OPTIONS, attribute(_SELECTION, _WHOLE), nested(_ACTIONS, action))
    body = _TC.pack(0, index, _NODE, ARRIVING, _FIRST) + attribute(_KIND, "u32") + options
    with refused("end a filter", done=(errno.ENOENT, errno.EINVAL)):  # whatever has its place
        links.conversation.request(wire.DELTFILTER, _TC.pack(0, index, 0, ARRIVING, _FIRST))
    with refused("lead on what arrives at an interface", cures=_LEAD_CURES):
        links.conversation.request(wire.NEWTFILTER, body, wire.CREATE | wire.EXCL)


def _unlead(links: Links, index: int) -> None:
    """The queue goes with our filter, unless it holds others."""
    with refused("end a filter", done=(errno.ENOENT, errno.EINVAL, errno.ENODEV)):
        links.conversation.request(wire.DELTFILTER, _TC.pack(0, index, 0, ARRIVING, _FIRST))
    with refused("look at a filter"):
        others = links.conversation.dump(wire.GETTFILTER, _TC.pack(0, index, 0, ARRIVING, 0))
    if not others:
        with refused("end a queue", done=(errno.ENOENT, errno.EINVAL, errno.ENODEV)):
            links.conversation.request(wire.DELQDISC, _TC.pack(0, index, 0xFFFF_0000, INGRESS, 0))


def _queue(body: bytes) -> Queue:
    _, index, handle, parent, _ = _TC.unpack_from(body)
    told = attributes(body[_TC.size :])
    kind, options = text(told.get(_KIND)), attributes(told.get(_OPTIONS, b""))
    counted = attributes(told.get(_STATS, b"")).get(_STATS_QUEUE, b"")
    dropped = _COUNTS.unpack_from(counted)[2] if len(counted) >= _COUNTS.size else 0
    if kind != "tbf" or len(options.get(_PARMS, b"")) < 2 * _SPEC.size + _NUMBERS.size:
        return Queue(index=index, kind=kind, handle=handle, parent=parent, dropped=dropped)
    rate = _SPEC.unpack_from(options[_PARMS])[-1]
    limit, ticks, _ = _NUMBERS.unpack_from(options[_PARMS], 2 * _SPEC.size)
    rate = number(options[_RATE64]) if _RATE64 in options else rate
    found = Queue(index=index, kind=kind, handle=handle, parent=parent, dropped=dropped)
    return replace(found, rate=rate, limit=limit, ticks=ticks)


def _led_to(body: bytes) -> int:
    """The link to which a filter leads everything, before any other; 0: it is none of that kind."""
    *_, info = _TC.unpack_from(body)
    told = attributes(body[_TC.size :])
    options = attributes(told.get(_OPTIONS, b""))
    if info != _FIRST or text(told.get(_KIND)) != "u32" or options.get(_SELECTION, b"")[16:24] != bytes(8):
        return 0
    action = attributes(attributes(options.get(_ACTIONS, b"")).get(1, b""))
    parms = attributes(action.get(_ACT_OPTIONS, b"")).get(_MIRRED_PARMS, b"")
    if text(action.get(_ACT_KIND)) != "mirred" or len(parms) < _MIRRED.size:
        return 0
    *_, what, to = _MIRRED.unpack_from(parms)
    return int(to) if what == _REDIRECT else 0
