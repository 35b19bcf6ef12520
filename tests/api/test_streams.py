"""Exec and attach over the WebSocket, as the daemon serves them."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import aiohttp
import pytest

from tank.errors import Denied
from tests.api.conftest import WEB
from tests.api.node import FakeNode
from tests.waiting import wait_until


async def conversation(http: aiohttp.ClientSession, first: Any, *, path: str = "/v1/pods/web/exec") -> list[Any]:
    """What the daemon says until it closes: (channel, bytes), control as JSON, and the close code."""
    await http.post("/v1/apply", json=WEB)
    said: list[Any] = []
    async with http.ws_connect(path) as stream:
        if first is not None:
            await (stream.send_str(first) if isinstance(first, str) else stream.send_json(first))
        async for message in stream:
            channel, data = message.data[0], message.data[1:]
            said.append(json.loads(data) if channel == 3 else (channel, data))
        said.append(stream.close_code)
    return said


async def test_output_and_errors_stay_apart_and_the_exit_code_is_last(http: aiohttp.ClientSession) -> None:
    said = await conversation(http, {"argv": ["sh", "-c", "echo out; echo err >&2; exit 3"]})

    assert sorted(said[:2]) == [(1, b"out\n"), (2, b"err\n")]
    assert said[2:] == [{"exit": 3}, 1000]


async def test_the_session_is_closed_when_the_client_hangs_up(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    async with http.ws_connect("/v1/pods/web/exec") as stream:
        await stream.send_json({"argv": ["sleep", "100"]})
        await wait_until(lambda: node.sessions)

    await wait_until(lambda: node.sessions[0].closed)
    assert node.sessions[0].child.returncode == -9


async def test_a_program_that_is_not_there_is_127_and_says_so(http: aiohttp.ClientSession) -> None:
    said = await conversation(http, {"argv": ["/nope"]})

    assert (said[0]["exit"], said[0]["error"]["kind"]) == (127, "StartFailed")


async def test_tanks_own_failure_is_125(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    said = await conversation(http, {"argv": ["true"]}, path="/v1/pods/web/exec?container=nope")

    assert (said[0]["exit"], said[0]["error"]["kind"]) == (125, "NotFound")


@pytest.mark.parametrize(
    "first",
    [
        "no json",
        "[]",
        {"argv": []},
        {"argv": "ls"},
        {"argv": ["a\0b"]},
        {"argv": [1]},
        {"argv": ["ls"], "env": ["A=b"]},
        {"argv": ["ls"], "env": {"A=b": "c"}},
        {"argv": ["ls"], "cwd": 5},
        {"argv": ["ls"], "size": [0, 0]},
        {"argv": ["ls"], "size": ["a", "b"]},
        {"argv": ["ls"], "colour": "blue"},
        '{"argv": ["ls"], "argv": ["rm"]}',
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, first: Any) -> None:
    said = await conversation(http, first)

    assert (said[0]["exit"], said[0]["error"]["kind"]) == (125, "InvalidSpec")


async def test_an_unforeseen_error_ends_the_stream_with_words(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    async with http.ws_connect("/v1/pods/web/exec") as stream:
        node.fails = ZeroDivisionError("the secret is 42")
        await stream.send_json({"argv": ["true"]})
        said = json.loads((await stream.receive()).data[1:])

    assert "internal error: ZeroDivisionError" in said["error"]["message"]


async def test_before_the_upgrade_an_error_is_an_ordinary_answer(http: aiohttp.ClientSession, node: FakeNode) -> None:
    plain = await http.get("/v1/pods/nope/exec")
    await http.post("/v1/apply", json=WEB)
    no_upgrade = await http.get("/v1/pods/web/attach")
    node.fails = Denied("no")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/v1/pods/web/exec")

    assert [plain.status, no_upgrade.status, refused.value.status] == [404, 400, 403]


async def test_a_client_that_reads_nothing_does_not_grow_the_daemon(
    http: aiohttp.ClientSession, node: FakeNode
) -> None:
    await http.post("/v1/apply", json=WEB)
    async with http.ws_connect("/v1/pods/web/exec", max_msg_size=0) as stream:
        await stream.send_json({"argv": ["sh", "-c", "yes | head -c 300M"]})
        await wait_until(lambda: node.sessions and node.sessions[0].output.full())
        before = _memory()
        for _ in range(100):
            await asyncio.sleep(0)
        grown = _memory() - before

    assert grown < 30 * 2**20


async def test_many_execs_leave_no_descriptor_behind(http: aiohttp.ClientSession) -> None:
    await conversation(http, {"argv": ["true"]})
    before = len(os.listdir("/proc/self/fd"))
    for argv in [["true"], ["/nope"], ["sh", "-c", "kill -9 $$"]] * 10:
        await conversation(http, {"argv": argv})

    await wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def _memory() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
