"""Traffic at a steady rate, as a program of its own that can live in any namespace; and what it saw.

`python -I tests/traffic.py request|fetch|talk|knock ADDRESS PORT RATE` goes on until its standard input ends, then
prints one line of JSON. `request`: a connection each time, and an answer is due; `fetch`: the same by HTTP. `talk`:
one connection all along, answered by an echo. `knock`: connections and datagrams to where nobody may answer, in
whatever way.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

PATIENCE = 10.0  # seconds for an answer that is due
KNOCK = 0.5  # seconds for one that is not


@dataclass(slots=True)
class Seen:
    """`failed`: when, in seconds from the begin, and how; for knocks, each answer is a failure."""

    done: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)
    slowest: float = 0.0


@contextmanager
def traffic(how: str, address: str, port: int, rate: int, *, within: Sequence[str] = ()) -> Iterator[Seen]:
    """Let it go on meanwhile; afterwards the answer is filled in. `within`: what enters the namespace."""
    command = [*within, sys.executable, "-I", __file__, how, address, str(port), str(rate)]
    found = Seen()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()  # the first answer came, or the first knock is out
        try:
            yield found
        finally:
            told = running.communicate(timeout=60)[0]
    seen = json.loads(told)
    found.done, found.slowest = seen["done"], seen["slowest"]
    found.failed = [(each[0], each[1]) for each in seen["failed"]]


class Generator:
    """What goes on until it is told to stop."""

    def __init__(self, address: str, port: int, rate: int) -> None:
        self._where, self._pause = (address, port), 1 / rate
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time()
        self.seen, self.over = Seen(), asyncio.Event()

    async def request(self, said: bytes = b"") -> None:
        """Ask in time, however long answers take; those under way at the end are waited for."""
        await self._ask(said)
        print(flush=True)
        async with asyncio.TaskGroup() as tasks:
            due = self._loop.time()
            while not self.over.is_set():
                tasks.create_task(self._ask(said))
                due += self._pause
                await asyncio.sleep(due - self._loop.time())

    async def fetch(self) -> None:
        """The same by HTTP."""
        await self.request(b"GET / HTTP/1.0\r\n\r\n")

    async def _ask(self, said: bytes) -> None:
        async def ask() -> None:
            reader, writer = await asyncio.open_connection(*self._where)
            writer.write(said)
            answer = await reader.read()
            writer.close()
            if not answer:
                raise EOFError

        await self._try(ask)

    async def talk(self) -> None:
        """Say something, hear it back, and again; the first failure is the last."""
        reader, writer = await asyncio.open_connection(*self._where)

        async def exchange() -> None:
            writer.write(b"8 bytes\n")
            await reader.readexactly(8)

        await self._try(exchange)
        print(flush=True)
        while not self.over.is_set() and not self.seen.failed:
            await self._try(exchange)
            await asyncio.sleep(self._pause)
        writer.close()

    async def knock(self) -> None:
        """Never wait for an answer; whatever comes is noted."""
        print(flush=True)
        async with asyncio.TaskGroup() as tasks:
            while not self.over.is_set():
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    tasks.create_task(self._knock(kind))
                await asyncio.sleep(self._pause)

    async def _knock(self, kind: socket.SocketKind) -> None:
        self.seen.done += 1
        with socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK) as opened:
            try:
                async with asyncio.timeout(KNOCK):
                    await self._loop.sock_connect(opened, self._where)
                    if kind == socket.SOCK_DGRAM:
                        await self._loop.sock_sendall(opened, b"?")
                        await self._loop.sock_recv(opened, 99)
                self._note("answered")
            except TimeoutError:
                return
            except OSError as error:
                self._note(type(error).__name__)

    async def _try(self, deed: Callable[[], Awaitable[object]]) -> None:
        began = self._loop.time()
        try:
            async with asyncio.timeout(PATIENCE):
                await deed()
        except (OSError, EOFError) as error:
            self._note(type(error).__name__)
        self.seen.done += 1
        self.seen.slowest = max(self.seen.slowest, self._loop.time() - began)

    def _note(self, what: str) -> None:
        self.seen.failed.append((round(self._loop.time() - self._begin, 3), what))


async def main(how: str, address: str, port: str, rate: str) -> None:
    """Until standard input ends."""
    generator = Generator(address, int(port), int(rate))
    asyncio.get_running_loop().add_reader(0, generator.over.set)
    hows = {"request": generator.request, "fetch": generator.fetch, "talk": generator.talk, "knock": generator.knock}
    await hows[how]()
    seen = generator.seen
    print(json.dumps({"done": seen.done, "failed": seen.failed, "slowest": seen.slowest}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
