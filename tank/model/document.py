"""A document as text becomes plain values, and remembers where each of them stood.

`Tree` is what every format answers. Places are kept by path, of the value and of the field's name, so that a
fault found much later still points at its line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tank.errors import InvalidSpec, Problem
from tank.model.faults import Path, path_text
from tank.model.plain import MAX_TEXT

Place = tuple[int, int]


class Malformed(ValueError):
    """The text is not of its format. `place` is (line, column) from 1, None where it is not known."""

    def __init__(self, message: str, place: Place | None = None, path: Path = ()) -> None:
        self.message, self.place, self.path = message, place, path
        super().__init__(message)

    def as_invalid_spec(self, source: str) -> InvalidSpec:
        """The same as the error that users see; `source` names the text."""
        line, column = self.place or (None, None)
        return InvalidSpec([Problem(path_text(self.path), self.message, "", line, column, source)])


@dataclass(slots=True)
class Tree:
    """One document: its value, and the places of its parts."""

    value: Any = None
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def locate(self, path: Path, *, key: bool) -> Place | None:
        """The place of `path`, else of the nearest part above it that has one."""
        if key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), -1, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return None


def decoded(text: bytes | str) -> str:
    """The text, of bounded size and without a byte order mark. Raises Malformed."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > MAX_TEXT:
            raise Malformed(f"longer than {MAX_TEXT} bytes")
        return raw.decode().removeprefix("\ufeff")
    except UnicodeError as error:
        raise Malformed("not UTF-8") from error
