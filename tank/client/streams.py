"""Exec and attach on the client's side: one poll loop between standard streams and a WebSocket.

Binary messages carry a channel in their first byte: 0 standard input, 1 output, 2 errors, 3 control in JSON.
Nothing blocks: what cannot be written yet waits in a buffer, and a full buffer stops the reading at its other
end, so that any amount flows both ways at once without a deadlock and without memory. Descriptors are not made
non-blocking, since they are shared with the shell; a pipe that polls writable takes `PIPE_BUF` bytes.
"""

from __future__ import annotations

import json
import os
import select
import socket
import stat
from typing import Any

from tank.client import websocket
from tank.client.terminal import DetachKeys, Terminal
from tank.errors import TankError, Unavailable, from_json

STDIN, STDOUT, STDERR, CONTROL = range(4)
HIGH_WATER = 512 * 1024
_READ, _WRITE = select.POLLIN | select.POLLHUP | select.POLLERR, select.POLLOUT | select.POLLERR


class Sink:
    """Where output goes: a descriptor, or with None a buffer for whoever called."""

    def __init__(self, fd: int | None) -> None:
        self.fd, self.data = fd, bytearray()
        regular = fd is not None and stat.S_ISREG(os.fstat(fd).st_mode)
        self._piece = HIGH_WATER if regular else select.PIPE_BUF

    @property
    def waiting(self) -> int:
        """Bytes that the descriptor has yet to take."""
        return 0 if self.fd is None else len(self.data)

    def flush(self) -> None:
        """Write as much as is sure not to block. Raises BrokenPipeError when nobody reads any more."""
        if self.fd is not None:
            written = os.write(self.fd, bytes(self.data[: self._piece]))
            del self.data[:written]


class Source:
    """Where input comes from: a descriptor, ready bytes, or with None nothing."""

    def __init__(self, origin: int | bytes | None) -> None:
        self.fd = origin if isinstance(origin, int) else None
        self._bytes = memoryview(origin if isinstance(origin, bytes) else b"")
        self.open = origin is not None

    def read(self) -> bytes:
        """The next piece; empty at the end."""
        if self.fd is None:
            piece, self._bytes = self._bytes[:65536], self._bytes[65536:]
            return bytes(piece)
        try:
            return os.read(self.fd, 65536)
        except OSError:  # the terminal hung up, or there was no standard input to begin with
            return b""


class Stream:
    """One exec or attach in progress. `run` ends with the exit code, None after a detach."""

    def __init__(self, connection: socket.socket, first: bytes = b"") -> None:
        connection.setblocking(False)
        self._connection, self._decoder, self._first = connection, websocket.Decoder(), first
        self._sending = bytearray()
        self._ended = False  # the far end closed
        self.exit_code: int | None = None
        self.error: TankError | None = None
        self.out, self.err = Sink(None), Sink(None)
        self.source = Source(None)
        self.terminal: Terminal | None = None
        self.keys = DetachKeys(b"")

    def send_json(self, value: Any) -> None:
        """The request, as a text message: the first thing an exec says."""
        self._sending += websocket.encode(websocket.TEXT, json.dumps(value).encode())

    def control(self, value: Any) -> None:
        """A control message."""
        self._send(CONTROL, json.dumps(value).encode())

    def run(self) -> int | None:
        """Pump until the far end is done, and hang up. Raises Unavailable when it goes away before, BrokenPipeError."""
        try:
            return self._run()
        finally:
            self._connection.close()

    def _run(self) -> int | None:
        if self.terminal:
            self.control({"resize": self.terminal.size()})
        self._received(self._first)
        while not self._done():
            for fd, events in self._poll():
                self._handle(fd, events)
            if self.keys.pressed:
                return None
        if self.exit_code is None:
            raise Unavailable("the daemon closed the stream")
        return self.exit_code

    def _done(self) -> bool:
        over = self._ended or self.exit_code is not None
        return over and not self.out.waiting and not self.err.waiting

    def _poll(self) -> list[tuple[int, int]]:
        poll = select.poll()
        over = self._ended or self.exit_code is not None
        for sink in (self.out, self.err):
            if sink.fd is not None and sink.waiting:
                poll.register(sink.fd, select.POLLOUT)
        if over:
            return poll.poll()
        room = max(self.out.waiting, self.err.waiting) < HIGH_WATER
        poll.register(self._connection, select.POLLIN * room | select.POLLOUT * bool(self._sending))
        if self.terminal:
            poll.register(self.terminal.wake, select.POLLIN)
        wants_input = self.source.open and len(self._sending) < HIGH_WATER
        if wants_input and self.source.fd is not None:
            poll.register(self.source.fd, select.POLLIN)
        elif wants_input:
            self._feed()
            return poll.poll(0)
        return poll.poll()

    def _handle(self, fd: int, events: int) -> None:
        if fd == self._connection.fileno():
            if events & select.POLLOUT:
                self._flush()
            if events & _READ:
                self._receive()
        elif self.terminal and fd == self.terminal.wake:
            self.control({"resize": self.terminal.resized()})
        elif fd == self.source.fd and events & ~select.POLLOUT:
            self._feed()
        else:
            for sink in (self.out, self.err):
                if sink.fd == fd and sink.waiting and events & _WRITE:
                    sink.flush()

    def _feed(self) -> None:
        typed = self.source.read()
        if not typed:
            self.source.open = False
            self.control({"eof": True})
        elif through := self.keys.feed(typed):
            self._send(STDIN, through)

    def _send(self, channel: int, data: bytes) -> None:
        self._sending += websocket.encode(websocket.BINARY, bytes([channel]) + data)

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._sending)
        except BlockingIOError:
            return
        except OSError:
            self._sending.clear()  # it stopped listening; what it still says is read to the end
            self.source.open = False
            return
        del self._sending[:sent]

    def _receive(self) -> None:
        try:
            data = self._connection.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._ended = not data
        self._received(data)

    def _received(self, data: bytes) -> None:
        for opcode, payload in self._decoder.feed(data):
            if opcode == websocket.PING:
                self._sending += websocket.encode(websocket.PONG, payload)
            elif opcode == websocket.CLOSE:
                self._ended = True
            elif opcode == websocket.BINARY and payload:
                self._message(payload[0], payload[1:])

    def _message(self, channel: int, data: bytes) -> None:
        if channel == STDOUT:
            self.out.data += data
        elif channel == STDERR:
            self.err.data += data
        elif channel == CONTROL:
            said = json.loads(data)
            if "error" in said:
                self.error = from_json(said)
            if "exit" in said:
                self.exit_code = int(said["exit"])
