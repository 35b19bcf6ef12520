"""The program that asks a DHCP server for one interface of a pod, and keeps what it is given.

    python -I -m tank.net.dhcp.client start NAMESPACE DIRECTORY PROGRAM HOSTNAME INTERFACE METRIC ADDRESS
    python -I -m tank.net.dhcp.client news DIRECTORY INTERFACE METRIC

`start` leaves two processes in the pod's network namespace, which are nobody's children, so that they outlive the
daemon. The *client* is busybox's `udhcpc`, shut in without a file, as nobody, with the power to use raw sockets and no
other. It configures nothing: of each event it tells the *keeper*, through a pipe. The keeper can change the network of
this namespace and nothing else; it takes what it is told for a list of words (`tank.net.dhcp.lease`), writes down the
lease in DIRECTORY and puts the address on the interface until the lease ends. Once there is a lease the keeper becomes
a shell that waits for the next news, for a Python that waits takes fifteen times as much memory; `news` is what the
shell starts then. A client that ends takes the keeper along, by the end of the pipe.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tank.host import cell, confine
from tank.net.dhcp import lease as leases
from tank.net.dhcp.holding import carry_over
from tank.net.dhcp.lease import State

CLIENT, STATE = "client", "state"  # files in DIRECTORY: who asks, and what came of it
BOX = "box"  # an empty directory there
HOOK = "tell"
_TOLD = 1  # the descriptor by which the client tells: it keeps no other open for what it starts
_SCRIPT = """\
#!/bin/sh
echo
printf '\\0event=%s\\0' "$1"
env -0
printf 'end\\0'
"""
_WAIT = 'while read -r _; do "$@"; done'
_SEARCH_PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_NEW_NETWORK, _NEW_PIDS = 0x40000000, 0x20000000
_PATIENCE = 5  # seconds that a message may take from its first byte to its last
_libc = ctypes.CDLL(None, use_errno=True)


def arguments(program: str, interface: str, hostname: str, address: str) -> list[str]:
    """The client's command line: it stays in the foreground, asks on for ever, and tries what it is offered.

    `address`: what it had before and would like to have again, if anything.
    """
    asked = ("subnet", "router", "dns", "domain", "search", "mtu", "lease", "serverid")
    options = [word for each in asked for word in ("-O", each)]
    often = ["-t", "4", "-T", "1", "-A", "2", "-a50", *(["-r", address] if address else [])]
    own = ["-f", "-i", interface, "-s", f"/{HOOK}", "-x", f"hostname:{hostname}"]
    return [*program.split(), *own, *often, "-o", *options]


def start(namespace: str, directory: str, command: list[str], interface: str, metric: str) -> int:
    """Both processes run when this returns; else it raises OSError."""
    place = Path(directory)
    with open(namespace, "rb") as pin:
        _check(_libc.setns(pin.fileno(), _NEW_NETWORK))
        inode = os.fstat(pin.fileno()).st_ino
    link = socket.if_nametoindex(interface)
    hears, tells = os.pipe()
    keeper = _forked(lambda: _keep(hears, tells, directory, interface, metric))
    os.close(hears)
    failed, fails = os.pipe()
    _check(_libc.unshare(_NEW_PIDS))
    client = _forked(lambda: _become(command, place / BOX, tells, fails))
    os.close(tells)
    os.close(fails)
    if said := os.read(failed, 1000):
        os.kill(keeper, signal.SIGKILL)
        raise OSError(f"{command[0]} cannot be shut in: {said.decode(errors='replace')}")
    told = {"keeper": _born(keeper), "client": _born(client), "namespace": inode, "link": link}
    _write(place / CLIENT, json.dumps(told))
    return 0


def _forked(child: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        child()
        code = 0
    except BaseException as error:  # noqa: BLE001 - a copy of its parent must end here, whatever happens
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(code)


def _born(pid: int) -> list[int]:
    """The pid, and when the process began: both together are nobody else's."""
    return [pid, int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])]


def _become(command: list[str], box: Path, tells: int, fails: int) -> None:
    """The client."""
    fails = fcntl.fcntl(fails, fcntl.F_DUPFD_CLOEXEC, 10)  # out of the way of what is put in its place
    try:
        os.dup2(tells, _TOLD)
        os.set_inheritable(_TOLD, True)
        cell.shut_in(box, {HOOK: _SCRIPT}, (cell.NET_RAW, cell.NET_BIND_SERVICE))
        os.execve(command[0], command, _SEARCH_PATH)  # noqa: S606 - there is no shell to be fooled
    except OSError as error:
        os.write(fails, str(error).encode())
        raise


def _keep(hears: int, tells: int, directory: str, interface: str, metric: str) -> None:
    """The keeper, until the first lease in person."""
    os.close(tells)
    os.dup2(hears, 0)
    os.close(hears)
    confine.keep_as_root(frozenset({cell.NET_ADMIN, cell.DAC_READ_SEARCH}))
    place, heard = Path(directory), _Pipe()
    while heard.next():
        _take(heard.message, place, interface, metric)
        lease = read(place).lease
        if lease and lease.valid(_now()) and not heard.rest:
            news = [sys.executable, "-X", "utf8", "-I", "-m", "tank.net.dhcp.client", "news"]
            os.execv("/bin/sh", ["sh", "-c", _WAIT, "sh", *news, directory, interface, metric])  # noqa: S606 - as above


def news(directory: str, interface: str, metric: str) -> int:
    """The message whose first line the shell has read, and all that are there by then."""
    signal.alarm(_PATIENCE)
    heard = _Pipe()
    while heard.next():
        _take(heard.message, Path(directory), interface, metric)
        if not heard.rest:
            break
    return 0


class _Pipe:
    """What the client tells, on standard input."""

    def __init__(self) -> None:
        self.message = self.rest = b""

    def next(self) -> bool:
        """Wait for a message. False: the client has ended. Raises OSError: it talks too much."""
        while leases.END not in self.rest:
            data = os.read(0, 4096)
            if not data:
                return False
            self.rest += data
            if len(self.rest) > leases.MOST:
                raise OSError("the client talks too much")
        self.message, _, rest = self.rest.partition(leases.END)
        self.rest = rest.lstrip(b"\n")
        return True


def _take(message: bytes, directory: Path, interface: str, metric: str) -> None:
    before, now = read(directory), _now()
    after = leases.advanced(before, *leases.parsed_message(message), now)
    _write(directory / STATE, json.dumps(leases.dumped(after)))
    if after.event in leases.CHANGES:
        with suppress(OSError):  # the interface may be gone; the daemon says so
            carry_over(interface, before.lease, after.lease, metric=int(metric) if metric else None, now=now)


def read(directory: Path) -> State:
    """What came of asking so far."""
    try:
        return leases.loaded(json.loads((directory / STATE).read_bytes()))
    except (OSError, KeyError, TypeError, ValueError):
        return State()


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.with_name(f".{path.name}").write_text(text)
    path.with_name(f".{path.name}").replace(path)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _check(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main(words: list[str]) -> int:
    """Do what is asked for."""
    try:
        if words[0] == "news":
            return news(*words[1:])
        namespace, directory, program, hostname, interface, metric, address = words[1:]
        return start(namespace, directory, arguments(program, interface, hostname, address), interface, metric)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
