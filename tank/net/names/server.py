"""The program that answers pods' questions about names: all pods of one installation, and nothing else.

    python -I -m tank.net.names.server DESCRIPTOR DIRECTORY VERSION

It listens for its daemon on the socket DESCRIPTOR, shuts itself in DIRECTORY, and from then on has no capability, no
file and no right to start a program; only the host's network, for asking others. It is nobody's child, so that no
daemon takes it along. A daemon that comes asks what it holds, and hands over what is missing; while none is there it
answers by what it was told last. It ends when it holds no socket and no daemon speaks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import secrets
import socket
import sys
import time
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tank.host import confine
from tank.net.names import answers, frames, packets, zone
from tank.net.names.counter import Counter
from tank.net.names.forward import Forwarder

PATIENCE = 10.0  # seconds that it waits for its first daemon
_MOST_SAID, _LONGEST_SAID = 4_096, 300  # answers that are kept; bytes of a question that is
_REPLY = 1.0  # seconds that a daemon may take to read what it is told
_LIMITS = {
    resource.RLIMIT_AS: 2**30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 64 * 1024,  # of complaints
    resource.RLIMIT_NPROC: 0,
}


class Server:
    """What it holds: sockets by key ("uid:inode"), the names, and daemons that speak to it."""

    def __init__(self, forwarder: Forwarder, version: str) -> None:
        self._forwarder, self._version = forwarder, version
        self._directory, self._outside = zone.Directory(zone.Zone()), zone.Directory(zone.Zone())
        self._said: dict[tuple[str, bool, bytes], bytes] = {}  # answers, good until something else is told
        self._counters: dict[str, Counter] = {}
        self._daemons: dict[socket.socket, frames.Inbox] = {}
        self._idle = asyncio.Event()

    async def run(self, listening: socket.socket, patience: float = PATIENCE) -> None:
        """Until nobody needs it any more."""
        loop = asyncio.get_running_loop()
        loop.add_reader(listening, self._accept, listening)
        try:
            self._waiting = loop.call_later(patience, self._check)
            await self._idle.wait()
        finally:
            self._waiting.cancel()
            loop.remove_reader(listening)
            for daemon in tuple(self._daemons):
                self._hang_up(daemon)
            for counter in self._counters.values():
                counter.close()

    def _check(self) -> None:
        if not self._counters and not self._daemons:
            self._idle.set()

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            daemon, _ = listening.accept()
            daemon.setblocking(False)
            self._daemons[daemon] = frames.Inbox()
            asyncio.get_running_loop().add_reader(daemon, self._hear, daemon)

    def _hang_up(self, daemon: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(daemon)
        inbox = self._daemons.pop(daemon, None)
        if inbox is not None:
            inbox.close()
        daemon.close()
        self._check()

    def _hear(self, daemon: socket.socket) -> None:
        try:
            inbox = self._daemons[daemon]
            alive = inbox.receive(daemon)
            for frame in inbox.frames():
                self._reply(daemon, self._obey(frame))
        except BlockingIOError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            alive = False
        if not alive:
            self._hang_up(daemon)

    def _reply(self, daemon: socket.socket, body: Mapping[str, Any]) -> None:
        daemon.settimeout(_REPLY)
        daemon.sendall(frames.packed(body))
        daemon.setblocking(False)

    def _obey(self, frame: frames.Frame) -> Mapping[str, Any]:
        """`take` a pod's two sockets; `feed` everything: all names, and the sockets to keep; else say who it is."""
        match frame.body["do"]:
            case "take":
                self._take(frame.body["key"], frame.fds)
            case "feed":
                self._feed(frame.body)
            case _:
                return {"pid": os.getpid(), "version": self._version, "held": sorted(self._counters)}
        return {}

    def _take(self, key: str, fds: tuple[int, ...]) -> None:
        datagrams, streams = (socket.socket(fileno=fd) for fd in fds)
        for each in (datagrams, streams):
            each.setblocking(False)
        if key in self._counters:
            self._counters.pop(key).close()
        counter = self._counters[key] = Counter(partial(self._answer, key.partition(":")[0]))
        counter.begin(datagrams, streams)

    def _feed(self, body: Mapping[str, Any]) -> None:
        self._directory = zone.Directory(zone.loaded(body["zone"]))
        self._outside = zone.Directory(zone.loaded(body["outside"]))
        self._said.clear()
        for key in self._counters.keys() - set(body["keep"]):
            self._counters.pop(key).close()

    def _answer(self, uid: str, query: bytes, tcp: bool) -> bytes | Coroutine[Any, Any, bytes]:
        if uid == frames.OTHERS:
            return self._to_others(query, tcp)
        key = (uid, tcp, query[2:])
        if known := self._said.get(key):
            return query[:2] + known[2:]
        found = answers.answered(query, self._directory, uid, tcp=tcp)
        if found is not None:
            self._remember(key, found)
            return found
        return self._forwarder.ask(query, self._directory.upstreams(uid), uid, tcp=tcp)

    def _to_others(self, query: bytes, tcp: bool) -> bytes:
        """Nobody is asked for those who are no pods: who does that for everybody is used against others. And nothing
        is remembered for them: they could make it forget what pods ask.
        """
        found = answers.answered(query, self._outside, frames.OTHERS, tcp=tcp)
        if found is None:
            found = packets.refusal(query, answers.REFUSED)
        return packets.unrecursive(found) if found else b""

    def _remember(self, key: tuple[str, bool, bytes], answer: bytes) -> None:
        """Programs ask the same again and again. What is filled with nonsense is emptied."""
        if len(self._said) >= _MOST_SAID:
            self._said.clear()
        if len(key[2]) <= _LONGEST_SAID:
            self._said[key] = answer


def main(arguments: list[str]) -> int:
    """Shut in, then serve."""
    descriptor, directory, version = arguments
    listening = socket.socket(fileno=int(descriptor))
    listening.setblocking(False)
    loop = asyncio.new_event_loop()  # before the walls: it opens descriptors, and loads what it needs
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = {**_LIMITS, resource.RLIMIT_NOFILE: most}  # two for each pod, one for each question under way
    confine.confine(Path(directory), capabilities=(), limits=limits, network=True, makes=False)
    server = Server(Forwarder(time.monotonic, secrets.token_bytes), version)
    try:
        loop.run_until_complete(server.run(listening))
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
