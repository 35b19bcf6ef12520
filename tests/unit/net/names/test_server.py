"""The server in this process: what it is handed, told and asked, what it keeps, and when it ends."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dnslib
import pytest

from tank.net.names import frames, packets, zone
from tank.net.names.forward import MOST_EACH, Forwarder
from tank.net.names.server import Server
from tests.waiting import wait_until

ADDRESS = "127.117.0.54"
WEB = zone.Host(name="web", uid="aaaa", ready=True, addresses=("10.0.0.5/24",))


@dataclass(slots=True)
class Rig:
    """A server that runs, and a daemon's line to it."""

    server: asyncio.Task[None]
    path: Path
    line: socket.socket
    inbox: frames.Inbox

    async def ask(self, body: Mapping[str, Any], *given: socket.socket) -> Mapping[str, Any]:
        packet = frames.packed(body, len(given))
        sent = socket.send_fds(self.line, [packet[:3]], [each.fileno() for each in given]) if given else 0
        await asyncio.get_running_loop().sock_sendall(self.line, packet[sent:])
        while not (found := list(self.inbox.frames())):
            await wait_until(lambda: readable(self.line))
            assert self.inbox.receive(self.line)
        return found[0].body

    async def feed(self, *hosts: zone.Host, keep: tuple[str, ...] = (), upstreams: tuple[str, ...] = ()) -> None:
        told = zone.dumped(zone.Zone(hosts=hosts, upstreams=upstreams))
        assert await self.ask({"do": "feed", "zone": told, "outside": told, "keep": list(keep)}) == {}

    async def take(self, key: str) -> int:
        """Hand over a pair of sockets; their port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, socket.socket() as streams:
            datagrams.bind((ADDRESS, 0))
            port = int(datagrams.getsockname()[1])
            streams.bind((ADDRESS, port))
            streams.listen()
            assert await self.ask({"do": "take", "key": key}, datagrams, streams) == {}
        return port


def readable(opened: socket.socket) -> bool:
    try:
        return opened.recv(1, socket.MSG_PEEK) is not None
    except BlockingIOError:
        return False


@asynccontextmanager
async def served(directory: Path, forwarder: Forwarder | None = None, patience: float = 10.0) -> AsyncIterator[Rig]:
    path = directory / "control"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as line:
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)
        made = Server(forwarder or Forwarder(lambda: 0.0, os.urandom, port=1), "v1")
        running = asyncio.create_task(made.run(listening, patience))
        line.connect(str(path))
        line.setblocking(False)
        rig = Rig(running, path, line, frames.Inbox())
        try:
            yield rig
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.sleep(0)  # transports are closed in the next turn


async def asked(port: int, packet: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((ADDRESS, port))
        await loop.sock_sendall(asking, packet)
        async with asyncio.timeout(5):
            return await loop.sock_recv(asking, 65_535)


def question(name: str) -> bytes:
    return bytes(dnslib.DNSRecord.question(name).pack())


def values(packet: bytes) -> list[str]:
    return [str(each.rdata) for each in dnslib.DNSRecord.parse(packet).rr]


async def test_it_says_who_it_is_and_what_it_holds(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        await rig.take("aaaa:1")
        assert await rig.ask({"do": "hello"}) == {"pid": os.getpid(), "version": "v1", "held": ["aaaa:1"]}


async def test_a_question_that_waited_for_the_hand_over_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        await rig.feed(WEB)
        port = await rig.take("aaaa:1")
        assert values(await asked(port, question("web"))) == ["10.0.0.5"]


async def test_all_names_change_at_once(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.feed(WEB, keep=("aaaa:1",))
        await rig.feed(zone.Host(name="db", uid="b", ready=True, addresses=("10.0.0.6/24",)), WEB, keep=("aaaa:1",))
        assert [values(await asked(port, question(each))) for each in ("db", "web")] == [["10.0.0.6"], ["10.0.0.5"]]


async def test_others_are_told_of_pods_and_nothing_else(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("others:192.0.2.9:53")
        outside = zone.dumped(zone.Zone(hosts=(WEB,), short=False))
        inside = zone.dumped(zone.Zone(upstreams=("127.0.0.1",)))
        await rig.ask({"do": "feed", "zone": inside, "outside": outside, "keep": ["others:192.0.2.9:53"]})

        names = [
            "web.tank.internal",
            "5.0.0.10.in-addr.arpa",
            "no.tank.internal",
            "web",
            "example.org",
            "6.0.0.10.in-addr.arpa",
        ]
        told = [dnslib.DNSRecord.parse(await asked(port, question(each))) for each in names]
        assert [each.header.rcode for each in told] == [0, 0, 3, 5, 5, 5]
        assert values(await asked(port, question("web.tank.internal"))) == ["10.0.0.5"]
        assert {each.header.ra for each in told} == {0}
        assert [each.header.aa for each in told][:3] == [1, 1, 1]


async def test_an_address_that_is_shared_leads_to_a_pod_and_not_back(tmp_path: Path) -> None:
    shared = zone.Host(name="box", uid="c", ready=True, shared=("192.0.2.9", "2001:db8::9"))
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.feed(shared, keep=("aaaa:1",))
        assert values(await asked(port, question("box"))) == ["192.0.2.9"]
        back = dnslib.DNSRecord.parse(await asked(port, question("9.2.0.192.in-addr.arpa")))
        assert (back.rr, back.header.rcode) == ([], 2)  # asked of others, and there are none


async def test_what_is_not_to_be_kept_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.take("bbbb:2")
        await rig.feed(keep=("bbbb:2",))
        assert (await rig.ask({"do": "hello"}))["held"] == ["bbbb:2"]
        with pytest.raises(ConnectionRefusedError):
            await asked(port, question("web"))


async def test_several_questions_by_one_connection(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.feed(WEB, keep=("aaaa:1",))
        reader, writer = await asyncio.open_connection(ADDRESS, port)
        for _ in range(3):
            writer.write(struct.pack("!H", len(question("web"))) + question("web"))
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            assert values(await reader.readexactly(length)) == ["10.0.0.5"]
        writer.write(b"\0\3abc")  # no question: hung up on
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_it_ends_when_nobody_needs_it(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        await rig.take("aaaa:1")
        await rig.feed()
        rig.line.close()
        async with asyncio.timeout(5):
            await rig.server


async def test_it_goes_on_while_it_holds_a_socket_and_meets_the_next_daemon(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.feed(WEB, keep=("aaaa:1",))
        rig.line.close()
        assert values(await asked(port, question("web"))) == ["10.0.0.5"]
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(rig.path))
            line.setblocking(False)
            rig.line, rig.inbox = line, frames.Inbox()
            assert (await rig.ask({"do": "hello"}))["held"] == ["aaaa:1"]


@pytest.mark.parametrize("said", [b"\xff" * 5, b"\0\0\0\2\0{}", b"\0\0\0\2\1{}", b"\0\0\0\1\0x", b"\0\0\0\2\0[]"])
async def test_who_says_nonsense_is_hung_up_on(tmp_path: Path, said: bytes) -> None:
    async with served(tmp_path) as rig:
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(rig.path))
            other.setblocking(False)
            other.send(said)
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(other, 9) == b""
        assert (await rig.ask({"do": "hello"}))["held"] == []


class _Above(asyncio.DatagramProtocol):
    """A server above, which answers what it is told to."""

    def __init__(self, replies: dict[str, int]) -> None:
        self.asked: list[str] = []
        self._replies = replies

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        reply = dnslib.DNSRecord.parse(data).reply()
        name = str(reply.q.qname).rstrip(".")
        self.asked.append(name)
        if name in self._replies:
            reply.header.rcode = self._replies[name]
            reply.add_answer(dnslib.RR(reply.q.qname, ttl=60, rdata=dnslib.A("192.0.2.7")))
            forged = packets.numbered(bytes(reply.pack()), packets.number(data) ^ 1)
            self._transport.sendto(forged, addr)
            self._transport.sendto(bytes(reply.pack()), addr)


@asynccontextmanager
async def above(address: str, port: int, **replies: int) -> AsyncIterator[_Above]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(lambda: _Above(replies), local_addr=(address, port))
    yield protocol
    transport.close()
    await asyncio.sleep(0)


def forwarder(port: int) -> Forwarder:
    return Forwarder(lambda: 0.0, os.urandom, port)


async def test_the_first_good_answer_counts_and_is_remembered() -> None:
    asks = forwarder(31_053)
    async with above("127.53.0.1", 31_053, odd=2) as first, above("127.53.0.2", 31_053, odd=0, fine=0) as second:
        servers = ("127.53.0.1", "127.53.0.2")
        assert values(await asks.ask(question("odd"), servers, "a", tcp=False)) == ["192.0.2.7"]
        assert values(await asks.ask(question("ODD"), servers, "b", tcp=False)) == ["192.0.2.7"]
        assert (first.asked, second.asked) == (["odd"], ["odd"])


async def test_where_nobody_listens_the_next_is_asked_and_first_from_then_on() -> None:
    asks = forwarder(31_054)
    async with above("127.53.0.2", 31_054, fine=0, more=0):
        for name in ("fine", "more"):
            found = await asks.ask(question(name), ("127.53.0.1", "127.53.0.2"), "a", tcp=False)
            assert values(found) == ["192.0.2.7"]


async def test_where_nobody_answers_the_pod_is_told_so() -> None:
    found = [
        await forwarder(31_055).ask(question("x"), each, "a", tcp=tcp)
        for each, tcp in (((), False), (("127.53.0.1",), True))
    ]
    assert [packets.code(each) for each in found] == [packets.SERVFAIL] * 2


async def test_a_pod_that_asks_too_much_is_put_off_and_no_other() -> None:
    asks = forwarder(31_056)
    async with above("127.53.0.1", 31_056, fine=0) as server:
        many = [asks.ask(question(f"n{each}"), ("127.53.0.1",), "a", tcp=False) for each in range(MOST_EACH)]
        tasks = [asyncio.create_task(each) for each in many]
        await wait_until(lambda: len(server.asked) == MOST_EACH)
        assert packets.code(await asks.ask(question("fine"), ("127.53.0.1",), "a", tcp=False)) == packets.SERVFAIL
        assert values(await asks.ask(question("fine"), ("127.53.0.1",), "b", tcp=False)) == ["192.0.2.7"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_many_ask_at_once_is_asked_once_and_each_is_answered_under_its_number() -> None:
    asks = forwarder(31_057)
    async with above("127.53.0.1", 31_057, fine=0) as server:
        queries = [question(each) for each in ("fine", "FINE", "fine", "Fine")]
        found = await asyncio.gather(
            *(asks.ask(each, ("127.53.0.1",), str(number % 2), tcp=False) for number, each in enumerate(queries))
        )
        assert [packets.answers(*each) for each in zip(found, queries, strict=True)] == [True] * 4
        assert server.asked == ["fine"]


async def test_where_the_first_who_asked_goes_away_the_next_one_asks() -> None:
    asks = forwarder(31_058)
    async with above("127.53.0.1", 31_058) as server:
        first = asyncio.create_task(asks.ask(question("slow"), ("127.53.0.1",), "a", tcp=False))
        await wait_until(lambda: server.asked == ["slow"])
        second = asyncio.create_task(asks.ask(question("slow"), ("127.53.0.1",), "b", tcp=False))
        await asyncio.sleep(0)
        first.cancel()
        await wait_until(lambda: server.asked == ["slow", "slow"])
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)


async def test_pods_that_ask_all_there_is_leave_something_to_each_other() -> None:
    asks = Forwarder(lambda: 0.0, os.urandom, 31_059, most=8)
    async with above("127.53.0.1", 31_059, fine=0) as server:
        many = [
            asyncio.create_task(asks.ask(question(f"n{each}"), ("127.53.0.1",), str(each % 2), tcp=False))
            for each in range(8)
        ]
        await wait_until(lambda: len(set(server.asked)) == 8)
        refused = await asks.ask(question("fine"), ("127.53.0.1",), "1", tcp=False)
        granted = await asks.ask(question("fine"), ("127.53.0.1",), "other", tcp=False)
        assert (packets.code(refused), values(granted)) == (packets.SERVFAIL, ["192.0.2.7"])
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)


async def test_one_host_does_not_take_all_connections_there_are(tmp_path: Path) -> None:
    async with served(tmp_path) as rig:
        port = await rig.take("aaaa:1")
        await rig.feed(WEB, keep=("aaaa:1",))
        held = [await asyncio.open_connection(ADDRESS, port, local_addr=("127.117.0.60", 0)) for _ in range(17)]
        assert await held[-1][0].read() == b""
        reader, writer = await asyncio.open_connection(ADDRESS, port, local_addr=("127.117.0.61", 0))
        writer.write(struct.pack("!H", len(question("web"))) + question("web"))
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        assert values(await reader.readexactly(length)) == ["10.0.0.5"]
        for _, each in [*held, (reader, writer)]:
            each.close()
            await each.wait_closed()


def test_the_program_loads_nothing_heavy() -> None:
    heavy = ["pydantic", "aiohttp", "pyroute2", "yaml", "cryptography", "tank.config", "tank.model"]
    look = f"import sys, tank.net.names.server; print([each for each in {heavy} if each in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
