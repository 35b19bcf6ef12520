"""The daemon's side of names: pods have sockets to ask at, and the server knows what to say.

Sockets are opened in a pod's namespace before its first instruction, and wait with what they got until the server has
them. Everything is told whole, each time; what the server holds by itself, is asked when it is met. A server that
ends is started anew at once and told everything again.

Asked is 127.117.0.53, port 53; but nobody listens there. The kernel leads what a pod sends to that address to a port
that no program uses, for a socket on port 53 of whichever address would keep the pod's own programs from serving all
addresses there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tank.config import Settings
from tank.errors import Failed, TankError, Waiting
from tank.host import resolver
from tank.host.netns import Namespaces, pinned
from tank.model.etcfiles import NAMESERVER, parse_resolv_conf
from tank.model.pools import Pool, Wiring
from tank.net.names import doors, frames, zone
from tank.net.names.doors import Pair
from tank.net.names.leads import PORT, Leads
from tank.net.names.line import Line
from tank.net.names.told import told, told_outside

_AGAIN = 0.5  # seconds after which a server that could not be started is tried again

log = logging.getLogger("tank.net")


@dataclass(slots=True)
class _Ways:
    """Who is to be answered: pods that run, and those that are about to."""

    admitted: dict[str, Path] = field(default_factory=dict)
    wired: dict[str, Path] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()  # on record and wired no more: they end, and may ask until then

    @property
    def all(self) -> Mapping[str, Path]:
        return self.admitted | self.wired


class Names:
    """Keeps one server of names as it should be; none, where names are not enabled."""

    def __init__(self, settings: Settings, installation: str, namespaces: Namespaces, version: str) -> None:
        self._settings, self._namespaces = settings, namespaces
        self._line = Line(settings.run_dir / "names", installation, f"{version}/{frames.PROTOCOL}")
        self._zone, self._outside = zone.Zone(domain=settings.naming.domain), zone.Zone()
        self._others = ""  # the key of the sockets at an address of the host, once it is known what is told there
        self._faults: dict[str, TankError] = {}  # by uid, or the key of the others: why nobody can be asked there
        self._ways = _Ways()
        self._fresh: dict[str, Pair] = {}  # opened, and not handed over yet
        self._leads = Leads(namespaces, repair=settings.repair)
        self._fed: tuple[zone.Zone, zone.Zone, frozenset[str]] | None = None
        self._lock, self._opening, self._hint = asyncio.Lock(), asyncio.Lock(), asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def admit(self, uid: str, namespace: Path) -> None:
        """Give a pod that is about to start its sockets. Raises Waiting, Failed."""
        if not self._settings.naming.enabled:
            return
        self._ways.admitted[uid] = namespace
        async with self._opening:
            key = _key(uid, namespace)
            if key not in self._line.held and key not in self._fresh:
                self._fresh[key] = await self._opened(namespace)
        self._keep()
        self._hint.set()

    async def tell(self, wiring: Wiring, pools: Mapping[str, Pool], *, look: Set[str] = frozenset()) -> tuple[str, ...]:
        """Everything as `wiring` says. In the pods `look` it is seen whether what leads to the sockets still stands.

        Answers in words what others had changed. Raises Waiting, Failed.
        """
        naming, ways = self._settings.naming, self._ways
        asking = [pod.uid for pod in wiring.pods if pod.asks and naming.enabled]
        ways.wired = {uid: self._namespace(uid) for uid in asking}
        ways.leaving = wiring.uids - {pod.uid for pod in wiring.pods} if naming.enabled else frozenset()
        for pod in wiring.pods:
            ways.admitted.pop(pod.uid, None)
        self._zone = told(wiring, naming, pools, await asyncio.to_thread(self._servers))
        if naming.enabled and naming.listen:
            self._outside = told_outside(wiring, naming, naming.listen[0])
            self._others = f"{frames.OTHERS}:{naming.listen[0]}:{naming.listen[1]}"
        asking_now = {pod.uid: (pod.name, ways.wired[pod.uid]) for pod in wiring.pods if pod.uid in ways.wired}
        found = await self._leads.look(asking_now, look)
        self._keep()
        self._fed = None  # told again even when nothing is new: whoever hangs is found out by it
        await self._settle()
        self._complain({pod.uid: pod.name for pod in wiring.pods})
        return found

    def _complain(self, names: Mapping[str, str]) -> None:
        for key, fault in self._faults.items():
            if key == self._others:
                raise fault
            raise Waiting(doors.REASON, f"cannot answer what pod {names.get(key, key)} asks: {fault.message}")

    async def forget(self, uid: str) -> None:
        """Let go of a pod's sockets, and so of its namespace, for certain. Raises Failed."""
        ways = self._ways
        ways.admitted.pop(uid, None)
        ways.wired.pop(uid, None)
        ways.leaving -= {uid}
        self._faults.pop(uid, None)
        for key in [each for each in self._fresh if _uid(each) == uid]:
            doors.close(self._fresh.pop(key))
        try:
            await self._settle()
        except TankError as error:
            log.warning("the server of names is ended: %s", error)
            async with self._lock:
                await self._line.end()
            self._hint.set()

    async def close(self) -> None:
        """Hang up. The server goes on."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._line.hang_up()
        for pair in self._fresh.values():
            doors.close(pair)
        self._fresh.clear()

    def _keep(self) -> None:
        if self._keeping is None or self._keeping.done():  # which it never should be
            self._keeping = asyncio.get_running_loop().create_task(self._run(), name="names")

    async def _run(self) -> None:
        """Until cancelled: sockets are handed over soon, and a server that ends has a successor."""
        while True:
            await self._news()
            try:
                await self._settle()
            except (TankError, OSError) as error:
                log.warning("names of pods are not answered: %s", error)
            except Exception:
                log.exception("names of pods are not answered")
            else:
                continue
            await asyncio.sleep(_AGAIN)
            self._hint.set()

    async def _news(self) -> None:
        hint = asyncio.ensure_future(self._hint.wait())
        waits = {hint, asyncio.ensure_future(self._line.ended())} if self._line.open else {hint}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._hint.clear()
        if done - {hint}:
            async with self._lock:
                self._line.check()

    async def _settle(self) -> None:
        async with self._lock:
            ways = {uid: path for uid, path in self._ways.all.items() if pinned(path)}
            here = self._line.open or self._line.left
            if not here:
                self._open_to_others()  # a server that is there may have the port itself
            if ways or self._others in self._fresh or (here and (self._ways.leaving or self._others)):
                await self._serve(ways)
            elif here:
                await self._end()

    async def _serve(self, ways: Mapping[str, Path]) -> None:
        """A server that ended just now, or says nothing, has a successor at once."""
        try:
            if self._line.open:
                return await self._served(ways)
        except Failed as error:
            log.warning("%s", error)
            await self._line.end()
        await self._line.connect()
        self._fed = None
        self._hint.set()  # its end is waited for from now on
        return await self._served(ways)

    async def _served(self, ways: Mapping[str, Path]) -> None:
        """What one pod keeps us from harms no other: all who can be answered are, and by the newest."""
        keys = {uid: _key(uid, path) for uid, path in ways.items()}
        self._faults = {key: fault for key, fault in self._faults.items() if key in keys or key == self._others}
        if self._fed is None and not self._line.held:  # it must know all before it can be asked
            await self._feed(frozenset())
        for uid, key in keys.items():
            if key in self._line.held:
                self._faults.pop(uid, None)
            else:
                await self._hand_over(uid, key, ways[uid])
        self._open_to_others()
        if pair := self._fresh.pop(self._others, None):
            await self._give(self._others, pair)
        keep = frozenset(keys.values()) | {each for each in self._line.held if self._stays(each)}
        if not keep:
            await self._end()
        elif self._fed != (self._zone, self._outside, keep):
            await self._feed(keep)
            self._fed = (self._zone, self._outside, keep)

    async def _feed(self, keep: frozenset[str]) -> None:
        zones = {"zone": zone.dumped(self._zone), "outside": zone.dumped(self._outside)}
        await self._line.feed(zones, keep)

    def _stays(self, key: str) -> bool:
        return key == self._others or _uid(key) in self._ways.leaving

    def _open_to_others(self) -> None:
        """Have sockets at the address of the host, or the reason why not. They wait until the server has them."""
        listen = self._settings.naming.listen
        self._faults.pop(self._others, None)
        if not self._others or listen is None or self._others in self._line.held or self._others in self._fresh:
            return
        try:
            self._fresh[self._others] = doors.others(*listen)
        except TankError as error:
            self._faults[self._others] = error

    async def _end(self) -> None:
        await self._line.end()
        self._fed = None

    async def _hand_over(self, uid: str, key: str, namespace: Path) -> None:
        async with self._opening:
            self._faults.pop(uid, None)
            try:
                pair = self._fresh.pop(key, None) or await self._opened(namespace)
            except TankError as error:  # a program in the pod may have the port by now
                self._faults[uid] = error
            else:
                await self._give(key, pair)

    async def _give(self, key: str, pair: Pair) -> None:
        try:
            await self._line.take(key, [each.fileno() for each in pair])
        finally:
            doors.close(pair)

    async def _opened(self, namespace: Path) -> Pair:
        """Datagrams and streams, with what leads to them."""
        datagrams = await self._namespaces.inside(namespace, partial(doors.bound, NAMESERVER, PORT, socket.SOCK_DGRAM))
        try:
            streams = await self._namespaces.inside(
                namespace, partial(doors.bound, NAMESERVER, PORT, socket.SOCK_STREAM)
            )
        except BaseException:
            datagrams.close()
            raise
        try:
            await self._leads.set(namespace)
        except BaseException:
            doors.close((datagrams, streams))
            raise
        return datagrams, streams

    def _namespace(self, uid: str) -> Path:
        return self._settings.pod_run_dir(uid) / "ns" / "net"

    def _servers(self) -> tuple[str, ...]:
        """The host's; its stub only where nothing is known behind it: the server can reach that, pods could not."""
        found = resolver.read(servers=self._settings.dns).servers
        return found or tuple(filter(_is_loopback, parse_resolv_conf(resolver.resolv_conf_text()).servers))


def _is_loopback(server: str) -> bool:
    return server == "::1" or server.startswith("127.")


def _key(uid: str, namespace: Path) -> str:
    """Told apart from a later namespace of the same pod. A socket keeps its namespace, so the number stays taken."""
    return f"{uid}:{os.stat(namespace).st_ino}"


def _uid(key: str) -> str:
    return key.partition(":")[0]
