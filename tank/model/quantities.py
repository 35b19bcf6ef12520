"""The kinds of fields that hold a quantity: sizes, durations and shares of CPU."""

from __future__ import annotations

from typing import Any

from tank.model import units
from tank.model.faults import Refused
from tank.model.grammar import Scalar


def size(least: int = 0) -> Scalar:
    """A size in bytes, at least `least`."""

    def check(value: Any) -> int:
        found = units.parse_size(value)
        if found < least:
            raise Refused(f"must be at least {units.format_size(least)}")
        return found

    return Scalar((int, float, str), check, {"type": ["integer", "string"]}, "a size such as 268435456 or '256MiB'")


def duration(least: float = 0.0) -> Scalar:
    """A duration in seconds, at least `least`."""

    def check(value: Any) -> float:
        found = units.parse_duration(value)
        if found < least:
            raise Refused(f"must be at least {units.format_duration(least)}")
        return found

    return Scalar((int, float, str), check, {"type": ["number", "string"]}, "a duration such as 10 or '10s'")


def number(low: float, high: float) -> Scalar:
    """A number within bounds."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise Refused(f"must lie between {low:g} and {high:g}")
        return float(value)

    return Scalar((int, float), check, {"type": "number", "minimum": low, "maximum": high}, "a number")


def cpu() -> Scalar:
    """A share of CPU, canonical as quota and period in µs."""

    def check(value: Any) -> dict[str, int]:
        quota, period = units.parse_cpu(value)
        return {"quota": quota, "period": period}

    described = [
        {"type": ["number", "string"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    ]
    return Scalar((int, float, str, list), check, {"anyOf": described}, "a share of cpu such as 0.5 or '500m'")
