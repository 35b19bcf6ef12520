"""The grammar of a document, as data: each `Kind` both reads a value and describes itself as JSON Schema.

One table of fields per noun (`tank.model.*_fields`) is thus the only place that says what is accepted; the
parser and `tank schema` cannot drift apart. `read` answers the canonical plain value, or BAD after reporting
a fault, and never raises. Values come in as the plain types of JSON (see `tank.model.plain`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tank.model.faults import BAD, MOST, Refused, Spot, did_you_mean, quoted

Schema = dict[str, Any]

NOUNS: dict[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}


class Kind(Protocol):
    """What a field may hold. `takes` are the plain types that `read` has a use for."""

    @property
    def takes(self) -> tuple[type, ...]: ...

    def read(self, value: Any, spot: Spot) -> Any: ...

    def schema(self) -> Schema: ...


def noun(value: object) -> str:
    """What a value is, in the words of a person."""
    return NOUNS.get(type(value), f"a {type(value).__name__}")


def wrong_type(spot: Spot, wanted: str, value: object, suggestion: str = "") -> Any:
    """Report that another type was expected, unless the value was reported before."""
    return BAD if value is BAD else spot.fault(f"expected {wanted}, found {noun(value)}", suggestion)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of the types `takes`; `check` answers its canonical form or raises Refused."""

    takes: tuple[type, ...]
    check: Callable[[Any], Any]
    describe: Mapping[str, Any]
    wanted: str = ""  # for a wrong type; empty: the nouns of `takes`

    def read(self, value: Any, spot: Spot) -> Any:
        """The canonical value, once its type and `check` are right."""
        if type(value) not in self.takes:
            wanted = self.wanted or " or ".join(NOUNS[each] for each in self.takes)
            return wrong_type(spot, wanted, value, _quoting(value, self.takes))
        try:
            return self.check(value)
        except Refused as refused:
            return spot.fault(refused.message, refused.suggestion)

    def schema(self) -> Schema:
        return dict(self.describe)


def _quoting(value: object, takes: tuple[type, ...]) -> str:
    return "put it in quotes" if type(value) in (int, float, bool) and str in takes else ""


def text(check: Callable[[str], Any] = str, **describe: Any) -> Scalar:
    """A string that `check` accepts."""
    return Scalar((str,), check, {"type": "string", **describe})


def whole(low: int, high: int) -> Scalar:
    """A whole number within bounds."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise Refused(f"must lie between {low} and {high}")
        return value

    return Scalar((int,), check, {"type": "integer", "minimum": low, "maximum": high})


def flag() -> Scalar:
    """True or false."""
    return Scalar((bool,), bool, {"type": "boolean"})


def choice(*words: str, later: tuple[str, ...] = ()) -> Scalar:
    """One of `words`; those of `later` are known and not built yet."""

    def check(value: str) -> str:
        if value in later:
            raise Refused(f"{quoted(value)} is not supported yet")
        if value not in words:
            hint = did_you_mean(value.lower().replace("-", "_"), words)
            raise Refused(f"must be one of {', '.join(words)}, found {quoted(value)}", hint)
        return value

    return Scalar((str,), check, {"enum": list(words)})


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind. `hint` is for those who wrote something else; `once` drops what was said before."""

    item: Kind
    least: int = 0
    most: int = 1000
    hint: str = ""
    once: bool = False

    @property
    def takes(self) -> tuple[type, ...]:
        return (list,)

    def read(self, value: Any, spot: Spot) -> Any:
        """Each item read; BAD stands where one was at fault, so that places stay right."""
        if type(value) is not list:
            return wrong_type(spot, "a list", value, self.hint)
        if not self.least <= len(value) <= self.most:
            bounds = f"at least {self.least}" if len(value) < self.least else f"at most {self.most}"
            return spot.fault(f"needs {bounds} item{'s' if bounds[-2:] != ' 1' else ''}, found {len(value)}")
        found = [self.item.read(each, spot.at(index)) for index, each in enumerate(value)]
        return list(dict.fromkeys(found)) if self.once else found

    def schema(self) -> Schema:
        low = {"minItems": self.least} if self.least else {}
        return {"type": "array", "items": self.item.schema(), "maxItems": self.most, **low}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping from checked names to one kind."""

    name: Callable[[str], str]
    item: Kind
    most: int = 1000

    @property
    def takes(self) -> tuple[type, ...]:
        return (dict,)

    def read(self, value: Any, spot: Spot) -> Any:
        """Each entry read, under the canonical form of its name."""
        if type(value) is not dict:
            return wrong_type(spot, "a mapping", value)
        if len(value) > self.most:
            return spot.fault(f"has at most {self.most} entries, found {len(value)}")
        found: dict[str, Any] = {}
        for key, each in value.items():
            try:
                name = self.name(key)
            except Refused as refused:
                spot.at(key).fault(refused.message, refused.suggestion, key=True)
                name = key
            if name in found:
                spot.at(key).fault(f"{quoted(name)} is given twice", key=True)
            found[name] = self.item.read(each, spot.at(key))
        return found

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.item.schema(), "maxProperties": self.most}


@dataclass(frozen=True, slots=True)
class Either:
    """One of several kinds, told apart by the type of the value. `bare`: a number in quotes may be meant."""

    kinds: tuple[Kind, ...]
    wanted: str
    bare: bool = False

    @property
    def takes(self) -> tuple[type, ...]:
        return tuple(each for kind in self.kinds for each in kind.takes)

    def read(self, value: Any, spot: Spot) -> Any:
        """What the first kind that takes such a value makes of it."""
        for kind in self.kinds:
            if type(value) in kind.takes:
                return kind.read(value, spot)
        return wrong_type(spot, self.wanted, value, _quoting(value, self.takes) if self.bare else "")

    def schema(self) -> Schema:
        return {"anyOf": [kind.schema() for kind in self.kinds]}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record. `default` is for the reader of the schema; None: there is none, or it depends."""

    kind: Kind
    doc: str
    required: bool = False
    default: Any = None

    def schema(self) -> Schema:
        extra = {} if self.default is None else {"default": self.default}
        return {**self.kind.schema(), "description": self.doc, **extra}


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with known fields. `later` are known and not built yet; `foreign` maps others' words to ours.

    Of the fields in `one_of` exactly one must be given. The answer holds only the fields that were given and are
    sound; `BAD` only if there is no mapping at all.
    """

    noun: str
    fields: Mapping[str, Field]
    later: frozenset[str] = frozenset()
    foreign: Mapping[str, str] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[type, ...]:
        return (dict,)

    def read(self, value: Any, spot: Spot) -> Any:
        """The sound fields that were given."""
        if type(value) is not dict:
            return wrong_type(spot, f"a mapping ({self.noun})", value)
        found: dict[str, Any] = {}
        for name, each in value.items():
            known = self.fields.get(name)
            if known is None:
                self._refuse(name, spot.at(name))
                continue
            read = known.kind.read(each, spot.at(name))
            if read is not BAD:
                found[name] = read
        for name, known in self.fields.items():
            if known.required and name not in value:
                spot.at(name).fault(f"{self.noun} needs this field")
        self._choose(value, spot)
        return found

    def _choose(self, value: dict[str, Any], spot: Spot) -> None:
        given = [name for name in self.one_of if name in value]
        if len(given) > 1:
            spot.fault(f"{self.noun} has one of {', '.join(self.one_of)}, found {' and '.join(given)}")
        if self.one_of and not given and not any(spot.at(name).faulty for name in value):  # one was misspelt, perhaps
            spot.fault(f"{self.noun} needs one of {', '.join(self.one_of)}")

    def _refuse(self, name: str, spot: Spot) -> None:
        if name in self.later:
            spot.fault("not supported yet", key=True)
            return
        near = self.foreign.get(name) or _snake(name)
        if near in self.later:
            spot.fault(f"not supported yet ('{near}')", key=True)
            return
        guess = "" if spot.faults.count >= MOST else did_you_mean(near, self.fields)  # slow, and never shown
        hint = f"did you mean '{near}'?" if near in self.fields else guess
        spot.fault(f"unknown field of {self.noun}", hint, key=True)

    def schema(self) -> Schema:
        """Every field with its description; nothing else may stand there."""
        required = [name for name, each in self.fields.items() if each.required]
        return {
            "type": "object",
            "properties": {name: each.schema() for name, each in self.fields.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
            **({"oneOf": [{"required": [name]} for name in self.one_of]} if self.one_of else {}),
        }


def _snake(name: str) -> str:
    """`stopSignal` and `stop-signal` as `stop_signal`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name[:64]).replace("-", "_").lower()
