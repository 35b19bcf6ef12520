"""The page about Kubernetes documents tells the fate of every field, in the words of the tables themselves."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from tank.model.kube import (
    container,
    documents,
    env,
    files,
    objects,
    pod,
    probes,
    resources,
    security,
    volumes,
    workloads,
)
from tank.model.kube.nouns import Fate, Kept, Lost, Never, Noun, Passed

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "kubernetes.md"
TABLES: dict[str, Noun] = {
    "metadata": pod.METADATA,
    "spec of a pod": pod.SPEC,
    "securityContext of a pod": security.POD_SECURITY,
    "dnsConfig": pod.DNS,
    "containers, initContainers": container.CONTAINER,
    "ports": container.CONTAINER_PORT,
    "resources": resources.RESOURCES,
    "limits": resources.LIMITS,
    "env[].valueFrom": env.VALUE_FROM,
    "envFrom": env.ENV_FROM,
    "securityContext of a container": security.CONTAINER_SECURITY,
    "probes": probes.PROBE,
    "lifecycle": probes.LIFECYCLE,
    "a hook": probes.HOOK,
    "httpGet": probes.HTTP_GET,
    "volumes": volumes.VOLUME,
    "emptyDir": volumes.EMPTY,
    "hostPath": volumes.HOST,
    "persistentVolumeClaim": volumes.CLAIM,
    "configMap": files.CONFIG,
    "secret": files.SECRET,
    "projected": files.PROJECTED,
    "projected sources": files.PROJECTION,
    "volumeMounts": volumes.MOUNT,
    **{f"spec of a {kind}": noun for kind, noun in workloads.SPECS.items()},
    "ConfigMap": objects.CONFIG_MAP,
    "Secret": objects.SECRET,
}


def fate(value: Fate) -> str:
    """What becomes of a field, for people."""
    match value:
        case Kept(to=to, doc=doc):
            return doc or f"`{to}`"
        case Lost(why=why):
            return f"lost: {why}" if why else "lost"
        case Never(why=why, suggestion=hint):
            return f"**refused**: {why}" + (f" ({hint})" if hint else "")
        case Passed():
            return "passed over"
        case _:
            return value.doc


def table(noun: Noun) -> str:
    """The table of a noun; neighbours with one fate share a row."""
    rows = [(name, fate(each)) for name, each in noun.fields.items()]
    lines = [
        f"| {', '.join(f'`{name}`' for name, _ in group)} | {what} |"
        for what, group in groupby(rows, key=lambda row: row[1])
    ]
    return "\n".join(["| field | becomes |", "| --- | --- |", *lines])


@pytest.mark.parametrize("heading", TABLES)
def test_every_field_is_on_the_page(heading: str) -> None:
    assert f"### {heading}\n\n{table(TABLES[heading])}\n" in PAGE.read_text()


@pytest.mark.parametrize("kind", [*documents.VERSIONS, *documents.LOST, *documents.REFUSED])
def test_every_kind_is_on_the_page(kind: str) -> None:
    assert f"`{kind}`" in PAGE.read_text()


def test_every_field_has_a_fate_in_words() -> None:
    assert [(at, name) for at, noun in TABLES.items() for name, each in noun.fields.items() if not fate(each)] == []
