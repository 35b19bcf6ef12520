"""Ears in each pod's namespace: news of links, addresses, routes and rules. Hints; losing them costs latency only."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tank.errors import TankError
from tank.host.netns import Namespaces
from tank.net.fences import FENCE
from tank.net.monitor import Monitor
from tank.net.names import leads
from tank.net.nftables import NETFILTER, RuleMonitor
from tank.net.rtnetlink import NETLINK

_TABLES = frozenset({FENCE.split()[1], leads.TABLE.split()[1]})


@dataclass(slots=True)
class _Watch:
    """One watched namespace, told apart from a later one at the same path by its inode."""

    inode: int
    nudge: Callable[[], None]
    opening: asyncio.Task[None] | None = None
    monitor: Monitor | None = None
    rules: RuleMonitor | None = None

    def close(self) -> None:
        """No socket keeps the namespace alive any more."""
        if self.opening:
            self.opening.cancel()
        for each in (self.monitor, self.rules):
            if each:
                each.close()


class Watches:
    """The watched namespaces, by the uid of their pod. All of it on the event loop."""

    def __init__(self, namespaces: Namespaces, ruled: Callable[[str], None]) -> None:
        """`ruled(uid)`: rules of ours in that pod were changed."""
        self._namespaces, self._ruled = namespaces, ruled
        self._watches: dict[str, _Watch] = {}

    def watch(self, uid: str, namespace: Path, nudge: Callable[[], None]) -> None:
        """Call `nudge()` when something changes there."""
        try:
            inode = os.stat(namespace).st_ino
        except OSError:
            return
        watch = self._watches.get(uid)
        if watch and watch.inode == inode:
            watch.nudge = nudge
            return
        self.forget(uid)
        watch = self._watches[uid] = _Watch(inode, nudge)
        watch.opening = asyncio.get_running_loop().create_task(self._listen(uid, watch, namespace))

    def listening(self, uid: str) -> bool:
        """Whether changes are heard by now."""
        return uid in self._watches and self._watches[uid].monitor is not None

    def nudge(self, uid: str) -> None:
        """What the pod's own ear does not hear has changed."""
        if watch := self._watches.get(uid):
            watch.nudge()

    def forget(self, uid: str) -> None:
        """Let go of the namespace: no socket keeps it alive. May be repeated."""
        watch = self._watches.pop(uid, None)
        if watch:
            watch.close()

    async def close(self) -> None:
        """Let go of all of them."""
        opening = [watch.opening for watch in self._watches.values() if watch.opening]
        for uid in tuple(self._watches):
            self.forget(uid)
        await asyncio.gather(*opening, return_exceptions=True)

    async def _listen(self, uid: str, watch: _Watch, namespace: Path) -> None:
        with contextlib.suppress(TankError, OSError):
            opened = await self._namespaces.socket(namespace, *NETLINK)
            watch.monitor = Monitor(opened, lambda: watch.nudge())
            listening = await self._namespaces.socket(namespace, *NETFILTER)
            watch.rules = RuleMonitor(listening, lambda: self._ruled(uid), _TABLES)
