"""JSON with the place of every value, names given twice refused, depth and size bounded (S29).

The standard library's parser tells no places, so the structure is read here and only strings and numbers by it.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from tank.model.document import Malformed, Place, Tree
from tank.model.faults import Path, quoted
from tank.model.plain import MAX_DEPTH, MAX_VALUES

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile("|".join(_WORDS))
LONGEST_NUMBER = 64


def read_json(text: str) -> list[Tree]:
    """The one document of the text. Raises Malformed."""
    reader = _Reader(text)
    reader.skip()
    reader.tree.value = reader.value(())
    reader.skip()
    if reader.at < len(text):
        raise reader.malformed("nothing may follow the document")
    return [reader.tree]


class _Reader:
    """A reader that descends into the text at `at`."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.count, self.tree = text, 0, 0, Tree()
        self.line, self.begin, self.counted = 1, 0, 0

    def place(self) -> Place:
        """The place of `at`. Lines are counted once, from where the last count ended."""
        lines = self.text.count("\n", self.counted, self.at)
        if lines:
            self.line += lines
            self.begin = self.text.rfind("\n", self.counted, self.at) + 1
        self.counted = self.at
        return self.line, self.at - self.begin + 1

    def malformed(self, message: str, path: Path = ()) -> Malformed:
        return Malformed(message, self.place(), path)

    def skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def take(self, sign: str) -> bool:
        """Whether `sign` comes next; it is read, and the space around it."""
        self.skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        self.skip()
        return True

    def value(self, path: Path) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise self.malformed(f"holds more than {MAX_VALUES} values")
        if len(path) > MAX_DEPTH:
            raise self.malformed(f"nested deeper than {MAX_DEPTH} levels", path[:MAX_DEPTH])
        self.tree.values[path] = self.place()
        if self.take("{"):
            return self.mapping(path)
        if self.take("["):
            return self.sequence(path)
        return self.string() if self.text.startswith('"', self.at) else self.literal()

    def mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not self.take("}"):
            if found and not self.take(","):
                raise self.malformed("not JSON: expected ',' or '}'")
            if not self.text.startswith('"', self.at):
                raise self.malformed("not JSON: expected a name in double quotes")
            place = self.place()
            key = self.string()
            if key in found:
                raise Malformed(f"{quoted(key)} is given twice", place, (*path, key))
            self.tree.keys[*path, key] = place
            if not self.take(":"):
                raise self.malformed("not JSON: expected ':'")
            found[key] = self.value((*path, key))
        return found

    def sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not self.take("]"):
            if found and not self.take(","):
                raise self.malformed("not JSON: expected ',' or ']'")
            found.append(self.value((*path, len(found))))
        return found

    def string(self) -> str:
        try:
            value, self.at = scanstring(self.text, self.at + 1, True)
        except json.JSONDecodeError as error:
            self.at = error.pos
            raise self.malformed(f"not JSON: {error.msg[0].lower()}{error.msg[1:].rstrip(' at')}") from error
        return str(value)

    def literal(self) -> Any:
        word = _WORD.match(self.text, self.at)
        if word:
            self.at = word.end()
            return _WORDS[word[0]]
        number = _NUMBER.match(self.text, self.at)
        if number is None or len(number[0]) > LONGEST_NUMBER:
            raise self.malformed("not JSON: expected a value" if number is None else "a number is too long")
        self.at = number.end()
        return float(number[0]) if number[1] or number[2] else int(number[0])
