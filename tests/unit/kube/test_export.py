"""A pod as a Kubernetes Pod: in Kubernetes' own words as far as they go, the rest in the annotation."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.kube.export import export
from tank.model.parse import parse_pod

APP = {"name": "app", "image": "nginx:1.27"}


def exported(container: dict[str, Any] | None = None, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The document's spec, and the paths of what stands in the annotation alone."""
    app = {**APP, "security": {"no_new_privileges": True}, **(container or {})}
    document, losses = export(parse_pod({"name": "web", "containers": [app], **fields}))
    return document["spec"], [each.path for each in losses]


PROBE = {"period": 5, "timeout": 2, "successes": 1, "failures": 4}
IN_WORDS: list[tuple[str, Any, Any]] = [  # a field of the container, its value, and what stands in the document
    ("command", ["sh", "-c", "$(A)"], {"command": ["sh", "-c", "$(A)"]}),
    ("pull", "never", {"imagePullPolicy": "Never"}),
    ("user", "1000:3000", {"securityContext": {"runAsUser": 1000, "runAsGroup": 3000}}),
    ("restart", "on_failure", {"restartPolicy": "OnFailure"}),
    ("limits", {"memory": "64MiB", "cpu": 0.25}, {"resources": {"limits": {"cpu": "250m", "memory": "67108864"}}}),
    (
        "security",
        {"cap_drop": ["ALL"], "cap_add": ["CHOWN"]},
        {"securityContext": {"capabilities": {"add": ["CHOWN"]}}},
    ),
    ("security", {"privileged": True, "no_new_privileges": False}, {"securityContext": {"privileged": True}}),
    ("security", {"seccomp": "unconfined"}, {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
    (
        "security",
        {"seccomp": "/var/lib/kubelet/seccomp/a/b.json"},
        {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}},
    ),
    ("security", {"unmask": ["ALL"]}, {"securityContext": {"procMount": "Unmasked"}}),
    ("security", {"non_root": True}, {"securityContext": {"runAsNonRoot": True}}),
    ("stop_signal", "INT", {"lifecycle": {"stopSignal": "SIGINT"}}),
    ("hooks", {"pre_stop": {"sleep": "5s"}}, {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),
    ("hooks", {"post_start": {"exec": ["x"]}}, {"lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}),
    ("hooks", {"pre_stop": {"http": {"port": 8}}}, {"lifecycle": {"preStop": {"httpGet": {"port": 8}}}}),
    ("probes", {"live": {"tcp": 80, **PROBE}}, {"livenessProbe": {"tcpSocket": {"port": 80}, "failureThreshold": 4}}),
    ("probes", {"startup": {"exec": ["x"], "grace": 9}}, {"startupProbe": {"terminationGracePeriodSeconds": 9}}),
    (
        "probes",
        {"ready": {"grpc": {"port": 5, "service": "s"}}},
        {"readinessProbe": {"grpc": {"port": 5, "service": "s"}}},
    ),
    (
        "probes",
        {"ready": {"http": {"port": 80, "host": "a", "scheme": "https", "headers": {"X": "1"}}}},
        {"readinessProbe": {"httpGet": {"scheme": "HTTPS", "host": "a", "httpHeaders": [{"name": "X", "value": "1"}]}}},
    ),
    ("env", {"A": "1"}, {"env": [{"name": "A", "value": "1"}]}),
    (
        "env",
        {"A": {"from": {"field": "ip"}}},
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
    ),
    (
        "env",
        {"A": {"from": {"field": "labels['a']"}}},
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}}]},
    ),
    (
        "env",
        {"A": {"from": {"secret": "s/k"}}},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
    ),
    (
        "env",
        {"A": {"from": {"config": {"name": "c", "key": "k", "optional": True}}}},
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}}]},
    ),
    (
        "env",
        {"A": {"from": {"field": "limits.cpu", "divisor": 0.001}}},
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}]},
    ),
    (
        "env_from",
        [{"config": "c", "prefix": "P_"}, {"secret": "s", "optional": True}],
        {"envFrom": [{"prefix": "P_", "configMapRef": {"name": "c"}}, {"secretRef": {"name": "s", "optional": True}}]},
    ),
    ("termination_message", "/tmp/why", {"terminationMessagePath": "/tmp/why"}),
    ("tty", True, {"tty": True}),
]


def holds(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(holds(found.get(key), each) for key, each in wanted.items())
    return bool(found == wanted)


@pytest.mark.parametrize(("field", "value", "wanted"), IN_WORDS)
def test_a_field_of_a_container_in_words_of_kubernetes(field: str, value: Any, wanted: Any) -> None:
    spec, lost = exported({field: value})

    assert lost == []
    assert holds(spec["containers"][0], wanted), spec["containers"][0]


OF_THE_POD: list[tuple[str, Any, Any]] = [
    ("network", "host", {"hostNetwork": True}),
    (
        "network",
        {"dns": ["10.0.0.1"], "search": ["lan"]},
        {"dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["lan"]}},
    ),
    ("hosts", {"a": "10.0.0.1", "b": "10.0.0.1"}, {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b"]}]}),
    ("users", "auto", {"hostUsers": False}),
    ("share_pid", True, {"shareProcessNamespace": True}),
    ("restart", "never", {"restartPolicy": "Never"}),
    ("grace", "5s", {"terminationGracePeriodSeconds": 5}),
    ("deadline", "1h", {"activeDeadlineSeconds": 3600}),
    ("hostname", "other", {"hostname": "other"}),
    ("sysctls", {"kernel.shmmax": "1"}, {"securityContext": {"sysctls": [{"name": "kernel.shmmax", "value": "1"}]}}),
    ("init", [{**APP, "name": "i", "restart": "always"}], {"restartPolicy": "Always"}),
    ("volumes", [{"name": "v"}], {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}]}),
    (
        "volumes",
        [{"name": "v", "source": {"empty": {}}, "mode": "0777"}],
        {"volumes": [{"name": "v", "emptyDir": {}}]},
    ),
    (
        "volumes",
        [{"name": "v", "source": {"tmpfs": {"size": "1MiB"}}}],
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1048576"}}]},
    ),
    (
        "volumes",
        [{"name": "v", "source": {"host": "/srv", "kind": "directory"}}],
        {"volumes": [{"name": "v", "hostPath": {"path": "/srv", "type": "Directory"}}]},
    ),
    (
        "volumes",
        [{"name": "v", "source": {"image": "a/b:1", "pull": "never"}}],
        {"volumes": [{"name": "v", "image": {"reference": "a/b:1", "pullPolicy": "Never"}}]},
    ),
    (
        "volumes",
        [{"name": "v", "source": {"secret": "s", "keys": {"a": "b"}, "mode": "0400", "optional": True}}],
        {
            "volumes": [
                {
                    "name": "v",
                    "secret": {
                        "secretName": "s",
                        "defaultMode": 0o400,
                        "items": [{"key": "a", "path": "b"}],
                        "optional": True,
                    },
                }
            ]
        },
    ),
    (
        "volumes",
        [{"name": "v", "source": {"config": "c"}}],
        {"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 0o644}}]},
    ),
]


@pytest.mark.parametrize(("field", "value", "wanted"), OF_THE_POD)
def test_a_field_of_the_pod_in_words_of_kubernetes(field: str, value: Any, wanted: Any) -> None:
    spec, lost = exported(**{field: value})

    assert (lost, holds(spec, wanted)) == ([], True), spec


@pytest.mark.parametrize(
    ("container", "fields", "lost"),
    [
        ({"limits": {"pids": 5}}, {}, ["containers.app.limits.pids"]),
        ({"image": {"rootfs": "/srv/root"}}, {}, ["containers.app.image.rootfs"]),
        ({"user": "www-data"}, {}, ["containers.app.user"]),
        ({"pull": "prefer_fresh"}, {}, ["containers.app.pull"]),
        ({"env": {"A": {"from": {"field": "limits.pids"}}}}, {}, ["containers.app.env"]),
        ({"security": {"seccomp": "/etc/own.json"}}, {}, ["containers.app.security.seccomp"]),
        ({"security": {"unmask": ["/proc/kcore"]}}, {}, ["containers.app.security.unmask"]),
        ({}, {"grace": "1500ms"}, ["grace"]),
        ({}, {"network": {"nics": [{"name": "eth0", "ip": "10.0.0.5/24"}]}}, ["network.nics"]),
        (
            {},
            {"volumes": [{"name": "v", "source": {"managed": {"shared": True}}}]},
            ["volumes.v.source.managed.shared"],
        ),
        ({}, {"annotations": {"tank/spec": "{}"}}, ["annotations.tank/spec"]),
    ],
)
def test_what_has_no_words_stands_in_the_annotation(
    container: dict[str, Any], fields: dict[str, Any], lost: list[str]
) -> None:
    spec, found = exported(container, **fields)

    assert [each.replace('["', ".").replace('"]', "") for each in found] == lost
    assert "image" in spec["containers"][0]


def test_a_pod_that_needs_no_annotation_has_none() -> None:
    document, _ = export(parse_pod({"name": "web", "labels": {"a": "b"}, "containers": [APP]}))

    assert document["metadata"] == {"name": "web", "labels": {"a": "b"}}
