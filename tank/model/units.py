"""Sizes, durations and CPU shares as people write them, and back.

    size       integer bytes; "256MiB", "256Mi", "256M" (decimal), "1.5GiB", "1e9"   ->  bytes
    duration   seconds; "500ms", "10s", "5m", "1h30m"                                ->  seconds
    cpu        cores: 0.5, "500m", "0.5"; [50000, 100000] (quota µs, period µs)      ->  (quota, period)

The arithmetic is exact (fractions), so "0.1" never becomes 0.1000000001 of anything. A part of a byte is
rounded up, as Kubernetes does. Every `parse_*` raises `Refused`, a ValueError, that says what was expected.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from tank.model.faults import Refused, quoted

MAX_SIZE = 2**63 - 1
MAX_DURATION = 10 * 365 * 86_400.0  # ten years: longer is a slip of the pen
CPU_PERIOD = 100_000  # µs (C14)
MIN_QUOTA, MIN_PERIOD, MAX_PERIOD = 1_000, 1_000, 1_000_000  # µs: the kernel's own bounds
MAX_CORES = 10_000
LONGEST = 64  # characters of a quantity

_NUMBER = re.compile(r"\+?(?P<number>\d+(?:\.\d*)?|\.\d+)(?:[eE](?P<exponent>[+-]?\d{1,2}))?[ ]?(?P<unit>[A-Za-z]*)")
_STEP = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<unit>ms|s|m|h|d)", re.ASCII)
_PREFIXES = "KMGTPE"
_SIZES: dict[str, int] = {"": 1, "B": 1, "k": 1000, "kB": 1000} | {
    prefix + ending: base**power
    for power, prefix in enumerate(_PREFIXES, 1)
    for base, endings in ((1000, ("", "B")), (1024, ("i", "iB")))
    for ending in endings
}
_SECONDS = {
    "d": Fraction(86_400),
    "h": Fraction(3_600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
}
_SIZE_WANTED = "expected a size such as 268435456, '256MiB' or '1.5GiB'"
_DURATION_WANTED = "expected a duration such as 10, '500ms', '10s' or '1h30m'"
_CPU_WANTED = "expected a share of cpu such as 0.5, '500m' or [50000, 100000]"


def parse_size(value: object) -> int:
    """The size in whole bytes. Raises Refused."""
    if isinstance(value, str):
        return _bounded_size(_size_text(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(_SIZE_WANTED)
    return _bounded_size(Fraction(value))


def _bounded_size(value: Fraction) -> int:
    if value < 0:
        raise Refused("a size cannot be negative")
    if value > MAX_SIZE:
        raise Refused("a size cannot exceed 2^63 - 1 bytes")
    return math.ceil(value)


def _size_text(text: str) -> Fraction:
    match = _NUMBER.fullmatch(text, 0, LONGEST + 1) if text.isascii() else None
    if match is None or len(text) > LONGEST:
        raise Refused("a size cannot be negative" if text.startswith("-") else f"{_SIZE_WANTED}, found {quoted(text)}")
    number, exponent, unit = match["number"], match["exponent"], match["unit"]
    if unit not in _SIZES:
        raise Refused(f"{quoted(unit)} is not a unit of size", _nearest_size(number, unit))
    if exponent and unit:
        raise Refused(f"{quoted(text)} has both an exponent and a unit")
    scale = Fraction(f"1e{exponent or 0}") * _SIZES[unit]
    return Fraction(number.rstrip(".")) * scale


def _nearest_size(number: str, unit: str) -> str:
    """A unit that was meant perhaps. Kubernetes' `m` is thousandths of a byte, which nobody ever means."""
    if unit == "m":
        return f"did you mean '{number}M' or '{number}Mi'?"
    near = next((each for each in _SIZES if each.lower() == unit.lower()), None)
    return f"did you mean '{number}{near}'?" if near else ""


def format_size(size: int) -> str:
    """The size in the largest binary unit that divides it: 268435456 is "256MiB", 1500 is "1500"."""
    for power in range(len(_PREFIXES), 0, -1):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{_PREFIXES[power - 1]}iB"
    return str(size)


def parse_duration(value: object) -> float:
    """The duration in seconds. Raises Refused."""
    if isinstance(value, str):
        return _bounded_duration(_duration_text(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(_DURATION_WANTED)
    return _bounded_duration(value)


def _bounded_duration(value: float | Fraction) -> float:
    if not value >= 0:  # NaN too
        raise Refused("a duration cannot be negative")
    if value > MAX_DURATION:
        raise Refused("a duration cannot exceed ten years")
    return float(value)


def _duration_text(text: str) -> Fraction:
    steps = list(_STEP.finditer(text)) if len(text) <= LONGEST and text.isascii() else []
    if not steps or "".join(step[0] for step in steps) != text:
        raise Refused(f"{_DURATION_WANTED}, found {quoted(text)}", _nearest_duration(text))
    units = [step["unit"] for step in steps]
    if units != sorted(set(units), key=list(_SECONDS).index):
        raise Refused(f"the units of {quoted(text)} must go from large to small, each once")
    return sum((Fraction(step["number"]) * _SECONDS[step["unit"]] for step in steps), Fraction(0))


def _nearest_duration(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) <= LONGEST:
        return f"did you mean '{text}s'?"
    lowered = text.strip().lower().replace(" ", "")
    match = re.fullmatch(r"(\d{1,9})(sec|secs|seconds?|min|mins|minutes?|hours?|days?)", lowered, re.ASCII)
    if match is None:
        return ""
    return f"did you mean '{match[1]}{match[2][0]}'?"


def format_duration(seconds: float) -> str:
    """The duration to the nanosecond, largest units first: 5400.0 is "1h30m", 0.5 is "500ms", 0 is "0s"."""
    rest = Decimal(repr(seconds)).quantize(Decimal("1e-9"))
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = (f"{int(hours)}h" if hours else "") + (f"{int(minutes)}m" if minutes else "")
    if 0 < rest < 1 and rest * 1000 % 1 == 0:
        return f"{text}{int(rest * 1000)}ms"
    if rest or not text:
        text += f"{format(rest.normalize(), 'f')}s"
    return text


def parse_cpu(value: object) -> tuple[int, int]:
    """The share of CPU as (quota, period), both in µs. Raises Refused."""
    if isinstance(value, (list, tuple)):
        return _cpu_pair(value)
    if isinstance(value, str):
        return _cpu_cores(_cpu_text(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise Refused(_CPU_WANTED)
    if not 0 < value <= MAX_CORES:
        raise _cpu_out_of_range()
    return _cpu_cores(Fraction(repr(value)) if isinstance(value, float) else Fraction(value))


def _cpu_text(text: str) -> Fraction:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(m?)", text, re.ASCII)
    if match is None:
        raise Refused(f"{_CPU_WANTED}, found {quoted(text)}")
    return Fraction(match[1]) / (1000 if match[2] else 1)


def _cpu_cores(cores: Fraction) -> tuple[int, int]:
    quota = math.ceil(cores * CPU_PERIOD)
    if quota < MIN_QUOTA or cores > MAX_CORES:
        raise _cpu_out_of_range()
    return quota, CPU_PERIOD


def _cpu_out_of_range() -> Refused:
    return Refused(f"a share of cpu lies between 0.01 and {MAX_CORES} cores")


def _cpu_pair(pair: list[object] | tuple[object, ...]) -> tuple[int, int]:
    whole = [each for each in pair if isinstance(each, int) and not isinstance(each, bool)]
    if len(pair) != 2 or len(whole) != 2:
        raise Refused("expected [quota, period], two whole numbers of microseconds")
    quota, period = whole
    if not MIN_PERIOD <= period <= MAX_PERIOD:
        raise Refused(f"the period lies between {MIN_PERIOD} and {MAX_PERIOD} microseconds")
    if not MIN_QUOTA <= quota <= MAX_CORES * period:
        raise Refused(f"the quota lies between {MIN_QUOTA} microseconds and {MAX_CORES} periods")
    return quota, period


def format_cpu(quota: int, period: int) -> str:
    """The share in cores, at most three digits after the point: (50000, 100000) is "0.5"."""
    return f"{quota / period:.3f}".rstrip("0").rstrip(".")
