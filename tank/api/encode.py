"""Tank's values as plain JSON data. Wall-clock seconds become RFC 3339; a pod becomes its canonical spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from tank.model.dump import dump_pod
from tank.model.pod import Pod

_TIMES = frozenset({"at", "created_at", "first", "last", "time"})  # seconds, where they are numbers


def plain(value: Any) -> Any:
    """`value` as what JSON knows."""
    if isinstance(value, Pod):
        return dump_pod(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _field(each.name, getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value


def rfc3339(seconds: float) -> str:
    """Wall-clock seconds as RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _field(name: str, value: Any) -> Any:
    if name in _TIMES and isinstance(value, float):
        return rfc3339(value)
    return plain(value)
