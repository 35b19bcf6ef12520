"""Kubernetes reads YAML 1.1, as Go reads it; everything else of Tank reads 1.2."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.document import Malformed
from tank.model.kube.scalars import KUBERNETES
from tank.model.yaml_text import read_yaml

VALUES: list[tuple[str, Any, Any]] = [  # the text, by Kubernetes' rules, by ours
    ("yes", True, "yes"),
    ("On", True, "On"),
    ("y", True, "y"),
    ("no", False, "no"),
    ("OFF", False, "OFF"),
    ("N", False, "N"),
    ("true", True, True),
    ("yEs", "yEs", "yEs"),
    ("0400", 256, 400),
    ("-010", -8, -10),
    ("0o400", 256, 256),
    ("08", 8, 8),
    ("0", 0, 0),
    ("0x1F", 31, 31),
    ("0b101", 5, "0b101"),
    ("1_000", 1000, "1_000"),
    ("_1", "_1", "_1"),
    ("1e3", 1000.0, 1000.0),
    (".5", 0.5, 0.5),
    ("12:30", "12:30", "12:30"),
    ("2024-01-01", "2024-01-01", "2024-01-01"),
    ("~", None, None),
    ("'yes'", "yes", "yes"),
    ("!!str 0400", "0400", "0400"),
    ("1.2.3", "1.2.3", "1.2.3"),
    ("100m", "100m", "100m"),
]


@pytest.mark.parametrize(("text", "theirs", "ours"), VALUES)
def test_a_scalar_by_both_rules(text: str, theirs: Any, ours: Any) -> None:
    found = [read_yaml(f"a: {text}", rules=KUBERNETES)[0].value["a"], read_yaml(f"a: {text}")[0].value["a"]]

    assert [(type(each), each) for each in found] == [(type(theirs), theirs), (type(ours), ours)]


@pytest.mark.parametrize(("name", "text"), [("8080", "8080"), ("yes", "true"), ("0x10", "16"), ("'off'", "off")])
def test_a_name_is_its_text(name: str, text: str) -> None:
    assert read_yaml(f"{name}: 1", rules=KUBERNETES)[0].value == {text: 1}


def test_fields_are_taken_over_and_the_nearest_wins() -> None:
    text = "a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc: {<<: [*b, *a], r: 3}\nd: {p: 0, <<: *a}"

    value = read_yaml(text, rules=KUBERNETES)[0].value

    assert (value["c"], value["d"]) == ({"p": 1, "q": 2, "r": 3}, {"p": 0, "q": 1})


def test_only_mappings_are_taken_over() -> None:
    with pytest.raises(Malformed, match="takes a mapping"):
        read_yaml("a: {<<: 1}", rules=KUBERNETES)


def test_a_quoted_sign_of_merging_is_a_name() -> None:
    assert read_yaml("a: {'<<': 1}", rules=KUBERNETES)[0].value == {"a": {"<<": 1}}
