"""The socket, the refusals, and the end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import time
from typing import cast

import aiohttp
import pytest

import tank
from tank.api.app import routes
from tank.api.routes import DEEDS, ENDLESS
from tank.api.server import Server, serve
from tank.config import Settings
from tank.errors import Failed
from tank.node.service import Node
from tests.api.conftest import WEB
from tests.api.node import FakeNode, Line
from tests.waiting import wait_until


async def test_nobody_else_can_open_the_socket(server: Server) -> None:
    socket_, parent = server.path.stat(), server.path.parent.stat()

    assert (stat.S_IMODE(socket_.st_mode), socket_.st_gid) == (0o660, 0)
    assert stat.S_IMODE(parent.st_mode) == 0o750


async def test_another_user_is_turned_away_and_a_caller_is_logged(
    http: aiohttp.ClientSession, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    program = f"import socket; socket.socket(socket.AF_UNIX).connect({str(server.path)!r})"
    stranger = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        "-c",
        program,
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await stranger.communicate()
    with caplog.at_level("INFO", logger="tank.api.routes"):
        await http.post("/v1/apply", json=WEB)

    assert b"PermissionError" in said
    assert f"POST /v1/apply by uid 0, pid {os.getpid()}" in caplog.text


async def test_a_dead_daemons_socket_is_replaced_and_a_file_is_not(node: FakeNode, settings: Settings) -> None:
    settings.run_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(settings.socket))
    server = await serve(cast("Node", node), settings)
    await server.close()
    settings.socket.write_text("something else")

    with pytest.raises(Failed, match="cannot open the socket"):
        await serve(cast("Node", node), settings)


async def test_closing_removes_its_own_socket_and_no_other(node: FakeNode, settings: Settings) -> None:
    first = await serve(cast("Node", node), settings)
    second = await serve(cast("Node", node), settings)
    await first.close()
    there = settings.socket.exists()
    await second.close()
    await second.close()

    assert (there, settings.socket.exists()) == (True, False)


@pytest.mark.parametrize("origin", ["http://tank", "null", "https://evil.example", ""])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/pods"), ("POST", "/v1/apply"), ("GET", "/v1/pods/web/exec"), ("GET", "/nope")]
)
async def test_a_web_page_is_refused_everywhere(
    http: aiohttp.ClientSession, node: FakeNode, method: str, path: str, origin: str
) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    answer = await http.request(method, path, headers={"Origin": origin, **upgrade})

    assert answer.status == 403
    assert node.calls == []


async def test_any_host_is_taken(http: aiohttp.ClientSession) -> None:
    answer = await http.get("/v1/pods", headers={"Host": "anything.example"})

    assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics", 404), ("PATCH", "/v1/pods/web", 405)],
)
async def test_what_is_not_there_is_an_error_in_json(
    http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path)

    assert answer.status == status
    assert (await answer.json())["error"]["message"]


async def test_every_route_is_in_the_openapi_document_and_nothing_else(http: aiohttp.ClientSession) -> None:
    document = await (await http.get("/v1/openapi.json")).json()
    stated = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert stated == {(route.method, route.path) for route in routes()}
    assert document["info"]["version"] == tank.__version__


async def test_the_openapi_document_has_no_loose_ends(http: aiohttp.ClientSession) -> None:
    document = await (await http.get("/v1/openapi.json")).json()
    schemas = document["components"]["schemas"]
    text = str({name: schema for name, schema in schemas.items() if name != "Pod"}) + str(document["paths"])
    used = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}

    assert used <= schemas.keys()
    for path, methods in document["paths"].items():
        named = {each["name"] for each in next(iter(methods.values()))["parameters"] if each["in"] == "path"}
        assert named == ({"name"} if "{name}" in path else set())


async def test_the_plain_facts(http: aiohttp.ClientSession) -> None:
    health = await (await http.get("/healthz")).json()
    schema = await (await http.get("/v1/schema")).json()
    info = await (await http.get("/v1/info")).json()

    assert (health, info["version"]) == ({"ok": True}, "0.1.0")
    assert "$schema" in schema


async def test_closing_ends_streams_with_1001(node: FakeNode, settings: Settings) -> None:
    server = await serve(cast("Node", node), settings)
    connector = aiohttp.UnixConnector(str(server.path))
    async with aiohttp.ClientSession("http://tank", connector=connector) as http:
        await http.post("/v1/apply", json=WEB)
        async with http.ws_connect("/v1/pods/web/exec") as stream:
            await stream.send_json({"argv": ["cat"], "stdin": True})
            await wait_until(lambda: node.sessions)
            await server.close()
            message = await stream.receive()

    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert node.sessions[0].closed


@pytest.mark.parametrize(
    "path", ["/v1/events?follow=1", "/v1/pods?watch=1", "/v1/pods/web/logs?follow=1", "/v1/wait?pod=web&for=failed"]
)
async def test_closing_waits_for_nobody_who_follows(node: FakeNode, settings: Settings, path: str) -> None:
    server = await serve(cast("Node", node), settings)
    connector = aiohttp.UnixConnector(str(server.path))
    async with aiohttp.ClientSession("http://tank", connector=connector) as http:
        await http.post("/v1/apply", json=WEB)
        following = [asyncio.create_task(_read(http, path)) for _ in range(3)]
        await wait_until(lambda: len(server._app[ENDLESS]) == 3)
        began = time.monotonic()
        await server.close()
        took = time.monotonic() - began
        ends = await asyncio.gather(*following, return_exceptions=True)

    assert took < 2.0
    assert [type(each) for each in ends if not isinstance(each, aiohttp.ClientError)] == []


async def _read(http: aiohttp.ClientSession, path: str) -> bytes:
    async with http.get(path) as answer:
        return await answer.read()


async def test_closing_waits_for_nobody_who_does_not_read(node: FakeNode, settings: Settings) -> None:
    server = await serve(cast("Node", node), settings)
    connector = aiohttp.UnixConnector(str(server.path))
    async with aiohttp.ClientSession("http://tank", connector=connector) as http:
        await http.post("/v1/apply", json=WEB)
        node.log = [Line(text=b"x" * 1000)] * 20_000
        answer = await http.get("/v1/pods/web/logs?follow=1")
        began = time.monotonic()
        await server.close()
        took = time.monotonic() - began
        answer.close()

    assert took < 2.0


async def test_closing_lets_a_deed_and_its_answer_be_finished(node: FakeNode, settings: Settings) -> None:
    server = await serve(cast("Node", node), settings)
    node.slow = asyncio.Event()
    connector = aiohttp.UnixConnector(str(server.path))
    async with aiohttp.ClientSession("http://tank", connector=connector) as http:
        applying = asyncio.create_task(http.post("/v1/apply", json=WEB))
        await wait_until(lambda: server._app[DEEDS])
        closing = asyncio.create_task(server.close())
        await wait_until(lambda: server._runner.server is not None and not server._runner.sites)
        node.slow.set()
        answer = await applying
        await closing

    assert (answer.status, list(node.pods)) == (200, ["web"])


async def test_a_follower_that_hangs_up_leaves_nothing_behind(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    before = len(os.listdir("/proc/self/fd"))
    tasks = len(asyncio.all_tasks())
    for path in ("/v1/events?follow=1", "/v1/pods?watch=1", "/v1/pods/web/logs?follow=1") * 10:
        answer = await http.get(path)
        answer.close()

    await wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    await wait_until(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_long_log_is_written_in_large_pieces(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    node.log = [Line(text=b"x" * 100)] * 20_000
    answer = await http.get("/v1/pods/web/logs")
    pieces = [len(piece) async for piece, _ in answer.content.iter_chunks()]

    assert sum(pieces) == 20_000 * len(
        json.dumps({"time": node.log[0].time, "stream": "stdout", "text": "x" * 100, "attempt": 0, "partial": False})
        + "\n"
    )
    assert len(pieces) < 500


async def test_an_error_in_the_middle_of_a_stream_is_its_last_line(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    node.log = [Line(text=b"one")]
    node.log_ends_with = Failed("the disk is gone")
    lines = (await (await http.get("/v1/pods/web/logs")).text()).splitlines()

    assert json.loads(lines[0])["text"] == "one"
    assert json.loads(lines[1])["error"]["message"] == "the disk is gone"
