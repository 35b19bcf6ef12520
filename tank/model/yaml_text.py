"""YAML as version 1.2 means it, from libyaml's events where the C parser is built in.

`no`, `on` and `12:30` are strings, `0o17` is octal and `017` is seventeen; a date is a string. Only the tags of
the core schema exist, so nothing is ever constructed. Names given twice are refused. The tree is built here
rather than by PyYAML's loader: by a loop over events whose depth, size and alias expansion are bounded (S29).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tank.model.document import Malformed, Place, Tree
from tank.model.faults import Path, quoted
from tank.model.plain import MAX_DEPTH, MAX_VALUES

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CORE: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|"), lambda text: None),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    ("int", re.compile(r"[-+]?[0-9]{1,400}"), int),
    ("int", re.compile(r"0o[0-7]{1,40}"), lambda text: int(text[2:], 8)),
    ("int", re.compile(r"0x[0-9a-fA-F]{1,40}"), lambda text: int(text[2:], 16)),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?"), float),
    ("float", re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: float(text.replace(".", ""))),
    ("float", re.compile(r"\.(nan|NaN|NAN)"), lambda text: float("nan")),
)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What plain scalars are, in order: the name of a tag, the texts, what they make. The first that fits counts.

    `merges`: the name `<<` takes over the fields of other mappings. `names_are_text`: a name that is a number or a
    boolean is its text.
    """

    table: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...]
    merges: bool = False
    names_are_text: bool = False


CORE = Rules(table=_CORE)


def read_yaml(text: str, loader: Any = Loader, rules: Rules = CORE) -> list[Tree]:
    """Every document of the text. Raises Malformed."""
    try:
        return _Builder(yaml.parse(text, Loader=loader), rules).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Malformed(f"not YAML: {error.problem or error.context}", _place(mark) if mark else None) from error
    except yaml.YAMLError as error:  # a character that YAML forbids
        raise Malformed(f"not YAML: {str(error).splitlines()[0]}") from error


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def scalar(text: str, tag: str | None, *, plain: bool, rules: Rules = CORE) -> Any:
    """The value of a scalar by the rules. Raises ValueError when its tag says otherwise."""
    if tag in ("!", f"{_TAG}str") or (tag is None and not plain):
        return text
    wanted = tag.removeprefix(_TAG) if tag else None
    for name, pattern, make in rules.table:
        if wanted in (None, name) and pattern.fullmatch(text):
            return make(text)
    if wanted is None:
        return text
    raise ValueError(f"{quoted(text)} is not what its tag {quoted(tag or '')} says")


class _Builder:
    """Events to trees. Aliases are expanded, and counted as what they expand to."""

    def __init__(self, events: Iterator[Any], rules: Rules) -> None:
        self.events, self.rules = events, rules
        self.count = 0
        self.tree = Tree()
        self.anchors: dict[str, tuple[Any, int]] = {}

    def documents(self) -> list[Tree]:
        found = []
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.tree, self.anchors = Tree(), {}
                self.tree.value = self.node(next(self.events), ())
                found.append(self.tree)
        return found

    def node(self, event: Any, path: Path) -> Any:
        place = _place(event.start_mark)
        self.tree.values[path] = place
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, place, path)
        before = self.count
        self.grow(1, place)
        if len(path) > MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH} levels", place, path[:MAX_DEPTH])
        value = self.value(event, place, path)
        if event.anchor:
            self.anchors[event.anchor] = value, self.count - before
        return value

    def value(self, event: Any, place: Place, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            try:
                return scalar(event.value, event.tag, plain=event.implicit[0], rules=self.rules)
            except ValueError as error:
                raise Malformed(str(error), place, path) from error
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", _TAG + kind):
            raise Malformed(f"the tag {quoted(event.tag)} is not supported", place, path)
        return self.mapping(path) if kind == "map" else self.sequence(path)

    def sequence(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.node(event, (*path, len(found))))
        return found

    def mapping(self, path: Path) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            place = _place(event.start_mark)
            key = self.key(event, place, path)
            if key == "<<" and self.rules.merges and event.implicit[0]:
                merged = self.merged(path, place) | merged
                continue
            if key in found:
                raise Malformed(f"{quoted(str(key))} is given twice", place, (*path, str(key)))
            below = (*path, str(key))
            self.tree.keys[below] = place
            found[key] = self.node(next(self.events), below)
        return merged | found

    def merged(self, path: Path, place: Place) -> dict[Any, Any]:
        """What stands behind `<<`: a mapping, or several of which an earlier one wins."""
        value = self.node(next(self.events), (*path, "<<"))
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in several):
            raise Malformed("'<<' takes a mapping or a list of them", place, path)
        return {key: each for mapping in reversed(several) for key, each in mapping.items()}

    def key(self, event: Any, place: Place, path: Path) -> Any:
        """A scalar. A number or null is kept as such: the walk over plain values refuses it with its path."""
        if not isinstance(event, yaml.ScalarEvent):
            raise Malformed("a field's name must be a string", place, path)
        self.grow(1, place)
        found = scalar(event.value, event.tag, plain=event.implicit[0], rules=self.rules)
        if self.rules.names_are_text and not isinstance(found, (str, type(None))):
            return str(found).lower() if isinstance(found, bool) else str(found)
        return found

    def alias(self, event: Any, place: Place, path: Path) -> Any:
        if event.anchor not in self.anchors:
            raise Malformed(f"the alias {quoted(event.anchor)} has no anchor before it", place, path)
        value, size = self.anchors[event.anchor]
        self.grow(size, place)
        return value

    def grow(self, count: int, place: Place) -> None:
        self.count += count
        if self.count > MAX_VALUES:
            raise Malformed(f"holds more than {MAX_VALUES} values, aliases expanded", place)
