"""DNS packets as bytes: just enough of RFC 1035 to carry foreign ones around without reading them. Pure.

What somebody else answered is handed on byte for byte, so that what we do not know of DNS cannot be broken by us.
Only its number, the spelling of the question and, out of the cache, the lifetimes are ours to set.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = 12
RESPONSE, TRUNCATED = 0x8000, 0x0200
_RECURSION_AVAILABLE, _RECURSION_DESIRED, _OPCODE = 0x0080, 0x0100, 0x7800
_SOA, _OPT = 6, 41
SERVFAIL = 2
LONGEST = 4_096  # bytes of a question with all its options
_EXTRAS = 2  # records that may come with one: its options, and a signature


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query says: the question as a packet of its own; by EDNS how long a datagram may be, and its version."""

    question: bytes
    room: int | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Where in a packet lifetimes stand, and how many seconds it may be kept; 0: not at all."""

    offsets: tuple[int, ...]
    seconds: int


def number(packet: bytes) -> int:
    """The number by which question and answer belong together."""
    return int.from_bytes(packet[:2], "big")


def flags(packet: bytes) -> int:
    """The second word."""
    return int.from_bytes(packet[2:4], "big")


def code(packet: bytes) -> int:
    """The response code, without its extension."""
    return packet[3] & 0x0F


def question_end(packet: bytes) -> int | None:
    """Where the only question ends; None: there is not exactly one, or it is garbled."""
    if len(packet) < HEADER or packet[4:6] != b"\0\1":
        return None
    end = name_end(packet, HEADER)
    if end is None or end - HEADER > 255 or packet[end - 1] or end + 4 > len(packet):
        return None
    return end + 4


def asked(query: bytes) -> Asked | None:
    """What is asked; None: it is garbled, or has with it what no question has. No name is followed anywhere."""
    end = question_end(query)
    if end is None or len(query) > LONGEST:
        return None
    answers, authorities, extras = struct.unpack_from("!3H", query, 6)
    if answers or authorities or extras > _EXTRAS:
        return None
    question = query[:6] + bytes(6) + query[HEADER:end]
    found = Asked(question)
    for _ in range(extras):
        start = name_end(query, end)
        if start is None or start + 10 > len(query):
            return None
        kind, room, ttl, length = struct.unpack_from("!HHIH", query, start)
        end = start + 10 + length
        if end > len(query):
            return None
        if kind == _OPT and found.room is None:
            found = Asked(question, room, (ttl >> 16) & 0xFF)
    return found


def name_end(packet: bytes, offset: int) -> int | None:
    """Where the name at `offset` ends. A pointer ends a name, and is not followed."""
    while offset < len(packet):
        length = packet[offset]
        if length & 0xC0 == 0xC0:
            return offset + 2 if offset + 2 <= len(packet) else None
        if length & 0xC0:
            return None
        offset += 1 + length
        if not length:
            return offset if offset <= len(packet) else None
    return None


def answers(response: bytes, query: bytes) -> bool:
    """Whether a response is one to this query: number, question, direction."""
    end = question_end(query)
    return (
        end is not None
        and question_end(response) == end
        and number(response) == number(query)
        and bool(flags(response) & RESPONSE)
        and response[HEADER:end].lower() == query[HEADER:end].lower()
    )


def numbered(packet: bytes, number: int) -> bytes:
    """The packet under another number."""
    return number.to_bytes(2, "big") + packet[2:]


def spelled(response: bytes, query: bytes) -> bytes:
    """The response under the number and with the question of `query`, whatever its letters' case."""
    end = question_end(query)
    return query[:2] + response[2:HEADER] + query[HEADER:end] + response[end:]


def aged(response: bytes, offsets: tuple[int, ...], seconds: int) -> bytes:
    """The response `seconds` later."""
    changed = bytearray(response)
    for each in offsets:
        (left,) = struct.unpack_from("!I", changed, each)
        struct.pack_into("!I", changed, each, max(0, left - seconds))
    return bytes(changed)


def refusal(query: bytes, code: int) -> bytes:
    """An answer that says only why there is none. The query has a header at least."""
    end = question_end(query)
    kept = (flags(query) & (_OPCODE | _RECURSION_DESIRED)) | RESPONSE | _RECURSION_AVAILABLE | code
    counts = (0 if end is None else 1, 0, 0, 0)
    return query[:2] + struct.pack("!5H", kept, *counts) + query[HEADER : end or HEADER]


def unrecursive(response: bytes) -> bytes:
    """The response of one who asks nobody else."""
    return response[:2] + (flags(response) & ~_RECURSION_AVAILABLE).to_bytes(2, "big") + response[4:]


def lifetimes(response: bytes) -> Lifetimes:
    """How long a response may be kept (RFC 2308 for what is not there)."""
    offset = question_end(response)
    nothing = Lifetimes((), 0)
    if offset is None or flags(response) & TRUNCATED or code(response) not in (0, 3):
        return nothing
    counts = struct.unpack_from("!3H", response, 6)
    offsets: list[int] = []
    seconds: list[int] = []
    for index in range(sum(counts)):
        end = name_end(response, offset)
        if end is None or end + 10 > len(response):
            return nothing
        kind, _, ttl, length = struct.unpack_from("!HHIH", response, end)
        offset = end + 10 + length
        if offset > len(response):
            return nothing
        if kind == _OPT:
            continue
        offsets.append(end + 4)
        if index < counts[0] + counts[1]:
            seconds.append(ttl if ttl < 2**31 else 0)
            if kind == _SOA and not counts[0] and length >= 22:
                seconds.append(int.from_bytes(response[offset - 4 : offset], "big"))
    return Lifetimes(tuple(offsets), min(seconds, default=0))
