"""Faults that the spec's own parser finds are told at the place in the document that they came from."""

from __future__ import annotations

from typing import Any

import pytest

from tank.errors import InvalidSpec
from tank.model.parse import parse_documents, parse_pod, read_documents

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n"


def faults(body: str, head: str = HEAD) -> list[str]:
    with pytest.raises(InvalidSpec) as refused:
        read_documents(head + body, "yaml", "f")
    return [str(each) for each in refused.value.problems]


CONTAINER = "  containers:\n  - name: app\n    image: nginx\n"


@pytest.mark.parametrize(
    ("body", "start"),
    [
        (CONTAINER.replace("nginx", "NGINX!"), "f:7:12: spec.containers[0].image: "),
        (CONTAINER.replace("app", "App"), "f:6:11: spec.containers[0].name: 'App' is not a name"),
        (CONTAINER + "    workingDir: below\n",
         "f:8:17: spec.containers[0].workingDir: 'below' must be an absolute path"),
        (CONTAINER + "    command: [a, '']\n    args: [x]\n    securityContext: {capabilities: {add: [FLY]}}\n",
         "f:10:44: spec.containers[0].securityContext.capabilities.add[0]: 'FLY' is not a capability"),
        (CONTAINER + "    env:\n    - {name: 'A=B', value: x}\n", "f:9:14: spec.containers[0].env[0].name: 'A=B'"),
        (CONTAINER + "    volumeMounts:\n    - {name: x, mountPath: /x}\n",
         "f:9:14: spec.containers[0].volumeMounts[0].name: the pod has no volume 'x'"),
        (CONTAINER + "    volumeMounts:\n    - {name: x, mountPath: /proc}\n  volumes: [{name: x}]\n",
         "f:9:28: spec.containers[0].volumeMounts[0].mountPath: a volume cannot be mounted over '/proc'"),
        (CONTAINER + "    readinessProbe: {httpGet: {port: 0}}\n",
         "f:8:38: spec.containers[0].readinessProbe.httpGet.port: must lie between"),
        (CONTAINER + "    livenessProbe: {periodSeconds: 5}\n",
         "f:8:20: spec.containers[0].livenessProbe: it needs one of"),
        (CONTAINER + "    resources: {limits: {memory: 1Ki}}\n",
         "f:8:34: spec.containers[0].resources.limits.memory: must be at least"),
        (CONTAINER + "  - {name: app, image: nginx}\n", "f:8:12: spec.containers[1].name: another container"),
        (CONTAINER + "  volumes:\n  - {name: x, hostPath: {path: up/../down}}\n",
         "f:9:32: spec.volumes[0].hostPath.path: "),
        (CONTAINER + "  volumes:\n  - {name: x, persistentVolumeClaim: {claimName: a.b}}\n",
         "f:9:50: spec.volumes[0].persistentVolumeClaim.claimName: 'a.b' is not a name"),
        (CONTAINER + "  hostname: a_b!\n", "f:8:13: spec.hostname: "),
        (CONTAINER + "  hostAliases: [{ip: nowhere, hostnames: [a]}]\n",
         "f:8:43: spec.hostAliases[0].hostnames[0]: "),
        (CONTAINER + "    ports: [{name: a, containerPort: 1}, {name: a, containerPort: 2}]\n",
         "f:8:49: spec.containers[0].ports[1].name: another port is called 'a' already"),
        ("  restartPolicy: Never\n", "f:5:3: spec.containers: a pod's spec needs this field"),
        ("  containers: []\n", "f:5:15: spec.containers: needs at least 1 item"),
    ],
)  # fmt: skip
def test_a_fault_stands_at_its_place(body: str, start: str) -> None:
    told = faults(body)

    assert (len(told), told[0][: len(start)]) == (1, start), told


def test_one_fault_does_not_cause_another() -> None:
    body = "  containers: [{name: app, volumeMounts: [{name: v, mountPath: /v}]}]\n  volumes: [{name: v, nfs: {}}]\n"

    assert [each.split(": ")[1] for each in faults(body)] == [
        "spec.containers[0].image",
        "spec.volumes[0].nfs",
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("apiVersion: v2\nkind: Pod\n", "f:1:13: apiVersion: a Pod of version v1 is read"),
        (
            "apiVersion: v1\nkind: Pot\n",
            "f:2:7: kind: no kind of document that Tank reads: 'Pot' (did you mean 'Pod'?)",
        ),
        ("apiVersion: v1\nkind: [Pod]\n", "f:2:7: kind: no kind of document"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\nspec: {}", "f:3:12: metadata.generateName: Tank"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {}", "f:3:11: metadata.name: "),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n", "f:1:1: spec: a document needs this field"),
        ("apiVersion: v1\nkind: List\nitems: [{}]\n", "f:3:9: items[0]: an item of a List needs apiVersion and kind"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}\n", "f:3:18: metadata.name: 'A' is not a name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a/b: x}\n", "f:4:7: data: 'a/b' is not a key"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "f:there is no pod in it"),
    ],
)
def test_a_document_of_another_kind(text: str, start: str) -> None:
    assert faults(text, "")[0][: len(start)] == start


def test_two_of_one_name_are_a_fault() -> None:
    one = HEAD + CONTAINER

    assert faults(f"---\n{one}", one) == ["f:11:18: metadata.name: another pod is called 'web' already"]
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    assert faults(f"---\n{config}", config)[0].endswith("another one is called 'config/a' already")


def test_a_mapping_of_python_is_taken_as_well() -> None:
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
    document["spec"] = {"containers": [{"name": "app", "image": "nginx"}]}

    assert parse_pod(document).name == "web"
    with pytest.raises(InvalidSpec, match="exactly one pod"):
        parse_pod({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})


def test_where_only_pods_can_stand_nothing_else_is_taken() -> None:
    with pytest.raises(InvalidSpec, match="only pods can stand here, found config/a"):
        parse_documents("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "yaml")


def test_a_list_of_documents_in_json() -> None:
    text = '[{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": []}}]'

    with pytest.raises(InvalidSpec) as refused:
        read_documents(text, "json")
    assert refused.value.problems[0].path == "[0].spec.containers"


def test_of_very_many_faults_the_first_are_told() -> None:
    unknown = "".join(f"  field{index}: 1\n" for index in range(20_000))

    told = faults(CONTAINER + unknown)
    assert (len(told), told[-1]) == (101, "19900 more faults are not shown")


def test_of_very_many_losses_the_first_are_told() -> None:
    more = "resizePolicy: [1], resources: {requests: {cpu: 1}}"
    requests = "".join(f"  - {{name: c{number}, image: a, {more}}}\n" for number in range(60))
    text = "---\n".join(HEAD.replace("web", f"w{number}") + CONTAINER + requests for number in range(9))

    losses = read_documents(text, "yaml").losses
    assert (len(losses), losses[-1].message) == (1001, "89 more are not shown")
