"""Ears on the host: rules, bridges and cables that changed, forwarding that was switched off.

They only ever say where to look. Which links are worth a look is learned when pods are looked at.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Collection

from tank.net.monitor import HostMonitor, Monitor, touches
from tank.net.nftables import NETFILTER, RuleMonitor
from tank.net.plugs import Cabling
from tank.net.rtnetlink import NETLINK


class HostEars:
    """On the event loop, until closed."""

    def __init__(
        self,
        pod: Callable[[str], None],
        rules: Callable[[], None],
        bridges: Callable[[], None],
        shims: Callable[[], Collection[int]],
        *,
        table: str,
    ) -> None:
        """What is called: `pod(uid)`, a cable of it may have changed; `rules()`; `bridges()`, or what is forwarded.

        `shims()`: the interfaces of the host that matter besides; `table`: how all tables of ours there are called.
        """
        self._tables = frozenset({table})
        self._pod, self._ruled, self._bridged, self._shims = pod, rules, bridges, shims
        self._beside: Monitor | None = None
        self._cables: dict[int, str] = {}
        self._bridges: set[int] = set()
        self._rules: RuleMonitor | None = None
        self._links: HostMonitor | None = None

    def open(self) -> None:
        """Begin to listen; what cannot be heard is found by looking. May be repeated."""
        self.close()
        with contextlib.suppress(OSError):
            self._rules = RuleMonitor(socket.socket(*NETFILTER), self._ruled, self._tables)
        with contextlib.suppress(OSError):
            self._links = HostMonitor(_opened(), self._heard, self._lost)
        with contextlib.suppress(OSError):
            self._beside = Monitor(_opened(), self._bridged, lambda said: touches(said, self._shims()))

    def learn(self, uid: str, cabling: Cabling) -> None:
        """These are the links of a pod on the host, and the bridges that they are on."""
        self._cables |= dict.fromkeys(cabling.cables, uid)
        self._bridges |= cabling.bridges

    def forget(self, uid: str) -> None:
        """The pod is no more."""
        self._cables = {index: each for index, each in self._cables.items() if each != uid}

    def close(self) -> None:
        """May be repeated."""
        for each in (self._rules, self._links, self._beside):
            if each is not None:
                each.close()

    def _heard(self, index: int) -> None:
        if uid := self._cables.get(index):
            self._pod(uid)
        elif index in self._bridges or (index == 0 and self._bridges):
            self._bridged()

    def _lost(self) -> None:
        for uid in set(self._cables.values()):
            self._pod(uid)
        self._bridged()


def _opened() -> socket.socket:
    family, kind, protocol = NETLINK
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
