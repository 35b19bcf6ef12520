"""Exec and attach: a WebSocket between a client and a session of the runtime.

Binary messages; the first byte is the channel: 0 standard input, 1 output, 2 errors, 3 control as JSON. From the
client `{"resize": [rows, cols]}` and `{"eof": true}`; to it, last, `{"exit": code}`, with `error` beside it when
the stream itself failed. An exec begins with a text message `{argv, env, cwd, user, tty, stdin, size}`.

Each direction has a task of its own and waits for its own reader only, so neither can block the other, and
nothing is kept but the message in hand. Whoever ends first ends the other; the session is closed in any case,
which ends the process of an exec and never a container (R51, R52, R54).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from tank.api import routes
from tank.api.documents import read_json
from tank.api.routes import CONTAINER, POD, Route, node
from tank.errors import Failed, InvalidSpec, Problem, TankError, Unsupported, to_json
from tank.runtime.session import ExecRequest, Session

log = logging.getLogger(__name__)
Opener = Callable[[web.WebSocketResponse], Awaitable[Session]]
SOCKETS: web.AppKey[dict[web.WebSocketResponse, asyncio.Task[Any]]] = web.AppKey("sockets")
STDIN, CONTROL = 0, 3
MAX_MESSAGE = 2**20
TANK_FAILED = 125
REQUEST_SECONDS, CLOSE_SECONDS = 30.0, 10.0


async def exec_(request: web.Request) -> web.StreamResponse:
    """Run a command in a running container."""
    called, container = routes.name(request), routes.text(request, "container")
    await node(request).get(called)

    async def opened(socket: web.WebSocketResponse) -> Session:
        try:
            message = await asyncio.wait_for(socket.receive(), REQUEST_SECONDS)
        except TimeoutError as error:
            raise _wrong("", f"no request came within {REQUEST_SECONDS:g} s") from error
        return await node(request).exec(called, container, asked(message))

    return await _serve(request, opened)


async def attach(request: web.Request) -> web.StreamResponse:
    """Connect to the streams of a running container."""
    called, container = routes.name(request), routes.text(request, "container")
    await node(request).get(called)

    async def opened(_socket: web.WebSocketResponse) -> Session:
        return await node(request).attach(called, container)

    return await _serve(request, opened)


def asked(message: WSMessage) -> ExecRequest:
    """The request that an exec begins with. Raises InvalidSpec."""
    said = read_json(message.data) if message.type is WSMsgType.TEXT else None
    if not isinstance(said, dict):
        raise _wrong("", "expected {argv, env, cwd, user, tty, stdin, size} as the first message")
    argv, env, size = said.get("argv"), said.get("env") or {}, said.get("size")
    if not _words(argv) or not argv:
        raise _wrong("argv", "expected a list of at least one word")
    if not isinstance(env, dict) or not _words(list(env.values())) or not all(_name(name) for name in env):
        raise _wrong("env", "expected names and texts")
    if size is not None:
        size = _size(size)
    for field in ("cwd", "user"):
        if not (said.get(field) is None or _words([said[field]])):
            raise _wrong(field, "expected a text")
    unknown = said.keys() - {"argv", "env", "cwd", "user", "tty", "stdin", "size"}
    if unknown:
        raise _wrong(min(unknown)[:80], "unknown field")
    return ExecRequest(
        argv=tuple(argv),
        env=tuple(env.items()),
        cwd=said.get("cwd"),
        user=said.get("user"),
        tty=bool(said.get("tty")),
        stdin=bool(said.get("stdin")),
        size=size,
    )


async def _serve(request: web.Request, opened: Opener) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE)
    if not socket.can_prepare(request):
        raise Unsupported("this path is a WebSocket: ask for an upgrade")
    await socket.prepare(request)
    task = asyncio.current_task()
    assert task is not None
    request.app[SOCKETS][socket] = task
    try:
        await _converse(socket, opened)
    finally:
        request.app[SOCKETS].pop(socket, None)
    return socket


async def _converse(socket: web.WebSocketResponse, opened: Opener) -> None:
    """From the request to the exit code. After the upgrade no error can leave as an HTTP answer any more."""
    try:
        session = await opened(socket)
        try:
            code = await _pump(socket, session)
        finally:
            await asyncio.wait_for(session.close(), CLOSE_SECONDS)
        if code is not None:
            await _control(socket, {"exit": code})
            await socket.close()
    except TankError as error:
        await _fail(socket, error)
    except ConnectionError:
        pass  # the client hung up
    except Exception as error:
        log.exception("internal error in a stream")
        await _fail(socket, Failed(f"internal error: {type(error).__name__}; the daemon's log says more"))


async def _pump(socket: web.WebSocketResponse, session: Session) -> int | None:
    """The exit code; None when the client hung up before."""
    sending = asyncio.create_task(_send(socket, session))
    receiving = asyncio.create_task(_receive(socket, session))
    try:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            return sending.result()
        return receiving.result()
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def _send(socket: web.WebSocketResponse, session: Session) -> int:
    while (said := await session.read()) is not None:
        channel, data = said
        await socket.send_bytes(bytes([channel]) + data)
    return await session.wait()


async def _receive(socket: web.WebSocketResponse, session: Session) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN:
            await session.write(data)
        elif channel == CONTROL:
            await _steer(session, read_json(data))


async def _steer(session: Session, said: Any) -> None:
    """Obey one control message; what a newer client says beyond these is passed over."""
    if not isinstance(said, dict):
        raise _wrong("control", "expected an object")
    if said.get("eof"):
        await session.write_eof()
    if "resize" in said:
        await session.resize(*_size(said["resize"]))


async def _fail(socket: web.WebSocketResponse, error: TankError) -> None:
    code = getattr(error, "code", TANK_FAILED)
    try:
        await _control(socket, to_json(error) | {"exit": code if code in (126, 127) else TANK_FAILED})
        await socket.close()
    except ConnectionError:
        pass


async def _control(socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
    await socket.send_bytes(bytes([CONTROL]) + json.dumps(said).encode())


def _size(value: Any) -> tuple[int, int]:
    match value:
        case [int(rows), int(columns)] if 0 < rows < 2**15 and 0 < columns < 2**15:
            return rows, columns
    raise _wrong("size", "expected [rows, columns]")


def _words(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) and "\0" not in each for each in values)


def _name(text: str) -> bool:
    return bool(text) and "=" not in text and "\0" not in text


def _wrong(path: str, message: str) -> InvalidSpec:
    return InvalidSpec([Problem(path, message)])


ROUTES = (
    Route(
        method="GET",
        path="/v1/pods/{name}/exec",
        handler=exec_,
        about="Run a command in a running container (WebSocket)",
        parameters=(POD, CONTAINER),
        answers="websocket",
    ),
    Route(
        method="GET",
        path="/v1/pods/{name}/attach",
        handler=attach,
        about="Connect to the streams of a running container (WebSocket)",
        parameters=(POD, CONTAINER),
        answers="websocket",
    ),
)
