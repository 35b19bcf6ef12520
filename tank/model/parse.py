"""The one door into the model: whatever a user wrote becomes `Pod` values, or one error that lists every fault.

    text -> trees (yaml_text, json_text, tomllib) -> plain values (plain) -> canonical values (pod_fields)
         -> checks across fields (checks) -> Pod

Nothing is stored, and nothing is answered, unless every document is sound. `dump_pod` is the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tank.errors import InvalidSpec, Problem
from tank.model import json_text, plain, reference, toml_text, yaml_text
from tank.model.checks import check_pod
from tank.model.document import Malformed, Tree, decoded
from tank.model.dump import dump_pod
from tank.model.faults import BAD, Faults, Path, Spot, quoted, raise_all
from tank.model.pod import ImageVolume, Pod
from tank.model.pod_fields import POD

__all__ = ["Defaults", "Format", "dump_pod", "parse_documents", "parse_pod"]

Format = Literal["yaml", "toml", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What this machine's `tank.toml` says for fields that a spec leaves out; None: nothing. Durations are seconds.

    A parser without any knows no machine: it judges no field that was left out.
    """

    grace: float | None = None
    users: Literal["host", "auto"] | None = None


def parse_pod(mapping: Mapping[str, Any] | Pod, defaults: Defaults | None = None) -> Pod:
    """The pod that a Python mapping states; a Pod is checked again. Raises InvalidSpec with all faults."""
    faults = Faults()
    value = _written(mapping) if isinstance(mapping, Pod) else mapping
    pod = _pod(_plain(value, Spot(faults)), Spot(faults), defaults)
    faults.check()
    assert pod is not None  # no fault was noted
    return pod


def parse_documents(
    text: bytes | str,
    format: Format,  # noqa: A002 (the word that callers look for)
    source: str = "",
    *,
    defaults: Defaults | None = None,
) -> tuple[Pod, ...]:
    """Every pod of a text: several documents, a top-level list or `pods`. Raises InvalidSpec with all faults.

    `source` names the text in each fault. JSON is accepted where YAML is expected.
    """
    try:
        trees = _trees(decoded(text), format)
    except Malformed as error:
        raise error.as_invalid_spec(source) from error
    found: list[Faults] = []
    pods: list[Pod] = []
    names: set[str] = set()
    for tree in trees:
        faults = Faults(source, tree.locate)
        found.append(faults)
        for path, value in _stated(_plain(tree.value, Spot(faults)), faults):
            pod = _pod(value, Spot(faults, path), defaults)
            _check_name(value, Spot(faults, path), names)
            pods += [pod] if pod else []
    raise_all(found)
    if not pods:
        raise InvalidSpec([Problem("", "there is no pod in it", source=source)])
    return tuple(pods)


def _trees(text: str, language: Format) -> list[Tree]:
    if language == "toml":
        return toml_text.read_toml(text)
    if language == "json":
        return json_text.read_json(text)
    if text.lstrip().startswith(("{", "[")):  # JSON, tabs and all, unless it is YAML's own notation
        try:
            return json_text.read_json(text)
        except Malformed:
            pass
    return [tree for tree in yaml_text.read_yaml(text) if tree.value is not None]


def _plain(value: Any, spot: Spot) -> Any:
    """The value in plain types; BAD for a whole that is too large, which is then not looked at any further."""
    walk = plain.Plain()
    read = walk.read(value, spot)
    return BAD if walk.spent else read


def _stated(value: Any, faults: Faults) -> list[tuple[Path, Any]]:
    """Each pod of a document, with its path in there."""
    if isinstance(value, dict) and "pods" in value:
        for key in value:
            if key != "pods":
                faults.add((str(key),), "unknown field beside pods", key=True)
        if not isinstance(value["pods"], list):
            faults.add(("pods",), "expected a list of pods")
            return []
        return [(("pods", index), each) for index, each in enumerate(value["pods"])]
    if isinstance(value, list):
        return [((index,), each) for index, each in enumerate(value)]
    return [((), value)]


def _check_name(value: Any, spot: Spot, names: set[str]) -> None:
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return
    if name in names:
        spot.at("name").fault(f"another pod is called {quoted(name)} already")
    names.add(name)


def _written(pod: Pod) -> dict[str, Any]:
    """The mapping of a Pod built in Python; fields whose default depends are left out unless they were set."""
    written = dump_pod(pod)
    mappings = (*written.get("init", ()), *written["containers"])
    for container, mapping in zip(pod.everyone, mappings, strict=True):
        if "pull" not in container.model_fields_set:
            mapping.pop("pull", None)
    for volume, mapping in zip(pod.volumes, written.get("volumes", ()), strict=True):
        if isinstance(volume.source, ImageVolume) and "pull" not in volume.source.model_fields_set:
            mapping["source"].pop("pull", None)
    for name in ("grace", "users"):
        if name not in pod.model_fields_set:
            del written[name]
    return written


def _pod(value: Any, spot: Spot, defaults: Defaults | None) -> Pod | None:
    """One pod of plain values; None if its document has any fault."""
    if isinstance(value, dict) and {"apiVersion", "kind"} <= value.keys():
        spot.fault("Kubernetes documents are not supported yet")
        return None
    draft = POD.read(value, spot)
    if draft is BAD:
        return None
    if defaults is not None:
        _fill(draft, defaults, spot)
    check_pod(draft, spot)
    if spot.faults.count:
        return None
    _complete(draft)
    return Pod.model_validate(draft, strict=False)


def _fill(draft: dict[str, Any], defaults: Defaults, spot: Spot) -> None:
    """Write down what this machine's own defaults are, so that they are judged with the rest."""
    for name in ("grace", "users"):
        if not spot.at(name).faulty:
            value = getattr(defaults, name)
            draft.setdefault(name, Pod.model_fields[name].default if value is None else value)


def _complete(draft: dict[str, Any]) -> None:
    """Write down the defaults that depend on something else, so that they never change afterwards (C6)."""
    for container in (*draft.get("init", ()), *draft["containers"]):
        if isinstance(container["image"], str):
            container.setdefault("pull", reference.parse(container["image"]).default_pull)
    for volume in draft.get("volumes", ()):
        source = volume.get("source", {})
        if "image" in source:
            source.setdefault("pull", reference.parse(source["image"]).default_pull)
