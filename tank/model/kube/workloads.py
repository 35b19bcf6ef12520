"""Workloads of one pod: a Deployment and its kin with one replica, a Job with one completion.

Their pod is called as they are, so that it keeps its name; the pod of a StatefulSet is called as there, NAME-0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tank.model.grammar import whole
from tank.model.kube import pod
from tank.model.kube.nouns import (
    COUNT,
    FLAG,
    MAPPING,
    MAPPINGS,
    TEXT,
    Fate,
    Lost,
    Never,
    Noun,
    Passed,
    Used,
    items,
    seconds,
)
from tank.model.kube.places import Draft, Place

_ROLLOUT = "a change replaces the pod itself: there is no second one beside it"
_ONE = "Tank runs one pod of each name"
REPLICAS = whole(0, 2**31 - 1)
TEMPLATE = Noun("a template", {"metadata": Used(MAPPING), "spec": Used(MAPPING, required=True)})
_SHARED: Mapping[str, Fate] = {
    "template": Used(MAPPING, "the pod", required=True),
    "selector": Passed(),
    "minReadySeconds": Lost(_ROLLOUT, unless=(0,)),
    "revisionHistoryLimit": Lost("every revision is kept, up to a hundred"),
}
_REPLICAS: Mapping[str, Fate] = {"replicas": Used(REPLICAS, "1, others are refused")}
_DEPLOYMENT: Mapping[str, Fate] = {
    "strategy": Lost(_ROLLOUT),
    "paused": Never("a pod that is stated runs"),
    "progressDeadlineSeconds": Lost(_ROLLOUT),
}
_STATEFUL: Mapping[str, Fate] = {
    "serviceName": Lost("there is no cluster's DNS, so no name below it", unless=("",)),
    "volumeClaimTemplates": Used(MAPPINGS, "`managed` volumes, called as the claims are"),
    "updateStrategy": Lost(_ROLLOUT),
    "podManagementPolicy": Lost(_ONE),
    "persistentVolumeClaimRetentionPolicy": Lost("only tank volume delete removes a volume"),
    "ordinals": Never("the one pod is number 0"),
}
_JOB: Mapping[str, Fate] = {
    "template": Used(MAPPING, "the pod", required=True),
    "completions": Used(COUNT, "1, others are refused"),
    "parallelism": Used(COUNT, "1, others are refused"),
    "activeDeadlineSeconds": Used(seconds(), "`deadline`"),
    "backoffLimit": Used(COUNT, "lost: Never tries once, OnFailure without end"),
    "ttlSecondsAfterFinished": Lost("a pod that is done stays, with its logs, until it is deleted"),
    "suspend": Never("a pod that is stated runs"),
    "completionMode": Never("one pod has no index", TEXT, unless=("NonIndexed",)),
    "backoffLimitPerIndex": Never("one pod has no index"),
    "maxFailedIndexes": Never("one pod has no index"),
    "podFailurePolicy": Never("what follows a failure is the restart policy's alone"),
    "successPolicy": Never("one pod has no index"),
    "podReplacementPolicy": Lost(_ONE),
    "managedBy": Lost(_ONE),
    "manualSelector": Lost("nothing is selected", FLAG),
    "selector": Passed(),
}
SPECS = {
    "Deployment": Noun("a Deployment", {**_SHARED, **_REPLICAS, **_DEPLOYMENT}),
    "ReplicaSet": Noun("a ReplicaSet", {**_SHARED, **_REPLICAS}),
    "ReplicationController": Noun("a ReplicationController", {**_SHARED, **_REPLICAS}),
    "StatefulSet": Noun("a StatefulSet", {**_SHARED, **_REPLICAS, **_STATEFUL}),
    "DaemonSet": Noun("a DaemonSet", {**_SHARED, "updateStrategy": Lost(_ROLLOUT)}),
    "Job": Noun("a Job", _JOB),
}
CLAIM_TEMPLATE = Noun(
    "a claim",
    {"metadata": Used(MAPPING, required=True), **dict.fromkeys(("apiVersion", "kind", "spec", "status"), Passed())},
)
TRIES = 6  # what a Job's backoffLimit is when it says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A document that holds a pod's template, its `kind` one of `SPECS`."""

    kind: str
    metadata: dict[str, Any]
    namespace: str


def template(workload: Workload, value: Any, place: Place, draft: Draft) -> tuple[dict[str, Any], Place]:
    """Write the pod of a workload's spec; answers its metadata, and where these stand."""
    found = SPECS[workload.kind].read(value, place)
    for name in ("replicas", "completions", "parallelism"):
        if found.get(name, 1) != 1:
            place.at(name).refuse(f"{_ONE}: expected 1, found {found[name]}")
    here = place.at("template")
    inner = TEMPLATE.read(found.get("template", {}), here)
    metadata = pod.METADATA.read(inner.get("metadata", {}), here.at("metadata"))
    name, suffix = workload.metadata["name"], "-0" if workload.kind == "StatefulSet" else ""
    draft.fields["name"] = f"{name}{suffix}"
    spec = inner.get("spec", {})
    listed = spec["volumes"] if isinstance(spec.get("volumes"), list) else []
    claimed = _claimed(found.get("volumeClaimTemplates"), place.at("volumeClaimTemplates"), draft.fields["name"])
    spec = {**spec, "volumes": [*listed, *claimed]} if claimed else spec
    pod.spec(spec, here.at("spec"), draft, workload.namespace)
    _policy(workload.kind, found, spec, place)
    if workload.kind == "Job" and "activeDeadlineSeconds" in found:
        draft.put("deadline", found["activeDeadlineSeconds"], place.at("activeDeadlineSeconds"))
    return metadata, here.at("metadata")


def _claimed(value: Any, place: Place, pod_name: str) -> list[dict[str, Any]]:
    """A volume for each template of a claim, called as the claim of this pod is there."""
    found = []
    for each, here in items(value, place):
        claim = CLAIM_TEMPLATE.read(each, here)
        name = claim.get("metadata", {}).get("name")
        if isinstance(name, str):
            found.append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod_name}"}})
        else:
            here.at("metadata").refuse("a claim needs a name")
    return found


def _policy(kind: str, found: Mapping[str, Any], spec: Mapping[str, Any], place: Place) -> None:
    """A workload's pods run for ever, and a Job's do not."""
    policy, here = spec.get("restartPolicy", "Always"), place.at("template", "spec", "restartPolicy")
    if kind != "Job":
        if policy != "Always":
            here.refuse(f"the pods of a {kind} are always restarted")
        return
    tries = found.get("backoffLimit", TRIES)
    if policy == "Always":
        here.refuse("a Job's pod has restartPolicy OnFailure or Never")
    elif policy == "OnFailure":
        place.at("backoffLimit").lose(f"it is tried again without end, not {tries} times")
    elif tries:
        place.at("backoffLimit").lose(f"a failure is final: Kubernetes would try {tries} more pods")
