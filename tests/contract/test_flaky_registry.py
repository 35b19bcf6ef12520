"""Our client behind registries and mirrors that work by halves: what can be had is had, what cannot is told in time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tank.errors import PullFailed
from tank.image import manifest
from tank.image.mirror import Mirror, Mirrored
from tank.image.paging import MOST_PAGES
from tank.image.registry import RegistryClient
from tank.image.source import Source
from tests.contract.test_registry import (
    BLOB,
    MANIFEST,
    QUICK,
    Handler,
    Server,
    basic,
    client_of,
    fetch,
    honest,
    image,
    raw,
    refusal,
    serving,
    wanted,
)
from tests.registry import certify, free_port


def answering(status: int) -> Handler:
    async def play(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if request.path == "/v2/" else status)

    return play


async def test_a_head_that_drips_is_given_up() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"X")
                await asyncio.sleep(0.05)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a try to speak TLS
        finally:
            writer.close()

    listener = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with listener, asyncio.timeout(10):
        server = Server(port=listener.sockets[0].getsockname()[1])
        async with client_of(server) as client:
            assert "silent for too long" in await refusal(client, server)


@pytest.mark.parametrize("what", ["https://\xe9.example/t", "https://%zz/t"])
async def test_a_realm_that_no_two_readers_read_alike_is_refused(what: str) -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{what}"'})

    async with serving(play) as server, client_of(server) as client:
        assert "is not a URL" in await refusal(client, server)


def without_ranges(answer: web.Response) -> Handler:
    """It breaks off in the middle, and says something odd to whoever asks for the rest."""
    first = [True]

    async def play(request: web.Request) -> web.StreamResponse:
        if "/blobs/" not in request.path:
            return await honest(request)
        if "Range" in request.headers:
            return answer
        if not first:
            return web.Response(body=BLOB)
        first.clear()
        response = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await response.prepare(request)
        await response.write(BLOB[:1000])
        assert request.transport is not None
        request.transport.close()
        return response

    return play


ODD = {
    "none to be had": lambda: web.Response(status=416),
    "another part": lambda: web.Response(status=206, body=BLOB, headers={"Content-Range": "bytes 0-9/10"}),
    "a part without its place": lambda: web.Response(status=206, body=BLOB[1000:]),
}


@pytest.mark.parametrize("case", ODD)
async def test_a_blob_comes_whole_from_a_registry_that_knows_ranges_by_halves(case: str) -> None:
    async with serving(without_ranges(ODD[case]())) as server, client_of(server) as client:
        assert await fetch(client, server) == BLOB


@pytest.mark.parametrize("status", [400, 404, 405, 406])
async def test_a_registry_that_knows_no_referrers_has_none(status: int) -> None:
    async with serving(answering(status)) as server, client_of(server) as client:
        assert await client.referrers(image(server), "sha256:" + "a" * 64) == []


async def test_referrers_come_in_pages_and_their_links_lead_nowhere_else() -> None:
    first, second = '</v2/x?page=2&n=1>; rel="next"', "<https://thief.example/x?page=3#x>; rel=next"
    links = {"": first, "page=2&n=1": second, "page=3": ""}

    async def play(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": manifest.OCI_INDEX, "Link": links[request.query_string]}
        return web.Response(body=request.query_string.encode(), headers=headers)

    async with serving(play) as server, client_of(server) as client:
        assert await client.referrers(image(server), "sha256:" + "a" * 64) == [b"", b"page=2&n=1", b"page=3"]


async def test_referrers_without_an_end_have_one() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": manifest.OCI_INDEX, "Link": '</v2/?again>; rel="next"'}
        return web.Response(body=b"{}", headers=headers)

    async with serving(play) as server, client_of(server) as client:
        assert len(await client.referrers(image(server), "sha256:" + "a" * 64)) == MOST_PAGES


async def test_a_registry_in_trouble_may_have_referrers() -> None:
    async with serving(answering(503)) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match="in trouble"):
            await client.referrers(image(server), "sha256:" + "a" * 64)


async def test_a_blob_that_drips_just_fast_enough_holds_its_place_for_a_while_and_no_longer() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1000))
            await asyncio.sleep(0.02)

    impatient = replace(QUICK, floor=1.0, longest=0.5, pace=1e6)
    async with serving(play) as server, asyncio.timeout(10):
        client = RegistryClient(server.host, None, (), impatient)
        try:
            with pytest.raises(PullFailed, match="too slow"):
                await fetch(client, server, wanted(size=10**9))
        finally:
            await client.close()


async def test_a_registry_on_this_machine_that_was_just_starting_is_tried_with_tls_again(tmp_path: Path) -> None:
    _, certificate, key = certify(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    port = free_port()
    async with client_of(Server(port=port)) as client:
        async with raw(b"not yet\r\n\r\n", port) as starting:
            assert "proper HTTP" in await refusal(client, starting)
        async with serving(honest, tls, port) as server:
            assert "certificate" in await refusal(client, server)


# Mirrors


@asynccontextmanager
async def mirrored(mirror: Handler, origin: Handler) -> AsyncIterator[tuple[Source, Server, Server]]:
    async with (
        serving(mirror) as near,
        serving(origin) as far,
        client_of(near) as client,
        client_of(far) as home,
    ):
        yield Mirrored(home, [Mirror(client, near.host, "proxy")]), near, far


def asked(server: Server) -> int:
    return sum(each.path != "/v2/" for each in server.seen)


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>please log in</html>", content_type="text/html")


async def half(request: web.Request) -> web.StreamResponse:
    return web.Response(body=MANIFEST[:-5], headers={"Content-Type": manifest.OCI_MANIFEST})


@pytest.mark.parametrize("mirror", [page, half, answering(500), answering(429)])
async def test_what_a_mirror_serves_amiss_comes_from_the_registry_and_the_mirror_rests(mirror: Handler) -> None:
    async with mirrored(mirror, honest) as (source, near, far):
        for _ in range(2):
            assert (await source.manifest(image(far), "1")).data == MANIFEST
        assert asked(near) == 1


@pytest.mark.parametrize(
    "mirror", [answering(404), answering(403), basic], ids=["has none", "forbids", "wants a login"]
)
async def test_a_mirror_that_does_not_give_one_image_is_asked_for_the_next(mirror: Handler) -> None:
    async with mirrored(mirror, honest) as (source, near, far):
        for _ in range(2):
            assert (await source.manifest(image(far), "1")).data == MANIFEST
        assert asked(near) == 2


async def test_a_mirror_that_fails_in_one_layer_is_not_asked_for_the_others() -> None:
    async def without_blobs(request: web.Request) -> web.StreamResponse:
        return await (answering(503) if "/blobs/" in request.path else honest)(request)

    async def brought(way: int) -> bytes:
        stream = ways[way].stream()
        return b"".join([piece async for piece in stream.pieces()])

    async with mirrored(without_blobs, honest) as (source, near, far):
        ways = source.downloads(image(far), wanted())
        for words in ("in trouble", "has failed just now"):
            with pytest.raises(PullFailed, match=words):
                await brought(0)
        assert asked(near) == 1
        assert await brought(1) == BLOB
        assert len(source.downloads(image(far), wanted())) == 1  # and those to come do not even try
