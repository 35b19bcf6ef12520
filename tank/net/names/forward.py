"""Questions about foreign names: passed on to the servers above, and their answers back, byte for byte.

Each question goes out from a socket of its own, hence from a port that nobody knows, under a number that nobody
knows, and only an answer to that very question by that very server counts: what guards against forgeries (RFC 5452).
Whoever asks what is being asked already waits for that answer: many questions at once would be many chances to forge.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable

from tank.net.names import packets
from tank.net.names.cache import Cache, Key, key_of

PORT = 53
TRIES, WAIT, TOTAL = 2, 1.2, 4.5  # rounds, and seconds: the C library asks anew after five
SULK = 30.0  # seconds for which a server that was silent is asked last
MOST, MOST_EACH, LEAST = 512, 64, 4  # questions under way: of all pods, of one, and of one whatever others ask
_REFUSALS = (packets.SERVFAIL, 5)


class Forwarder:
    """Asks. `clock` in seconds; `chance` gives two random bytes; `most` questions of all pods are under way."""

    def __init__(
        self, clock: Callable[[], float], chance: Callable[[int], bytes], port: int = PORT, *, most: int = MOST
    ) -> None:
        self._clock, self._chance, self._port, self._most = clock, chance, port, most
        self._cache = Cache()
        self._silent: dict[str, float] = {}
        self._under_way: dict[str, int] = {}
        self._asking: dict[tuple[Key, bool], asyncio.Future[bytes | None]] = {}

    async def ask(self, query: bytes, upstreams: tuple[str, ...], uid: str, *, tcp: bool) -> bytes:
        """The answer for the pod `uid`; SERVFAIL where nobody answers, or the pod asks too much at once."""
        if not tcp and (kept := self._cache.get(query, upstreams, self._clock())):
            return kept
        mine = self._under_way.get(uid, 0)
        most = MOST_EACH if sum(self._under_way.values()) < self._most else LEAST
        if not upstreams or mine >= most:
            return packets.refusal(query, packets.SERVFAIL)
        self._under_way[uid] = mine + 1
        try:
            response = await self._shared(query, upstreams, tcp=tcp)
        finally:
            self._under_way[uid] -= 1
            if not self._under_way[uid]:
                del self._under_way[uid]
        if response is None:
            return packets.refusal(query, packets.SERVFAIL)
        return packets.spelled(response, query)

    async def _shared(self, query: bytes, upstreams: tuple[str, ...], *, tcp: bool) -> bytes | None:
        """The answer to the same question, whoever was the first to ask it; None: there is none in time."""
        key = key_of(query, upstreams), tcp
        while (asking := self._asking.get(key)) is not None:
            await asyncio.wait([asking])
            if not asking.cancelled():  # else who asked is gone, and somebody else is the first
                return asking.result()
        asking = self._asking[key] = asyncio.get_running_loop().create_future()
        try:
            response = await self._in_time(query, upstreams, tcp=tcp)
            if response is not None and not tcp:
                self._cache.put(query, upstreams, response, self._clock())
            asking.set_result(response)
        finally:
            del self._asking[key]
            asking.cancel()
        return response

    async def _in_time(self, query: bytes, upstreams: tuple[str, ...], *, tcp: bool) -> bytes | None:
        try:
            async with asyncio.timeout(TOTAL):
                return await self._asked(query, upstreams, tcp=tcp)
        except TimeoutError:
            return None

    async def _asked(self, query: bytes, upstreams: tuple[str, ...], *, tcp: bool) -> bytes | None:
        """The first good answer, else the first bad one."""
        bad: bytes | None = None
        for _ in range(TRIES):
            for server in sorted(upstreams, key=lambda each: self._clock() < self._silent.get(each, 0.0)):
                response = await self._from(server, query, tcp=tcp)
                if response is not None and packets.code(response) not in _REFUSALS:
                    return response
                bad = bad or response
            if bad is not None:
                return bad
        return None

    async def _from(self, server: str, query: bytes, *, tcp: bool) -> bytes | None:
        numbered = packets.numbered(query, int.from_bytes(self._chance(2), "big"))
        try:
            async with asyncio.timeout(WAIT):
                response = await (_by_tcp if tcp else _by_udp)(numbered, server, self._port)
        except (OSError, EOFError):
            self._silent[server] = self._clock() + SULK
            return None
        self._silent.pop(server, None)
        return packets.numbered(response, packets.number(query))


def _opened(server: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ipaddress.ip_address(server).version == 6 else socket.AF_INET
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


async def _by_udp(query: bytes, server: str, port: int) -> bytes:
    """Whatever else arrives there is passed over. Raises OSError, also where nobody listens."""
    loop = asyncio.get_running_loop()
    with _opened(server, socket.SOCK_DGRAM) as asking:
        asking.connect((server, port))
        await loop.sock_sendall(asking, query)
        while True:
            response = await loop.sock_recv(asking, 65_535)
            if packets.answers(response, query):
                return response


async def _by_tcp(query: bytes, server: str, port: int) -> bytes:
    """Raises OSError, EOFError."""
    with _opened(server, socket.SOCK_STREAM) as asking:
        await asyncio.get_running_loop().sock_connect(asking, (server, port))
        await asyncio.get_running_loop().sock_sendall(asking, struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", await _exactly(asking, 2))
        response = await _exactly(asking, length)
    if not packets.answers(response, query):
        raise EOFError
    return response


async def _exactly(asking: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = await asyncio.get_running_loop().sock_recv(asking, count - len(found))
        if not more:
            raise EOFError
        found += more
    return found
