"""Any input as the plain types of JSON, checked for what no document may hold (S29).

Tuples become lists, mappings dicts, subclasses their base; keys are strings; no NUL or other control character
but tab and line ends; bounded depth, number of values and length of text. A document within these bounds cannot
exhaust the parser, nor what comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tank.model.faults import BAD, Spot
from tank.model.grammar import noun

MAX_TEXT = 2**20  # bytes of a document, and of all strings of one pod
MAX_DEPTH = 32
MAX_VALUES = 50_000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


class Plain:
    """One walk over one document; the budget is for the whole of it."""

    def __init__(self) -> None:
        self.values = 0
        self.text = 0
        self.spent = False

    def read(self, value: Any, spot: Spot) -> Any:
        """The value in plain types; BAD for a part that was reported. Stops quietly once the budget is spent."""
        self.values += 1
        if self.spent or self.values > MAX_VALUES or self.text > MAX_TEXT:
            return self._stop(spot)
        if len(spot.path) > MAX_DEPTH:
            return spot.fault(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, str):
            return self._string(str.__str__(value), spot)
        if isinstance(value, Mapping):
            return self._mapping(value, spot)
        if isinstance(value, (list, tuple)):
            return [self.read(each, spot.at(index)) for index, each in enumerate(value)]
        return _number(value)

    def _stop(self, spot: Spot) -> Any:
        if not self.spent:  # say it once
            self.spent = True
            spot.faults.add((), f"holds more than {MAX_VALUES} values or {MAX_TEXT} bytes of text")
        return BAD

    def _string(self, value: str, spot: Spot) -> Any:
        self.text += len(value.encode("utf-8", "surrogatepass"))
        found = _CONTROL.search(value)
        if found:
            return spot.fault(f"holds the control character U+{ord(found[0]):04X}")
        return value

    def _mapping(self, value: Mapping[Any, Any], spot: Spot) -> Any:
        plain: dict[str, Any] = {}
        for key, each in value.items():
            if not isinstance(key, str):
                here = spot.at(str(key)) if isinstance(key, (bool, float, type(None))) or _is_short(key) else spot
                here.fault(f"a field's name must be a string, found {noun(key)}", "put it in quotes", key=True)
                continue
            name = self._string(str.__str__(key), spot)
            if name is not BAD:
                plain[name] = self.read(each, spot.at(name))
        return plain


def _is_short(key: Any) -> bool:
    """Whether it is a whole number that can be shown."""
    return isinstance(key, int) and abs(key) < 2**64


def _number(value: Any) -> Any:
    """Numbers as their base type; anything else as it is, for a reader to refuse."""
    for base in (bool, int, float):
        if isinstance(value, base):
            return base(value)
    return value
