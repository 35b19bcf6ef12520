"""A container of Tank's as one of Kubernetes'. What it cannot say is left out, or near; the patch says it."""

from __future__ import annotations

import math
import re
from typing import Any

from tank.model.health import Hook, HttpAction, Probe
from tank.model.inputs import EnvFrom, EnvSource, KeyOf
from tank.model.kube.security import SECCOMP_DIR
from tank.model.pod import Container, Cpu, EnvVar, Mount, Security

NO_IMAGE = "rootfs.invalid/none"  # where the root is a directory: the patch says which
_PULL = {"always": "Always", "if_missing": "IfNotPresent", "never": "Never", "prefer_fresh": "Always"}
_RESTART = {"always": "Always", "on_failure": "OnFailure", "never": "Never", None: None}
_PROPAGATION = {"private": None, "slave": "HostToContainer", "shared": "Bidirectional"}
_FACTS = {
    "name": "metadata.name",
    "uid": "metadata.uid",
    "node": "spec.nodeName",
    "ip": "status.podIP",
    "ips": "status.podIPs",
    "host_ip": "status.hostIP",
}
_MESSAGE = "/dev/termination-log"


def container(value: Container) -> dict[str, Any]:
    """The fields of one container, those that say nothing as None or empty."""
    image = value.image if isinstance(value.image, str) else NO_IMAGE
    probes, hooks = value.probes, value.hooks
    start, stop = _hook(hooks.post_start), _hook(hooks.pre_stop)
    return {
        "name": value.name,
        "image": image,
        "imagePullPolicy": _PULL[value.pull],
        "command": list(value.command),
        "args": list(value.args),
        "workingDir": value.working_dir,
        "restartPolicy": _RESTART[value.restart],
        "env": [_variable(each) for each in value.env],
        "envFrom": [_whole(each) for each in value.env_from],
        "resources": _resources(value),
        "volumeMounts": [_mount(each) for each in value.mounts],
        "startupProbe": _probe(probes.startup),
        "livenessProbe": _probe(probes.live),
        "readinessProbe": _probe(probes.ready),
        "lifecycle": _some({"postStart": start, "preStop": stop, "stopSignal": value.stop_signal}),
        "terminationMessagePath": None if value.termination_message == _MESSAGE else value.termination_message,
        "securityContext": _security(value.security, value.user),
        "stdin": value.stdin or None,
        "tty": value.tty or None,
    }


def _some(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in fields.items() if each is not None}


def _variable(variable: EnvVar) -> dict[str, Any]:
    source = _source(variable.source) if variable.source else None
    if source is None:
        return {"name": variable.name, "value": variable.value or ""}
    return {"name": variable.name, "valueFrom": source}


def _source(source: EnvSource) -> dict[str, Any] | None:
    """None for a fact that Kubernetes does not know."""
    if source.secret:
        return {"secretKeyRef": _key(source.secret)}
    if source.config:
        return {"configMapKeyRef": _key(source.config)}
    fact = source.field or ""
    if fact in ("limits.memory", "limits.cpu"):
        return {"resourceFieldRef": _some({"resource": fact, "divisor": _divisor(source.divisor)})}
    path = f"metadata.{fact}" if re.match(r"(labels|annotations)\[", fact) else _FACTS.get(fact)
    return {"fieldRef": {"fieldPath": path}} if path else None


def _key(key: KeyOf) -> dict[str, Any]:
    return _some({"name": key.name, "key": key.key, "optional": key.optional or None})


def _divisor(divisor: float | None) -> str | None:
    if divisor is None:
        return None
    return str(int(divisor)) if divisor.is_integer() else f"{math.ceil(divisor * 1000)}m"


def _whole(source: EnvFrom) -> dict[str, Any]:
    kind, name = ("secretRef", source.secret) if source.secret else ("configMapRef", source.config)
    return _some({"prefix": source.prefix or None, kind: _some({"name": name, "optional": source.optional or None})})


def _resources(value: Container) -> dict[str, Any] | None:
    memory, cpu = value.limits.memory, value.limits.cpu
    limits = _some({"cpu": None if cpu is None else _cores(cpu), "memory": None if memory is None else str(memory)})
    return {"limits": limits} if limits else None


def _cores(cpu: Cpu) -> str:
    return f"{math.ceil(cpu.quota * 1000 / cpu.period)}m"


def _mount(mount: Mount) -> dict[str, Any]:
    return _some(
        {
            "name": mount.volume,
            "mountPath": mount.path,
            "readOnly": mount.read_only or None,
            "subPath": mount.sub_path,
            "mountPropagation": _PROPAGATION[mount.propagation],
        }
    )


def _probe(probe: Probe | None) -> dict[str, Any] | None:
    if probe is None:
        return None
    grpc = probe.grpc and _some({"port": probe.grpc.port, "service": probe.grpc.service or None})
    return _some(
        {
            "exec": {"command": list(probe.exec)} if probe.exec else None,
            "httpGet": _http(probe.http),
            "tcpSocket": None if probe.tcp is None else {"port": probe.tcp},
            "grpc": grpc,
            "initialDelaySeconds": math.ceil(probe.delay) or None,
            "periodSeconds": max(1, round(probe.period)),
            "timeoutSeconds": max(1, round(probe.timeout)),
            "successThreshold": probe.successes,
            "failureThreshold": probe.failures,
            "terminationGracePeriodSeconds": None if probe.grace is None else math.ceil(probe.grace),
        }
    )


def _http(action: HttpAction | None) -> dict[str, Any] | None:
    if action is None:
        return None
    headers = [{"name": name, "value": value} for name, value in action.headers.items()]
    return _some(
        {
            "path": action.path,
            "port": action.port,
            "host": action.host,
            "scheme": action.scheme.upper(),
            "httpHeaders": headers or None,
        }
    )


def _hook(hook: Hook | None) -> dict[str, Any] | None:
    if hook is None:
        return None
    if hook.sleep is not None:
        return {"sleep": {"seconds": math.ceil(hook.sleep)}}
    return {"exec": {"command": list(hook.exec)}} if hook.exec else {"httpGet": _http(hook.http)}


def _security(security: Security, user: str | None) -> dict[str, Any]:
    numbers = re.fullmatch(r"([0-9]+)(?::([0-9]+))?", user or "")
    capabilities = {"add": _capabilities(security.cap_add), "drop": _capabilities(security.cap_drop)}
    kinds = {"default": "RuntimeDefault", "unconfined": "Unconfined"}
    profile = {"type": kinds.get(security.seccomp, "RuntimeDefault")}
    if security.seccomp.startswith(SECCOMP_DIR):
        profile = {"type": "Localhost", "localhostProfile": security.seccomp.removeprefix(SECCOMP_DIR)}
    return _some(
        {
            "runAsUser": int(numbers[1]) if numbers else None,
            "runAsGroup": int(numbers[2]) if numbers and numbers[2] else None,
            "privileged": security.privileged or None,
            "allowPrivilegeEscalation": None if security.privileged else not security.no_new_privileges,
            "readOnlyRootFilesystem": security.read_only_root or None,
            "capabilities": {name: each for name, each in capabilities.items() if each} or None,
            "procMount": "Unmasked" if security.unmask == ("ALL",) else None,
            "seccompProfile": profile,
        }
    )


def _capabilities(names: tuple[str, ...]) -> list[str]:
    return [each.removeprefix("CAP_") for each in names]
