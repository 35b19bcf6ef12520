"""What holds of every pod: it is printed and read back as itself, in every language; no input breaks the parser."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tank.cli.yamltext import yaml
from tank.errors import InvalidSpec
from tank.model import units
from tank.model.digest import canonical_json, container_digest, sandbox_digest, tuning_digest
from tank.model.dump import dump_pod
from tank.model.parse import parse_documents, parse_pod
from tank.model.pod import Pod
from tank.model.reference import Reference, parse
from tank.model.schema import json_schema
from tests.property.strategies import pod_mappings, pods

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def as_json(value: Any) -> Any:
    """The value as a file would hold it: tuples are lists."""
    return json.loads(json.dumps(value))


@given(pods())
def test_a_printed_pod_is_read_back_as_itself(pod: Pod) -> None:
    assert parse_pod(dump_pod(pod)) == pod


@given(pods())
def test_a_pod_is_taken_as_it_is(pod: Pod) -> None:
    assert parse_pod(pod) == pod


@given(pods())
def test_yaml_and_json_mean_the_same_as_the_mapping(pod: Pod) -> None:
    text, other = yaml(dump_pod(pod)), json.dumps(dump_pod(pod))

    assert (parse_documents(text, "yaml"), parse_documents(other, "json")) == ((pod,), (pod,))


@given(pods())
def test_a_printed_pod_holds_plain_values_only(pod: Pod) -> None:
    assert json.loads(canonical_json(dump_pod(pod))) == dump_pod(pod)


@given(pod_mappings())
def test_the_schema_accepts_what_the_parser_accepts(mapping: dict[str, Any]) -> None:
    printed = dump_pod(parse_pod(mapping))

    assert [error.message for each in (as_json(mapping), printed) for error in VALIDATOR.iter_errors(each)] == []


@given(pods())
def test_a_pod_read_twice_has_the_same_digests(pod: Pod) -> None:
    again = parse_pod(json.loads(json.dumps(dump_pod(pod))))

    assert sandbox_digest(again) == sandbox_digest(pod)
    assert [container_digest(again, each) for each in again.everyone] == [
        container_digest(pod, each) for each in pod.everyone
    ]


@given(pods(), pods())
def test_what_is_live_leaves_a_container_as_it_is(pod: Pod, other: Pod) -> None:
    first, second = pod.containers[0], other.containers[0]
    live = {name: getattr(second, name) for name in ("limits", "restart", "stop_signal", "probes", "hooks")}

    changed = first.model_copy(update=live)

    assert container_digest(pod, changed) == container_digest(pod, first)
    assert (tuning_digest(changed) == tuning_digest(first)) == (first.limits == second.limits)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A sound pod with one value somewhere replaced by another."""
    mapping = as_json(draw(pod_mappings()))
    at: Any = mapping
    while True:
        steps = list(at) if isinstance(at, dict) else list(range(len(at)))
        step = draw(st.sampled_from(steps))
        if not isinstance(at[step], (dict, list)) or not at[step] or draw(st.booleans()):
            at[step] = draw(values)
            return mapping
        at = at[step]


@given(damaged() | values)
def test_any_mapping_is_a_pod_or_is_refused(mapping: Any) -> None:
    try:
        answer: Any = parse_pod(mapping)
    except InvalidSpec as refused:
        answer = refused.problems

    assert parse_pod(dump_pod(answer)) == answer if isinstance(answer, Pod) else len(answer) > 0


@settings(max_examples=300)
@given(st.text(max_size=200) | st.binary(max_size=200), st.sampled_from(["yaml", "json", "toml"]))
def test_any_text_is_pods_or_is_refused(text: str | bytes, language: Any) -> None:
    with pytest.raises(InvalidSpec):
        parse_documents(text, language)


@given(st.integers(0, units.MAX_SIZE))
def test_a_size_is_read_back_as_it_was_written(size: int) -> None:
    assert (units.parse_size(units.format_size(size)), units.parse_size(str(size))) == (size, size)


@given(st.integers(0, 10**15).map(lambda nanoseconds: nanoseconds / 1e9))
def test_a_duration_is_read_back_as_it_was_written(seconds: float) -> None:
    assert (units.parse_duration(units.format_duration(seconds)), units.parse_duration(seconds)) == (seconds, seconds)


components = st.from_regex(r"[a-z0-9]{1,4}((\.|_|__|-)[a-z0-9]{1,3})?", fullmatch=True)


@given(
    st.sampled_from(["docker.io", "ghcr.io", "localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"]),
    st.lists(components, min_size=2, max_size=3).map("/".join),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,5}", fullmatch=True),
    st.none() | st.just("sha256:" + "0f" * 32),
)
def test_a_reference_is_read_back_from_its_long_and_short_form(
    registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    reference = Reference(registry, repository, tag, digest)

    assert (parse(str(reference)), parse(reference.familiar())) == (reference, reference)
