"""The tables of Kubernetes' fields: what each may hold, and which fate it has.

A `Noun` reads a mapping strictly: an unknown field is a fault with a suggestion, a field that is null is not there.
`Kept` fields are written to the spec at once, under our name; `Used` ones are answered for the noun's own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tank.model.faults import BAD, Refused, did_you_mean, quoted
from tank.model.grammar import Kind, ListOf, MapOf, Scalar, Schema, flag, text, whole, wrong_type
from tank.model.kube.places import Draft, Place


@dataclass(frozen=True, slots=True)
class Anything:
    """What is not looked into: of `takes` only, where that is given."""

    takes: tuple[type, ...] = (str, bool, int, float, list, dict)
    wanted: str = "a value"

    def read(self, value: Any, spot: Any) -> Any:
        """The value as it is."""
        return value if type(value) in self.takes else wrong_type(spot, self.wanted, value)

    def schema(self) -> Schema:
        return {}


ANYTHING = Anything()
MAPPING = Anything((dict,), "a mapping")
MAPPINGS = ListOf(MAPPING, most=5000)
TEXT, FLAG = text(), flag()
TEXTS = ListOf(text(), most=10_000)
# To Go, null is the empty text where a text is wanted.
LABELS = MapOf(str, Scalar((str, type(None)), lambda value: value or "", {}, "a string"), most=5000)
COUNT = whole(0, 2**31 - 1)
ID = whole(0, 2**32 - 2)
IDS = ListOf(ID)
PORT = Scalar((int, str), lambda value: value, {}, "a port's number or name")


def seconds() -> Scalar:
    """A whole number of seconds, as the spec's durations are."""
    return Scalar((int,), lambda value: float(COUNT.check(value)), {})


def one_of(words: Mapping[str, Any]) -> Scalar:
    """One of Kubernetes' words, answered as ours."""

    def check(value: str) -> Any:
        if value not in words:
            hint = did_you_mean(value, words)
            raise Refused(f"must be one of {', '.join(words)}, found {quoted(value)}", hint)
        return words[value]

    return Scalar((str,), check, {})


@dataclass(frozen=True, slots=True)
class Kept:
    """Translated by its name alone."""

    to: str
    kind: Kind = TEXT
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """Translated by the noun's own code."""

    kind: Kind = TEXT
    doc: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """Means nothing on one machine. `unless`: values that ask for nothing and are passed over."""

    why: str
    kind: Kind = ANYTHING
    unless: tuple[Any, ...] = ([], {})


@dataclass(frozen=True, slots=True)
class Never:
    """Would change what the pod does, and cannot be honoured. `unless`: values that ask for nothing."""

    why: str
    kind: Kind = ANYTHING
    unless: tuple[Any, ...] = (False, [], {})
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """Written by a cluster for itself."""


Fate = Kept | Used | Lost | Never | Passed


@dataclass(frozen=True, slots=True)
class Noun:
    """A mapping of Kubernetes' with the fate of each of its fields."""

    name: str
    fields: Mapping[str, Fate] = field(default_factory=dict)

    def read(self, value: Any, place: Place, draft: Draft | None = None) -> dict[str, Any]:
        """The sound fields that are kept or used. `draft`: where those that are kept are written."""
        if type(value) is not dict:
            wrong_type(place.spot, f"a mapping ({self.name})", value)
            return {}
        found = {}
        for name, each in value.items():
            fate = self.fields.get(name)
            if fate is None:
                hint = did_you_mean(name, self.fields)
                place.at(name).spot.fault(f"unknown field of {self.name}", hint, key=True)
            elif each is not None and (read := _met(fate, each, place.at(name), draft)) is not BAD:
                found[name] = read
        for name, fate in self.fields.items():
            if isinstance(fate, Used) and fate.required and value.get(name) is None:
                place.at(name).spot.fault(f"{self.name} needs this field")
        return found


def _met(fate: Fate, value: Any, place: Place, draft: Draft | None) -> Any:
    """The value of a field that is kept or used; BAD for one that is not."""
    if isinstance(fate, Passed):
        return BAD
    read = fate.kind.read(value, place.spot)
    if isinstance(fate, (Lost, Never)):
        if read is not BAD and not any(type(read) is type(each) and read == each for each in fate.unless):
            if isinstance(fate, Lost):
                place.lose(fate.why)
            else:
                place.refuse(fate.why, fate.suggestion)
        return BAD
    if isinstance(fate, Kept) and read is not BAD and draft is not None:
        draft.put(fate.to, read, place, same=type(read) is type(value))
    return read


def chosen(found: Mapping[str, Any], names: tuple[str, ...], place: Place, noun: str) -> str | None:
    """The one field of `names` that is given; None with a fault when there is none, or more."""
    given = [name for name in names if name in found]
    if len(given) > 1:
        place.spot.fault(f"{noun} has one of {', '.join(names)}, found {' and '.join(given)}")
    elif not given and not any(place.at(name).spot.faulty for name in names):
        place.spot.fault(f"{noun} needs one of {', '.join(names)}")
    return given[0] if len(given) == 1 else None


def items(value: Any, place: Place) -> list[tuple[Any, Place]]:
    """The sound entries of a list, each with its place."""
    return [(each, place.at(index)) for index, each in enumerate(value or ()) if each is not BAD]
