"""The annotation `tank/spec`: what Kubernetes has no words for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tank.errors import InvalidSpec
from tank.model.dump import dump_pod
from tank.model.kube.patch import difference
from tank.model.parse import parse_pod

SPEC = {"containers": [{"name": "app", "image": "nginx"}, {"name": "side", "image": "busybox"}]}


def document(patch: Any) -> dict[str, Any]:
    text = patch if isinstance(patch, str) else json.dumps(patch)
    metadata = {"name": "web", "annotations": {"tank/spec": text, "kept": "yes"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": SPEC}


def faults(patch: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidSpec) as refused:
        parse_pod(document(patch))
    return [(each.path, each.message) for each in refused.value.problems]


def test_it_changes_the_spec_and_is_no_annotation_of_it() -> None:
    pod = parse_pod(document({"backoff": {"max": 60}, "containers": {"side": {"limits": {"pids": 7}}}}))

    assert (pod.backoff.max, pod.containers[1].limits.pids, pod.containers[0].limits.pids) == (60.0, 7, None)
    assert pod.annotations == {"kept": "yes"}


def test_null_takes_a_field_away() -> None:
    pod = parse_pod(document({"annotations": {"kept": None}, "grace": None}))

    assert (pod.annotations, pod.grace) == ({}, 30.0)


PLACE = 'metadata.annotations["tank/spec"]'


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it must be a mapping of the spec's fields"),
        ({"containers": {"none": {}}}, "there is nothing called 'none' among the containers"),
        ({"restart": "sometimes"}, "must be one of always, on_failure, never, found 'sometimes'"),
        ({"unknown": 1}, "unknown field of a pod"),
        ({"labels": {"a": "\x00"}}, "holds the control character U+0000"),
    ],
)
def test_its_faults_are_told_where_it_stands(patch: Any, message: str) -> None:
    assert faults(patch) == [(PLACE, message)]


def test_the_difference_of_two_specs_is_what_differs() -> None:
    before = dump_pod(parse_pod({"name": "a", **SPEC, "labels": {"x": "1"}}))
    after = dump_pod(parse_pod({"name": "a", **SPEC, "labels": {"y": "1"}, "backoff": {"initial": 1}}))
    after["containers"][1]["reaper"] = True

    assert difference(before, after) == {
        "labels": {"x": None, "y": "1"},
        "backoff": {"initial": 1.0},
        "containers": {"side": {"reaper": True}},
    }


def test_equal_specs_do_not_differ() -> None:
    spec = dump_pod(parse_pod({"name": "a", **SPEC}))

    assert difference(spec, spec) == {}
