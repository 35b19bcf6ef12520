"""Servers that probes ask, run by the test inside a pod's network namespace: no image needs to bring them."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tank.runtime.grpc_probe import PATH, STATUSES
from tests.runtime_rig import Rig

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(rig: Rig, serve: Serve, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """A server on the loopback of the rig's pod."""
    listener = await rig.runtime._namespaces.socket(rig.settings.pod_run_dir(rig.uid) / "ns" / "net", 2, 1)
    listener.bind(("127.0.0.1", port))

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, sock=listener, ssl=tls)
    async with server:
        yield


class Http:
    """Answers by path; remembers the heads of the requests it got."""

    def __init__(self, answers: dict[str, tuple[int, str]]) -> None:
        self.answers, self.heads = answers, list[str]()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        status, location = self.answers.get(head.split()[1], (404, ""))
        onward = f"Location: {location}\r\n" if location else ""
        body = "x" * 20_000
        writer.write(f"HTTP/1.1 {status} So\r\n{onward}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()


class Grpc:
    """The health service: a status for each service name it knows."""

    def __init__(self, statuses: dict[str, str]) -> None:
        self.statuses = statuses

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speech = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        speech.initiate_connection()
        path, body = "", b""
        writer.write(speech.data_to_send())
        while data := await reader.read(65536):
            for event in speech.receive_data(data):
                if isinstance(event, RequestReceived):
                    path = {str(name): str(value) for name, value in event.headers or ()}[":path"]
                elif isinstance(event, DataReceived):
                    body += event.data or b""
                elif isinstance(event, StreamEnded):
                    self._reply(speech, event.stream_id, path, body[7:].decode())
            writer.write(speech.data_to_send())

    def _reply(self, speech: H2Connection, stream: int, path: str, service: str) -> None:
        code = "12" if path != PATH else "0" if service in self.statuses else "5"
        speech.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        if code == "0":
            message = bytes([8, STATUSES.index(self.statuses[service])])
            speech.send_data(stream, struct.pack(">BI", 0, len(message)) + message)
        speech.send_headers(stream, [("grpc-status", code)], end_stream=True)
