"""C14: quantities by value."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tank.model.faults import Faults, Refused, Spot
from tank.model.kube.quantities import CORES, MODE, SIZE, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1", 1),
        (2, 2),
        (0.5, Fraction(1, 2)),
        ("+1", 1),
        ("-0", 0),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("100m", Fraction(1, 10)),
        ("5u", Fraction(5, 10**6)),
        ("7n", Fraction(7, 10**9)),
        ("2k", 2000),
        ("1M", 10**6),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("64Mi", 64 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1Ki", 1024),
        ("1Ei", 2**60),
        ("1e3", 1000),
        ("12E-1", Fraction(12, 10)),
    ],
)
def test_a_quantity(text: Any, value: Any) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize(
    "text", ["", "m", "1 Gi", "1kb", "1KI", "0x10", "1e", "1eM", "-1", "1,5", "9" * 60, True, "1mi", "٣"]
)
def test_what_is_no_quantity(text: Any) -> None:
    with pytest.raises(Refused):
        parse_quantity(text)


def test_a_near_unit_is_suggested() -> None:
    with pytest.raises(Refused) as refused:
        parse_quantity("64MB")

    assert refused.value.suggestion == "did you mean the unit 'M'?"


def read(kind: Any, value: Any) -> Any:
    faults = Faults()
    found = kind.read(value, Spot(faults))
    return [each.message for each in faults.problems] or found


def test_parts_are_rounded_up() -> None:
    assert (read(SIZE, "1.5"), read(CORES, "1.0001"), read(CORES, "1n")) == (2, Fraction(1001, 1000), Fraction(1, 1000))


def test_a_mode_is_a_number() -> None:
    assert [read(MODE, each) for each in (0o644, 0, 0o7777)] == ["0644", "0000", "7777"]
    assert read(MODE, 0o10000) == ["must lie between 0 and 07777"]
    assert read(MODE, "0644") == ["expected a number such as 0644, found a string"]
