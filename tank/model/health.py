"""What a container is asked about its health, and what is run at its start and end: probes (C2) and hooks (C3)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tank.model.value import Many, Value


class HttpAction(Value):
    """A GET request; 200-399 is success. `port` a number, or the name of one of the pod's ports.

    `host` None: the pod's first address, 127.0.0.1 if it has none.
    """

    port: int | str
    path: str = "/"
    host: str | None = None
    scheme: Literal["http", "https"] = "http"
    headers: dict[str, str] = Field(default_factory=dict)


class GrpcAction(Value):
    """The standard health service; SERVING is success."""

    port: int | str
    service: str = ""


class Probe(Value):
    """One question, asked again and again. Exactly one of `exec`, `http`, `tcp`, `grpc` is set.

    `delay`, `period`, `timeout` and `grace` are seconds; `grace` (startup and live only) replaces the pod's for the
    kill that follows a failure.
    """

    exec: Many[str] = ()
    http: HttpAction | None = None
    tcp: int | str | None = None
    grpc: GrpcAction | None = None
    delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    successes: int = 1
    failures: int = 3
    grace: float | None = None


class Probes(Value):
    """`startup` holds back both others until its first success; `live` failing restarts; `ready` admits traffic."""

    startup: Probe | None = None
    live: Probe | None = None
    ready: Probe | None = None


class Hook(Value):
    """Exactly one of `exec`, `http` and `sleep` (seconds) is set."""

    exec: Many[str] = ()
    http: HttpAction | None = None
    sleep: float | None = None


class Hooks(Value):
    """`post_start` runs beside the program and holds back "started"; `pre_stop` before the stop signal."""

    post_start: Hook | None = None
    pre_stop: Hook | None = None
