"""There and back: whatever pod is exported as a Kubernetes document is read again as the same pod."""

from __future__ import annotations

from hypothesis import given

from tank.cli.yamltext import yaml
from tank.model.kube.export import export
from tank.model.parse import parse_documents, parse_pod
from tank.model.pod import Pod
from tests.property.strategies import pods


@given(pods())
def test_an_exported_pod_is_read_again_as_the_same_pod(pod: Pod) -> None:
    document, _ = export(pod)

    assert parse_pod(document) == pod


@given(pods())
def test_its_text_means_the_same_by_kubernetes_rules(pod: Pod) -> None:
    text = yaml(export(pod)[0])

    assert parse_documents(text, "yaml") == (pod,)
