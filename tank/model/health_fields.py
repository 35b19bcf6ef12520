"""What probes and hooks may say: the tables of their fields (C2, C3)."""

from __future__ import annotations

import re

from tank.model import words
from tank.model.faults import Refused, quoted
from tank.model.grammar import Field, ListOf, MapOf, Record, Scalar, choice, text, whole
from tank.model.port_fields import port_name
from tank.model.quantities import duration

MOST_TIMES = 10_000
_HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}"
_ARGV_HINT = "write a list, one word an item, such as ['/bin/sh', '-c', '…']"


def _port(value: int | str) -> int | str:
    if isinstance(value, str):
        if re.fullmatch(r"[0-9]{1,5}", value):
            raise Refused("a port is a whole number or a name", f"did you mean {int(value)}?")
        return port_name(value)
    if not 1 <= value <= 65_535:
        raise Refused("must lie between 1 and 65535")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]{0,2047}", value):
        hint = f"did you mean '/{value}'?" if re.fullmatch(r"[!-~]{1,2047}", value) else ""
        raise Refused(f"{quoted(value)} is not a path of a URL: printable ASCII after '/'", hint)
    return value


def _host(value: str) -> str:
    return value.lower() if re.fullmatch(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+", value) else words.host_name(value)


def _header(name: str) -> str:
    if not re.fullmatch(_HEADER, name):
        raise Refused(f"{quoted(name)} is not the name of a header")
    return name


def _header_value(value: str) -> str:
    if not re.fullmatch(r"[ -~]{0,4096}", value) or value != value.strip():
        raise Refused("a header's value is printable ASCII, at most 4096 characters")
    return value


_FORMS = [{"type": "integer", "minimum": 1, "maximum": 65_535}, {"type": "string", "pattern": "[a-z]"}]
PORT = Scalar((int, str), _port, {"anyOf": _FORMS}, "a port's number, or the name of one of network.ports")
EXEC = Field(
    ListOf(text(), least=1, most=10_000, hint=_ARGV_HINT), "A program run inside the container; its exit 0 is success."
)
HTTP = Field(
    Record(
        "an http request",
        {
            "port": Field(PORT, "The port, inside the pod.", required=True),
            "path": Field(text(_path, pattern="^/"), "The path and query.", default="/"),
            "host": Field(text(_host), "Whom to ask. Default: the pod's first address, 127.0.0.1 if it has none."),
            "scheme": Field(choice("http", "https"), "https asks without checking the certificate.", default="http"),
            "headers": Field(MapOf(_header, text(_header_value), most=100), "Further headers, Host among them."),
        },
        foreign={"httpHeaders": "headers", "uri": "path", "url": "path"},
    ),
    "A GET request; 200 to 399 is success.",
)

PROBE = Record(
    "a probe",
    {
        "exec": EXEC,
        "http": HTTP,
        "tcp": Field(PORT, "A port that accepts a connection."),
        "grpc": Field(
            Record(
                "a grpc request",
                {
                    "port": Field(PORT, "The port, inside the pod.", required=True),
                    "service": Field(text(_header_value), "Which service to ask for.", default=""),
                },
            ),
            "The standard health service; SERVING is success.",
        ),
        "delay": Field(duration(), "The wait after the start, before the first question.", default="0s"),
        "period": Field(duration(1), "The time from one question to the next.", default="10s"),
        "timeout": Field(duration(1), "How long an answer may take.", default="1s"),
        "successes": Field(whole(1, MOST_TIMES), "So many in a row are a success.", default=1),
        "failures": Field(whole(1, MOST_TIMES), "So many in a row are a failure.", default=3),
        "grace": Field(duration(), "Of startup and live: replaces the pod's for the kill that follows."),
    },
    foreign={
        "httpGet": "http",
        "http_get": "http",
        "tcpSocket": "tcp",
        "command": "exec",
        "test": "exec",
        "initialDelaySeconds": "delay",
        "start_period": "delay",
        "periodSeconds": "period",
        "interval": "period",
        "timeoutSeconds": "timeout",
        "successThreshold": "successes",
        "failureThreshold": "failures",
        "retries": "failures",
        "terminationGracePeriodSeconds": "grace",
    },
    one_of=("exec", "http", "tcp", "grpc"),
)

PROBES = Record(
    "the probes",
    {
        "startup": Field(PROBE, "Holds back the other two until its first success; failing restarts."),
        "live": Field(PROBE, "Failing restarts the container."),
        "ready": Field(PROBE, "Whether the container can be used now."),
    },
    foreign={"liveness": "live", "readiness": "ready", "livenessProbe": "live", "readinessProbe": "ready"},
)

_HOOK: dict[str, Field] = {"exec": EXEC, "http": HTTP, "sleep": Field(duration(), "Just wait.")}
HOOK = Record("a hook", _HOOK, foreign={"httpGet": "http", "command": "exec"}, one_of=tuple(_HOOK))

HOOKS = Record(
    "the hooks",
    {
        "post_start": Field(
            HOOK, "Runs beside the program at its start; until it is done the container has not started."
        ),
        "pre_stop": Field(HOOK, "Runs before the stop signal, while the grace is counted."),
    },
    foreign={"poststart": "post_start", "prestop": "pre_stop"},
)
