"""The namespaces of a sandbox: made, pinned below a directory, entered, removed.

A pin is a bind mount of a namespace onto a file `<directory>/{net,ipc,uts}`. It keeps the namespace alive
without a process, so a sandbox outlives its containers and the daemon (decision 5). Containers join by path.
A pinned namespace is ready: host name set, loopback up, and what interfaces come into it take no address from
router advertisements unless told to (S32). All is done by the thread of `tank.host.setns`.

Make one `Namespaces` per daemon and hand it to whoever needs it; its thread starts with the first call.
Pins must lie on an MS_PRIVATE mount, or they spread into other mount namespaces and never die (R34): that is
the caller's to see to.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tank import errors
from tank.host import sysctl
from tank.host.setns import KINDS, PINS, Home, LostError, Thread, pin, pinned, unpin

__all__ = ["KINDS", "Namespaces", "pinned"]

T = TypeVar("T")

_ACCEPT_RA = Path("/proc/sys/net/ipv6/conf/default/accept_ra")  # of the reading thread's namespace
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


class Namespaces:
    """Makes, pins, enters and removes namespaces, on one thread of its own.

    All methods may be repeated: done already is success. They raise Denied without the privileges of root
    and Failed, with the kernel's words, otherwise.
    """

    def __init__(self) -> None:
        self._thread: Thread | None = None

    async def make(
        self,
        directory: Path,
        *,
        net: bool,
        hostname: str,
        settings: Mapping[str, str] | None = None,
        source: int | None = None,
    ) -> None:
        """Pin `ipc`, `uts` and, with `net`, `net` below `directory`; set the host name, bring loopback up.

        `settings` of the kernel are written in them: sysctls by name.

        A pin that stands is kept, and its host name and loopback put right. `source`: the process in whose namespaces
        all is done, instead of new ones.
        """
        kinds = tuple(kind for kind in KINDS if net or kind != "net")
        await self._run(lambda home: _make(home, directory, kinds, _Ready(hostname, settings or {}, source)))

    async def set_hostname(self, directory: Path, hostname: str) -> None:
        """Set the host name of the pinned UTS namespace."""
        await self.inside(directory / "uts", lambda: socket.sethostname(hostname))

    async def repin(self, directory: Path, pid: int, names: Iterable[str]) -> None:
        """Pin the namespaces `names` (net, ipc, uts, pid, user) of the living process `pid` where the pin is gone.

        Raises Denied when that process lives in a namespace of this daemon: it is no container of ours.
        """
        wanted = tuple(names)
        await self._run(lambda home: _repin(directory, pid, wanted))

    async def remove(self, directory: Path) -> None:
        """Unpin all and remove the directory. A namespace dies with its last process or descriptor."""
        await self._run(lambda home: _remove(directory))

    async def inside(self, path: Path, work: Callable[[], T]) -> T:
        """What `work` returns, done in the namespace pinned at `path`. Short things only: all others wait."""
        return await self._run(lambda home: _inside(home, path, work))

    async def socket(self, path: Path, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket of the network namespace pinned at `path`, to be used from anywhere."""
        flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        return await self.inside(path, lambda: socket.socket(family, kind | flags, protocol))

    async def fresh(self) -> FileIO:
        """A network namespace, loopback up, that lives as long as the descriptor, or whoever is in it."""
        return await self._run(_fresh)

    async def close(self) -> None:
        """End the thread. Pins and handed-out sockets stay. A later call starts a new one."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.end)

    async def _run(self, work: Callable[[Home], T]) -> T:
        while True:
            try:
                return await _answer(self._fresh().submit(work))
            except LostError:
                continue
            except PermissionError as error:
                raise errors.Denied(f"cannot set up namespaces: {_words(error)}; this needs root") from error
            except OSError as error:
                raise errors.Failed(f"cannot set up namespaces: {_words(error)}") from error

    def _fresh(self) -> Thread:
        if self._thread is None or self._thread.lost:
            self._thread = Thread()
        return self._thread


async def _answer(future: Future[T]) -> T:
    """What the thread said. A socket that nobody waits for any more is closed, not left to the collector."""
    waited = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waited)
    except asyncio.CancelledError:
        waited.add_done_callback(_discard)
        raise


def _discard(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is None and isinstance(future.result(), (socket.socket, FileIO)):
        future.result().close()


class _Ready(NamedTuple):
    """What makes namespaces ready, and where those that are missing come from."""

    hostname: str
    settings: Mapping[str, str]
    source: int | None


def _make(home: Home, directory: Path, kinds: tuple[str, ...], ready: _Ready) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    missing = [kind for kind in kinds if not pinned(directory / kind)]
    for kind in kinds:
        if kind not in missing:
            home.enter(directory / kind)
    if ready.source is None:
        home.unshare(missing)
    else:
        for kind in missing:
            home.enter(Path(f"/proc/{ready.source}/ns/{kind}"))
    # Before the pin: a namespace that is pinned is ready, whenever we are killed.
    socket.sethostname(ready.hostname)
    if "net" in kinds:
        _loopback_up()
        _ignore_routers()
    sysctl.write(ready.settings)
    for kind in missing:
        pin(f"/proc/thread-self/ns/{kind}", directory / kind)


def _fresh(home: Home) -> FileIO:
    home.unshare(["net"])
    _loopback_up()
    _ignore_routers()
    return FileIO("/proc/thread-self/ns/net")


def _repin(directory: Path, pid: int, names: tuple[str, ...]) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        if not pinned(directory / name):
            _repin_one(directory, pid, name)


def _repin_one(directory: Path, pid: int, name: str) -> None:
    """By descriptor, so that what was looked at is what is pinned, even if the pid has a new owner."""
    fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.path.samestat(os.fstat(fd), os.stat(f"/proc/thread-self/ns/{name}")):
            raise errors.Denied(f"cannot pin the {name} namespace of process {pid}: it is the host's own")
        pin(f"/proc/self/fd/{fd}", directory / name)
    finally:
        os.close(fd)


def _remove(directory: Path) -> None:
    for kind in (*KINDS, *PINS):
        unpin(directory / kind)
        (directory / kind).unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        directory.rmdir()


def _inside(home: Home, path: Path, work: Callable[[], T]) -> T:
    home.enter(path)
    return work()


def _loopback_up() -> None:
    """Bring `lo` up where the thread is, by ioctl: netlink's library need not be loaded for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
        asked = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", b"lo"))
        (flags,) = struct.unpack_from("16xh", asked)
        if not flags & _IFF_UP:
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _ignore_routers() -> None:
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        _ACCEPT_RA.write_text("0")


def _words(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return where + (os.strerror(error.errno).lower() if error.errno else str(error))
