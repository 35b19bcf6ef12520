"""Where a translation stands: the place in the document it reads, and the place in the spec it writes.

A fault that is found in the spec is told at the place in the document that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tank.errors import Problem
from tank.model.faults import Faults, Path, Spot, path_text


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document. `losses` gathers what has no meaning here."""

    spot: Spot
    losses: list[Problem]

    def at(self, *steps: str | int) -> Place:
        """The place below this one."""
        return Place(self.spot.at(*steps), self.losses)

    def above(self) -> Place:
        """The place that this one is in."""
        return Place(Spot(self.spot.faults, self.spot.path[:-1]), self.losses)

    def refuse(self, why: str, suggestion: str = "") -> None:
        """What stands here cannot be honoured."""
        self.spot.fault(why, suggestion, key=True)

    def lose(self, why: str) -> None:
        """What stands here means nothing on one machine."""
        faults, path = self.spot.faults, self.spot.path
        line, column = (faults.locate and faults.locate(path, key=True)) or (None, None)
        self.losses.append(Problem(path_text(path), why, "", line, column, faults.source))


@dataclass(slots=True)
class Draft:
    """A mapping of the spec that is being written. `origins`: from where in the document each field came.

    The flag beside an origin says that the value has the same shape there, so that places inside it agree.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    path: Path = ()
    origins: dict[Path, tuple[Path, bool]] = field(default_factory=dict)

    def put(self, name: str, value: Any, place: Place, *, same: bool = False) -> None:
        """Write a field."""
        self.fields[name] = value
        self._note(name, place, same=same)

    def below(self, name: str, place: Place) -> Draft:
        """The mapping in a field, made when it is not there."""
        if name not in self.fields:
            self._note(name, place)
        return Draft(self.fields.setdefault(name, {}), (*self.path, name), self.origins)

    def append(self, name: str, place: Place) -> Draft:
        """One more mapping in a field that is a list of them."""
        listed = self.fields.setdefault(name, [])
        listed.append({})
        path = (*self.path, name, len(listed) - 1)
        self.origins[path] = place.spot.path, False
        return Draft(listed[-1], path, self.origins)

    def _note(self, name: str, place: Place, *, same: bool = False) -> None:
        self.origins[(*self.path, name)] = place.spot.path, same


class Returned(Faults):
    """The faults of a translated spec, each told at the place that it came from."""

    def __init__(self, document: Faults, draft: Draft, whole: Path) -> None:
        super().__init__(document.source, document.locate)
        self.document, self.origins, self.whole = document, draft.origins, whole

    def add(self, path: Path, message: str, suggestion: str = "", *, key: bool = False) -> None:
        """Note one fault of the spec with the document, unless it follows from one that was found there."""
        self.paths.add(path)
        origin = self.origin(path)
        if not any(each[: len(origin)] == origin for each in self.document.paths):
            self.document.add(origin, message, suggestion, key=key)

    def origin(self, path: Path) -> Path:
        """The place in the document that `path` of the spec came from, or the nearest around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                found, same = self.origins[path[:length]]
                return found + path[length:] if same else found
        return self.whole

    @property
    def count(self) -> int:
        """How many the document has."""
        return self.document.count
