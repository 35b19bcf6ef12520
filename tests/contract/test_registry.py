"""Our client against a registry that is played in this process: well behaved, slow, broken, lying, thieving."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tank.errors import PullFailed
from tank.image import manifest
from tank.image.address import Reach
from tank.image.dial import Dialer, Identity, Kind, Patience
from tank.image.manifest import Descriptor, digest_of
from tank.image.registry import RegistryClient
from tank.model import reference
from tank.model.registry_fields import Registry
from tests.registry import certify, free_port

QUICK = Patience(connect=2.0, resolve=2.0, silence=0.4, document=1.5, floor=2000.0, window=0.3)
SECRET = "canary-of-the-secret"
TOKEN = "t0ken"
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": manifest.OCI_MANIFEST, "layers": []}).encode()
BLOB = bytes(range(256)) * 400

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Server:
    """A server that notes every request; `play` decides the answers."""

    port: int = 0
    seen: list[web.Request] = field(default_factory=list)
    play: Handler | None = None
    scheme: str = "http"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def saw_secret(self) -> bool:
        """Whether any request carried the secret, in any of its forms."""
        forms = (SECRET, base64.b64encode(f"me:{SECRET}".encode()).decode())
        return any(form in f"{each.headers} {each.rel_url}" for each in self.seen for form in forms)

    def paths(self) -> list[str]:
        return [each.path for each in self.seen]


@asynccontextmanager
async def serving(play: Handler, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Server]:
    server = Server(play=play, scheme="https" if tls else "http")

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        server.seen.append(request)  # type: ignore[arg-type]
        assert server.play is not None
        return await server.play(request)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port or free_port(), ssl_context=tls)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: bytes | None, port: int = 0) -> AsyncIterator[Server]:
    """A server that says exactly these bytes to each first request, or nothing at all."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.ensure_future(talk(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", port)
    async with listener:
        yield Server(port=listener.sockets[0].getsockname()[1])
        for each in talks:
            each.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@asynccontextmanager
async def client_of(server: Server, *files: Path, configured: Registry | None = None) -> AsyncIterator[RegistryClient]:
    client = RegistryClient(server.host, configured, files, QUICK)
    try:
        yield client
    finally:
        await client.close()


def image(server: Server) -> reference.Reference:
    return reference.parse(f"{server.host}/team/app:1")


def wanted(data: bytes = BLOB, size: int | None = None) -> Descriptor:
    return Descriptor(media_type="x", digest=digest_of(data), size=len(data) if size is None else size)


async def fetch(client: RegistryClient, server: Server, descriptor: Descriptor | None = None) -> bytes:
    blob = client.blob(image(server), descriptor or wanted())
    data = b"".join([piece async for piece in blob.pieces()])
    assert blob.complete
    return data


async def honest(request: web.Request) -> web.StreamResponse:
    if "/manifests/" in request.path:
        return web.Response(body=MANIFEST, headers={"Content-Type": manifest.OCI_MANIFEST})
    return web.Response(body=BLOB)


@pytest.fixture
def auth_file(tmp_path: Path) -> Callable[[Server], Path]:
    """Makes a file with a password for the server."""

    def make(server: Server, **entry: str) -> Path:
        path = tmp_path / "auth.json"
        path.write_text(json.dumps({"auths": {server.host: entry or {"username": "me", "password": SECRET}}}))
        return path

    return make


AuthFile = Callable[..., Path]


async def test_a_manifest_and_a_blob_come_whole() -> None:
    async with serving(honest) as server, client_of(server) as client:
        served = await client.manifest(image(server), "1")

        assert (served.data, served.media_type) == (MANIFEST, manifest.OCI_MANIFEST)
        assert served.digest == digest_of(MANIFEST)
        assert await fetch(client, server) == BLOB
        assert await client.document(image(server), wanted()) == BLOB
        assert "/v2/team/app/manifests/1" in server.paths()


# Bearer and basic


def bearer(realm: str, token: str = TOKEN) -> Handler:
    async def play(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"token": token})
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}",service="r"'})
        return await honest(request)

    return play


async def basic(request: web.Request) -> web.StreamResponse:
    pair = base64.b64encode(f"me:{SECRET}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {pair}":
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    return await honest(request)


async def test_a_token_is_fetched_once_for_a_whole_repository() -> None:
    async with serving(honest) as server, client_of(server) as client:
        server.play = bearer(f"{server.url}/token")
        await client.manifest(image(server), "1")
        await asyncio.gather(*(fetch(client, server) for _ in range(5)))
        [asked] = [each for each in server.seen if each.path == "/token"]

        assert asked.query == {"service": "r", "scope": "repository:team/app:pull"}
        assert "Authorization" not in asked.headers


async def test_a_token_that_has_expired_is_fetched_again() -> None:
    async with serving(honest) as server, client_of(server) as client:
        server.play = bearer(f"{server.url}/token", "first")
        await client.manifest(image(server), "1")
        server.play = bearer(f"{server.url}/token", "second")

        assert await fetch(client, server) == BLOB


async def test_the_password_goes_to_the_token_service_and_the_token_to_the_registry(auth_file: AuthFile) -> None:
    async with serving(honest) as server, client_of(server, auth_file(server)) as client:
        server.play = bearer(f"{server.url}/token")
        await client.manifest(image(server), "1")
        authorized = {each.path: each.headers.get("Authorization", "")[:6] for each in server.seen}

        assert authorized == {"/token": "Basic ", "/v2/team/app/manifests/1": "Bearer"}


async def test_a_refresh_token_is_exchanged(auth_file: AuthFile) -> None:
    forms: list[dict[str, str]] = []

    async def play(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            forms.append({key: str(value) for key, value in (await request.post()).items()})
            return web.json_response({"access_token": "t0ken"})
        return await bearer(f"http://{request.host}/token")(request)

    async with serving(play) as server, client_of(server, auth_file(server, identitytoken=SECRET)) as client:
        await client.manifest(image(server), "1")

        assert (forms[0]["grant_type"], forms[0]["refresh_token"]) == ("refresh_token", SECRET)


async def test_basic_authentication_is_spoken(auth_file: AuthFile) -> None:
    async with serving(basic) as server, client_of(server, auth_file(server)) as client:
        assert await fetch(client, server) == BLOB


async def test_each_credential_that_fits_is_tried(tmp_path: Path) -> None:
    async with serving(basic) as server:
        auths = {
            f"{server.host}/team/app": {"username": "old", "password": "wrong"},
            server.host: {"username": "me", "password": SECRET},
        }
        (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
        async with client_of(server, tmp_path / "auth.json") as client:
            assert await fetch(client, server) == BLOB


async def test_settings_name_user_and_password_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET)
    configured = Registry(username="me", password_file=tmp_path / "password")
    async with serving(basic) as server, client_of(server, configured=configured) as client:
        assert await fetch(client, server) == BLOB


async def refusal(client: RegistryClient, server: Server) -> str:
    """The words with which a manifest is refused: never with a secret."""
    with pytest.raises(PullFailed) as caught:
        await client.manifest(image(server), "1")
    assert SECRET not in caught.value.message
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in caught.value.message
    assert caught.value.reason == "ErrImagePull"
    return caught.value.message


async def test_a_wrong_password_is_told_without_it(tmp_path: Path, auth_file: AuthFile) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        echo = request.headers.get("Authorization", "")
        return web.json_response(
            {"errors": [{"code": "DENIED", "message": f"bad {echo} {SECRET}"}]},
            status=401,
            headers={"WWW-Authenticate": 'Basic realm="r"'},
        )

    async with serving(never) as server, client_of(server, auth_file(server)) as client:
        assert f"credentials of {tmp_path / 'auth.json'} are not accepted" in await refusal(client, server)


async def test_a_missing_credential_is_told_with_the_helper_that_would_have_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "pass"}')
    async with serving(basic) as server, client_of(server, tmp_path / "config.json") as client:
        message = await refusal(client, server)

        assert "no credentials are known" in message
        assert "helper 'pass'" in message


async def test_a_login_of_unknown_kind_is_told(auth_file: AuthFile) -> None:
    async def negotiate(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": "Negotiate"})

    async with serving(negotiate) as server, client_of(server, auth_file(server)) as client:
        assert "login of unknown kind" in await refusal(client, server)


# Thieves: the secret must not be seen anywhere but at the registry itself


@pytest.fixture
async def thief() -> AsyncIterator[Server]:
    """Another server, that must never see the secret."""
    async with serving(honest) as server:
        yield server
        assert not server.saw_secret()


def redirecting(to: str, status: int = 307) -> Handler:
    async def play(request: web.Request) -> web.StreamResponse:
        answer = await basic(request)
        if answer.status == 401 or request.path == "/v2/":
            return answer
        return web.Response(status=status, headers={"Location": to})

    return play


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_port_gets_no_credentials(status: int, thief: Server, auth_file: AuthFile) -> None:
    async with (
        serving(redirecting(f"{thief.url}/blob", status)) as server,
        client_of(server, auth_file(server)) as client,
    ):
        assert await fetch(client, server) == BLOB
    assert thief.paths() == ["/blob"]


async def test_credentials_stay_away_on_the_way_back(thief: Server, auth_file: AuthFile) -> None:
    async with serving(redirecting(f"{thief.url}/blob")) as server, client_of(server, auth_file(server)) as client:

        async def back(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": f"{server.url}/stolen"})

        thief.play = back
        with pytest.raises(PullFailed):
            await fetch(client, server)
        [stolen] = [each for each in server.seen if each.path == "/stolen"]
        assert "Authorization" not in stolen.headers


async def test_a_redirect_on_the_same_origin_keeps_the_login(auth_file: AuthFile) -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        answer = await basic(request)
        if answer.status == 200 and "/blobs/" in request.path:
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        return answer

    async with serving(play) as server, client_of(server, auth_file(server)) as client:
        assert await fetch(client, server) == BLOB


async def test_a_challenge_of_another_host_is_not_answered(thief: Server, auth_file: AuthFile) -> None:
    async def challenge(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="give"'})

    thief.play = challenge
    async with serving(redirecting(f"{thief.url}/blob")) as server, client_of(server, auth_file(server)) as client:
        with pytest.raises(PullFailed, match="does not let us read"):
            await fetch(client, server)
    assert len(thief.seen) == 1


FOREIGN_REALMS = {
    "another host": ("https://evil.example/token", "not its own"),
    "another name of this machine": ("http://localhost:{port}/token", "not its own"),
    "without TLS elsewhere": ("http://evil.example/token", "without TLS"),
    "with a user": ("http://me:x@127.0.0.1:{port}/token", "not a URL"),
    "a file": ("file:///etc/passwd", "not a URL"),
    "nothing": ("", "not a URL"),
    "relative": ("/token", "not a URL"),
    "a name that looks alike": ("https://127.0.0.1.evil.example/token", "not its own"),
}


@pytest.mark.parametrize("case", FOREIGN_REALMS)
async def test_a_realm_that_is_not_the_registrys_gets_no_credentials(
    case: str, thief: Server, auth_file: AuthFile
) -> None:
    realm, words = FOREIGN_REALMS[case]
    async with serving(bearer(realm.format(port=thief.port))) as server, client_of(server, auth_file(server)) as client:
        assert words in await refusal(client, server)
    assert thief.seen == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://example.org/blob", "without TLS"),
        ("http://10.0.0.1/blob", "without TLS"),
        ("http://169.254.169.254/latest/meta-data", "without TLS"),
        ("https://169.254.169.254/latest/meta-data", "may not lead"),
        ("https://10.0.0.1/blob", "may not lead"),
        ("https://[::ffff:10.0.0.1]/blob", "may not lead"),
        ("https://[fe80::1]/blob", "may not lead"),
        ("https://0.0.0.0/blob", "may not lead"),
        ("ftp://127.0.0.1/blob", "not a URL"),
        ("file:///etc/shadow", "not a URL"),
        ("https://me:pw@127.0.0.1/blob", "not a URL"),
        ("//[::1", "not a URL"),
        ("https://\xe9.example/blob", "not a URL"),
        ("https://evil.example\\.127.0.0.1/blob", "not a URL"),
        ("https://evil.example%00.example.org/blob", "not a URL"),
        ("https://[fe80::1%25eth0]/blob", "not a URL"),
    ],
)
async def test_a_redirect_into_a_place_of_no_business_is_not_followed(location: str, words: str) -> None:
    async def play(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": location})

    async with serving(play) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match=words):
            await fetch(client, server)


class Lying(AbstractResolver):
    """Says that every name is this machine."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=6, flags=0),
        ]

    async def close(self) -> None: ...


async def test_a_name_is_judged_by_the_address_it_leads_to() -> None:
    async with serving(honest) as server:
        dialer = Dialer(Identity(), QUICK, Lying())
        dialer.home.add(Reach.PUBLIC)
        try:
            with pytest.raises(PullFailed, match="may not lead"):
                await dialer.get(Kind.AWAY, f"https://public.example:{server.port}/", {})
            with pytest.raises(PullFailed):
                await dialer.get(Kind.AWAY, f"https://127.1:{server.port}/", {})
        finally:
            await dialer.close()

        assert server.seen == []


async def test_redirects_come_to_an_end() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"/again{len(request.path)}"})

    async with serving(play) as server, client_of(server) as client:
        assert "without end" in await refusal(client, server)


# Liars


async def test_a_manifest_of_another_digest_is_refused() -> None:
    async with serving(honest) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match="another manifest"):
            await client.manifest(image(server), digest_of(b"other"))


async def test_the_header_that_names_a_digest_is_not_believed() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        answer = await honest(request)
        answer.headers["Docker-Content-Digest"] = digest_of(b"other")
        return answer

    async with serving(play) as server, client_of(server) as client:
        assert (await client.manifest(image(server), "1")).digest == digest_of(MANIFEST)


def body(data: bytes, chunked: bool = False) -> Handler:
    async def play(request: web.Request) -> web.StreamResponse:
        if not chunked:
            return web.Response(body=data)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(data)
        await response.write_eof()
        return response

    return play


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BLOB[:-1] + b"x", "is not sha256:"),
        (BLOB + b"x", "more than"),
        (b"", "0 of the"),
        (b"<html>error</html>", "of the"),
    ],
)
async def test_a_blob_that_is_not_what_was_asked_for_is_refused(data: bytes, words: str, chunked: bool) -> None:
    async with serving(body(data, chunked)) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match=words):
            await fetch(client, server)


async def test_a_manifest_without_end_is_refused() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": manifest.OCI_MANIFEST})
        await response.prepare(request)
        while True:
            await response.write(b" " * 2**16)

    async with serving(play) as server, client_of(server) as client:
        assert "more than 4194304 bytes" in await refusal(client, server)


async def test_a_manifest_without_its_type_is_refused() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        return web.Response(body=MANIFEST, headers={"Content-Type": ";"})

    async with serving(play) as server, client_of(server) as client:
        assert "does not say what" in await refusal(client, server)


@pytest.mark.parametrize("token", ["", "two words", "line\r\nInjected: yes", "ü", 7, None, ["x"]])
async def test_a_token_that_is_none_is_refused(token: object) -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"token": token})
        return await bearer(f"http://{request.host}/token")(request)

    async with serving(play) as server, client_of(server) as client:
        await refusal(client, server)


async def test_a_token_service_that_redirects_is_not_followed(thief: Server, auth_file: AuthFile) -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return web.Response(status=302, headers={"Location": f"{thief.url}/token"})
        return await bearer(f"http://{request.host}/token")(request)

    async with serving(play) as server, client_of(server, auth_file(server)) as client:
        assert "HTTP 302" in await refusal(client, server)
    assert thief.seen == []


# Trouble


@pytest.mark.parametrize(
    ("status", "header", "wait", "words"),
    [
        (429, "7", 7.0, "too many requests"),
        (429, "999999", 3600.0, "too many requests"),
        (429, "soon", None, "too many requests"),
        (503, "3", 3.0, "in trouble (HTTP 503)"),
        (500, "", None, "in trouble (HTTP 500)"),
        (404, "", None, "has no '1' in team/app"),
        (418, "", None, "answers HTTP 418"),
        (403, "", None, "does not let us read"),
        (204, "", None, "answers HTTP 204"),
    ],
)
async def test_trouble_is_told_and_its_wait_is_passed_on(
    status: int, header: str, wait: float | None, words: str
) -> None:
    async def play(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": header})

    async with serving(play) as server, client_of(server) as client:
        with pytest.raises(PullFailed) as caught:
            await client.manifest(image(server), "1")

    assert (words in caught.value.message, caught.value.retry_after) == (True, wait)


async def silent(request: web.Request) -> web.StreamResponse:
    if request.path == "/v2/":
        return web.Response()
    await asyncio.sleep(30)
    return web.Response()


async def test_silence_ends_the_waiting() -> None:
    async with serving(silent) as server, client_of(server) as client:
        assert "silent for too long" in await refusal(client, server)


async def test_a_crawling_registry_is_given_up() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for place in range(len(BLOB)):
            await response.write(BLOB[place : place + 1])
            await asyncio.sleep(0.02)
        return response

    async with serving(play) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match="too slow"):
            await fetch(client, server)


async def test_a_crawling_document_is_given_up() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": manifest.OCI_MANIFEST})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.1)

    async with serving(play) as server, client_of(server) as client:
        assert "silent for too long" in await refusal(client, server)


async def test_a_broken_blob_is_taken_up_where_it_broke() -> None:
    ranges: list[str] = []

    async def play(request: web.Request) -> web.StreamResponse:
        if "/blobs/" not in request.path:
            return await honest(request)
        asked = request.headers.get("Range", "")
        ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        end = min(len(BLOB), start + 40_000)
        headers = {
            "Content-Length": str(len(BLOB) - start),
            "Content-Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}",
        }
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        await response.write(BLOB[start:end])
        if end < len(BLOB):
            assert request.transport is not None
            request.transport.close()
        return response

    async with serving(play) as server, client_of(server) as client:
        assert await fetch(client, server) == BLOB
    assert ranges == ["", "bytes=40000-", "bytes=80000-"]


async def test_a_registry_without_ranges_sends_all_again() -> None:
    tries: list[int] = []

    async def play(request: web.Request) -> web.StreamResponse:
        tries.append(1)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(BLOB if len(tries) > 1 else BLOB[:50_000])
        if len(tries) == 1 and request.transport is not None:
            request.transport.close()
        return response

    async with serving(play) as server, client_of(server) as client:
        assert await fetch(client, server) == BLOB


async def test_a_registry_that_always_breaks_off_is_given_up() -> None:
    async def play(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        response = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await response.prepare(request)
        await response.write(BLOB[:10])
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(play) as server, client_of(server) as client:
        with pytest.raises(PullFailed, match=r"broke off|10 of the"):
            await fetch(client, server)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % each for each in range(5000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["nothing", "garbage", "negative", "two lengths", "long header", "many headers", "bad chunk", "ssh"],
)
async def test_what_is_no_http_is_refused_and_not_more(answer: bytes) -> None:
    async with raw(answer) as server, client_of(server) as client:
        await refusal(client, server)


async def test_a_registry_that_is_down_is_told() -> None:
    server = Server(port=free_port())
    async with client_of(server) as client:
        assert "cannot connect to 127.0.0.1: connection refused" in await refusal(client, server)


async def test_a_host_that_nobody_knows_is_told() -> None:
    client = RegistryClient("registry.invalid", None, (), QUICK)
    try:
        with pytest.raises(PullFailed, match=r"registry\.invalid"):
            await client.manifest(reference.parse("registry.invalid/a:1"), "1")
    finally:
        await client.close()


async def test_one_that_accepts_and_says_nothing_is_given_up() -> None:
    async with raw(None) as server, client_of(server) as client, asyncio.timeout(10):
        await refusal(client, server)


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A private authority and a server's side of it."""
    ca, certificate, key = certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return ca, context


async def test_a_private_authority_is_trusted_where_it_is_configured(authority: tuple[Path, ssl.SSLContext]) -> None:
    ca, context = authority
    async with serving(honest, context) as server, client_of(server, configured=Registry(ca=ca)) as client:
        assert await fetch(client, server) == BLOB


async def test_an_unknown_authority_is_not_trusted_and_not_worked_around(
    authority: tuple[Path, ssl.SSLContext], auth_file: AuthFile
) -> None:
    async with serving(honest, authority[1]) as server, client_of(server, auth_file(server)) as client:
        assert "certificate of 127.0.0.1 is not trusted" in await refusal(client, server)
        assert server.seen == []


async def test_with_an_authority_configured_there_is_no_plain_http(authority: tuple[Path, ssl.SSLContext]) -> None:
    async with serving(honest) as server, client_of(server, configured=Registry(ca=authority[0])) as client:
        assert "does not answer in TLS" in await refusal(client, server)
        assert server.seen == []


async def test_a_redirect_from_tls_to_plain_is_not_followed(
    authority: tuple[Path, ssl.SSLContext], thief: Server, auth_file: AuthFile
) -> None:
    ca, context = authority
    async with serving(redirecting(f"{thief.url}/blob"), context) as server:
        file = auth_file(server)
        async with client_of(server, file, configured=Registry(ca=ca)) as client:
            with pytest.raises(PullFailed, match="without TLS"):
                await fetch(client, server)
    assert thief.seen == []


@pytest.fixture
def mutual(authority: tuple[Path, ssl.SSLContext], tmp_path: Path) -> tuple[Registry, ssl.SSLContext]:
    """A server that wants a certificate of another authority, and the settings of who has one."""
    (tmp_path / "client").mkdir()
    theirs, certificate, key = certify(tmp_path / "client")
    authority[1].load_verify_locations(theirs)
    authority[1].verify_mode = ssl.CERT_REQUIRED
    return Registry(ca=authority[0], cert=certificate, key=key), authority[1]


async def test_a_certificate_of_ours_is_shown_where_it_is_configured(mutual: tuple[Registry, ssl.SSLContext]) -> None:
    configured, context = mutual
    async with serving(honest, context) as server:
        async with client_of(server, configured=configured) as client:
            assert await fetch(client, server) == BLOB
        async with client_of(server, configured=Registry(ca=configured.ca)) as client:
            with pytest.raises(PullFailed):
                await client.manifest(image(server), "1")


async def test_certificates_that_were_replaced_count_from_the_next_connection(
    mutual: tuple[Registry, ssl.SSLContext], tmp_path: Path
) -> None:
    configured, context = mutual
    (tmp_path / "other").mkdir()
    right, wrong = (configured.ca, configured.cert, configured.key), certify(tmp_path / "other")
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))

    def write(files: tuple[Path | None, ...]) -> None:
        for source, target in zip(files, (ca, cert, key), strict=True):
            assert source is not None
            target.write_bytes(source.read_bytes())

    configured = Registry(ca=ca, cert=cert, key=key)
    async with serving(honest, context) as server, client_of(server, configured=configured) as client:
        with pytest.raises(PullFailed, match="cannot read"):
            await client.manifest(image(server), "1")
        write(wrong)
        with pytest.raises(PullFailed, match="is not trusted"):
            await client.manifest(image(server), "1")
        write(right)
        assert await fetch(client, server) == BLOB


@pytest.mark.parametrize("first", ["cert", "key"])
async def test_while_certificates_are_being_replaced_the_old_ones_count(
    first: str, mutual: tuple[Registry, ssl.SSLContext], tmp_path: Path
) -> None:
    configured, context = mutual
    assert configured.cert is not None
    assert configured.key is not None
    (tmp_path / "other").mkdir()
    _, cert, key = certify(tmp_path / "other")
    async with serving(honest, context) as server, client_of(server, configured=configured) as client:
        assert await fetch(client, server) == BLOB
        (configured.cert if first == "cert" else configured.key).unlink()
        assert await fetch(client, server) == BLOB
        configured.cert.write_bytes(cert.read_bytes())
        assert await fetch(client, server) == BLOB
        configured.key.write_bytes(key.read_bytes())
        with pytest.raises(PullFailed):
            await client.manifest(image(server), "1")


async def test_a_certificate_of_ours_is_not_shown_where_a_redirect_leads(
    mutual: tuple[Registry, ssl.SSLContext],
) -> None:
    configured, context = mutual
    async with serving(honest, context) as elsewhere, serving(redirecting(f"{elsewhere.url}/blob"), context) as server:
        async with client_of(server, configured=configured) as client:
            with pytest.raises(PullFailed):
                await fetch(client, server)
        assert elsewhere.seen == []


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_certificate_that_cannot_be_read_is_told(content: str | None, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if content is not None:
        cert.write_text(content)
    async with serving(honest) as server, client_of(server, configured=Registry(cert=cert, key=key)) as client:
        assert f"cannot read the client certificate {cert} with its key {key}" in await refusal(client, server)


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_an_authority_that_cannot_be_read_is_told(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    async with serving(honest) as server, client_of(server, configured=Registry(ca=path)) as client:
        assert f"cannot read the certificate authority {path}" in await refusal(client, server)


def test_a_blob_has_the_digest_that_is_computed_for_it() -> None:
    assert digest_of(BLOB) == f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
