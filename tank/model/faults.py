"""Collecting every fault of a document in one answer.

A reader walks a document with a `Spot` in hand: the path so far and the list that faults go to. It reports
and goes on; nobody raises before the walk is over. `Faults.check` then raises `InvalidSpec` once, with all of
them in the order of the text, at most `MOST`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, Protocol

from tank.errors import InvalidSpec, Problem

MOST = 100
Path = tuple[str | int, ...]


class Bad(Enum):
    """What a reader answers for a value that it has reported as a fault."""

    BAD = "bad"


BAD: Final[Literal[Bad.BAD]] = Bad.BAD


class Refused(ValueError):
    """One value is not acceptable. `suggestion` is empty or a hint such as "did you mean 'image'?"."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        self.message, self.suggestion = message, suggestion
        super().__init__(message)


class Locate(Protocol):
    """Where in the text a path stands: (line, column) from 1. `key` asks for the field's name, not its value."""

    def __call__(self, path: Path, *, key: bool) -> tuple[int, int] | None: ...


def quoted(text: str, longest: int = 60) -> str:
    """The text in single quotes for a message: cut when long, control characters made visible."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "'" + json.dumps(cut, ensure_ascii=not cut.isprintable())[1:-1].replace('\\"', '"') + "'"


def path_text(path: Path) -> str:
    """The path as people read it: `containers[1].mounts[0].volume`, `labels["example.org/tier"]`."""
    text = ""
    for each in path:
        if isinstance(each, int):
            text += f"[{each}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", each):
            text += f".{each}" if text else each
        else:
            text += f"[{json.dumps(each[:63])}]"
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion when one of `known` is near, else the empty string."""
    near = difflib.get_close_matches(word[:64], list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""


@dataclass(slots=True)
class Faults:
    """The faults found so far in one document."""

    source: str = ""
    locate: Locate | None = None
    problems: list[Problem] = field(default_factory=list)
    paths: set[Path] = field(default_factory=set)
    unshown: int = 0

    def add(self, path: Path, message: str, suggestion: str = "", *, key: bool = False) -> None:
        """Note one fault. `key` points at the field's name rather than at its value."""
        self.paths.add(path)
        if len(self.problems) >= MOST:
            self.unshown += 1
            return
        place = self.locate(path, key=key) if self.locate else None
        line, column = place or (None, None)
        self.problems.append(Problem(path_text(path), message, suggestion, line, column, self.source))

    @property
    def count(self) -> int:
        """How many were noted, shown or not."""
        return len(self.problems) + self.unshown

    def check(self) -> None:
        """Raise InvalidSpec if anything was noted."""
        raise_all([self])


def raise_all(found: Iterable[Faults]) -> None:
    """Raise one InvalidSpec for the faults of several documents, at most `MOST`. Nothing noted: nothing happens."""
    faults = list(found)
    problems = [problem for each in faults for problem in sorted(each.problems, key=_place)]
    unshown = sum(each.unshown for each in faults) + len(problems[MOST:])
    if unshown:
        problems = [*problems[:MOST], Problem("", f"{unshown} more faults are not shown")]
    if problems:
        raise InvalidSpec(problems)


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line or 0, problem.column or 0


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the document that is being read."""

    faults: Faults
    path: Path = ()

    def at(self, *steps: str | int) -> Spot:
        """The place below this one."""
        return Spot(self.faults, self.path + steps)

    def fault(self, message: str, suggestion: str = "", *, key: bool = False) -> Literal[Bad.BAD]:
        """Note a fault here. Answers BAD, so that a reader can return it."""
        self.faults.add(self.path, message, suggestion, key=key)
        return BAD

    @property
    def faulty(self) -> bool:
        """Whether a fault was noted at this very place."""
        return self.path in self.faults.paths
