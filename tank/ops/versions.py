"""Which versions of the programs that Tank drives are fit, and which have holes. Pure.

`LEAST` is what Tank needs; below it nothing is promised. `HOLES` lists, per program, the first version in which a
hole is closed; a distribution may have mended an older one, hence a warning and no refusal (S42, S07, S09).
"""

from __future__ import annotations

import re
from typing import NamedTuple

Version = tuple[int, ...]


class Hole(NamedTuple):
    """Something that versions before `closed` suffer from."""

    closed: Version
    what: str


LEAST: dict[str, Version] = {"crun": (1, 8), "conmon": (2, 1, 6), "nft": (1, 0, 6), "catatonit": (0, 1, 7)}

HOLES: dict[str, tuple[Hole, ...]] = {
    "crun": (
        Hole((1, 14, 1), "no guard against descriptors leaked into the container (as in CVE-2024-21626)"),
        Hole((1, 28), "races on masked paths (CVE-2026-47766)"),
    ),
}


def parse(text: str) -> Version | None:
    """The first version number in what a program says of itself: `crun version 1.8.1`, `nftables v1.0.6 (…)`."""
    found = re.search(r"\bv?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def words(version: Version) -> str:
    """`1.8.1`."""
    return ".".join(str(part) for part in version)


def holes(program: str, version: Version) -> tuple[Hole, ...]:
    """The known holes of this version."""
    return tuple(hole for hole in HOLES.get(program, ()) if version < hole.closed)
