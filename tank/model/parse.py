"""The one door into the model: whatever a user wrote becomes `Pod` values, or one error that lists every fault.

    text -> trees (yaml_text, json_text, tomllib) -> plain values (plain) -> canonical values (pod_fields)
         -> checks across fields (checks) -> Pod

A Kubernetes document becomes the plain values of a pod first (kube), and its faults are told at its own places.
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
from tank.model.kube import documents as kube
from tank.model.kube.objects import Stored
from tank.model.kube.patch import patched
from tank.model.kube.places import Draft, Returned
from tank.model.kube.scalars import KUBERNETES, holds_document, is_document
from tank.model.pod import ImageVolume, Pod
from tank.model.pod_fields import POD

__all__ = ["Defaults", "Format", "Stated", "dump_pod", "parse_documents", "parse_pod", "read_documents"]

MOST_LOSSES = 1000
Format = Literal["yaml", "toml", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What this machine's `tank.toml` says for fields that a spec leaves out; None: nothing. Durations are seconds.

    A parser without any knows no machine: it judges no field that was left out.
    """

    grace: float | None = None
    users: Literal["host", "auto"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """All that a text states. `losses`: what its Kubernetes documents say that means nothing on one machine."""

    pods: tuple[Pod, ...] = ()
    stored: tuple[Stored, ...] = ()
    losses: tuple[Problem, ...] = ()


def parse_pod(mapping: Mapping[str, Any] | Pod, defaults: Defaults | None = None) -> Pod:
    """The pod that a Python mapping states; a Pod is checked again. Raises InvalidSpec with all faults."""
    faults = Faults()
    value = _plain(_written(mapping) if isinstance(mapping, Pod) else mapping, Spot(faults))
    if is_document(value):
        return _only(_translated(value, Spot(faults), defaults), faults)
    pod = _pod(value, Spot(faults), defaults)
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
    """Every pod of a text that states nothing else. Raises InvalidSpec with all faults.

    `source` names the text in each fault. JSON is accepted where YAML is expected.
    """
    stated = read_documents(text, format, source, defaults=defaults)
    if stated.stored:
        others = ", ".join(each.key for each in stated.stored)
        raise InvalidSpec([Problem("", f"only pods can stand here, found {others}", source=source)])
    return stated.pods


def read_documents(
    text: bytes | str,
    format: Format,  # noqa: A002 (the word that callers look for)
    source: str = "",
    *,
    defaults: Defaults | None = None,
) -> Stated:
    """All of a text: several documents, a top-level list or `pods`, ours or Kubernetes'. Raises InvalidSpec."""
    try:
        trees = _trees(decoded(text), format)
    except Malformed as error:
        raise error.as_invalid_spec(source) from error
    found: list[Faults] = []
    parts: list[Stated] = []
    names: set[str] = set()
    for tree in trees:
        faults = Faults(source, tree.locate)
        found.append(faults)
        for path, value in _stated(_plain(tree.value, Spot(faults)), faults):
            parts.append(_part(value, Spot(faults, path), defaults, names))
    raise_all(found)
    return _whole(parts, source)


def _part(value: Any, spot: Spot, defaults: Defaults | None, names: set[str]) -> Stated:
    """What one document, or one entry of its list, states."""
    if is_document(value):
        part = _translated(value, spot, defaults)
        for key in [pod.name for pod in part.pods] + [each.key for each in part.stored]:
            _check_twice(key, spot.at("metadata", "name"), names)
        return part
    pod = _pod(value, spot, defaults)
    name = value.get("name") if isinstance(value, dict) else None
    if isinstance(name, str):
        _check_twice(name, spot.at("name"), names)
    return Stated(pods=(pod,) if pod else ())


def _check_twice(name: str, spot: Spot, names: set[str]) -> None:
    if name in names:
        spot.fault(f"another {'one' if '/' in name else 'pod'} is called {quoted(name)} already")
    names.add(name)


def _whole(parts: list[Stated], source: str) -> Stated:
    pods = tuple(pod for each in parts for pod in each.pods)
    stored = tuple(one for each in parts for one in each.stored)
    if not pods and not stored:
        raise InvalidSpec([Problem("", "there is no pod in it", source=source)])
    losses = [loss for each in parts for loss in each.losses]
    losses.sort(key=lambda loss: (loss.line or 0, loss.column or 0))
    if len(losses) > MOST_LOSSES:
        losses[MOST_LOSSES:] = [Problem("", f"{len(losses) - MOST_LOSSES} more are not shown", source=source)]
    return Stated(pods=pods, stored=stored, losses=tuple(losses))


def _only(stated: Stated, faults: Faults) -> Pod:
    """The one pod of a document that may hold others."""
    faults.check()
    if len(stated.pods) != 1 or stated.stored:
        raise InvalidSpec([Problem("kind", "expected a document of exactly one pod")])
    return stated.pods[0]


def _translated(value: dict[str, Any], spot: Spot, defaults: Defaults | None) -> Stated:
    """What a Kubernetes document states. Its pods take the same way as any other."""
    said = kube.Statement()
    kube.read(value, spot, said)
    pods = [_patched(each, spot.faults, defaults) for each in said.pods]
    return Stated(pods=tuple(pod for pod in pods if pod), stored=tuple(said.stored), losses=tuple(said.losses))


def _patched(translated: kube.Translated, faults: Faults, defaults: Defaults | None) -> Pod | None:
    pod = _pod(translated.draft.fields, Spot(Returned(faults, translated.draft, translated.whole)), defaults)
    if pod is None or not translated.patch:
        return pod
    spot = Spot(Returned(faults, Draft(), translated.patched_at.spot.path))
    changed = patched(dump_pod(pod), translated.patch, translated.patched_at)
    return _pod(_plain(changed, spot), spot, None)


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
    trees = yaml_text.read_yaml(text)
    if any(holds_document(tree.value) for tree in trees):
        others = yaml_text.read_yaml(text, rules=KUBERNETES)
        trees = [other if holds_document(tree.value) else tree for tree, other in zip(trees, others, strict=True)]
    return [tree for tree in trees if tree.value is not None]


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
    network = draft.get("network")
    for nic in network.get("nics", ()) if isinstance(network, dict) else ():
        if not any(isinstance(each, dict) for each in nic["ip"]):  # a pool says its mode, as it is at the time
            nic.setdefault("mode", "macvlan")
    for volume in draft.get("volumes", ()):
        source = volume.get("source", {})
        if "image" in source:
            source.setdefault("pull", reference.parse(source["image"]).default_pull)
