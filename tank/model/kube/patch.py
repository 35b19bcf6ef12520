"""What Kubernetes has no words for, in an annotation: a patch of the spec, as JSON.

`tank/spec` holds a JSON merge patch (RFC 7386) of the canonical spec, with one difference: containers, init and volumes
are mappings by name. `tank export --kube` writes there all that would be lost on the way back, so that the way
there and back ends where it began.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tank.model.kube.places import Place

ANNOTATION = "tank/spec"
NAMED = ("containers", "init", "volumes")
_LONGEST = 2**18


def read(text: str, place: Place) -> dict[str, Any]:
    """The patch; empty with a fault when it is none."""
    try:
        said = json.loads(text[: _LONGEST + 1])
    except (ValueError, RecursionError):
        place.refuse("it is not JSON")
        return {}
    if not isinstance(said, dict):
        place.refuse("it must be a mapping of the spec's fields")
        return {}
    return said


def patched(spec: Mapping[str, Any], patch: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """The canonical spec with the patch on it."""
    named = {name: each for name, each in patch.items() if name in NAMED and isinstance(each, dict)}
    found = _merged(spec, {name: each for name, each in patch.items() if name not in named})
    for name, entries in named.items():
        listed = {each["name"]: each for each in spec.get(name, [])}
        for key in entries.keys() - listed.keys():
            place.refuse(f"there is nothing called '{key}' among the {name}")
        found[name] = [_merged(each, entries.get(key, {})) for key, each in listed.items()]
    return found


def _merged(old: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(old) if isinstance(old, Mapping) else {}
    for name, each in patch.items():
        if each is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), each) if isinstance(each, dict) else each
    return found


def difference(before: Mapping[str, Any], after: Mapping[str, Any], *, top: bool = True) -> dict[str, Any]:
    """The patch that makes `after` of `before`, two canonical specs with the same containers and volumes."""
    found: dict[str, Any] = {name: None for name in before if name not in after}
    for name, each in after.items():
        old = before.get(name)
        if top and name in NAMED:
            found[name] = _named_difference(old or [], each)
        elif isinstance(each, dict) and isinstance(old, dict):
            found[name] = difference(old, each, top=False)
        elif old != each or type(old) is not type(each):
            found[name] = each
            continue
        if not found.get(name, True):
            del found[name]
    return found


def _named_difference(before: list[Any], after: list[Any]) -> dict[str, Any]:
    old = {each["name"]: each for each in before}
    changed = {each["name"]: difference(old.get(each["name"], {}), each, top=False) for each in after}
    return {name: each for name, each in changed.items() if each}
