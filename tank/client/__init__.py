"""The far end of the wire: what a program needs to speak to a daemon.

    wire        HTTP/1.1 over a plain unix socket: requests, answers, lines as they come
    websocket   frames of RFC 6455, without I/O, and the upgrade
    streams     exec and attach: one poll loop between three descriptors and a WebSocket
    terminal    raw mode and back, sizes, detach keys
    sessions    exec and attach from the request to the exit code
    calls       every method of the client as a value: path, query, body, and how to read the answer
    values      what those answer
    blocking    `Client`; its asynchronous twin is `tank.aio`

The command line starts with these, so they import nothing heavy: no asyncio, pydantic, aiohttp, http.client.
"""

from __future__ import annotations

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    from typing import Any

    from tank.client.blocking import Client as Client
    from tank.client.values import ExecResult as ExecResult

__all__ = ["Client", "ExecResult"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from tank.client.blocking import Client

        return Client
    if name == "ExecResult":
        from tank.client.values import ExecResult

        return ExecResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
