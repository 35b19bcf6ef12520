"""Answers of others, remembered for as long as they allow. The clock is the caller's."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from tank.net.names import packets

ENTRIES, LARGEST = 1_000, 4_096  # answers, and bytes of one
LONGEST, LONGEST_ABSENCE = 3_600, 60  # seconds; a name that is not there yet may be there soon

Key = tuple[tuple[str, ...], bytes]


@dataclass(frozen=True, slots=True)
class _Kept:
    response: bytes
    offsets: tuple[int, ...]
    since: float
    until: float


@dataclass(slots=True)
class Cache:
    """The least recently used goes first."""

    _kept: OrderedDict[Key, _Kept] = field(default_factory=OrderedDict)

    def get(self, query: bytes, upstreams: tuple[str, ...], now: float) -> bytes | None:
        """The answer to this very question, to these servers, as old as it is."""
        key = key_of(query, upstreams)
        kept = self._kept.get(key)
        if kept is None or kept.until <= now:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return packets.spelled(packets.aged(kept.response, kept.offsets, int(now - kept.since)), query)

    def put(self, query: bytes, upstreams: tuple[str, ...], response: bytes, now: float) -> None:
        """Remember an answer that may be."""
        if len(response) > LARGEST:
            return
        found = packets.lifetimes(response)
        longest = LONGEST_ABSENCE if packets.code(response) or response[6:8] == b"\0\0" else LONGEST
        if not found.seconds:
            return
        self._kept[key_of(query, upstreams)] = _Kept(response, found.offsets, now, now + min(found.seconds, longest))
        while len(self._kept) > ENTRIES:
            self._kept.popitem(last=False)


def key_of(query: bytes, upstreams: tuple[str, ...]) -> Key:
    """All of a question but its number and the spelling of its name: who asks for signatures is told them."""
    end = packets.question_end(query) or packets.HEADER
    return upstreams, query[2 : packets.HEADER] + query[packets.HEADER : end].lower() + query[end:]
