"""Documents in `tests/kube`, modelled on the features of Kubernetes' own examples: each runs, or is refused, and why.

The comments of a document are its expectations:

    # spec PATH: VALUE       what its first pod says there, of what it states at all (null: nothing)
    # patched PATH: VALUE    the same of the canonical spec
    # pods: [NAME, …]        which pods there are
    # stored KEY: [KEYS]     a secret or config that it states
    # lost PATH              all that is lost, but for an address of its own
    # network                it does not lack an address either
    # refused PATH: MESSAGE  all that is refused, each with how the message begins
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tank.errors import InvalidSpec, Problem
from tank.model.dump import dump_pod
from tank.model.faults import Faults, Spot
from tank.model.kube import documents
from tank.model.kube.export import export
from tank.model.kube.scalars import KUBERNETES, is_document
from tank.model.parse import Stated, parse_pod, read_documents
from tank.model.yaml_text import read_yaml

HERE = Path(__file__).parents[2] / "kube"
NAMES = sorted(path.stem for path in HERE.glob("*.yaml"))
NO_ADDRESS = "loopback only"


def expected(text: str, word: str) -> list[str]:
    """What stands behind `# word` in the comments."""
    return re.findall(rf"^# {word}:? ?(.*)$", text, re.MULTILINE)


def pairs(text: str, word: str) -> dict[str, Any]:
    """`PATH: VALUE` behind `# word`."""
    found = (each.partition(": ") for each in expected(text, word))
    return {path: yaml.safe_load(value) for path, _, value in found}


def at(value: Any, path: str) -> Any:
    """What stands at a path such as `containers.0.image`; None for nothing."""
    for step in path.split("."):
        value = (value or {}).get(step) if not step.isdigit() else value[int(step)]
    return value


def drafts(text: str) -> list[dict[str, Any]]:
    """The pods in the form that the translation writes them, before defaults are filled in."""
    said = documents.Statement()
    for tree in read_yaml(text, rules=KUBERNETES):
        if is_document(tree.value):
            documents.read(tree.value, Spot(Faults("", tree.locate)), said)
    return [each.draft.fields for each in said.pods]


def read(text: str) -> tuple[Stated, tuple[Problem, ...]]:
    """All of a document, or its faults."""
    try:
        return read_documents(text, "yaml"), ()
    except InvalidSpec as error:
        return Stated(), error.problems


def agrees(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there. Of a mapping, what else there is does not matter."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(agrees(found.get(key), each) for key, each in wanted.items())
    return bool(found == wanted)


@pytest.mark.parametrize("name", NAMES)
def test_a_document_runs_or_is_refused_as_it_says_itself(name: str) -> None:
    text = (HERE / f"{name}.yaml").read_text()
    refusals = [tuple(each.split(": ", 1)) for each in expected(text, "refused")]

    _, problems = read(text)

    assert sorted(each.path for each in problems) == sorted(path for path, _ in refusals), problems
    for path, message in refusals:
        assert any(each.path == path and each.message.startswith(message) for each in problems), problems


@pytest.mark.parametrize("name", NAMES)
def test_what_it_means_is_what_it_says_itself(name: str) -> None:
    text = (HERE / f"{name}.yaml").read_text()
    if expected(text, "refused"):
        return
    stated, _ = read(text)

    for path, value in pairs(text, "spec").items():
        assert agrees(at(drafts(text)[0], path), value), (path, at(drafts(text)[0], path))
    for path, value in pairs(text, "patched").items():
        assert at(dump_pod(stated.pods[0]), path) == value
    for names in expected(text, "pods"):
        assert [pod.name for pod in stated.pods] == yaml.safe_load(names)
    assert {each.key: sorted(each.values) for each in stated.stored} == pairs(text, "stored")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_lost_is_told(name: str) -> None:
    text = (HERE / f"{name}.yaml").read_text()
    if expected(text, "refused"):
        return
    losses = read(text)[0].losses

    assert sorted({each.path for each in losses if NO_ADDRESS not in each.message}) == sorted(expected(text, "lost"))
    assert all(each.line and each.message for each in losses)
    without = sum(NO_ADDRESS in each.message for each in losses)
    assert without == (0 if "\n# network\n" in text else len(drafts(text)))


@pytest.mark.parametrize("name", NAMES)
def test_what_it_means_comes_back_through_an_export(name: str) -> None:
    stated, _ = read((HERE / f"{name}.yaml").read_text())

    for pod in stated.pods:
        assert parse_pod(export(pod)[0]) == pod


def test_there_are_many() -> None:
    assert len(NAMES) >= 60
