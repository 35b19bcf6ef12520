"""The exported schema: valid itself, and of one mind with the parser about structure."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from tank.model.schema import DIALECT, json_schema
from tests.unit.model.test_parse_pod import LATER, NOT_YET, SHORTHANDS, container, pod, volume
from tests.unit.model.test_refusals import PODS

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_it_is_a_schema_of_draft_2020_12() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())

    assert json_schema()["$schema"] == DIALECT


@pytest.mark.parametrize("mapping", [each for each, _ in SHORTHANDS], ids=range(len(SHORTHANDS)))
def test_it_accepts_every_shorthand(mapping: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(mapping)


@pytest.mark.parametrize("wrap", [lambda each: [each], lambda each: {"pods": [each, each]}])
def test_it_accepts_several_pods(wrap: Any) -> None:
    assert VALIDATOR.is_valid(wrap(pod()))


@pytest.mark.parametrize("field", LATER)
def test_it_knows_no_field_that_is_not_built_yet(field: str) -> None:
    assert not VALIDATOR.is_valid(pod(**{field: {}}))


@pytest.mark.parametrize("mapping", [each for each, _ in NOT_YET])
def test_it_refuses_what_is_not_built_yet(mapping: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(mapping)


@pytest.mark.parametrize("mapping", [each for each, fault in PODS if "expected" in fault and "a date" not in fault])
def test_it_refuses_wrong_types(mapping: Any) -> None:
    durations = [each for each in ("grace", "backoff") if isinstance(mapping, dict) and each in mapping]

    assert bool(durations) or not VALIDATOR.is_valid(mapping)


def test_every_field_has_a_description_for_editors() -> None:
    def bare(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [each for item in schema for each in bare(item, path)]
        if not isinstance(schema, dict):
            return []
        found = [f"{path}.{name}" for name, each in schema.get("properties", {}).items() if not each.get("description")]
        return found + [each for name, item in schema.items() for each in bare(item, f"{path}.{name}")]

    assert bare(json_schema(), "") == []


def test_it_completes_the_words_of_a_choice() -> None:
    field = json_schema()["$defs"]["pod"]["properties"]["restart"]

    assert (field["enum"], field["default"]) == (["always", "on_failure", "never"], "always")


def test_it_knows_forms_of_one_field() -> None:
    accepted = [container(env={"A": "1"}), container(env=[{"name": "A", "value": "1"}]), volume(source={"tmpfs": {}})]

    assert all(VALIDATOR.is_valid(each) for each in accepted)
