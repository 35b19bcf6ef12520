"""Tank's values as plain JSON data. Wall-clock seconds become RFC 3339; a pod becomes its canonical spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from tank.model.dump import dump_pod
from tank.model.pod import Pod

_FIELDS: dict[type, tuple[str, ...] | None] = {}  # looked up once for each class
_READY = frozenset({str, int, bool, float})
_TIMES = frozenset({"at", "created_at", "first", "last", "time"})  # seconds, where they are numbers


def plain(value: Any) -> Any:
    """`value` as what JSON knows."""
    if value is None or type(value) in _READY:
        return value
    if (names := _names(type(value))) is not None:
        return {name: _field(name, getattr(value, name)) for name in names}
    if isinstance(value, Pod):
        return dump_pod(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value


def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass; None for another type."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(each.name for each in fields(kind)) if is_dataclass(kind) else None
    return _FIELDS[kind]


def rfc3339(seconds: float) -> str:
    """Wall-clock seconds as RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _field(name: str, value: Any) -> Any:
    if name in _TIMES and isinstance(value, float):
        return rfc3339(value)
    return plain(value)
