"""JSON from strangers: manifests, configurations, answers of token services.

Bounded before it is read, whole or refused: no key twice (two readers would see two documents), no nesting beyond
64, nothing but JSON's own numbers (S27, S28). The small readers below turn a wrong type into a refusal that names
the field. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tank.image.refusal import refused, shown

LARGEST = 4 * 2**20  # bytes (S28)
_DEEPEST = 64

# A text that has no end is taken whole: were it no match, the search would begin anew at each quote in it.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)

Object = Mapping[str, Any]


def parsed(data: bytes, what: str) -> Object:
    """The JSON object that `data` spells; `what` names it in messages. Raises PullFailed."""
    if len(data) > LARGEST:
        raise refused(f"cannot read {what}: it is larger than {LARGEST} bytes")
    _check_depth(data, what)
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise refused(f"cannot read {what}: not a JSON document") from error
    if not isinstance(found, dict):
        raise refused(f"cannot read {what}: not a JSON object")
    return found


def _check_depth(data: bytes, what: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(data):
        sign = match[0]
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
        if depth > _DEEPEST:
            raise refused(f"cannot read {what}: it is nested deeper than {_DEEPEST} levels")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def text(source: Object, key: str) -> str:
    """A string without NUL; "" when it is missing or null. Raises PullFailed."""
    found = source.get(key)
    if found is None:
        return ""
    if not isinstance(found, str) or "\0" in found or not _encodes(found):
        raise refused(f"cannot read image: {shown(key)} is not a text")
    return found


def _encodes(value: str) -> bool:
    """Lone surrogates are JSON, but no UTF-8 and no argument of a program."""
    return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


def texts(source: Object, key: str) -> tuple[str, ...]:
    """A list of strings; empty when it is missing or null. Raises PullFailed."""
    return tuple(text({key: each}, key) for each in items(source, key))


def items(source: Object, key: str) -> Sequence[Any]:
    """A list; empty when it is missing or null. Raises PullFailed."""
    found = source.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise refused(f"cannot read image: {shown(key)} is not a list")
    return found


def mapping(source: Object, key: str) -> Object:
    """An object; empty when it is missing or null. Raises PullFailed."""
    found = source.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise refused(f"cannot read image: {shown(key)} is not an object")
    return found


def count(source: Object, key: str) -> int:
    """A whole number from 0 to 2**63 - 1, which must be there. Raises PullFailed."""
    found = source.get(key)
    if type(found) is not int or not 0 <= found < 2**63:
        raise refused(f"cannot read image: {shown(key)} is not a size")
    return found
