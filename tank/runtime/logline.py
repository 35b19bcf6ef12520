"""One record of a container's log, as conmon writes it and as Tank tells it (C11).

`<RFC 3339 with nanoseconds> <stdout|stderr> <P|F> <text>`; P: the line goes on in the stream's next record. What
a full disk or a rotation has garbled is passed over up to the next place that looks like a record (R33).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_RECORD = re.compile(rb"(" + _STAMP + rb") (stdout|stderr) ([PF]) (.*)", re.DOTALL)
_LONGEST_JOINED = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line without its end, or, `partial`, a piece of one that goes on in the next of the same stream.

    `time` is RFC 3339 as it was written down; `attempt` tells which incarnation wrote it.
    """

    time: str
    stream: str  # stdout, stderr
    text: bytes
    attempt: int
    partial: bool = False

    @property
    def wall(self) -> float:
        """The time in seconds."""
        return wall(self.time)


def parse(record: bytes, attempt: int) -> LogLine | None:
    """A record without its line end. None: there is none in it."""
    match = _RECORD.match(record) or _RECORD.search(record)
    if match is None:
        return None
    stamp, stream, tag, text = match.groups()
    return LogLine(time=stamp.decode(), stream=stream.decode(), text=text, attempt=attempt, partial=tag == b"P")


def is_whole(record: bytes) -> bool:
    """Whether a record ends a line."""
    match = _RECORD.match(record)
    return match is not None and match[3] == b"F"


def wall(stamp: str) -> float:
    """RFC 3339 as seconds; 0 for what is none."""
    head, dot, tail = stamp.partition(".")
    digits = re.match(r"\d*", tail)
    fraction = digits.group() if digits else ""
    zone = tail[len(fraction) :] if dot else ""
    try:
        return datetime.fromisoformat(head + zone).timestamp() + (float(f"0.{fraction}") if fraction else 0.0)
    except ValueError:
        return 0.0


class Joiner:
    """Puts the pieces of a line together, for each stream, up to a bound (S30)."""

    def __init__(self) -> None:
        self._pending: dict[str, LogLine] = {}

    def add(self, piece: LogLine) -> tuple[LogLine, ...]:
        """What this piece completes: its own line, and before it the last words of an attempt that died."""
        before = self._pending.pop(piece.stream, None)
        if before is None or before.attempt != piece.attempt:
            return (*([] if before is None else [before]), *self._hold(piece))
        text = before.text + piece.text
        return self._hold(replace(before, text=text, partial=piece.partial))

    def _hold(self, line: LogLine) -> tuple[LogLine, ...]:
        if line.partial and len(line.text) < _LONGEST_JOINED:
            self._pending[line.stream] = line
            return ()
        return (line,)

    def flush(self) -> tuple[LogLine, ...]:
        """What is unfinished: a prompt, or the last words of one that died."""
        pending = tuple(self._pending.values())
        self._pending.clear()
        return pending
