"""Kubernetes' quantities (C14) and its numbers that may be strings."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from tank.model.faults import Refused, quoted
from tank.model.grammar import Scalar

_QUANTITY = re.compile(
    r"([+-]?)(\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_SCALES = {"": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_SCALES |= {each: Fraction(1000**power) for power, each in enumerate(("k", "M", "G", "T", "P", "E"), 1)}
_SCALES |= {f"{each}i": Fraction(1024**power) for power, each in enumerate("KMGTPE", 1)}
_WANTED = "expected a quantity such as 2, '500m', '64Mi' or '1e3'"


def parse_quantity(value: object) -> Fraction:
    """The amount. Raises Refused; also for less than nothing, which no field of ours can mean."""
    match = _QUANTITY.fullmatch(str(value)) if isinstance(value, (str, int, float)) else None
    if match is None or isinstance(value, bool):
        near = _SPELT.get(str(value).lower().lstrip("0123456789. "), "")
        hint = f"did you mean the unit {near!r}?" if near else ""
        raise Refused(f"{_WANTED}, found {quoted(str(value))}", hint)
    sign, digits, exponent, unit = match.groups()
    found = Fraction(digits.rstrip(".")) * (Fraction(f"1e{exponent}") if exponent else _SCALES[unit or ""])
    if sign == "-" and found:
        raise Refused("a quantity cannot be negative here")
    return found


_SPELT = {"kb": "k", "mb": "M", "gb": "G", "tb": "T", "kib": "Ki", "mib": "Mi", "gib": "Gi", "ki": "Ki", "mi": "Mi"}
_SPELT |= {"gi": "Gi", "ti": "Ti", "g": "G", "t": "T"}


def _size(value: object) -> int:
    found = parse_quantity(value)
    if str(value).endswith("m"):
        number = str(value)[:-1]
        raise Refused("'m' is thousandths of a byte", f"did you mean '{number}M' or '{number}Mi'?")
    return math.ceil(found)


def _cores(value: object) -> Fraction:
    """Rounded up to thousandths, as Kubernetes does."""
    return Fraction(math.ceil(parse_quantity(value) * 1000), 1000)


_TAKES = (str, int, float)
QUANTITY = Scalar(_TAKES, parse_quantity, {}, "a quantity such as '500m' or '64Mi'")
SIZE = Scalar(_TAKES, _size, {}, "a quantity such as '64Mi'")
CORES = Scalar(_TAKES, _cores, {}, "a quantity such as 2 or '500m'")


def _mode(value: int) -> str:
    if not 0 <= value <= 0o7777:
        raise Refused("must lie between 0 and 07777", "in JSON a mode is a decimal number: 0644 is 420")
    return f"{value:04o}"


MODE = Scalar((int,), _mode, {}, "a number such as 0644")
