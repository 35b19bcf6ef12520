"""Registries that lie, stall, break off or flood, each asked for a whole image: a refusal in time, and nothing kept
but the beginning of a layer, which the next try takes up and proves again.

The verdicts are in tests/corpus/registries.json. The pull is the real one; the registry is played in this process.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tank.config import Settings
from tank.errors import PullFailed
from tank.image.dial import Patience
from tank.image.pull import ImageStore
from tests import archives, images
from tests.contract.test_registry import Server, serving
from tests.trees import tree

VERDICTS: dict[str, str] = json.loads((Path(__file__).parents[1] / "corpus/registries.json").read_text())
QUICK = Patience(connect=2.0, resolve=2.0, silence=0.4, document=1.0, floor=2000.0, window=0.3)
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
DEADLINE = 20.0

Answer = web.StreamResponse | None
Play = Callable[["Genuine", web.Request], Answer]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def described(kind: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


class Genuine:
    """A small image as an honest registry would serve it."""

    def __init__(self) -> None:
        tar = images.layer({"f": os.urandom(200_000)}, ("d",))
        self.layer = gzip.compress(tar, 1)
        platform = {"os": "linux", "architecture": images.ARCHITECTURE}
        self.config = json.dumps({**platform, "rootfs": {"type": "layers", "diff_ids": [digest(tar)]}}).encode()
        self.body: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described(CONFIG, self.config),
            "layers": [described(LAYER, self.layer)],
        }

    def answer(self, request: web.Request) -> web.Response:
        """What is asked for."""
        if "/manifests/" in request.path:
            return served(json.dumps(self.body).encode())
        for data in (self.config, self.layer):
            if request.path.endswith(digest(data)):
                return web.Response(body=data)
        return web.Response(status=404)


def served(data: bytes, kind: str = OCI_MANIFEST, **headers: str) -> web.Response:
    return web.Response(body=data, headers={"Content-Type": kind, **headers})


def manifest(change: Callable[[Genuine, dict[str, Any]], object], kind: str = OCI_MANIFEST) -> Play:
    """A registry whose manifest says something else."""

    def play(genuine: Genuine, request: web.Request) -> Answer:
        if "/manifests/" not in request.path:
            return None
        body = json.loads(json.dumps(genuine.body))
        changed = change(genuine, body)
        return served(changed if isinstance(changed, bytes) else json.dumps(body).encode(), kind)

    return play


def blob(change: Callable[[bytes], web.StreamResponse], *, config: bool = False) -> Play:
    """A registry that serves the layer, or the configuration, in another way."""

    def play(genuine: Genuine, request: web.Request) -> Answer:
        data = genuine.config if config else genuine.layer
        return change(data) if request.path.endswith(digest(data)) else None

    return play


def always(answer: Callable[[], web.StreamResponse]) -> Play:
    return lambda genuine, request: answer()


class Stalling(web.StreamResponse):
    """The beginning of some bytes, and then nothing, or a drop now and then."""

    def __init__(self, data: bytes, *, drops: bool = False) -> None:
        super().__init__(headers={"Content-Length": str(len(data))})
        self.data, self.drops = data, drops

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self.data[:1000])
        for place in range(1000, 1400):
            await asyncio.sleep(0.05)
            if self.drops:
                await self.write(self.data[place : place + 1])


class Breaking(web.StreamResponse):
    """The beginning of some bytes, and then the connection is gone. Every time."""

    def __init__(self, data: bytes, request: web.Request) -> None:
        super().__init__(headers={"Content-Length": str(len(data))})
        self.data, self.request = data, request

    async def write_eof(self, _data: bytes = b"") -> None:
        await self.write(self.data[:100])
        assert self.request.transport is not None
        self.request.transport.abort()


def breaking(genuine: Genuine, request: web.Request) -> Answer:
    return Breaking(genuine.layer, request) if request.path.endswith(digest(genuine.layer)) else None


def other_image_by_digest(genuine: Genuine, request: web.Request) -> Answer:
    """An index that names one manifest, and another one under its digest."""
    real = json.dumps(genuine.body).encode()
    if request.path.endswith(digest(real)):
        return served(real + b" ")
    where = {"os": "linux", "architecture": images.ARCHITECTURE}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described(OCI_MANIFEST, real, platform=where)]}
    return served(json.dumps(index).encode(), OCI_INDEX) if "/manifests/" in request.path else None


def nested(genuine: Genuine, request: web.Request) -> Answer:
    """Indexes in indexes, four deep."""
    levels = [json.dumps(genuine.body).encode()]
    for _ in range(4):
        kind = OCI_MANIFEST if len(levels) == 1 else OCI_INDEX
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described(kind, levels[-1])]}
        levels.append(json.dumps(body).encode())
    if "/manifests/" not in request.path:
        return None
    found = next((each for each in levels if request.path.endswith(digest(each))), levels[-1])
    return served(found, OCI_MANIFEST if found == levels[0] else OCI_INDEX)


def replaced(**fields: Any) -> Callable[[Genuine, dict[str, Any]], None]:
    return lambda genuine, body: body.update(fields)


def in_layer(**fields: Any) -> Callable[[Genuine, dict[str, Any]], None]:
    return lambda genuine, body: body["layers"][0].update(fields)


def with_layer(layer: bytes) -> Play:
    """A registry whose manifest names another layer, which is served as it is."""

    def play(genuine: Genuine, request: web.Request) -> Answer:
        if "/manifests/" in request.path:
            return served(json.dumps({**genuine.body, "layers": [described(LAYER, layer)]}).encode())
        return web.Response(body=layer) if request.path.endswith(digest(layer)) else None

    return play


def bomb() -> bytes:
    """A few megabytes that become a file of seven gigabytes."""
    return archives.gzipped(archives.header(b"f", size=7 << 30)) + archives.gzipped(bytes(64 << 20)) * 112


DEEP = b'{"schemaVersion":2,"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
TWICE = b'{"schemaVersion":2,"schemaVersion":2}'
PLAYS: dict[str, Play] = {
    "serves a page for everything": always(lambda: web.Response(text="<html>welcome</html>", content_type="text/html")),
    "is in trouble": always(lambda: web.Response(status=503)),
    "has had enough": always(lambda: web.Response(status=429, headers={"Retry-After": "7"})),
    "knows nothing": always(lambda: web.Response(status=404)),
    "lets nobody in and does not say how": always(lambda: web.Response(status=401)),
    "forbids": always(lambda: web.Response(status=403)),
    "answers that it is a teapot": always(lambda: web.Response(status=418)),
    "redirects to itself": lambda g, r: web.Response(status=307, headers={"Location": str(r.url)}),
    "redirects to nowhere": always(lambda: web.Response(status=307, headers={"Location": "http://[::bad"})),
    "redirects to a file": always(lambda: web.Response(status=302, headers={"Location": "file:///etc/shadow"})),
    "says no type": manifest(lambda g, b: None, ""),
    "says another type": manifest(lambda g, b: None, OCI_INDEX),
    "says that it is no image": manifest(lambda g, b: None, "application/vnd.oci.empty.v1+json"),
    "serves an endless manifest": manifest(lambda g, b: b"{" + b" " * (5 << 20) + b"}"),
    "serves a deep manifest": manifest(lambda g, b: DEEP),
    "serves half a manifest": manifest(lambda g, b: json.dumps(b).encode()[:-20]),
    "serves a manifest with a key twice": manifest(lambda g, b: TWICE),
    "serves a list": manifest(lambda g, b: b"[]"),
    "serves schema 1": manifest(replaced(schemaVersion=1)),
    "serves a manifest that is an index too": manifest(replaced(manifests=[])),
    "serves another manifest under a digest": other_image_by_digest,
    "serves indexes without end": nested,
    "serves an artifact": manifest(lambda g, b: b["config"].update(mediaType="application/vnd.example+json")),
    "has a thousand layers": manifest(lambda g, b: b.update(layers=b["layers"] * 1000)),
    "has a layer elsewhere": manifest(in_layer(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
    "has a layer of a strange kind": manifest(in_layer(mediaType="application/x-sh")),
    "has a layer whose digest is a path": manifest(in_layer(digest="sha256:../../../../etc/shadow")),
    "has a layer with a weak digest": manifest(in_layer(digest="md5:" + "a" * 32)),
    "has a layer of negative size": manifest(in_layer(size=-1)),
    "has a layer of an impossible size": manifest(in_layer(size=2**70)),
    "has a layer larger than any disk": manifest(in_layer(size=2**62)),
    "has fewer layers than it says": manifest(replaced(layers=[])),
    "has an enormous configuration": manifest(lambda g, b: b["config"].update(size=2**40)),
    "serves another configuration": blob(lambda data: web.Response(body=data[:-1] + b" "), config=True),
    "serves another layer of the same length": blob(lambda data: web.Response(body=bytes(len(data)))),
    "serves a layer that is too short": blob(lambda data: web.Response(body=data[:-100])),
    "serves a layer that is too long": blob(lambda data: web.Response(body=data + b"more")),
    "serves a layer that becomes something else": with_layer(archives.gzipped(archives.archive(archives.member(b"g")))),
    "serves a bomb": with_layer(bomb()),
    "stalls within a layer": blob(Stalling),
    "drips": blob(lambda data: Stalling(data, drops=True)),
    "breaks off each time": breaking,
    "has lost a layer": blob(lambda data: web.Response(status=404)),
}


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("canary")
    return tmp_path / "outside"


async def misbehaving(play: Play, server: Server) -> None:
    genuine = Genuine()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/v2/":
            return web.Response()
        return play(genuine, request) or genuine.answer(request)

    server.play = answer


async def refusal(play: Play, directory: Path) -> str:
    """Why the image was not had; nothing of it may be left."""
    store = ImageStore(Settings(data_dir=directory / "data", run_dir=directory / "run"), patience=QUICK, environment={})
    await store.open()
    async with serving(lambda _: asyncio.sleep(0, web.Response())) as server:
        await misbehaving(play, server)
        try:
            with pytest.raises(PullFailed) as error:
                async with asyncio.timeout(DEADLINE):
                    await store.resolve(f"{server.host}/team/app:1", "always", None)
        finally:
            await store.close()
        kept = [
            path for path in (directory / "data/images").rglob("*") if path.is_file() and path.parent.name != "parts"
        ]
        assert kept == [], kept
        return error.value.message.replace(server.host, "HOST")


def test_the_corpus_holds_thirty_registries() -> None:
    assert len(VERDICTS) >= 30
    assert VERDICTS.keys() == PLAYS.keys()


@pytest.mark.system
@pytest.mark.parametrize("case", PLAYS)
async def test_a_registry_that_misbehaves_is_refused_in_time_and_leaves_nothing(
    case: str, canary: Path, tmp_path: Path
) -> None:
    before = tree(canary)

    assert VERDICTS[case] in await refusal(PLAYS[case], tmp_path)
    assert tree(canary) == before
