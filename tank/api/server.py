"""The unix socket: made with the right mode and owner before anybody can connect, and closed in good order.

The parent directory is 0750 and the socket 0660, root and the settings' group (S19). It is bound under a umask
that lets nobody in, then given away, then listened on. A socket that is there already is a dead daemon's: the
caller holds the lock that only one daemon can hold.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, web

from tank.api.app import make_app
from tank.api.routes import DEEDS, ENDLESS
from tank.api.streams import SOCKETS
from tank.config import Settings
from tank.errors import Failed
from tank.model.parse import Defaults

if TYPE_CHECKING:
    from tank.node.service import Node

log = logging.getLogger(__name__)
BACKLOG = 512
GRACE = 5.0  # seconds for requests in flight when the server closes
GOODBYE = 1.0  # seconds for the clients of exec and attach to answer that it closes


class Server:
    """The API on its socket. `close` finishes what is in flight and ends what has no end: a socket with 1001."""

    def __init__(self, path: Path, app: web.Application) -> None:
        self.path, self._app = path, app
        # A client that hangs up cancels its handler; deeds are shielded from it (see `routes.deed`).
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE)
        self._identity: tuple[int, int] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer on `listener`."""
        self._app.on_shutdown.append(_end_streams)
        await self._runner.setup()
        await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
        found = self.path.stat()
        self._identity = found.st_dev, found.st_ino

    async def close(self) -> None:
        """Take no more requests, finish those that run, remove the socket. May be repeated."""
        await self._runner.cleanup()
        if deeds := self._app[DEEDS]:
            await asyncio.wait(deeds, timeout=GRACE)
        with suppress(FileNotFoundError):
            found = self.path.stat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()


async def serve(node: Node, settings: Settings) -> Server:
    """Answer for `node` on the settings' socket. Raises Failed when it cannot be made."""
    app = make_app(node, Defaults(grace=settings.default_grace, users=settings.default_users))
    listener = listen(settings.socket, settings.group)
    server = Server(settings.socket, app)
    try:
        await server.start(listener)
    except BaseException:
        listener.close()
        raise
    return server


def listen(path: Path, group: str) -> socket.socket:
    """A bound socket of the right owner and mode. Raises Failed."""
    owner = _group(group)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _prepare(path, owner)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        _give(path, owner, 0o660)
    except OSError as error:
        listener.close()
        raise Failed(f"cannot open the socket {path}: {error.strerror or error}") from error
    listener.setblocking(False)
    return listener


def _prepare(path: Path, group: int) -> None:
    """The directory for it, and no dead socket in its place."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    _give(path.parent, group, 0o750)
    if path.is_socket():
        path.unlink()


def _give(path: Path, group: int, mode: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, 0, group, follow_symlinks=False)
    path.chmod(mode)


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        log.info("there is no group %s: the socket is root's alone", name)
        return 0


async def _end_streams(app: web.Application) -> None:
    """What has no end of its own ends now, whether or not its client takes notice."""
    for task in app[ENDLESS].copy():
        task.cancel()
    await asyncio.gather(*(_take_leave(*each) for each in app[SOCKETS].copy().items()), return_exceptions=True)


async def _take_leave(client: web.WebSocketResponse, handler: asyncio.Task[Any]) -> None:
    """Close the socket; one whose client does not even read that is let go as if it had hung up."""
    try:
        async with asyncio.timeout(GOODBYE):
            await client.close(code=WSCloseCode.GOING_AWAY, message=b"the daemon stops")
    except TimeoutError:
        handler.cancel()
