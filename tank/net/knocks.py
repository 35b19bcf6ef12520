"""Trying whether somebody answers: connections, a question to a name server, a ping. Nothing of it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable

from tank.errors import TankError
from tank.net.questions import Question

PATIENCE = 2.0  # seconds
Opener = Callable[[int, int, int], Awaitable[socket.socket]]  # family, kind, protocol
PATIENCE_DNS = 5.0  # a server that asks others, in vain, says so by then
_ASKED = struct.pack("!6H", 0x7A6B, 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack("!2H", 2, 1)  # who serves the root?
_REFUSALS = {2: "it answers, but that it fails (SERVFAIL)", 5: "it answers, but refuses (REFUSED)"}
_ECHO = {4: (8, 0), 6: (128, 129)}  # question and answer
_MARK = struct.pack("!2H", 0x7A6B, 1)
_GONE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)


async def knock(opener: Opener, question: Question, address: str) -> tuple[str, str]:
    """(state, words) as `Reach` has them. `opener` opens a socket where the question comes from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    deed = {"tcp": _connect, "dns": _ask_dns, "echo": _ping}[question.protocol]
    patience = PATIENCE_DNS if question.protocol == "dns" else PATIENCE
    try:
        async with asyncio.timeout(patience):
            return await deed(opener, family, address, question.port)
    except TimeoutError:
        return "silent", f"no answer within {patience:g} s"
    except ConnectionRefusedError:
        return "refused", "nobody listens"
    except TankError as error:
        return "failed", str(error)
    except OSError as error:
        words = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
        return ("silent" if error.errno in _GONE else "failed"), words


async def _connect(opener: Opener, family: int, address: str, port: int) -> tuple[str, str]:
    with await opener(family, socket.SOCK_STREAM, 0) as opened:
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
        return "open", ""


async def _ask_dns(opener: Opener, family: int, address: str, port: int) -> tuple[str, str]:
    """Whatever it answers, it is a name server."""
    loop = asyncio.get_running_loop()
    with await opener(family, socket.SOCK_DGRAM, 0) as opened:
        await loop.sock_connect(opened, (address, port))
        await loop.sock_sendall(opened, _ASKED)
        answer = await loop.sock_recv(opened, 4096)
        if len(answer) < 12 or answer[:2] != _ASKED[:2]:
            return "failed", "that was no answer of a name server"
        return "open", _REFUSALS.get(answer[3] & 15, "")


async def _ping(opener: Opener, family: int, address: str, port: int) -> tuple[str, str]:
    version = 6 if family == socket.AF_INET6 else 4
    asked, answered = _ECHO[version]
    protocol = socket.IPPROTO_ICMPV6 if version == 6 else socket.IPPROTO_ICMP
    loop = asyncio.get_running_loop()
    with await opener(family, socket.SOCK_RAW, protocol) as opened:
        opened.connect((address, port))  # of a raw socket the kernel waits for nobody
        await loop.sock_sendall(opened, _echo(asked))
        while True:
            packet = await loop.sock_recv(opened, 2048)
            body = packet if version == 6 else packet[(packet[0] & 15) * 4 :]
            with contextlib.suppress(IndexError):
                if body[0] == answered and body[4:8] == _MARK:
                    return "open", ""


def _echo(kind: int) -> bytes:
    """An echo request; of IPv6 the kernel writes the sum itself."""
    whole = struct.pack("!2BH", kind, 0, 0) + _MARK
    total = sum(struct.unpack("!4H", whole))
    total = (total & 0xFFFF) + (total >> 16)
    return whole[:2] + struct.pack("!H", ~total & 0xFFFF) + _MARK
