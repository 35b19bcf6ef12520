"""Exec and attach on a real terminal: raw mode and back, sizes, detaching. The terminal is a pty of ours."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tank.model.status import ContainerStatus
from tests.api.node import FakeNode, Line
from tests.cli.conftest import Daemon, Tank
from tests.waiting import wait_for

POD = """\
name: web
containers:
  - {name: app, image: "nginx:1.27", command: [cat], stdin: true, tty: true}
"""


@pytest.fixture
def web(tank: Tank, daemon: Daemon) -> FakeNode:
    assert tank("apply", "-f", "-", stdin=POD.encode()).returncode == 0
    return daemon.node


class Screen:
    """A terminal of 30 rows and 100 columns with one command on it."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(self.slave)
        self.child = subprocess.Popen(
            argv, stdin=self.slave, stdout=self.slave, stderr=self.slave, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def read_until(self, text: bytes, seconds: float = 10) -> bytes:
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, f"waited in vain for {text!r}, saw {self.shown!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.shown += os.read(self.master, 65536)
        return self.shown

    @property
    def raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self) -> int:
        """The exit code, once the terminal is checked to be as it was."""
        code = self.child.wait(10)
        assert termios.tcgetattr(self.slave) == self.before
        return code

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screens(tank: Tank) -> Iterator[list[Screen]]:
    made: list[Screen] = []
    yield made
    for each in made:
        each.close()


@pytest.fixture
def shell(tank: Tank, web: FakeNode, screens: list[Screen]) -> Screen:
    """A shell in the container, on a terminal that is raw."""
    screen = Screen(tank.argv("exec", "-it", "web", "--", "sh"), tank.env)
    screens.append(screen)
    wait_for(lambda: screen.raw)
    return screen


def test_a_shell_has_a_terminal_of_the_same_size_and_follows_it(shell: Screen, web: FakeNode) -> None:
    shell.type(b"stty size; tty; echo $((6*7))\n")
    shown = shell.read_until(b"42")
    shell.resize(40, 120)
    wait_for(lambda: (40, 120) in web.sessions[-1].sizes)
    shell.type(b"exit 5\n")

    assert b"30 100" in shown
    assert b"/dev/pts/" in shown
    assert shell.end() == 5


def test_ctrl_c_is_for_the_program_and_not_for_tank(shell: Screen) -> None:
    shell.type(b"trap 'echo cau''ght; exit' INT; echo rea''dy; while :; do sleep 0.1; done\n")
    shell.read_until(b"ready")
    shell.type(b"\x03")
    shell.read_until(b"caught")

    assert shell.end() in (0, 130)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(shell: Screen, web: FakeNode, number: signal.Signals) -> None:
    shell.child.send_signal(number)

    assert shell.end() == 128 + number
    wait_for(lambda: web.sessions[-1].closed)


def test_a_daemon_that_dies_leaves_the_terminal_as_it_was(shell: Screen, daemon: Daemon) -> None:
    daemon.do(daemon.stop)

    assert shell.end() == 125
    shell.read_until(b"tank: the daemon closed the stream")


def test_after_a_stop_and_a_continue_it_is_raw_again(shell: Screen) -> None:
    shell.child.send_signal(signal.SIGSTOP)
    termios.tcsetattr(shell.slave, termios.TCSANOW, shell.before)
    shell.child.send_signal(signal.SIGCONT)

    wait_for(lambda: shell.raw)
    shell.type(b"exit 6\n")
    assert shell.end() == 6


def test_attach_is_raw_and_the_keys_leave_it_running(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    screen = Screen(tank.argv("attach", "web"), tank.env)
    screens.append(screen)
    wait_for(lambda: screen.raw)
    screen.type(b"hello\n")
    screen.read_until(b"hello\r\nhello")
    screen.type(b"\x10")
    screen.type(b"\x11")
    screen.read_until(b"detached from web; it runs on")

    assert screen.end() == 0


def test_other_keys_may_be_chosen(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    screen = Screen(tank.argv("attach", "--detach-keys", "ctrl-x,d", "web"), tank.env)
    screens.append(screen)
    wait_for(lambda: screen.raw)
    screen.type(b"\x18d")

    assert screen.end() == 0


def test_the_python_function_is_interactive_on_a_terminal(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    program = "import tank, sys; r = tank.exec('web', ['sh', '-c', 'test -t 0 && exit 9']); sys.exit(r.exit_code)"
    screen = Screen([tank.argv()[0], "-c", program], tank.env)
    screens.append(screen)

    assert screen.end() == 9


def test_a_log_cannot_steer_the_terminal(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    web.log = [Line(text=b"\x1b]0;title\x07\x1b[2J\x1b[32mgreen\x9b5n end")]
    screen = Screen(tank.argv("logs", "web"), tank.env)
    screens.append(screen)
    shown = screen.read_until(b"end")

    assert screen.end() == 0
    assert b"\x1b]" not in shown
    assert b"\x1b[2J" not in shown
    assert b"\x1b[32mgreen" in shown


def test_a_watched_list_is_redrawn(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    screen = Screen(tank.argv("list", "-w"), tank.env)
    screens.append(screen)
    shown = screen.read_until(b"nginx")
    screen.child.send_signal(signal.SIGINT)

    assert b"\x1b[H" in shown
    assert screen.end() == 130


def test_a_wait_on_a_terminal_has_a_line_and_a_bar_for_each_container(
    tank: Tank, web: FakeNode, screens: list[Screen]
) -> None:
    pulling = ContainerStatus(name="app", state="waiting", message="pulling: 3.0 of 12.0 MB, 0 of 3 layers")
    running = web.statuses["web"]
    web.statuses["web"] = replace(running, phase="pending", ready=False, containers=(pulling,))
    screen = Screen(tank.argv("wait", "web", "--for", "ready"), tank.env)
    screens.append(screen)
    shown = screen.read_until(b"3.0 of 12.0 MB")
    web.statuses["web"] = running
    screen.read_until(b"web is ready")

    assert b"web/app  waiting  [#####...............] pulling: 3.0 of 12.0 MB" in shown
    assert screen.end() == 0


def test_a_wait_that_is_interrupted_leaves_a_clean_terminal(tank: Tank, web: FakeNode, screens: list[Screen]) -> None:
    screen = Screen(tank.argv("wait", "web", "--for", "gone"), tank.env)
    screens.append(screen)
    screen.read_until(b"web/app")
    screen.type(b"\x03")

    assert screen.end() == 130
