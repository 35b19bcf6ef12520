"""What must not be collected now, though no row says so yet: pulls under way, images just looked up, loads.

Rows in the store and on record say which images pods need. Between "the image is here" and "the row that needs it is
written" there is a moment; a claim covers it (R38). Claims live in memory, since what they cover ends with the daemon:
an unfinished pull begins anew, a lookup is repeated, and files in use are closed. Collection looks at them in the very
step that takes a name away, with nothing between the look and the deed. Times are of a clock that never jumps (R58).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

LEASE = 120.0  # seconds for which an image is kept after it was looked up or brought (C6)


class _Lease(NamedTuple):
    """One image that was looked up or brought: until when it stays, its layers, since which generation."""

    until: float
    layers: frozenset[str]
    generation: int


class Claims:
    """The claims of one image store."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: Counter[Path] = Counter()
        self.generation = 0  # rises with each claim of something that was not claimed before
        self._flights: dict[Hashable, tuple[str, frozenset[str]]] = {}
        self._leases: dict[str, _Lease] = {}

    def use(self, path: Path) -> None:
        """This file stays until it is disused: a layer as it came, whole or not."""
        self._used[path] += 1

    def disuse(self, path: Path) -> None:
        """Its user is done with it."""
        self._used[path] -= 1
        self._used += Counter()  # those of nobody go

    def used(self, path: Path) -> bool:
        """Whether somebody reads or writes it."""
        return path in self._used

    @contextmanager
    def using(self, paths: Collection[Path]) -> Iterator[None]:
        """While the block runs these files stay."""
        for each in paths:
            self.use(each)
        try:
            yield
        finally:
            for each in paths:
                self.disuse(each)

    def begin(self, flight: Hashable, digest: str, layers: Iterable[str]) -> None:
        """A pull of `digest` is under way and counts on these, here or to come: names of layers and of chain notes."""
        self._flights[flight] = digest, frozenset(layers)
        self.generation += 1

    def end(self, flight: Hashable) -> None:
        """The pull has ended: what it brought may be another thing to people than before. Repeatable."""
        digest, _ = self._flights.pop(flight, ("", None))
        held = self._leases.get(digest)
        if held is not None:
            self.generation += 1
            self._leases[digest] = held._replace(generation=self.generation)

    @property
    def flying(self) -> bool:
        """Whether a pull is under way."""
        return bool(self._flights)

    def brought(self, digest: str) -> bool:
        """Whether a pull under way brings this image, again perhaps."""
        return any(each == digest for each, _ in self._flights.values())

    def lease(self, digest: str, layers: Iterable[str]) -> None:
        """The image was looked up, by somebody who may be about to need it."""
        self.generation += 1
        self._leases[digest] = _Lease(self._clock() + LEASE, frozenset(layers), self.generation)

    def renew(self, digest: str) -> bool:
        """The same, for an image that has a lease already; False when it has none."""
        held = self._leases.get(digest)
        if held is None:
            return False
        self._leases[digest] = held._replace(until=self._clock() + LEASE)
        return True

    def leased(self, digest: str, since: int = -1) -> bool:
        """Whether it was looked up just now; and brought or looked up first after the generation `since`."""
        held = self._current().get(digest)
        return held is not None and held.generation > since

    def drop(self, digest: str) -> None:
        """Somebody who knows that nothing needs the image removes it."""
        self._leases.pop(digest, None)

    def layers(self) -> frozenset[str]:
        """Every layer and chain note that is claimed now."""
        leased = (each.layers for each in self._current().values())
        flying = (layers for _, layers in self._flights.values())
        return frozenset().union(*flying, *leased)

    def _current(self) -> dict[str, _Lease]:
        now = self._clock()
        self._leases = {digest: each for digest, each in self._leases.items() if each.until > now}
        return self._leases
