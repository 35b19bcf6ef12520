"""Probes (C2) and lifecycle hooks (C3), and the names of ports that they may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tank.model.kube.nouns import (
    COUNT,
    MAPPING,
    MAPPINGS,
    PORT,
    TEXT,
    TEXTS,
    Kept,
    Never,
    Noun,
    Used,
    chosen,
    items,
    seconds,
)
from tank.model.kube.nouns import one_of as words
from tank.model.kube.places import Draft, Place

Ports = Mapping[str, int]  # the container's, by name
SCHEME = words({"HTTP": "http", "HTTPS": "https"})
_TCP_HOST = "a connection to another host says nothing about this container"

HTTP_GET = Noun(
    "an http request",
    {
        "port": Used(PORT, "`http.port`, a name as its number", required=True),
        "path": Used(TEXT, "`http.path`"),
        "host": Kept("host", doc="`http.host`"),
        "scheme": Kept("scheme", SCHEME, "`http.scheme`"),
        "httpHeaders": Used(MAPPINGS, "`http.headers`"),
    },
)
HEADER = Noun("a header", {"name": Used(TEXT, "its name", required=True), "value": Used(TEXT, "its value")})
EXEC = Noun("a command", {"command": Kept("exec", TEXTS, "`exec`")})
TCP = Noun("a tcp connection", {"port": Used(PORT, "`tcp`", required=True), "host": Never(_TCP_HOST, unless=("",))})
GRPC = Noun(
    "a grpc request",
    {"port": Used(PORT, "`grpc.port`", required=True), "service": Kept("service", doc="`grpc.service`")},
)
SLEEP = Noun("a pause", {"seconds": Kept("sleep", seconds(), "`sleep`")})

PROBE = Noun(
    "a probe",
    {
        "exec": Used(MAPPING, "`exec`"),
        "httpGet": Used(MAPPING, "`http`"),
        "tcpSocket": Used(MAPPING, "`tcp`"),
        "grpc": Used(MAPPING, "`grpc`"),
        "initialDelaySeconds": Kept("delay", seconds(), "`delay`"),
        "periodSeconds": Used(COUNT, "`period`"),
        "timeoutSeconds": Used(COUNT, "`timeout`"),
        "successThreshold": Used(COUNT, "`successes`"),
        "failureThreshold": Used(COUNT, "`failures`"),
        "terminationGracePeriodSeconds": Kept("grace", seconds(), "`grace`"),
    },
)
_TIMES = {
    "periodSeconds": "period",
    "timeoutSeconds": "timeout",
    "successThreshold": "successes",
    "failureThreshold": "failures",
}
HOOK = Noun(
    "a hook",
    {
        "exec": Used(MAPPING, "`exec`"),
        "httpGet": Used(MAPPING, "`http`"),
        "sleep": Used(MAPPING, "`sleep`"),
        "tcpSocket": Never("Kubernetes runs no such hook either", unless=()),
    },
)
LIFECYCLE = Noun(
    "the lifecycle",
    {
        "postStart": Used(MAPPING, "`hooks.post_start`"),
        "preStop": Used(MAPPING, "`hooks.pre_stop`"),
        "stopSignal": Used(TEXT, "`stop_signal`"),
    },
)
PROBES = {"startupProbe": "startup", "livenessProbe": "live", "readinessProbe": "ready"}
HOOKS = {"postStart": "post_start", "preStop": "pre_stop"}


def probe(value: Any, place: Place, draft: Draft, ports: Ports) -> None:
    """One probe. A number of 0 where Kubernetes has another default is as good as none."""
    found = PROBE.read(value, place, draft)
    for name, ours in _TIMES.items():
        if found.get(name):
            times = float(found[name]) if name.endswith("Seconds") else found[name]
            draft.put(ours, times, place.at(name))
    _action(found, ("exec", "httpGet", "tcpSocket", "grpc"), place, draft, ports)


def lifecycle(value: Any, place: Place, draft: Draft, ports: Ports) -> None:
    """The hooks and the stop signal of the container that `draft` is."""
    found = LIFECYCLE.read(value, place)
    for name, ours in HOOKS.items():
        if name in found:
            here, hook = place.at(name), draft.below("hooks", place).below(ours, place.at(name))
            read = HOOK.read(found[name], here, hook)
            _action(read, ("exec", "httpGet", "sleep", "tcpSocket"), here, hook, ports)
    if "stopSignal" in found:
        draft.put("stop_signal", found["stopSignal"], place.at("stopSignal"))


def _action(found: Mapping[str, Any], names: tuple[str, ...], place: Place, draft: Draft, ports: Ports) -> None:
    name = chosen(found, names, place, "it")
    if name is None:
        return
    value, here = found[name], place.at(name)
    match name:
        case "exec":
            EXEC.read(value, here, draft)
            draft.fields.setdefault("exec", [])
        case "sleep":
            SLEEP.read(value, here, draft)
        case "httpGet":
            _http(value, here, draft.below("http", here), ports)
        case "grpc":
            grpc = draft.below("grpc", here)
            _port(GRPC.read(value, here, grpc), here, grpc, "port", ports)
        case "tcpSocket":
            _port(TCP.read(value, here), here, draft, "tcp", ports)


def _http(value: Any, place: Place, draft: Draft, ports: Ports) -> None:
    found = HTTP_GET.read(value, place, draft)
    _port(found, place, draft, "port", ports)
    if path := found.get("path"):  # it may lack its first slash there
        draft.put("path", path if path.startswith("/") else f"/{path}", place.at("path"))
    for each, here in items(found.get("httpHeaders"), place.at("httpHeaders")):
        header, headers = HEADER.read(each, here), draft.below("headers", place.at("httpHeaders"))
        name = header.get("name", "")
        if name in headers.fields:
            here.refuse("one header cannot be sent twice")
        elif name:
            headers.put(name, header.get("value", ""), here)


def _port(found: Mapping[str, Any], place: Place, draft: Draft, name: str, ports: Ports) -> None:
    port = found.get("port")
    if isinstance(port, str):
        known = ports.get(port, int(port) if port.isascii() and port.isdigit() else None)
        if known is None:
            place.at("port").refuse(f"the container has no port called '{port}'")
            return
        port = known
    if port is not None:
        draft.put(name, port, place.at("port"))
