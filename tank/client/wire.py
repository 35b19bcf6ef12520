"""HTTP/1.1 over a unix socket, as much of it as a client of one's own daemon needs.

One request, one connection: on a unix socket that costs 50 µs and leaves no state behind. Answers have a
Content-Length, are chunked, or end with the connection. Every failure is a `TankError`: no daemon is
`Unavailable`, an error answer is the class that the daemon raised.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from tank.errors import Denied, Failed, TankError, Timeout, Unavailable, Unsupported, from_json

TYPE_CHECKING = False  # true for a type checker; `typing` costs the command line 4 ms
if TYPE_CHECKING:
    from typing import Any

DEFAULT_RUN_DIR = "/run/tank"
MAX_HEADER = 64 * 1024
Query = Mapping[str, object] | None
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:")


def default_url() -> str:
    """The daemon to speak to: `TANK_HOST`, else the socket in the run directory (`TANK_RUN_DIR`, the config file)."""
    if host := os.environ.get("TANK_HOST"):
        return host
    run_dir = os.environ.get("TANK_RUN_DIR") or _configured_run_dir() or DEFAULT_RUN_DIR
    return f"unix://{run_dir}/tank.sock"


def _configured_run_dir() -> str | None:
    path = os.environ.get("TANK_CONFIG", "/etc/tank/tank.toml")
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError:
        return None
    if b"run_dir" not in text:
        return None
    import tomllib

    try:
        run_dir = tomllib.loads(text.decode()).get("run_dir")
    except ValueError:
        return None
    return run_dir if isinstance(run_dir, str) else None


def quote(text: str) -> str:
    """`text` as part of a path or a query."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())


def target(path: str, query: Query = None) -> str:
    """`path` with what the query says: None and False are left out, True is 1, a list stands several times."""
    pairs = [
        f"{name}={quote('1' if each is True else str(each))}"
        for name, value in (query or {}).items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None and each is not False
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def endpoint(url: str | None = None, timeout: float | None = 60.0) -> Endpoint:
    """The daemon at `url`, or the default one. Raises Unsupported for anything but `unix:///path`."""
    return Endpoint(url or default_url(), timeout)


class Endpoint:
    """One daemon. `timeout`: seconds without a byte before an ordinary request is given up."""

    def __init__(self, url: str, timeout: float | None = 60.0) -> None:
        if not url.startswith("unix:///"):
            raise Unsupported(f"cannot use {url}: only unix:///path is supported yet")
        self.url, self.path, self.timeout = url, url.removeprefix("unix://"), timeout

    def json(self, method: str, path: str, query: Query = None, **options: Any) -> Any:
        """The answer's JSON. Options: `body` (bytes), `kind` (its Content-Type), `headers`, `timeout`."""
        with self.open(method, path, query, **options) as answer:
            body = answer.read()
            return json.loads(body) if body else None

    def lines(self, path: str, query: Query = None, *, heartbeats: bool = False, method: str = "GET") -> Iterator[Any]:
        """Each line of a newline-delimited JSON answer, as it comes; with `heartbeats`, None for each empty one."""
        with self.open(method, path, query, timeout=None) as answer:
            for line in answer.lines():
                if line.strip():
                    yield said(json.loads(line))
                elif heartbeats:
                    yield None

    def upload(self, path: str, query: Query, pieces: Iterable[bytes]) -> Any:
        """Send a body as it comes; the answer's JSON. Raises what the daemon answered."""
        head = {"Host": "tank", "Connection": "close", "Accept": "application/json"}
        head |= {"Transfer-Encoding": "chunked", "Content-Type": "application/x-tar"}
        connection = self.connect(None)
        try:
            answer = send(connection, f"POST {target(path, query)}", head, _chunks(pieces))
        except BaseException:
            connection.close()
            raise
        with answer:
            if answer.status >= 400:
                raise refusal(answer.status, answer.read())
            return json.loads(answer.read())

    def open(self, method: str, path: str, query: Query = None, **options: Any) -> Answer:
        """Send a request and read the head of the answer. Raises what the daemon answered."""
        head = {"Host": "tank", "Connection": "close", "Accept": "application/json", **options.get("headers", {})}
        body = options.get("body", b"")
        if body or method != "GET":
            head["Content-Length"] = str(len(body))
            head["Content-Type"] = options.get("kind", "application/json")
        connection = self.connect(options.get("timeout", self.timeout))
        try:
            answer = send(connection, f"{method} {target(path, query)}", head, body)
        except BaseException:
            connection.close()
            raise
        if answer.status >= 400:
            with answer:
                raise refusal(answer.status, answer.read())
        return answer

    def connect(self, timeout: float | None) -> socket.socket:
        """A connection. Raises Unavailable when nobody listens, Denied when we may not."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise self.unreachable(error) from error
        return connection

    def unreachable(self, error: OSError) -> TankError:
        """Why no connection came about."""
        if error.errno in (errno.EACCES, errno.EPERM):
            return Denied(f"cannot open {self.url}: permission denied; be root or a member of its group")
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return Unavailable(f"no daemon at {self.url}: is `tank serve` running?")
        return Unavailable(f"cannot reach {self.url}: {error.strerror or error}")


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A body of unknown length, as HTTP sends it. Raises Failed: that it cannot be read is no fault of a connection."""
    try:
        for piece in pieces:
            if piece:
                yield b"%x\r\n%b\r\n" % (len(piece), piece)
    except OSError as error:
        raise Failed(f"cannot read what is to be sent: {error.strerror or error}") from error
    yield b"0\r\n\r\n"


def send(connection: socket.socket, line: str, head: Mapping[str, str], body: bytes | Iterable[bytes]) -> Answer:
    """Write one request and read the head of its answer. Raises Unavailable, Timeout."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    try:
        with suppress(BrokenPipeError):  # refused before it was read whole; the answer says why
            first, rest = (body, ()) if isinstance(body, bytes) else (b"", body)
            connection.sendall(f"{line} HTTP/1.1\r\n{fields}\r\n".encode() + first)
            for piece in rest:
                connection.sendall(piece)
        return Answer(connection)
    except OSError as error:
        raise _broken(error) from error


def _broken(error: OSError) -> TankError:
    if isinstance(error, TimeoutError):
        return Timeout("no answer from the daemon in the time allowed")
    return Unavailable(f"the daemon closed the connection: {error.strerror or error}")


def said(line: Any) -> Any:
    """A line of a stream. Raises the error that a last line may be."""
    if isinstance(line, dict) and "error" in line:
        raise from_json(line)
    return line


def refusal(status: int, body: bytes) -> TankError:
    """The error that an answer with a status of 400 and above carries; a plan beside it becomes `.preview`."""
    try:
        said = json.loads(body)
        error = from_json(said)
    except (ValueError, TypeError, AttributeError):
        return Failed(f"the daemon answered {status} without a reason")
    if "plan" in said:
        error.preview = said["plan"]  # type: ignore[attr-defined]
    return error


class Answer:
    """An answer whose head has been read. A context: leaving it closes the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self._buffer = connection, b""
        head = self._head().decode("latin-1").split("\r\n")
        version, _, rest = head[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise Unavailable("what answers there does not speak HTTP: is it a tank daemon?")
        self.status = int(rest[:3])
        fields = (line.partition(":") for line in head[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def read(self) -> bytes:
        """The rest of the body."""
        return b"".join(self.chunks())

    def lines(self) -> Iterator[bytes]:
        """The body line by line, each as soon as it is whole."""
        kept: list[bytes] = []
        for chunk in self.chunks():
            *whole, rest = chunk.split(b"\n")
            for line in whole:
                yield b"".join([*kept, line])
                kept.clear()
            kept.append(rest)
        if last := b"".join(kept):
            yield last

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces as they come. Raises Unavailable when it ends too early."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunked()
        elif "content-length" in self.headers:
            yield from self._exactly(int(self.headers["content-length"]))
        else:
            while piece := self._buffer or self._receive():
                self._buffer = b""
                yield piece

    def rest(self) -> bytes:
        """What came behind the head and was not asked for: the first bytes after an upgrade."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > MAX_HEADER:
                raise Unavailable("the answer's head is too long: is it a tank daemon?")
            self._buffer += self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def _chunked(self) -> Iterator[bytes]:
        while size := self._size():
            yield from self._exactly(size)
            self._line()
        while self._line():  # trailers
            pass

    def _size(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError as error:
            raise Unavailable("the daemon's answer is broken: bad chunk size") from error

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._buffer or self._more()
            piece, self._buffer = piece[:size], piece[size:]
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._buffer += self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _more(self) -> bytes:
        if piece := self._receive():
            return piece
        raise Unavailable("the daemon closed the connection in the middle of its answer")

    def _receive(self) -> bytes:
        try:
            return self.connection.recv(256 * 1024)
        except OSError as error:
            raise _broken(error) from error
