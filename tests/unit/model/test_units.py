"""Sizes, durations and shares of CPU, by the table of units."""

from __future__ import annotations

import pytest

from tank.model import units
from tank.model.faults import Refused


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (268435456, 268435456),
        (1e9, 10**9),
        ("0", 0),
        ("268435456", 268435456),
        ("128974848B", 128974848),
        ("1k", 1000),
        ("1kB", 1000),
        ("1K", 1000),
        ("1KB", 1000),
        ("1Ki", 1024),
        ("1KiB", 1024),
        ("256M", 256 * 10**6),
        ("256MB", 256 * 10**6),
        ("256Mi", 256 * 2**20),
        ("256MiB", 256 * 2**20),
        ("256 MiB", 256 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("1.3GiB", 1395864372),  # a part of a byte is rounded up
        (".5Gi", 2**29),
        ("1.Gi", 2**30),
        ("+5Gi", 5 * 2**30),
        ("1e3", 1000),
        ("1E3", 1000),
        ("129e6", 129_000_000),
        ("15e-1", 2),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("1EiB", 2**60),
        ("2P", 2 * 10**15),
        ("2T", 2 * 10**12),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_a_size_is_read_in_bytes(written: object, size: int) -> None:
    assert units.parse_size(written) == size


@pytest.mark.parametrize(
    ("written", "message", "suggestion"),
    [
        ("64m", "'m' is not a unit of size", "did you mean '64M' or '64Mi'?"),
        ("64mb", "'mb' is not a unit of size", "did you mean '64MB'?"),
        ("64ki", "'ki' is not a unit of size", "did you mean '64Ki'?"),
        ("64 apples", "'apples' is not a unit of size", ""),
        ("1e3Mi", "'1e3Mi' has both an exponent and a unit", ""),
        ("", f"{units._SIZE_WANTED}, found ''", ""),
        ("much", f"{units._SIZE_WANTED}, found 'much'", ""),
        ("１", f"{units._SIZE_WANTED}, found '１'", ""),
        ("1" * 65, f"{units._SIZE_WANTED}, found '{'1' * 59}…'", ""),
        ("1_000", f"{units._SIZE_WANTED}, found '1_000'", ""),
        ("-1", "a size cannot be negative", ""),
        (-1, "a size cannot be negative", ""),
        (2**63, "a size cannot exceed 2^63 - 1 bytes", ""),
        ("8Ei", "a size cannot exceed 2^63 - 1 bytes", ""),
        ("1e99", "a size cannot exceed 2^63 - 1 bytes", ""),
        (1.5, units._SIZE_WANTED, ""),
        (float("inf"), units._SIZE_WANTED, ""),
        (float("nan"), units._SIZE_WANTED, ""),
        (True, units._SIZE_WANTED, ""),
        (None, units._SIZE_WANTED, ""),
        ([1], units._SIZE_WANTED, ""),
    ],
)
def test_what_is_no_size_is_refused(written: object, message: str, suggestion: str) -> None:
    with pytest.raises(Refused) as refused:
        units.parse_size(written)

    assert (refused.value.message, refused.value.suggestion) == (message, suggestion)


@pytest.mark.parametrize(
    ("size", "written"),
    [
        (0, "0"),
        (1, "1"),
        (1500, "1500"),
        (1024, "1KiB"),
        (268435456, "256MiB"),
        (3 * 2**29, "1536MiB"),
        (2**60, "1EiB"),
    ],
)
def test_a_size_is_written_in_the_largest_unit_that_divides_it(size: int, written: str) -> None:
    assert units.format_size(size) == written


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0.0),
        (10, 10.0),
        (0.25, 0.25),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1m0.1s", 60.1),
        ("1d2h3m4s5ms", 93784.005),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    assert units.parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "message", "suggestion"),
    [
        ("10", f"{units._DURATION_WANTED}, found '10'", "did you mean '10s'?"),
        ("10 sec", f"{units._DURATION_WANTED}, found '10 sec'", "did you mean '10s'?"),
        ("5min", f"{units._DURATION_WANTED}, found '5min'", "did you mean '5m'?"),
        ("2 Hours", f"{units._DURATION_WANTED}, found '2 Hours'", "did you mean '2h'?"),
        ("1w", f"{units._DURATION_WANTED}, found '1w'", ""),
        ("", f"{units._DURATION_WANTED}, found ''", ""),
        ("1 h", f"{units._DURATION_WANTED}, found '1 h'", ""),
        ("１s", f"{units._DURATION_WANTED}, found '１s'", ""),
        ("1s" * 33, f"{units._DURATION_WANTED}, found '{('1s' * 33)[:59]}…'", ""),
        ("30m1h", "the units of '30m1h' must go from large to small, each once", ""),
        ("1s1s", "the units of '1s1s' must go from large to small, each once", ""),
        ("-5s", f"{units._DURATION_WANTED}, found '-5s'", ""),
        (-1, "a duration cannot be negative", ""),
        (float("nan"), "a duration cannot be negative", ""),
        (float("inf"), "a duration cannot exceed ten years", ""),
        ("3651d", "a duration cannot exceed ten years", ""),
        (False, units._DURATION_WANTED, ""),
        (None, units._DURATION_WANTED, ""),
    ],
)
def test_what_is_no_duration_is_refused(written: object, message: str, suggestion: str) -> None:
    with pytest.raises(Refused) as refused:
        units.parse_duration(written)

    assert (refused.value.message, refused.value.suggestion) == (message, suggestion)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "0s"),
        (10.0, "10s"),
        (0.5, "500ms"),
        (0.0005, "0.0005s"),
        (10.25, "10.25s"),
        (60.0, "1m"),
        (5400.0, "1h30m"),
        (3600.5, "1h500ms"),
        (90061.0, "25h1m1s"),
    ],
)
def test_a_duration_is_written_with_the_largest_units_first(seconds: float, written: str) -> None:
    assert units.format_duration(seconds) == written


@pytest.mark.parametrize(
    ("written", "pair"),
    [
        (0.5, (50_000, 100_000)),
        (1, (100_000, 100_000)),
        (0.1, (10_000, 100_000)),
        (1 / 3, (33_334, 100_000)),
        ("500m", (50_000, 100_000)),
        ("0.5", (50_000, 100_000)),
        (".5", (50_000, 100_000)),
        ("2", (200_000, 100_000)),
        ("1500m", (150_000, 100_000)),
        ("0.1m", None),
        (0.01, (1_000, 100_000)),
        (10_000, (10**9, 100_000)),
        ([50_000, 100_000], (50_000, 100_000)),
        ((1_000, 1_000_000), (1_000, 1_000_000)),
        ([1_000, 1_000], (1_000, 1_000)),
    ],
)
def test_a_share_of_cpu_is_read_as_quota_and_period(written: object, pair: tuple[int, int] | None) -> None:
    if pair is None:
        with pytest.raises(Refused):
            units.parse_cpu(written)
    else:
        assert units.parse_cpu(written) == pair


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("lots", f"{units._CPU_WANTED}, found 'lots'"),
        ("yes", f"{units._CPU_WANTED}, found 'yes'"),
        ("-1", f"{units._CPU_WANTED}, found '-1'"),
        ("1e3", f"{units._CPU_WANTED}, found '1e3'"),
        (True, units._CPU_WANTED),
        (None, units._CPU_WANTED),
        (float("nan"), units._CPU_WANTED),
        (0, "a share of cpu lies between 0.01 and 10000 cores"),
        (-0.5, "a share of cpu lies between 0.01 and 10000 cores"),
        (float("inf"), "a share of cpu lies between 0.01 and 10000 cores"),
        (10_001, "a share of cpu lies between 0.01 and 10000 cores"),
        ("10001", "a share of cpu lies between 0.01 and 10000 cores"),
        ("5m", "a share of cpu lies between 0.01 and 10000 cores"),
        ([1], "expected [quota, period], two whole numbers of microseconds"),
        ([1, 2, 3], "expected [quota, period], two whole numbers of microseconds"),
        ([True, 100_000], "expected [quota, period], two whole numbers of microseconds"),
        (["1", 100_000], "expected [quota, period], two whole numbers of microseconds"),
        ([50_000, 999], "the period lies between 1000 and 1000000 microseconds"),
        ([50_000, 1_000_001], "the period lies between 1000 and 1000000 microseconds"),
        ([999, 100_000], "the quota lies between 1000 microseconds and 10000 periods"),
        ([10**10, 100_000], "the quota lies between 1000 microseconds and 10000 periods"),
    ],
)
def test_what_is_no_share_of_cpu_is_refused(written: object, message: str) -> None:
    with pytest.raises(Refused) as refused:
        units.parse_cpu(written)

    assert refused.value.message == message


def test_a_share_of_cpu_is_written_in_cores() -> None:
    assert [units.format_cpu(*pair) for pair in ((50_000, 100_000), (200_000, 100_000), (1, 3))] == [
        "0.5",
        "2",
        "0.333",
    ]
