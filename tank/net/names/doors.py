"""Where questions arrive: a socket for datagrams and one for streams, opened by the daemon, answered by the server."""

from __future__ import annotations

import contextlib
import socket

from tank.errors import Waiting

REASON = "NetworkNotReady"
Pair = tuple[socket.socket, socket.socket]


def others(address: str, port: int) -> Pair:
    """At an address of the host. Raises Waiting: somebody has it, or the host has no such address now."""
    try:
        datagrams = bound(address, port, socket.SOCK_DGRAM)
        try:
            return datagrams, bound(address, port, socket.SOCK_STREAM)
        except BaseException:
            datagrams.close()
            raise
    except OSError as error:
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        said = (error.strerror or str(error)).lower()
        raise Waiting(REASON, f"cannot listen for questions about names on {where}: {said}") from error


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A socket of the namespace that the caller is in; nobody else has the port. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if kind is socket.SOCK_STREAM:  # connections of the last one linger; with datagrams anybody could join in
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        if kind is socket.SOCK_STREAM:
            opened.listen(64)
    except BaseException:
        opened.close()
        raise
    return opened


def close(pair: Pair) -> None:
    """Both."""
    for each in pair:
        with contextlib.suppress(OSError):
            each.close()
