"""`WWW-Authenticate` headers (RFC 9110, 11.6.1): which kinds of login a registry offers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of the grammar
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+|$|(?=,))")
_PARAMETER = re.compile(rf"[\s,]*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|({_TOKEN}))")
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Challenge:
    """One offer: `scheme` in lower case, parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge that can be read, in order. What is malformed ends its header."""
    return tuple(each for header in headers for each in _challenges(header[:_LONGEST]))


def _challenges(header: str) -> Iterator[Challenge]:
    at = 0
    while match := _SCHEME.match(header, at):
        at = match.end()
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(header, at):
            name, quoted, plain = found.groups()
            parameters.setdefault(name.lower(), plain or re.sub(r"\\(.)", r"\1", quoted or ""))
            at = found.end()
        yield Challenge(match[1].lower(), parameters)
