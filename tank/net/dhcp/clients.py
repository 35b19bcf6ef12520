"""The daemon's side of DHCP: a client for each interface that asks, found alive or started, heard, and ended.

The processes lie in the pod's own group, so what ends the pod ends them; and no daemon is their parent, so none takes
them along. What they have reached lies in files that the keeper writes; this holds only watches.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import tank
from tank.config import Settings
from tank.errors import Failed, Waiting
from tank.host import cgroup, files, process, syscalls
from tank.host.cgroup import Groups
from tank.host.watch import Process, Watcher
from tank.net.dhcp import client
from tank.net.dhcp.lease import BOUND, Lease, State
from tank.net.links import REASON

START, RELEASE = 10.0, 1.0  # seconds until both processes run; until a release was sent
_KILL = 5.0
_ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@"'
_MODULE = "tank.net.dhcp.client"
_MAKER = [tank.__version__, sys.executable]  # whose program the keeper starts at each piece of news


def program() -> str | None:
    """The client of this machine, as words; None: there is none."""
    where = process.ENVIRONMENT["PATH"]
    if found := shutil.which("udhcpc", path=where):
        return found
    found = shutil.which("busybox", path=where)
    return f"{found} udhcpc" if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one interface asks for. `metric` of the default route; None: the lease says nothing about it."""

    nic: str
    link: int  # its index
    hostname: str
    metric: int | None


@dataclass(slots=True)
class _Watch:
    """An ear for one client. `changed` is set by each piece of news."""

    number: int
    heard: Callable[[str], None]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: Process | None = None


class Clients:
    """The clients of one installation. Everything may be repeated."""

    def __init__(self, settings: Settings, installation: str, nudge: Callable[[str], None]) -> None:
        """`nudge(uid)`: a client of this pod has news, or has ended."""
        self._settings, self._installation, self._nudge = settings, installation, nudge
        self._watcher: Watcher | None = None
        self._watches: dict[tuple[str, str], _Watch] = {}

    def state(self, uid: str, nic: str) -> State:
        """What has come of asking."""
        return client.read(self._directory(uid, nic))

    def lease(self, uid: str, nic: str) -> Lease | None:
        """What the interface holds now."""
        found = self.state(uid, nic).lease
        return found if found and found.valid(boot()) else None

    def nics(self, uid: str) -> tuple[str, ...]:
        """The interfaces of the pod that have asked."""
        return files.names(self._directory(uid))

    def runs(self, uid: str, nic: str, *, link: int, namespace: Path) -> bool:
        """Whether both processes live, at this link of this namespace. Then news are heard from now on."""
        told = self._told(uid, nic)
        if (told.get("link"), told.get("namespace")) != (link, os.stat(namespace).st_ino):
            return False
        with _living(told.get("client")) as asking, _living(told.get("keeper")) as keeper:
            if asking is None or keeper is None:
                return False
            self._attend(uid, nic, keeper.pid)
            return True

    def fault(self, uid: str, nic: str) -> str:
        """Why one that runs is of no use, in words; empty when it is of use."""
        said, state = _loaded(files.read(self._directory(uid, nic) / "wish")), self.state(uid, nic)
        if not isinstance(said, list) or said[-len(_MAKER) :] != _MAKER:
            return "is that of another Tank"
        lapsed = state.event in BOUND and state.lease is not None and not state.lease.valid(boot())
        return "has let its lease end" if lapsed else ""

    async def ensure(self, uid: str, wish: Wish, namespace: Path) -> None:
        """Have the client of this interface run. Raises Waiting, Failed."""
        serves = self.runs(uid, wish.nic, link=wish.link, namespace=namespace) and not self.fault(uid, wish.nic)
        if serves and not self._changed(uid, wish):
            return
        await self.end(uid, wish.nic)
        await self._start(uid, wish, namespace)
        if not self.runs(uid, wish.nic, link=wish.link, namespace=namespace):
            raise Waiting(REASON, f"cannot ask a DHCP server for {wish.nic}: {self._said(uid, wish.nic)}")

    async def obtained(self, uid: str, nic: str, seconds: float) -> Lease | None:
        """The lease, once there is one; None: there was none within `seconds`, or the client has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.lease(uid, nic) is None and (watch := self._watches.get((uid, nic))):
                    watch.changed.clear()
                    if self.lease(uid, nic) is None:
                        await watch.changed.wait()
        return self.lease(uid, nic)

    async def release(self, uid: str, nic: str) -> None:
        """Give the address back, as far as the server can be reached, and ask no more. Raises Failed."""
        with _living(self._told(uid, nic).get("client")) as asking:
            if asking is not None and self.lease(uid, nic) is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RELEASE):
                        await self._heard(uid, nic, BOUND)  # one that was just started holds nothing to give back
                        asking.signal(signal.SIGUSR2)
                        await self._heard(uid, nic, ("deconfig",))
        await self.end(uid, nic)
        files.remove_tree(self._directory(uid, nic))

    async def _heard(self, uid: str, nic: str, events: Collection[str]) -> None:
        watch = self._attend(uid, nic, None)
        while self.state(uid, nic).event not in events:
            watch.changed.clear()
            await watch.changed.wait()

    def forget(self, uid: str) -> None:
        """Listen to this pod's clients no more; they go on."""
        for key in [each for each in self._watches if each[0] == uid]:
            self._unwatch(key)

    def close(self) -> None:
        """Listen to nobody."""
        for key in tuple(self._watches):
            self._unwatch(key)
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    async def _start(self, uid: str, wish: Wish, namespace: Path) -> None:
        binary, directory = program(), self._directory(uid, wish.nic)
        if binary is None:
            raise Waiting(REASON, "cannot ask a DHCP server: udhcpc is not installed on this machine")
        last = self.state(uid, wish.nic).lease
        try:
            files.make_directory(directory)
            files.make_directory(directory / client.BOX)
            files.write(directory / "wish", _words(wish))
            groups = self._groups().make(self._group(uid, wish.nic))
            python = [sys.executable, "-X", "utf8", "-I", "-m", _MODULE, "start", str(namespace), str(directory)]
            asks = [binary, wish.hostname, wish.nic, "" if wish.metric is None else str(wish.metric)]
            address = last.address.partition("/")[0] if last else ""
            with files.opened(directory / "errors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND) as errors:
                argv = ["/bin/sh", "-c", _ENTER, "sh", *map(str, groups), "--", *python, *asks, address]
                starting = await process.spawn(argv, stdin=DEVNULL, stdout=DEVNULL, stderr=errors)
                try:
                    async with asyncio.timeout(START):
                        code = await starting.wait()
                finally:
                    await process.end(starting)
        except OSError as error:  # a time-out too
            raise Failed(
                f"cannot start the DHCP client of {wish.nic}: {error.strerror or 'it takes too long'}"
            ) from error
        if code:
            raise Failed(f"cannot start the DHCP client of {wish.nic}: {self._said(uid, wish.nic)}")

    async def end(self, uid: str, nic: str) -> None:
        """Ask no more; what it had is asked for again, should it be started once more. Raises Failed."""
        self._unwatch((uid, nic))
        groups, group = self._groups(), self._group(uid, nic)
        await groups.kill(group, seconds=_KILL)
        await groups.remove(group)

    def _attend(self, uid: str, nic: str, keeper: int | None) -> _Watch:
        """Hear of changed files, and of the keeper's end."""
        if found := self._watches.get((uid, nic)):
            return found
        if self._watcher is None:
            self._watcher = Watcher()

        def heard(name: str) -> None:
            if name == client.STATE:
                watch.changed.set()
                self._nudge(uid)

        directory = self._directory(uid, nic)
        watch = _Watch(self._watcher.add(directory, syscalls.IN_MOVED_TO, heard), heard)
        self._watches[(uid, nic)] = watch
        if keeper is not None:
            with contextlib.suppress(ProcessLookupError):
                watch.keeper = Process(keeper)
                asyncio.get_running_loop().add_reader(watch.keeper.fd, self._ended, (uid, nic))
        return watch

    def _ended(self, key: tuple[str, str]) -> None:
        self._unwatch(key)
        self._nudge(key[0])

    def _unwatch(self, key: tuple[str, str]) -> None:
        watch = self._watches.pop(key, None)
        if watch is None:
            return
        watch.changed.set()  # whoever waits sees that there is nothing to wait for
        if self._watcher is not None:
            self._watcher.remove(watch.number, watch.heard)
        if watch.keeper is not None:
            asyncio.get_running_loop().remove_reader(watch.keeper.fd)
            watch.keeper.close()

    def _changed(self, uid: str, wish: Wish) -> bool:
        return files.read(self._directory(uid, wish.nic) / "wish") != _words(wish)

    def _told(self, uid: str, nic: str) -> dict[str, Any]:
        found = _loaded(files.read(self._directory(uid, nic) / client.CLIENT))
        return found if isinstance(found, dict) else {}

    def _said(self, uid: str, nic: str) -> str:
        said = (files.read(self._directory(uid, nic) / "errors") or b"").decode("ascii", "replace").strip()
        return said.rpartition("\n")[2][:300] or "its client gave no reason"

    def _directory(self, uid: str, nic: str = "") -> Path:
        return self._settings.pod_run_dir(uid) / "dhcp" / nic

    def _group(self, uid: str, nic: str) -> str:
        return f"{uid}/_dhcp.{nic}"  # no container can be called that

    def _groups(self) -> Groups:
        return Groups(cgroup.find_hierarchies(), cgroup.find_root(self._installation))


def boot() -> float:
    """The clock that leases end by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _words(wish: Wish) -> bytes:
    return json.dumps([wish.hostname, wish.metric, *_MAKER]).encode()


def _loaded(data: bytes | None) -> Any:
    try:
        return json.loads(data or b"null")
    except ValueError:
        return None


@contextlib.contextmanager
def _living(who: Any) -> Iterator[Process | None]:
    """The process with this pid and start."""
    found = Process.identified(*who) if isinstance(who, list) and len(who) == 2 else None
    try:
        yield found
    finally:
        if found is not None:
            found.close()
