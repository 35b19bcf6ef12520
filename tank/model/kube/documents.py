"""Documents by their kind: what each of them is in Tank, and what a list of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tank.errors import Problem
from tank.model.faults import Path, Spot, did_you_mean, quoted
from tank.model.kube import objects, patch, pod, workloads
from tank.model.kube.nouns import MAPPING, MAPPINGS, Noun, Passed, Used, items
from tank.model.kube.objects import Stored
from tank.model.kube.places import Draft, Place

VERSIONS = {
    "Pod": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "List": "v1",
    "ReplicationController": "v1",
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"), "apps/v1"),
    "Job": "batch/v1",
}
LOST = {
    "PersistentVolumeClaim": "a pod that mounts it gets a managed volume of that name",
    "PersistentVolume": "a pod that mounts its claim gets a managed volume",
    "StorageClass": "managed volumes lie in Tank's own directory",
    "Namespace": "names are the machine's: there are no namespaces",
    "ServiceAccount": "there is no Kubernetes to speak to",
    "PriorityClass": "no pod is put before another",
    "PodDisruptionBudget": "nothing is evicted from one machine",
}
REFUSED = {
    "Service": "one machine has no addresses of services: publish a port (hostPort), or use the pod's name",
    "Ingress": "there is no proxy: publish a port (hostPort)",
    "CronJob": "schedules are not supported yet",
    "NetworkPolicy": "write network.allow in the annotation tank/spec",
    "HorizontalPodAutoscaler": "Tank runs one pod of each name",
}
_TYPE = {"apiVersion": Passed(), "kind": Passed()}
POD = Noun(
    "a document",
    {**_TYPE, "metadata": Used(MAPPING, required=True), "spec": Used(MAPPING, required=True), "status": Passed()},
)
LIST = Noun("a List", {**_TYPE, "metadata": Passed(), "items": Used(MAPPINGS, required=True)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A pod in the spec's written form, and the patch of what it becomes. `whole`: where it stands."""

    draft: Draft
    whole: Path
    patch: dict[str, Any] = field(default_factory=dict)
    patched_at: Place


@dataclass(slots=True)
class Statement:
    """All that documents state; its lists grow while they are read."""

    pods: list[Translated] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    losses: list[Problem] = field(default_factory=list)


def read(value: Mapping[str, Any], spot: Spot, said: Statement) -> None:
    """Read one document into `said`. Faults go to the spot's."""
    place, kind = Place(spot, said.losses), value["kind"]
    if not isinstance(kind, str) or kind not in {*VERSIONS, *LOST, *REFUSED}:
        place.at("kind").spot.fault(f"no kind of document that Tank reads: {quoted(str(kind))}", _near(kind))
    elif kind in REFUSED:
        place.at("kind").spot.fault(f"a {kind} cannot be honoured: {REFUSED[kind]}")
    elif kind in LOST:
        place.at("kind").lose(f"this {kind} means nothing here: {LOST[kind]}")
    elif value["apiVersion"] != VERSIONS[kind]:
        place.at("apiVersion").spot.fault(f"a {kind} of version {VERSIONS[kind]} is read, no other")
    elif kind == "List":
        for each, here in items(LIST.read(value, place).get("items"), place.at("items")):
            _entry(each, here, said)
    else:
        _object(value, place, said)


def _near(kind: Any) -> str:
    return did_you_mean(kind, VERSIONS) if isinstance(kind, str) else ""


def _entry(value: Any, place: Place, said: Statement) -> None:
    if {"apiVersion", "kind"} <= value.keys():
        read(value, place.spot, said)
    else:
        place.spot.fault("an item of a List needs apiVersion and kind")


def _object(value: Mapping[str, Any], place: Place, said: Statement) -> None:
    kind, at = value["kind"], place.at("metadata")
    metadata = pod.names(value.get("metadata") or {}, at)
    if not pod.named(metadata, at):
        return
    if kind in ("ConfigMap", "Secret"):
        reader = objects.config_map if kind == "ConfigMap" else objects.secret
        stored = reader(value, metadata["name"], place)
        said.stored += [stored] if stored else []
    else:
        said.pods.append(_pod(value, place, metadata))


def _pod(value: Mapping[str, Any], place: Place, metadata: dict[str, Any]) -> Translated:
    kind, draft, at = value["kind"], Draft(), place.at("metadata")
    found, namespace = POD.read(value, place), metadata.get("namespace") or pod.NAMESPACE
    draft.put("name", metadata["name"], at.at("name"))
    here = place.at("spec")
    if kind == "Pod":
        pod.spec(found.get("spec", {}), here, draft, namespace)
    else:
        workload = workloads.Workload(kind=kind, metadata=metadata, namespace=namespace)
        metadata, at = workloads.template(workload, found.get("spec", {}), here, draft)
        here = here.at("template", "spec")
    pod.labelled(metadata, at, draft)
    patched_at, annotations = at.at("annotations", patch.ANNOTATION), metadata.get("annotations") or {}
    text = annotations.get(patch.ANNOTATION)
    changes = patch.read(text, patched_at) if isinstance(text, str) else {}
    pod.told_network(changes, here, draft)
    return Translated(draft=draft, whole=place.spot.path, patch=changes, patched_at=patched_at)
