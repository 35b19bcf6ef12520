"""What never comes out of a pod's cable: packets for the host's loopback (S33). All of it blocks.

A port of the host on 127.0.0.1 needs bridges that route that network (route_localnet), and then a pod that makes its
own packets would reach whatever listens there. The gate is a filter at the host's end of the cable: no flush of the
host's firewall reaches it, it goes with the cable alone, and nobody has to be alive for it. It asks before the bridge
does, so what others translate (br_netfilter) makes no difference, and by the packet's own bytes, so a tag makes none.
A filter of the oldest kind (u32) cannot drop; what it catches goes back to where it came from.

A kernel may lack such filters. Then the host's rules alone keep pods out (`tank.net.ruleset`); `tank doctor` says so.
"""

from __future__ import annotations

import errno
import socket
import struct

from tank.net import rtnetlink as wire
from tank.net.links import Links, refused
from tank.net.rtnetlink import attribute, attributes, nested, text
from tank.net.shapes import ARRIVING, INGRESS

_TC = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_KIND, _OPTIONS, _SELECTION, _ACTIONS = 1, 2, 5, 7  # TCA_*, TCA_U32_*
_ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 1, 2, 2
_MIRRED = struct.Struct("=IIiiiiI")  # tc_mirred: index, capabilities, action, counts, what, to which link
_STOLEN, _REDIRECT = 4, 1
_HEAD = struct.pack("=BBBxHHhhI", 1, 0, 2, 0, 0, 0, 0, 0)  # tc_u32_sel: the last word, two keys
_KEYS = b"".join(
    bytes((mask, 0, 0, 0, value, 0, 0, 0)) + struct.pack("=ii", at, 0)
    for mask, value, at in ((0xF0, 0x40, 0), (0xFF, 127, 16))  # IPv4, to 127.0.0.0/8
)
_FIRST, _NODE = (1 << 16) | socket.htons(3), 1  # priority 1, every protocol; and before others of that priority
_LACKING = (errno.ENOENT, errno.EOPNOTSUPP)  # no such kind of filter or action; no such queues, or no filters at all


def stands(links: Links, index: int) -> bool:
    """Whether the link has its gate."""
    found: list[bytes] = []
    with refused("look at a filter", done=(errno.EINVAL, errno.ENODEV, *_LACKING)):
        found = links.conversation.dump(wire.GETTFILTER, _about(index, 0))
    return any(map(_is_gate, found))


def put_up(links: Links, index: int) -> bool:
    """Have it; False: this kernel lacks what it takes. Raises Waiting."""
    with refused("guard a cable"):
        try:
            if not _queue(links, index):
                if stands(links, index):
                    return True
                _clear(links, index)
            _filter(links, index)
        except OSError as error:
            if error.errno not in _LACKING:
                raise
            return False
    return True


def _queue(links: Links, index: int) -> bool:
    """Whether the queue for what arrives is new, and so has no filter yet."""
    body = _TC.pack(0, index, 0xFFFF_0000, INGRESS, 0) + attribute(_KIND, "ingress")
    try:
        links.conversation.request(wire.NEWQDISC, body, wire.CREATE | wire.EXCL)
    except FileExistsError:
        return False
    return True


def _clear(links: Links, index: int) -> None:
    """Whatever has its place."""
    with refused("end a filter", done=(errno.EINVAL, *_LACKING)):
        links.conversation.request(wire.DELTFILTER, _about(index, 0, _FIRST))


def _filter(links: Links, index: int) -> None:
    back = attribute(_MIRRED_PARMS, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, index))
    action = nested(1, attribute(_ACT_KIND, "mirred"), nested(_ACT_OPTIONS, back))
    options = nested(_OPTIONS, attribute(_SELECTION, _HEAD + _KEYS), nested(_ACTIONS, action))
    body = _about(index, _NODE, _FIRST) + attribute(_KIND, "u32") + options
    links.conversation.request(wire.NEWTFILTER, body, wire.CREATE | wire.EXCL)


def _about(index: int, handle: int, info: int = 0) -> bytes:
    return _TC.pack(0, index, handle, ARRIVING, info)


def _is_gate(body: bytes) -> bool:
    *_, info = _TC.unpack_from(body)
    told = attributes(body[_TC.size :])
    selection = attributes(told.get(_OPTIONS, b"")).get(_SELECTION, b"")
    return info == _FIRST and text(told.get(_KIND)) == "u32" and selection[len(_HEAD) :] == _KEYS
