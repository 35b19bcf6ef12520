"""A pod of Tank's as a Kubernetes Pod. What Kubernetes has no words for goes to the annotation of `patch`.

The document alone is read again here, and what differs is the patch: so the way there and back ends where it began,
whatever is exported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tank.errors import Problem
from tank.model.dump import dump_pod
from tank.model.faults import path_text
from tank.model.kube.export_container import container
from tank.model.kube.export_storage import volume
from tank.model.kube.patch import ANNOTATION, difference
from tank.model.parse import parse_pod
from tank.model.pod import Network, Pod

RESTART = {"always": "Always", "on_failure": "OnFailure", "never": "Never"}


def export(pod: Pod) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The document, and what stands only in its annotation, which Kubernetes does not read."""
    document = _document(pod)
    patch = difference(dump_pod(parse_pod(document)), dump_pod(pod))
    if patch:
        annotations = document["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = json.dumps(patch, separators=(",", ":"), ensure_ascii=False)
    return document, tuple(_losses(patch))


def _losses(patch: Mapping[str, Any]) -> Iterator[Problem]:
    for path in _ends(patch):
        yield Problem(path_text(path), f"stands only in the annotation {ANNOTATION}, which Kubernetes does not read")


def _ends(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """What a patch states, each by its path; what only takes away something stands for a default of ours."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _ends(each, (*path, name))
    elif value is not None:
        yield path


def _document(pod: Pod) -> dict[str, Any]:
    metadata = {"name": pod.name, "labels": pod.labels, "annotations": without(pod.annotations)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": given(metadata), "spec": given(_spec(pod))}


def without(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations, but for one that has our own name: that is in the patch."""
    return {name: each for name, each in annotations.items() if name != ANNOTATION}


def _spec(pod: Pod) -> dict[str, Any]:
    signals = any(each.stop_signal for each in pod.everyone)
    return {
        **_network(pod),
        "hostname": pod.hostname,
        "hostAliases": _aliases(pod.hosts),
        "hostUsers": False if pod.users == "auto" else None,
        "os": {"name": "linux"} if signals else None,  # Kubernetes takes no stop signal without it
        "shareProcessNamespace": pod.share_pid or None,
        "restartPolicy": RESTART[pod.restart],
        "terminationGracePeriodSeconds": math.ceil(pod.grace),
        "activeDeadlineSeconds": None if pod.deadline is None else math.ceil(pod.deadline),
        "securityContext": given(_security(pod)),
        "initContainers": [given(container(each)) for each in pod.init],
        "containers": [given(container(each)) for each in pod.containers],
        "volumes": [volume(each) for each in pod.volumes],
    }


def _network(pod: Pod) -> dict[str, Any]:
    if pod.network == "host":
        return {"hostNetwork": True, "dnsPolicy": "Default"}
    if not isinstance(pod.network, Network):
        return {}
    dns, search = pod.network.dns, pod.network.search
    config = given({"nameservers": list(dns or ()), "searches": list(search or ())})
    return {"dnsPolicy": "Default" if dns is None else "None", "dnsConfig": config}


def _aliases(hosts: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry for each address, with all its names."""
    by_address: dict[str, list[str]] = {}
    for name, address in hosts.items():
        by_address.setdefault(address, []).append(name)
    return [{"ip": address, "hostnames": names} for address, names in by_address.items()]


def _security(pod: Pod) -> dict[str, Any]:
    groups = {each.groups for each in pod.everyone}
    sysctls = [{"name": name, "value": value} for name, value in pod.sysctls.items()]
    return {"supplementalGroups": list(groups.pop()) if len(groups) == 1 else None, "sysctls": sysctls}


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: each for name, each in fields.items() if each not in (None, {}, [], ())}
