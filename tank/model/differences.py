"""What differs between two specs, field by field. Lists of named things are compared by name, not by place."""

from __future__ import annotations

from typing import Any

Difference = tuple[str, Any, Any]  # path, before, after; None where there is nothing


def differences(before: Any, after: Any, path: str = "") -> list[Difference]:
    """Every leaf that differs, in the order of the specs."""
    if before == after:
        return []
    old, new = _parts(before), _parts(after)
    if old is None or new is None:
        return _whole(before, after, path)
    found: list[Difference] = []
    for key in [*old, *(key for key in new if key not in old)]:
        found += differences(old.get(key), new.get(key), _join(path, key))
    return found or [(path, before, after)]


def _whole(before: Any, after: Any, path: str) -> list[Difference]:
    """One side has no parts: what appears or goes is shown leaf by leaf, a changed leaf as a pair."""
    if before is None and _parts(after):
        return [
            each for key, value in (_parts(after) or {}).items() for each in differences(None, value, _join(path, key))
        ]
    if after is None and _parts(before):
        return [
            each for key, value in (_parts(before) or {}).items() for each in differences(value, None, _join(path, key))
        ]
    return [(path, before, after)]


def _parts(value: Any) -> dict[str, Any] | None:
    """The parts of a value by key; None for a leaf. Named things have their name in brackets as key."""
    if isinstance(value, dict):
        return {str(key): each for key, each in value.items()}
    named = isinstance(value, list) and value and all(isinstance(each, dict) and "name" in each for each in value)
    if named and len({each["name"] for each in value}) == len(value):
        return {f"[{each['name']}]": {key: part for key, part in each.items() if key != "name"} for each in value}
    return None


def _join(path: str, key: str) -> str:
    return path + key if key.startswith("[") or not path else f"{path}.{key}"
