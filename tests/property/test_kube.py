"""There and back: whatever pod is exported as a Kubernetes document is read again as the same pod.

And no document, however wrong, does anything but be read or be refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tank.cli.yamltext import yaml
from tank.errors import InvalidSpec
from tank.model.dump import dump_pod
from tank.model.kube.export import export
from tank.model.kube.scalars import KUBERNETES
from tank.model.parse import Stated, parse_documents, parse_pod, read_documents
from tank.model.pod import Pod
from tank.model.yaml_text import read_yaml
from tests.property.parts import names
from tests.property.strategies import pods


@given(pods())
def test_an_exported_pod_is_read_again_as_the_same_pod(pod: Pod) -> None:
    document, _ = export(pod)

    assert parse_pod(document) == pod


@given(pods())
def test_its_text_means_the_same_by_kubernetes_rules(pod: Pod) -> None:
    text = yaml(export(pod)[0])

    assert parse_documents(text, "yaml") == (pod,)


DOCUMENTS = [
    tree.value
    for path in sorted((Path(__file__).parents[1] / "kube").glob("*.yaml"))
    for tree in read_yaml(path.read_text(), rules=KUBERNETES)
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 70_000)
    | st.sampled_from(["", "x", "/x", "../x", "100m", "$(A)", "a b"])
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2))


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a document."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, each in steps for place in places(each, (*path, step)))]


def changed(value: Any, path: tuple[str | int, ...], to: Any) -> Any:
    """The document with something else at one place."""
    if not path:
        return to
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], to)
    return copy


@st.composite
def spoilt(draw: st.DrawFn) -> Any:
    """A document with one or two places changed, also to what stands elsewhere in some document."""
    document = draw(st.sampled_from(DOCUMENTS))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places(document)[1:] or [()]))
        donor = draw(st.sampled_from(DOCUMENTS))
        part: Any = donor
        for step in draw(st.sampled_from(places(donor))):
            part = part[step]
        document = changed(document, place, draw(st.one_of(anything, st.just(part))))
    return document


@settings(max_examples=400)
@given(spoilt())
def test_whatever_is_wrong_with_a_document_is_told_as_its_faults(document: Any) -> None:
    try:
        stated = read_documents(json.dumps([document]), "json")
    except InvalidSpec as error:
        stated, told = Stated(), error.problems
    else:
        told = stated.losses

    assert all(str(each) for each in told)
    assert all(parse_pod(dump_pod(pod)) == pod for pod in stated.pods)
