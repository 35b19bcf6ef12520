"""Which images go when space is wanted (C6). Pure: the inventory and the needs come in, digests go out.

First layers as they came go: all they spare is a download. What is left of downloads goes before whole ones, unless it
came just now: then the next try is about to go on with it, and it goes after them. Then images: never what a pod needs;
never what was used within the last two minutes; of the rest the least recently used first, until enough is free. A
layer counts as freed only with the last image that has it. When space is not wanted, nothing goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OLDEST = 86_400.0  # seconds after which nobody will come back for a part
RESUMED = 600.0  # seconds within which the next try of a pull takes up its parts
MIN_AGE = 120.0  # seconds since the last use (C6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What one layer takes: bytes and inodes."""

    size: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One image on the disk. `layers` are names of directories; `used_at` is wall clock."""

    digest: str
    layers: frozenset[str]
    used_at: float
    references: tuple[str, ...] = ()
    size: int = 0  # compressed bytes
    config: str = ""  # digest of its configuration
    whole: bool = True
    packed: frozenset[str] = frozenset()  # names of its layers as they came, which are here or not
    chains: frozenset[str] = frozenset()  # names of the notes on what its layers are on top of others, here or not

    @property
    def claimed(self) -> frozenset[str]:
        """What may not be collected while somebody counts on the image: names of directories and of notes."""
        return self.layers | self.chains


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A layer as it came. `part`: only as far as it has come; `at`: wall clock of its last byte."""

    path: Path
    size: int
    at: float
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to become free. Zero of both: nothing is wanted."""

    size: int = 0
    entries: int = 0

    def less(self, size: int, entries: int) -> Goal:
        """What is still wanted when so much has become free."""
        return Goal(size=self.size - size, entries=self.entries - entries)

    @property
    def reached(self) -> bool:
        return self.size <= 0 and self.entries <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The water marks: per cent of the file system at which collection begins, and at which it ends."""

    high: float = 85.0
    low: float = 80.0


def goal(used: int, total: int, level: Level) -> int:
    """Bytes (or inodes) to free: none below the high mark, from there down to the low one."""
    if total <= 0 or used * 100 <= total * level.high:
        return 0
    return max(0, int(used - total * level.low / 100))


def spare(copies: Sequence[Copy], now: float, wanted: Goal) -> tuple[Copy, ...]:
    """The copies to remove, none of them in use: parts nobody came back for, and as many as are wanted beside.

    Parts go first, then the oldest, and last the parts of a pull that may just be waiting for its next try; a whole one
    of the last two minutes stays, for who has brought it to save it.
    """

    def order(each: Copy) -> tuple[int, float, Path]:
        rank = 1 if not each.part else 0 if now - each.at >= RESUMED else 2
        return rank, each.at, each.path

    left = wanted
    chosen: list[Copy] = []
    for each in sorted(copies, key=order):
        age = now - each.at
        if (each.part and age >= OLDEST) or (not left.reached and (each.part or age >= MIN_AGE)):
            chosen.append(each)
            left = left.less(each.size, 1)
    return tuple(chosen)


def choose(
    images: Sequence[Kept], weights: Mapping[str, Weight], needed: Collection[str], now: float, wanted: Goal
) -> tuple[str, ...]:
    """The images to remove, in that order. `needed` are digests; `now` is wall clock.

    A clock that was set back makes an image look as if it were used in the future: then it is young, and stays.
    """
    left = wanted
    users = Counter(name for image in images for name in image.layers)
    chosen: list[str] = []
    free = [each for each in images if each.digest not in needed and now - each.used_at >= MIN_AGE]
    for image in sorted(free, key=lambda each: (each.used_at, each.digest)):
        if left.reached:
            break
        freed = [name for name in image.layers if users[name] == 1]
        users.subtract(image.layers)
        chosen.append(image.digest)
        gone = [weights[name] for name in freed if name in weights]
        left = left.less(sum(each.size for each in gone), sum(each.entries for each in gone))
    return tuple(chosen)


def exclusive(images: Sequence[Kept]) -> Mapping[str, frozenset[str]]:
    """The layers that each image has to itself, by its digest."""
    users = Counter(name for image in images for name in image.layers)
    return {image.digest: frozenset(name for name in image.layers if users[name] == 1) for image in images}
