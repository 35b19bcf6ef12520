"""The standard health service of gRPC, asked from inside the pod: `grpc.health.v1.Health/Check`, without TLS.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md and PROTOCOL-HTTP2.md beside it. The two messages
have one field each, so they are read and written here; HTTP/2 is `h2`'s.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from tank.model.health import GrpcAction
from tank.model.launch import Answer, Target
from tank.runtime.asking import Place, address_of, port_of

PATH = "/grpc.health.v1.Health/Check"
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_LONGEST = 10 * 1024
_CHUNK = 65536
_WORDS = {"5": "it knows no such service", "12": "it has no health service"}  # of grpc-status


async def ask_grpc(place: Place, target: Target, action: GrpcAction) -> Answer:
    """SERVING is success. Raises OSError, Failed."""
    address, port = address_of(target), port_of(target, action.port)
    with await place.connect(address, port) as connection:
        try:
            reply = await _call(connection, f"{address}:{port}", request(action.service))
        except ProtocolError as error:
            return Answer(good=False, message=f"it does not speak HTTP/2: {str(error) or type(error).__name__}")
    return judged(reply)


@dataclass(slots=True)
class Reply:
    """What came back so far."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    broken: bool = False


def judged(reply: Reply) -> Answer:
    """What the reply says."""
    status = reply.headers.get(":status", "none")
    if not reply.whole or status != "200":
        cause = "the call was broken off" if status in ("200", "none") else f"HTTP status {status}"
        return Answer(good=False, message=cause)
    code = reply.headers.get("grpc-status", "")
    if code != "0":
        said = reply.headers.get("grpc-message", "")
        return Answer(good=False, message=_WORDS.get(code, f"gRPC status {code or 'missing'} {said}".rstrip()))
    health = serving(bytes(reply.body))
    return Answer(good=True) if health == "SERVING" else Answer(good=False, message=f"it is {health}")


def request(service: str) -> bytes:
    """A HealthCheckRequest with its frame: `string service = 1`."""
    name = service.encode()
    message = b"\x0a" + varint(len(name)) + name if name else b""
    return struct.pack(">BI", 0, len(message)) + message


def varint(number: int) -> bytes:
    """Seven bits to a byte, the least first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def serving(body: bytes) -> str:
    """The status in a HealthCheckResponse with its frame: `ServingStatus status = 1`."""
    if len(body) < 5 or body[0] != 0:
        return "unreadable"
    message = body[5 : 5 + struct.unpack_from(">I", body, 1)[0]]
    if not message:
        return STATUSES[0]
    if len(message) < 2 or message[0] != 0x08 or message[1] >= len(STATUSES):
        return "unreadable"
    return STATUSES[message[1]]


async def _call(connection: socket.socket, authority: str, message: bytes) -> Reply:
    loop, reply = asyncio.get_running_loop(), Reply()
    speech = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    speech.initiate_connection()
    stream = speech.get_next_available_stream_id()
    speech.send_headers(stream, _headers(authority))
    speech.send_data(stream, message, end_stream=True)
    while not reply.whole and not reply.broken:
        await loop.sock_sendall(connection, speech.data_to_send())
        data = await loop.sock_recv(connection, _CHUNK)
        if not data:
            break
        for event in speech.receive_data(data):
            _hear(reply, event)
            if isinstance(event, DataReceived):
                speech.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    return reply


def _headers(authority: str) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("user-agent", "tank-probe"),
        ("te", "trailers"),
    ]


def _hear(reply: Reply, event: Event) -> None:
    match event:
        case ResponseReceived() | TrailersReceived():
            reply.headers |= {str(name): str(value) for name, value in event.headers or ()}
        case DataReceived():
            reply.body += (event.data or b"")[: _LONGEST - len(reply.body)]
        case StreamEnded():
            reply.whole = True
        case StreamReset() | ConnectionTerminated():
            reply.broken = True
        case _:
            pass
