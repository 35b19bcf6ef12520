"""Exec and attach with pipes: bytes, ends, codes, and any amount both ways at once."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess

import pytest

from tests.api.node import FakeNode
from tests.cli.conftest import Daemon, Tank
from tests.waiting import wait_for

POD = """\
name: web
containers:
  - {name: app, image: "nginx:1.27", command: [cat], stdin: true}
  - {name: quiet, image: "nginx:1.27", command: [sh, -c, "echo hello; exit 7"]}
"""


@pytest.fixture
def web(tank: Tank, daemon: Daemon) -> FakeNode:
    assert tank("apply", "-f", "-", stdin=POD.encode()).returncode == 0
    return daemon.node


def test_the_exit_code_is_the_commands(tank: Tank, web: FakeNode) -> None:
    assert tank.says("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")
    assert tank.says("exec", "web", "sh", "-c", "kill -9 $$")[0] == 137


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("exec", "web", "--", "/nope"), 127, "tank: /nope: no such program\n"),
        (("exec", "web", "--", "/etc/passwd"), 126, "tank: /etc/passwd: not executable\n"),
        (("exec", "nope", "--", "true"), 125, "tank: no pod is called nope\n"),
        (("exec", "-c", "nope", "web", "--", "true"), 125, "tank: pod web has no container nope\n"),
        (("attach", "-c", "nope", "web"), 125, "tank: pod web has no container nope\n"),
        (("exec", "web"), 2, "tank: exec what? (tank exec NAME -- CMD…)\n"),
        (("exec", "web", "--"), 2, "tank: exec what? (tank exec NAME -- CMD…)\n"),
    ],
)
def test_what_cannot_be_run_has_a_code_and_a_reason(
    tank: Tank, web: FakeNode, words: tuple[str, ...], code: int, said: str
) -> None:
    assert tank.says(*words) == (code, "", said)


def test_no_daemon_is_125_for_exec(tank: Tank) -> None:
    assert tank.says("exec", "web", "--", "true", TANK_HOST="unix:///none.sock")[0] == 125


def test_flags_before_the_command_are_tanks_and_after_it_the_commands(tank: Tank, web: FakeNode) -> None:
    done = tank.says(
        "exec", "-e", "A=1", "-e", "HOME", "-w", "/tmp", "web", "--", "sh", "-c", 'echo "$A $HOME $PWD $0"', "-i"
    )
    plain = tank.says("exec", "web", "echo", "-n", "--", "x")
    asked = next(what for call, what in web.calls if call == "exec")

    assert done == (0, f"1 {tank.env['HOME']} /tmp -i\n", "")
    assert plain == (0, "-- x", "")
    assert getattr(asked, "stdin") is False  # noqa: B009


def test_the_command_sees_no_input_unless_asked(tank: Tank, web: FakeNode) -> None:
    assert tank("exec", "web", "--", "cat", stdin=b"secret").stdout == b""
    assert tank("exec", "-i", "web", "--", "cat", stdin=b"a\0\xff\r\n\x04").stdout == b"a\0\xff\r\n\x04"


def test_50_megabytes_pass_both_ways_at_once(tank: Tank, web: FakeNode) -> None:
    data = random.Random(7).randbytes(50 * 2**20)

    done = tank("exec", "-i", "web", "--", "cat", stdin=data)

    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_a_command_that_reads_nothing_and_writes_much_ends(tank: Tank, web: FakeNode) -> None:
    done = tank("exec", "-i", "web", "--", "sh", "-c", "head -c 5000000 /dev/zero; exit 4", stdin=b"x" * 5_000_000)

    assert (done.returncode, len(done.stdout)) == (4, 5_000_000)


def test_output_into_a_file_and_from_a_file(tank: Tank, web: FakeNode) -> None:
    source, sink = tank.home / "in", tank.home / "out"
    source.write_bytes(b"line\n" * 100_000)
    with source.open("rb") as reading, sink.open("wb") as writing:
        subprocess.run(
            tank.argv("exec", "-i", "web", "--", "cat"), stdin=reading, stdout=writing, env=tank.env, check=True
        )

    assert sink.read_bytes() == source.read_bytes()


def test_a_reader_that_goes_away_ends_the_command(tank: Tank, web: FakeNode) -> None:
    command = " ".join(tank.argv("exec", "web", "--", "yes"))

    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"], env=tank.env, capture_output=True, check=True
    )

    assert (done.stdout, done.stderr) == (b"y\n141\n", b"")
    wait_for(lambda: web.sessions[-1].closed)


def test_ctrl_c_ends_the_command_with_130(tank: Tank, web: FakeNode) -> None:
    child = subprocess.Popen(tank.argv("exec", "web", "--", "sleep", "100"), env=tank.env, stderr=subprocess.PIPE)
    wait_for(lambda: web.sessions)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=10)

    assert (child.returncode, errors) == (130, b"")
    wait_for(lambda: web.sessions[-1].closed)


def test_a_daemon_that_stops_is_said_with_125(tank: Tank, web: FakeNode, daemon: Daemon) -> None:
    child = subprocess.Popen(tank.argv("exec", "web", "--", "sleep", "100"), env=tank.env, stderr=subprocess.PIPE)
    wait_for(lambda: web.sessions)
    daemon.do(daemon.stop)
    _, errors = child.communicate(timeout=10)

    assert (child.returncode, errors) == (125, b"tank: the daemon closed the stream\n")


def test_attach_passes_the_containers_own_streams(tank: Tank, web: FakeNode) -> None:
    done = tank("attach", "web", stdin=b"hello")
    quiet = tank.says("attach", "-c", "quiet", "web")

    assert (done.returncode, done.stdout) == (0, b"hello")
    assert quiet == (7, "hello\n", "")
