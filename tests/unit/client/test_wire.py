"""HTTP/1.1 of a client: heads, chunks, ends, and what goes wrong. The server is a socket with a script."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.client.wire import Answer, Endpoint, default_url, endpoint, quote, target
from tank.errors import Conflict, Denied, Failed, NotFound, Timeout, Unavailable, Unsupported

Scripted = Callable[[bytes], Endpoint]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Scripted]:
    """A daemon that says these bytes to whoever asks, and hangs up."""
    threads = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def serve(answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    def start(answer: bytes) -> Endpoint:
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[-1].start()
        return Endpoint(f"unix://{tmp_path}/s", 5)

    yield start
    for each in threads:
        each.join()
    listener.close()


def test_a_body_of_known_length(answering: Scripted) -> None:
    assert answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1, 2, 3]tail").json("GET", "/") == [1, 2, 3]


def test_a_body_in_chunks(answering: Scripted) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n[1,\r\n2\r\n2]\r\n0\r\nA: b\r\n\r\n"

    assert answering(answer).json("GET", "/") == [1, 2]


def test_a_body_that_ends_with_the_connection(answering: Scripted) -> None:
    assert answering(b"HTTP/1.0 200 OK\r\n\r\n[]").json("GET", "/") == []


def test_nothing_is_none(answering: Scripted) -> None:
    assert answering(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").json("GET", "/") is None


def test_lines_come_whole_and_heartbeats_are_passed_over(answering: Scripted) -> None:
    body = b'4\r\n{"a"\r\n6\r\n: 1}\n\n\r\n9\r\n\n{"a": 2}\r\n0\r\n\r\n'
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body

    assert list(answering(answer).lines("/")) == [{"a": 1}, {"a": 2}]


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8), st.integers(1, 50))
def test_any_chunks_in_any_pieces_are_the_same_body(chunks: list[bytes], piece: int) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    near, far = socket.socketpair()
    with near, far:
        writer = threading.Thread(
            target=lambda: [far.send(stream[i : i + piece]) for i in range(0, len(stream), piece)]
        )
        writer.start()
        answer = Answer(near)
        whole = answer.read()
        writer.join()

    assert whole == b"".join(chunks)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000,
    ],
)
def test_an_answer_that_is_none_is_unavailable(answering: Scripted, answer: bytes) -> None:
    daemon = answering(answer)

    with pytest.raises(Unavailable):
        daemon.json("GET", "/")


def test_errors_come_as_their_classes(answering: Scripted) -> None:
    body = b'{"error": {"kind": "Conflict", "message": "no"}, "plan": {"token": "t"}}'
    with pytest.raises(Conflict, match=r"^no$") as caught:
        answering(b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)).json("GET", "/")
    assert caught.value.preview == {"token": "t"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"oops", b"[]", b'{"error": 5}'])
def test_an_error_without_a_reason_is_one_nonetheless(answering: Scripted, body: bytes) -> None:
    with pytest.raises(Failed, match="500"):
        answering(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)).json("GET", "/")


def test_silence_is_a_timeout(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(Timeout):
            Endpoint(f"unix://{tmp_path}/s", 0.05).json("GET", "/")


def test_why_there_is_no_connection(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    for name in ("nothing", "dead"):
        with pytest.raises(Unavailable, match="is `tank serve` running"):
            Endpoint(f"unix://{tmp_path}/{name}").json("GET", "/")
    with pytest.raises(Unavailable):
        Endpoint(f"unix:///{'x' * 200}").json("GET", "/")
    assert isinstance(Endpoint("unix:///x").unreachable(PermissionError(13, "no")), Denied)
    with pytest.raises(Unsupported):
        endpoint("unix://relative")


def test_queries_say_what_was_said() -> None:
    assert (
        target("/x", {"a": None, "b": False, "c": True, "d": 0, "e": ["1", "2"], "f": "a=b,c"})
        == "/x?c=1&d=0&e=1&e=2&f=a%3Db%2Cc"
    )
    assert target("/x", {}) == "/x"
    assert quote("../ä") == "..%2F%C3%A4"


def test_the_default_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TANK_HOST", "TANK_RUN_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TANK_CONFIG", str(tmp_path / "tank.toml"))
    assert default_url() == "unix:///run/tank/tank.sock"
    (tmp_path / "tank.toml").write_text("run_dir = [oops")
    assert default_url() == "unix:///run/tank/tank.sock"
    (tmp_path / "tank.toml").write_text('run_dir = "/r"')
    assert default_url() == "unix:///r/tank.sock"
    monkeypatch.setenv("TANK_RUN_DIR", "/s")
    assert default_url() == "unix:///s/tank.sock"
    monkeypatch.setenv("TANK_HOST", "unix:///t")
    assert default_url() == "unix:///t"
    assert NotFound.exit_code == 3


def test_what_is_to_be_sent_and_cannot_be_read_is_no_fault_of_the_connection(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.EIO, "Input/output error")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(Failed, match="cannot read what is to be sent: Input/output error"):
            Endpoint(f"unix://{tmp_path}/s", 5).upload("/v1/images/load", {}, pieces())
