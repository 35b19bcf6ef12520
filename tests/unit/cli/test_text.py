"""Text for people: ages, tables, YAML, and what never reaches a terminal."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

import pytest
import yaml as pyyaml
from hypothesis import example, given
from hypothesis import strategies as st

from tank.cli.durations import duration, since, whole
from tank.cli.text import _seconds, age, colored, line, plain, span, table
from tank.cli.yamltext import yaml

SAFE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"], exclude_characters="\u2028\u2029\ufeff"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | SAFE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SAFE, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (42, "42s"),
        (60, "1m"),
        (90, "1m"),
        (330, "5m"),
        (3600, "1h"),
        (5400, "1h30m"),
        (86_400 * 3 + 7200, "3d2h"),
        (86_400 * 12 + 7200, "12d"),
        (-5, "0s"),
    ],
)
def test_a_span_in_one_unit_or_two(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5", 1.5), ("500ms", 0.5), ("10s", 10), ("5m", 300), ("1h30m", 5400), ("0", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "5x", "m5", "-5", "1h 30m", "inf", "nan", "9999999999"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration(text)


def test_moments_and_numbers() -> None:
    assert since("2026-01-02T03:04:05Z") == 1_767_323_045
    assert since("2026-01-02T03:04:05+01:00") == 1_767_319_445
    assert since("1h") > 1_600_000_000
    assert whole("7") == 7
    for wrong in ("", "-1", "1.5", "²"):
        with pytest.raises(argparse.ArgumentTypeError):
            whole(wrong)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001
def test_a_time_is_read_as_the_calendar_has_it(moment: datetime) -> None:
    stamp = moment.replace(tzinfo=UTC)

    assert _seconds(stamp.isoformat().replace("+00:00", "Z")) == int(stamp.timestamp() // 1)


def test_a_time_that_is_none_has_no_age() -> None:
    assert [age(each) for each in (None, "", "soon", "2026-xx-02T03:04:05Z")] == ["", "", "", ""]


def test_a_table_lines_up_and_holds_no_line_ends() -> None:
    assert table([["A", "BB"], ["x\ny", "1"], ["\x1b[2J", ""]]) == "A    BB\nx y  1\n[2J"


@pytest.mark.parametrize(
    "text",
    ["\x1b[2J", "\x1b]0;x\x07", "\x9b5n", "\r", "\x08", "\x7f", "\u202e", "\u2066", "\x1bP", "\x0e", "\ud800"],
)
def test_nothing_steers_the_terminal(text: str) -> None:
    for strip in (plain, line, colored):
        assert not set(strip(f"a{text}b")) & set("\x1b\x9b\r\x08\x7f\u202e\u2066\x0e\x07\ud800")


def test_colours_pass_where_programs_speak_and_end_there() -> None:
    assert colored("\x1b[1;31mred\x1b[2J") == "\x1b[1;31mred[2J\x1b[0m"
    assert colored("no colour") == "no colour"


@given(PLAIN)
@example(1e-05)
@example(1e300)
def test_yaml_is_read_back_as_it_was(value: object) -> None:
    assert pyyaml.safe_load(yaml(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "null",
        "1",
        "1.0",
        "0x1",
        "~",
        "",
        "- a",
        "a: b",
        "a #b",
        "12:30",
        "1_000",
        "2026-01-02",
        "=",
        ".inf",
        "y",
    ],
)
def test_texts_that_look_like_something_else_stay_texts(text: str) -> None:
    assert pyyaml.safe_load(yaml({"key": text, text: 1})) == {"key": text, text: 1}
