"""What is refused of a pod, a line each; and the few ways of saying the same that nobody should trip over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tank.errors import InvalidSpec
from tank.model.parse import parse_pod, read_documents
from tank.model.pod import Container, Pod

APP = {"name": "app", "image": "nginx"}


def document(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    whole = {"containers": [{**APP, **(container or {})}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": whole}


def told(container: dict[str, Any], **spec: Any) -> list[str]:
    with pytest.raises(InvalidSpec) as refused:
        parse_pod(document(container, **spec))
    return [f"{each.path}: {each.message}" for each in refused.value.problems]


def variable(source: Any) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": source}]}


HEADERS = [{"name": "X", "value": "1"}, {"name": "X", "value": "2"}]
ITEMS = [{"key": "a", "path": "b"}, {"key": "a", "path": "c"}]
OF_A_CONTAINER: list[tuple[dict[str, Any], str]] = [
    ({"env": [{"value": "x"}]}, "env[0].name: a variable needs this field"),
    (
        {**variable({"resourceFieldRef": {"resource": "requests.cpu"}}), "resources": {"requests": {"cpu": "lots"}}},
        "resources.requests.cpu: expected a quantity",
    ),
    (
        {"livenessProbe": {"grpc": {"port": 1, "mode": "TLS"}}},
        "livenessProbe.grpc.mode: it is asked without encryption",
    ),
    (
        {"livenessProbe": {"httpGet": {"port": 1, "protocol": "HTTP2"}}},
        "livenessProbe.httpGet.protocol: it is asked by",
    ),
    ({"readinessProbe": {"tcpSocket": {}}}, "readinessProbe.tcpSocket.port: a tcp connection needs this field"),
    (
        {"livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [{}]}}},
        "livenessProbe.httpGet.httpHeaders[0].name: a header",
    ),
    (
        {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        "env[0]: a variable has either value or valueFrom",
    ),
    (
        variable({"secretKeyRef": {"name": "a", "key": "b"}, "fieldRef": {"fieldPath": "metadata.name"}}),
        "env[0].valueFrom: valueFrom has one of",
    ),
    (
        variable({"fieldRef": {"fieldPath": "spec.hostname"}}),
        "env[0].valueFrom.fieldRef.fieldPath: no variable can be had",
    ),
    (variable({"fieldRef": {}}), "env[0].valueFrom.fieldRef.fieldPath: a field needs this field"),
    (
        variable({"resourceFieldRef": {"resource": "limits.cpu", "containerName": "b"}}),
        "env[0].valueFrom.resourceFieldRef.containerName: a container can only be told of its own",
    ),
    (
        variable({"resourceFieldRef": {"resource": "limits.ephemeral-storage"}}),
        "env[0].valueFrom.resourceFieldRef.resource: no variable can be had from 'limits.ephemeral-storage'",
    ),
    ({"envFrom": [{"prefix": "A_"}]}, "envFrom[0]: a source of variables needs one of configMapRef, secretRef"),
    ({"resources": {"requests": {"cpu": "lots"}}}, "resources.requests.cpu: expected a quantity"),
    ({"resources": {"requests": {"vendor.com/gpu": 1}}}, 'resources.requests["vendor.com/gpu"]: no machine of Tank'),
    ({"resources": {"limits": {"cpu": "-1"}}}, "resources.limits.cpu: a quantity cannot be negative"),
    ({"resources": {"claims": [{"name": "gpu"}]}}, "resources.claims: devices by claim"),
    (
        {"readinessProbe": {"httpGet": {"port": 1, "httpHeaders": HEADERS}}},
        "readinessProbe.httpGet.httpHeaders[1]: one header",
    ),
    ({"readinessProbe": {"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}}}, "readinessProbe: it has one of"),
    ({"readinessProbe": {"exec": {"command": []}}}, "readinessProbe.exec.command: needs at least 1 item"),
    (
        {"readinessProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 3}},
        "readinessProbe.terminationGrace",
    ),
    ({"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}}, "livenessProbe.successThreshold: must"),
    ({"lifecycle": {"preStop": {}}}, "lifecycle.preStop: it needs one of"),
    ({"lifecycle": {"stopSignal": "SIGNOTHING"}}, "lifecycle.stopSignal: 'SIGNOTHING' is not a signal"),
    ({"securityContext": {"runAsGroup": 5}}, "securityContext.runAsGroup: a group alone cannot be given"),
    (
        {"securityContext": {"runAsUser": 0, "runAsNonRoot": True}},
        "securityContext.runAsNonRoot: runAsUser is 0",
    ),
    (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        "securityContext.allowPrivilegeEscalation: a privileged container can always escalate",
    ),
    ({"securityContext": {"seccompProfile": {}}}, "securityContext.seccompProfile.type: a seccomp profile needs"),
    (
        {"securityContext": {"windowsOptions": {"hostProcess": True}}},
        "securityContext.windowsOptions: Tank runs on Linux",
    ),
    ({"ports": [{"containerPort": 0}]}, "ports[0].containerPort: must lie between 1 and 65535"),
    ({"ports": {}}, "ports: expected a list, found a mapping"),
    ({"imagePullPolicy": "always"}, "imagePullPolicy: must be one of Always, IfNotPresent, Never, found 'always'"),
    ({"tty": "true"}, "tty: expected true or false, found a string"),
    ({"command": "sh -c x"}, "command: expected a list, found a string"),
]


@pytest.mark.parametrize(("container", "fault"), OF_A_CONTAINER)
def test_of_a_container(container: dict[str, Any], fault: str) -> None:
    found = told(container)

    assert (len(found), found[0].startswith(f"spec.containers[0].{fault}")) == (1, True), found


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
OF_A_VOLUME: list[tuple[dict[str, Any], str]] = [
    ({"configMap": {"name": "c", "items": ITEMS}}, ".configMap.items[1]: one key cannot become two files"),
    ({"configMap": {"name": "c", "defaultMode": 0o10000}}, ".configMap.defaultMode: must lie between"),
    ({"configMap": {}}, ".configMap: "),
    ({"configMap": {"name": "c", "items": [{"path": "b"}]}}, ".configMap.items[0].key: an item needs this field"),
    ({"emptyDir": {}, "hostPath": {"path": "/x"}}, ": a volume has one of"),
    (
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "b", "user": 1}]}},
        ".configMap.items[0].user: the files",
    ),
    ({"hostPath": {"path": "/x", "type": "Directry"}}, ".hostPath.type: must be one of"),
    ({"hostPath": {}}, ".hostPath.path: a hostPath needs this field"),
    ({"image": {"pullPolicy": "Always"}}, ".image.reference: an image needs this field"),
    ({"projected": {"sources": []}}, ".projected.sources: several sources in one volume"),
    ({"projected": {"sources": [{}]}}, ".projected.sources[0]: a source needs one of"),
    ({"persistentVolumeClaim": {}}, ".persistentVolumeClaim.claimName: a claim needs this field"),
    ({"wrong": {}}, ".wrong: unknown field of a volume"),
]


@pytest.mark.parametrize(("source", "fault"), OF_A_VOLUME)
def test_of_a_volume(source: dict[str, Any], fault: str) -> None:
    found = told(MOUNT, volumes=[{"name": "v", **source}])

    assert (len(found), found[0].startswith(f"spec.volumes[0]{fault}")) == (1, True), found


@pytest.mark.parametrize(
    ("mount", "fault"),
    [
        ({"subPath": "a", "subPathExpr": "b"}, ": a mount has either subPath or subPathExpr"),
        ({"bindMountOptions": ["noexec", "nodev"]}, ".bindMountOptions: programs in a volume can be run"),
        ({"bindMountOptions": ["exec"]}, ".bindMountOptions[0]: must be one of"),
        ({"recursiveReadOnly": "Enabled"}, ".recursiveReadOnly: mounts below it cannot be made read-only"),
        ({"subPath": "../a"}, ".subPath: "),
        ({"mountPropagation": "Sideways"}, ".mountPropagation: must be one of"),
    ],
)
def test_of_a_mount(mount: dict[str, Any], fault: str) -> None:
    found = told({"volumeMounts": [{"name": "v", "mountPath": "/v", **mount}]}, volumes=[{"name": "v"}])

    assert (len(found), found[0].startswith(f"spec.containers[0].volumeMounts[0]{fault}")) == (1, True), found


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"hostNetwork": True, "dnsConfig": {"searches": ["a"]}}, "spec.dnsConfig: a pod on the host's network"),
        (
            {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}, {"ip": "10.0.0.2", "hostnames": ["a"]}]},
            "spec.hostAliases[1].hostnames[0]: 'a' has one address",
        ),
        ({"hostAliases": [{"hostnames": ["a"]}]}, "spec.hostAliases[0].ip: a host alias needs this field"),
        ({"setHostnameAsFQDN": True}, "spec.setHostnameAsFQDN: there is no cluster's domain"),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds: must lie between"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy: must be one of Always, OnFailure, Never"),
        ({"securityContext": {"runAsUser": "1000"}}, "spec.securityContext.runAsUser: expected a whole number"),
        ({"securityContext": {"sysctls": [{"value": "1"}]}}, "spec.securityContext.sysctls[0].name: a sysctl needs"),
        (
            {"initContainers": [{**APP, "name": "i", "readinessProbe": {"tcpSocket": {"port": 1}}}]},
            "spec.initContainers[0]",
        ),
    ],
)
def test_of_the_pod(spec: dict[str, Any], fault: str) -> None:
    found = told({}, **spec)

    assert (len(found), found[0].startswith(fault)) == (1, True), found


@pytest.mark.parametrize(
    ("kind", "spec", "fault"),
    [
        ("Deployment", {"paused": True}, "spec.paused: a pod that is stated runs"),
        ("Deployment", {"replicas": 0}, "spec.replicas: Tank runs one pod"),
        (
            "StatefulSet",
            {"volumeClaimTemplates": [{"metadata": {}}]},
            "spec.volumeClaimTemplates[0].metadata: a claim needs",
        ),
    ],
)
def test_of_a_workload(kind: str, spec: dict[str, Any], fault: str) -> None:
    template = {"spec": {"containers": [APP]}}
    stated = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {"template": template, **spec},
    }
    with pytest.raises(InvalidSpec) as refused:
        parse_pod(stated)

    assert [str(each).startswith(fault) for each in refused.value.problems] == [True]


def test_the_pods_of_a_deployment_are_always_restarted() -> None:
    template = {"spec": {"containers": [APP], "restartPolicy": "Never"}}
    stated = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": template},
    }

    with pytest.raises(InvalidSpec, match=r"spec\.template\.spec\.restartPolicy: the pods of a Deployment"):
        parse_pod(stated)


def pod(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    return parse_pod(document(container, **spec))


def app(container: dict[str, Any] | None = None, **spec: Any) -> Container:
    return pod(container, **spec).containers[0]


def test_metadata_are_a_mapping() -> None:
    with pytest.raises(InvalidSpec, match="metadata: expected a mapping"):
        parse_pod({**document(), "metadata": [1]})


def test_no_profile_of_apparmor_is_what_there_is() -> None:
    assert pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}) == pod()


def test_a_job_that_is_tried_once_loses_nothing() -> None:
    job = {"template": {"spec": {"containers": [APP], "restartPolicy": "Never"}}, "backoffLimit": 0}
    text = json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": job})

    assert [each.path for each in read_documents(text, "json").losses] == ["spec.template.spec"]


def test_a_request_that_is_not_stated_is_the_limit() -> None:
    source = variable({"resourceFieldRef": {"resource": "requests.cpu"}})

    found = app({**source, "resources": {"limits": {"cpu": 1}}}).env[0].source
    assert found is not None
    assert found.field == "limits.cpu"


def test_one_claim_of_two_volumes_is_one_volume() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "c"}}
    mounts = [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b", "readOnly": False}]

    found = pod({"volumeMounts": mounts}, volumes=[{"name": "a", **claim}, {"name": "b", **claim}])
    assert ([each.name for each in found.volumes], {each.volume for each in found.containers[0].mounts}) == (
        ["c"],
        {"c"},
    )


def test_a_volume_without_a_source_is_an_empty_directory() -> None:
    assert pod(volumes=[{"name": "v"}]).volumes == pod(volumes=[{"name": "v", "emptyDir": {}}]).volumes


def test_memory_has_the_mode_of_a_place_for_everybody() -> None:
    found = pod(volumes=[{"name": "v", "emptyDir": {"medium": "Memory", "mode": 0o700}}])

    assert found.volumes[0].mode is None


def test_only_what_a_cluster_added_is_taken_away() -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounts = [{"name": "own", "mountPath": path}, {"name": "kube-api-access-a", "mountPath": "/x"}]
    added = {"name": "kube-api-access-a", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}

    found = pod({"volumeMounts": mounts}, volumes=[{"name": "own"}, added])
    assert [each.path for each in found.containers[0].mounts] == [path]


def test_files_of_a_group_can_be_read_by_it() -> None:
    context = {"fsGroup": 5}
    projected = {"projected": {"defaultMode": 0o400, "sources": [{"configMap": {"name": "c"}}]}}

    found = pod(securityContext=context, volumes=[{"name": "v", **projected}]).volumes[0].source
    assert (getattr(found, "mode", ""), getattr(found, "group", 0)) == ("0440", 5)


def test_the_containers_words_win_over_the_pods() -> None:
    context = {"runAsUser": 1, "runAsGroup": 2, "runAsNonRoot": True}

    found = app({"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}, securityContext=context)
    assert found.user == "0:2"


def test_servers_beside_those_of_the_host_replace_them() -> None:
    network = pod(dnsConfig={"nameservers": ["10.0.0.1"]}).network

    assert not isinstance(network, str)
    assert (network.dns, network.search) == (("10.0.0.1",), None)


def test_what_is_null_is_not_there() -> None:
    assert pod({"command": None, "env": None}, volumes=None, hostPID=None) == pod()
