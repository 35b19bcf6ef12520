"""Exec and attach, from the request to the exit code: what `Client` and the command line share.

A command's exit code passes through. 126 and 127 are the command's fault (not executable, not found), so they
are results; that the stream itself failed is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from tank.client.calls import pod_path
from tank.client.streams import Sink, Source, Stream
from tank.client.terminal import DetachKeys, Terminal, both_ends, detach_keys
from tank.client.values import ExecResult
from tank.client.websocket import upgrade
from tank.client.wire import Endpoint
from tank.errors import InvalidSpec, NotFound, Problem

NOT_EXECUTABLE, NOT_FOUND = 126, 127


class Surroundings(TypedDict, total=False):
    """In what a command runs, where it differs from the container's own."""

    env: Mapping[str, str]
    cwd: str | None
    user: str | None


def request(argv: Sequence[str], **surroundings: Unpack[Surroundings]) -> dict[str, Any]:
    """What the daemon is asked to run. Raises InvalidSpec."""
    if isinstance(argv, str) or not argv:
        raise InvalidSpec([Problem("argv", "a command is a list of at least one word", "['sh', '-c', '…']")])
    return {"argv": list(argv), **surroundings, "env": dict(surroundings.get("env") or {})}


def execute(
    daemon: Endpoint,
    name: str,
    container: str | None,
    asked: dict[str, Any],
    *,
    stdin: bytes | None = None,
    tty: bool | None = None,
) -> ExecResult:
    """Run it; interactive on this terminal, or with the output collected."""
    if tty is None:
        tty = stdin is None and both_ends()
    stream = start(daemon, name, container, asked | {"tty": tty, "stdin": tty or stdin is not None})
    if tty and stdin is None:
        code = interact(stream) or 0
    else:
        stream.source = Source(stdin)
        code = stream.run() or 0
    return ExecResult(exit_code=code, stdout=bytes(stream.out.data), stderr=_said(stream, code))


def start(daemon: Endpoint, name: str, container: str | None, asked: dict[str, Any]) -> Stream:
    """An exec's stream with its request on the way."""
    stream = Stream(*upgrade(daemon, pod_path(name, "exec"), {"container": container}))
    stream.send_json(asked)
    return stream


def interact(stream: Stream) -> int | None:
    """Give this terminal to the far end until it is done, or None when the detach keys are pressed."""
    _join(stream)
    with Terminal(sys.stdin.fileno()) as stream.terminal:
        return stream.run()


def pipe(stream: Stream, *, stdin: bool) -> int | None:
    """Join the standard streams, binary and apart, with the far end until it is done."""
    _join(stream)
    if not stdin:
        stream.source = Source(None)
    return stream.run()


def attach(daemon: Endpoint, name: str, container: str | None, keys: str) -> int | None:
    """Connect to the container's own streams; raw when it has a terminal and so have we."""
    wanted = detach_keys(keys)
    spec = _container(daemon.json("GET", pod_path(name))["spec"], container)
    stream = Stream(*upgrade(daemon, pod_path(name, "attach"), {"container": container}))
    stream.keys = DetachKeys(wanted)
    raw = spec.get("tty") and both_ends()
    code = interact(stream) if raw else pipe(stream, stdin=bool(spec.get("stdin")))
    if stream.error:
        raise stream.error
    return code


def _container(spec: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    containers: list[Mapping[str, Any]] = spec["containers"]
    if name is None:
        return containers[0]
    for each in containers:
        if each["name"] == name:
            return each
    raise NotFound(f"pod {spec['name']} has no container {name}")


def _join(stream: Stream) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    stream.source = Source(0)
    stream.out, stream.err = Sink(1), Sink(2)


def _said(stream: Stream, code: int) -> bytes:
    if stream.error is None:
        return bytes(stream.err.data)
    if code not in (NOT_EXECUTABLE, NOT_FOUND):
        raise stream.error
    return bytes(stream.err.data) + f"{stream.error.message}\n".encode()
