"""Where one pod's questions arrive: the two sockets that were opened in its namespace, and what is done with them."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, cast

CONNECTIONS, SOURCES = 16, 16  # by TCP at once: of one asker, and how many such there may be, beside a pod itself
IDLE = 10.0  # seconds that a connection may be silent
_UNDER_WAY = 128  # datagrams of one pod that wait for others; more are dropped, as a full buffer would

# The answer to a packet by TCP or not: at once, or when others have answered; empty: none.
Answer = Callable[[bytes, bool], bytes | Coroutine[Any, Any, bytes]]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._counter.answer(data, False)
        if isinstance(answer, bytes):
            self._say(answer, addr)
        else:
            self._counter.later(answer, lambda text: self._say(text, addr))

    def error_received(self, exc: Exception) -> None: ...

    def _say(self, answer: bytes, addr: tuple[str, int]) -> None:
        if answer and not self._transport.is_closing():
            self._transport.sendto(answer, addr)


@dataclass(slots=True)
class Counter:
    """One pod's. Owns what it was given, and every task that it starts."""

    answer: Answer
    _transport: asyncio.BaseTransport | None = None
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _connections: collections.Counter[str] = field(default_factory=collections.Counter)

    def begin(self, datagrams: socket.socket, streams: socket.socket) -> None:
        """Answer from now on."""
        task = asyncio.get_running_loop().create_task(self._open(datagrams, streams))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, datagrams: socket.socket, streams: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        self._server = await asyncio.start_server(self._converse, sock=streams)

    def later(self, answer: Coroutine[Any, Any, bytes], say: Callable[[bytes], None]) -> None:
        """Have an answer given when it is there, unless too many are waited for."""

        async def done() -> None:
            with contextlib.suppress(OSError):
                say(await answer)

        if len(self._tasks) >= _UNDER_WAY:
            answer.close()
            return
        task = asyncio.get_running_loop().create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Both sockets are closed at once, and nobody is answered any more."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        who = _asker(writer)
        if self._connections[who] >= CONNECTIONS or self._connections.total() >= CONNECTIONS * SOURCES:
            writer.close()
            return
        self._connections[who] += 1
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
                while True:
                    await self._exchange(reader, writer)
        finally:
            self._connections -= collections.Counter([who])  # who has none is not kept
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(IDLE):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            query = await reader.readexactly(length)
        answer = self.answer(query, True)
        text = answer if isinstance(answer, bytes) else await answer
        if not text:
            raise EOFError
        writer.write(struct.pack("!H", len(text)) + text)
        async with asyncio.timeout(IDLE):
            await writer.drain()


def _asker(writer: asyncio.StreamWriter) -> str:
    """Who it is that asks by a connection. A host has a whole network of 64 bits to itself, where it has one."""
    address = str((writer.get_extra_info("peername") or ("",))[0]).partition("%")[0]
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if ":" in address else address
