"""Whether a limit that the kernel shows is the one that the spec asks for (C12)."""

from __future__ import annotations

from tank.model.pod import Cpu
from tank.model.units import format_cpu

PAGE = 4096  # bytes: the kernel counts memory in pages
NONE = "max"  # how no limit is shown


def holds(wanted: int | str | Cpu | None, actual: int | str) -> bool:
    """Whether `actual`, as it was read back, is what is wanted. None is no limit, and no swap."""
    if wanted is None:
        return actual in (NONE, 0)
    if isinstance(wanted, Cpu):
        return actual == format_cpu(wanted.quota, wanted.period)
    if isinstance(wanted, int) and isinstance(actual, int):
        return abs(wanted - actual) < PAGE if wanted >= PAGE else wanted == actual
    return _members(str(wanted)) == _members(str(actual))


def _members(text: str) -> object:
    """A list of processors by its members: "0-1" and "0,1" are the same; anything else as it is written."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last.isdigit() or not last)):
            return text
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
