"""The one thread that enters namespaces, and its way home.

Namespaces belong to a thread, and what a thread opens (a socket above all) keeps the namespace in which it
was opened. So one dedicated thread goes in, does one short thing and comes back; nothing forks, and no other
thread ever leaves the host. A thread that cannot come back is lost: it ends, what waited for it is told so,
and a fresh one must be started from a thread that is at home, for a thread is born where its parent is.

Python's `os` has setns and unshare from 3.12 on; until that is the floor there is ctypes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from tank.host import syscalls

T = TypeVar("T")

PINS: Final = {"pid": 0x20000000, "user": 0x10000000}  # kinds that are pinned and that no thread enters
KINDS: Final = {"net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000}  # CLONE_NEW*, linux/sched.h
_NS_GET_NSTYPE: Final = 0xB703  # linux/nsfs.h

_libc = ctypes.CDLL(None, use_errno=True)


class LostError(Exception):
    """The thread that should have done it is gone; another can."""


class Home:
    """The namespaces in which the thread was born, and the way back to them."""

    def __init__(self) -> None:
        self._fds = {kind: _open(f"/proc/thread-self/ns/{kind}") for kind in KINDS}
        self._away: set[str] = set()

    def unshare(self, kinds: Iterable[str]) -> None:
        """Go into new namespaces of these kinds. Raises OSError."""
        self._away.update(kinds)
        flags = sum(KINDS[kind] for kind in kinds)
        if flags:
            _check("unshare", _libc.unshare(flags))

    def enter(self, path: Path) -> None:
        """Go into the namespace at `path`. Raises OSError; EINVAL when there is none of ours."""
        fd = _open(str(path))
        try:
            kind = _kind(fd)
            if kind not in KINDS:
                raise OSError(errno.EINVAL, "no network, IPC or UTS namespace", str(path))
            self._away.add(kind)
            _check(str(path), _libc.setns(fd, KINDS[kind]))
        finally:
            os.close(fd)

    def back(self) -> None:
        """Be at home again. Raises OSError when that cannot be."""
        for kind in tuple(self._away):
            _check(kind, _libc.setns(self._fds[kind], KINDS[kind]))
            self._away.discard(kind)

    def close(self) -> None:
        """Forget the way."""
        for fd in self._fds.values():
            os.close(fd)


class Thread:
    """Does one work after the other, each starting at home. `lost` once it could not come back."""

    def __init__(self) -> None:
        self.lost = False
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[Home], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="tank-setns", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Home], T]) -> Future[T]:
        """The answer to come. It is LostError when the thread was lost before it came to `work`."""
        future: Future[T] = Future()
        with self._lock:
            if self.lost:
                raise LostError
            self._queue.put((future, work))
        return future

    def end(self) -> None:
        """Finish what was submitted and stop; blocks until then."""
        self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        home = Home()
        try:
            while (item := self._queue.get()) is not None:
                if not self._answer(home, *item):
                    return
        finally:
            self._lose()
            home.close()

    def _answer(self, home: Home, future: Future[Any], work: Callable[[Home], Any]) -> bool:
        """Whether the thread is at home again: settled before the answer is out, the next relies on it."""
        result, failure = None, None
        try:
            result = work(home)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, whatever it is
            failure = error
        try:
            home.back()
        except OSError:
            self._lose()
        if failure is not None:
            future.set_exception(failure)
        else:
            future.set_result(result)
        return not self.lost

    def _lose(self) -> None:
        with self._lock:
            self.lost = True
            while not self._queue.empty():
                if (item := self._queue.get()) is not None:
                    item[0].set_exception(LostError())


def pinned(path: Path) -> bool:
    """Whether a namespace is pinned at `path`; of the right kind, where the file is called after a kind.

    Raises OSError when it cannot tell.
    """
    try:
        fd = _open(str(path))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            return False
        raise
    try:
        kind = _kind(fd)
    finally:
        os.close(fd)
    return kind is not None and (path.name == kind or path.name not in {**KINDS, **PINS})


def pin(source: str, target: Path) -> None:
    """Keep the namespace `source`, a path below /proc, alive at `target`. Raises OSError."""
    os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o400))
    syscalls.mount(source, str(target), "", syscalls.MS_BIND)


def unpin(target: Path) -> None:
    """Unmount whatever is stacked at `target`; nothing there is success. Raises OSError."""
    while True:
        try:
            syscalls.umount(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):  # no mount, no file
                return
            raise


def _open(path: str) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a fifo in its place must not hold us
    return os.open(path, flags if path.startswith("/proc/") else flags | os.O_NOFOLLOW)


def _kind(fd: int) -> str | None:
    """Which of KINDS and PINS the descriptor is; None for anything else."""
    try:
        found = fcntl.ioctl(fd, _NS_GET_NSTYPE)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return None
        raise
    return next((kind for kind, flag in {**KINDS, **PINS}.items() if flag == found), None)


def _check(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
