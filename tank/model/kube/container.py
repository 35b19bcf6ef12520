"""One container, of the pod or of its init list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tank.model.grammar import whole
from tank.model.kube import env, probes
from tank.model.kube.nouns import (
    FLAG,
    MAPPING,
    MAPPINGS,
    TEXT,
    TEXTS,
    Kept,
    Lost,
    Never,
    Noun,
    Used,
    items,
    one_of,
)
from tank.model.kube.places import Draft, Place
from tank.model.kube.resources import resources
from tank.model.kube.security import PodSecurity, container_security
from tank.model.kube.volumes import PULL, Storage, mounts
from tank.model.pools import DEFAULT

RESTART = one_of({"Always": "always", "OnFailure": "on_failure", "Never": "never"})
_DEVICES = "a block device is no volume"
CONTAINER = Noun(
    "a container",
    {
        "name": Used(TEXT, "`name`", required=True),
        "image": Used(TEXT, "`image`", required=True),
        "imagePullPolicy": Kept("pull", PULL, "`pull`"),
        "command": Kept("command", TEXTS, "`command`"),
        "args": Kept("args", TEXTS, "`args`"),
        "workingDir": Kept("working_dir", TEXT, "`working_dir`"),
        "ports": Used(MAPPINGS, "their names, for probes; `hostPort` is published"),
        "env": Used(MAPPINGS, "`env`"),
        "envFrom": Used(MAPPINGS, "`env_from`"),
        "resources": Used(MAPPING, "`limits`"),
        "resizePolicy": Lost("limits change on a running container, always"),
        "restartPolicy": Kept("restart", RESTART, "`restart`; a sidecar in `init`"),
        "restartPolicyRules": Never("restarts by exit code are not supported"),
        "volumeMounts": Used(MAPPINGS, "`mounts`"),
        "volumeDevices": Never(_DEVICES, suggestion="see devices in the spec's reference"),
        "startupProbe": Used(MAPPING, "`probes.startup`"),
        "livenessProbe": Used(MAPPING, "`probes.live`"),
        "readinessProbe": Used(MAPPING, "`probes.ready`"),
        "lifecycle": Used(MAPPING, "`hooks`, `stop_signal`"),
        "terminationMessagePath": Kept("termination_message", TEXT, "`termination_message`"),
        "terminationMessagePolicy": Lost("the end of the log is not taken for a message", unless=("File",)),
        "securityContext": Used(MAPPING, "`user`, `security`"),
        "stdin": Kept("stdin", FLAG, "`stdin`"),
        "stdinOnce": Lost("standard input stays open", FLAG, unless=(False,)),
        "tty": Kept("tty", FLAG, "`tty`"),
    },
)
_PROTOCOL = one_of({"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"})
NUMBER = whole(1, 65_535)
CONTAINER_PORT = Noun(
    "a port",
    {
        "name": Used(TEXT, "for probes"),
        "containerPort": Used(NUMBER, "says nothing, but for a `hostPort`", required=True),
        "protocol": Used(_PROTOCOL, "of a `hostPort`"),
        "hostPort": Used(whole(0, 65_535), "`network.ports`; the pod gets an interface of the pool `default`"),
        "hostIP": Used(TEXT, "`network.ports`: `host_ip`"),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a container has of its pod."""

    namespace: str
    account: str
    host_network: bool
    pod: Draft
    security: PodSecurity
    storage: Storage


def container(value: Any, place: Place, draft: Draft, around: Around) -> None:
    """Write one container."""
    found = CONTAINER.read(value, place, draft)
    for name in ("name", "image"):
        if name in found:
            draft.put(name, found[name], place.at(name))
    requests, limits = resources(found.get("resources", {}), place.at("resources"), draft)
    owner = env.Owner(
        name=found.get("name", ""),
        namespace=around.namespace,
        account=around.account,
        requests=requests,
        limits=limits,
    )
    env.variables(found.get("env"), place.at("env"), draft, owner)
    env.whole_sources(found.get("envFrom"), place.at("envFrom"), draft)
    context = found.get("securityContext", {})
    privileged = context.get("privileged") is True
    mounts(found.get("volumeMounts"), place.at("volumeMounts"), draft, around.storage, privileged=privileged)
    container_security(context, place.at("securityContext"), draft, around.security)
    _health(found, place, draft, _ports(found.get("ports"), place.at("ports"), around))


def _health(found: Mapping[str, Any], place: Place, draft: Draft, ports: probes.Ports) -> None:
    for name, ours in probes.PROBES.items():
        if name in found:
            here = place.at(name)
            probes.probe(found[name], here, draft.below("probes", place).below(ours, here), ports)
    if "lifecycle" in found:
        probes.lifecycle(found["lifecycle"], place.at("lifecycle"), draft, ports)


def _ports(value: Any, place: Place, around: Around) -> dict[str, int]:
    """The named ones. On the host's network a hostPort is the containerPort, and says nothing more."""
    named: dict[str, int] = {}
    for each, here in items(value, place):
        found = CONTAINER_PORT.read(each, here)
        name, number = found.get("name"), found.get("containerPort", 0)
        if name in named:
            here.at("name").spot.fault(f"another port is called '{name}' already")
        elif name:
            named[name] = number
        published = found.get("hostPort") or 0
        if published and not around.host_network:
            _publish(found, here, around.pod)
        elif published not in (0, number):
            here.at("hostPort").refuse("on the host's network it is the containerPort")
    return named


def _publish(found: Mapping[str, Any], place: Place, pod: Draft) -> None:
    """A port of the host leads to the pod by an interface of the pool that always exists."""
    network = pod.below("network", place)
    if "nics" not in network.fields:
        nic = network.append("nics", place)
        nic.put("name", "eth0", place)
        nic.put("ip", {"pool": DEFAULT}, place)
    port = network.append("ports", place)
    for name, ours in (
        ("hostPort", "host"),
        ("containerPort", "container"),
        ("protocol", "protocol"),
        ("hostIP", "host_ip"),
    ):
        if found.get(name):
            port.put(ours, found[name], place.at(name))
