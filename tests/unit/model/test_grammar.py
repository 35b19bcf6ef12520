"""Kinds nested in kinds: what they take, read and say of themselves."""

from __future__ import annotations

import jsonschema

from tank.config import SETTINGS
from tank.model.faults import BAD, Faults, Spot, path_text, quoted
from tank.model.grammar import Either, ListOf, MapOf, text, whole
from tank.model.network_fields import OneOrMore

NESTED = Either((ListOf(whole(0, 9)), MapOf(str, OneOrMore(Either((text(), whole(0, 9)), "a word"), most=2))), "things")


def test_a_kind_of_kinds_takes_what_they_take() -> None:
    assert (NESTED.takes, OneOrMore(NESTED, most=2).takes) == ((list, dict), (list, dict, list))


def test_a_kind_of_kinds_reads_by_the_type_of_the_value() -> None:
    faults = Faults()
    values = [[1, 2], {"a": 1, "b": ["x", 2]}, {"a": True}, 5]

    read = [NESTED.read(each, Spot(faults)) for each in values]

    assert read == [[1, 2], {"a": [1], "b": ["x", 2]}, {"a": BAD}, BAD]
    assert [str(problem) for problem in faults.problems] == [
        "a: expected a word, found true or false",
        "expected things, found a whole number",
    ]


def test_the_configuration_describes_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(SETTINGS.schema())

    assert SETTINGS.schema()["properties"]["pods"]["items"] == {"type": "object"}


def test_a_path_is_written_as_people_read_it() -> None:
    paths = [(), ("a", 1, "b"), (0, "a"), ("labels", "x.y/z"), ("a", "b c"), ("a", '"')]

    assert [path_text(each) for each in paths] == [
        "",
        "a[1].b",
        "[0].a",
        'labels["x.y/z"]',
        'a["b c"]',
        'a["\\""]',
    ]


def test_what_is_quoted_in_a_message_is_short_and_shows_control_characters() -> None:
    assert [quoted(each) for each in ("a", 'a"b', "a\x1bü", "x" * 99)] == [
        "'a'",
        "'a\"b'",
        r"'a\u001b\u00fc'",
        f"'{'x' * 59}…'",
    ]
