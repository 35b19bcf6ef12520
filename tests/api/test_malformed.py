"""Malformed requests of every kind, on every route: refused, and never an internal error (S24, S29)."""

from __future__ import annotations

import json
import random

import aiohttp
import pytest
from yarl import URL

from tank.api.app import routes
from tank.api.documents import ENVELOPE
from tests.api.conftest import WEB
from tests.api.node import FakeNode

VALUES = [
    "",
    "0",
    "1",
    "-1",
    "1e999",
    "nan",
    "x" * 300,
    "%00",
    "%ff",
    "a=b",
    "!",
    "..%2f",
    "%F0%9F%92%A3",
    "9" * 40,
    "true",
    "+",
]
NAMES = ["web", "nope", "WEB", "%2e%2e", "a" * 64, "web%00", "-", "%F0%9F%92%A3"]
KINDS = [
    "application/json",
    "application/yaml",
    "application/toml",
    ENVELOPE,
    "text/plain",
    "multipart/form-data",
    "",
    "a/b; charset=nope",
]
JUNK: list[object] = [
    None,
    True,
    -1,
    1e308,
    "",
    "x" * 100,
    [],
    {},
    [[]],
    {"name": None},
    "\x00",
    "web",
    ["web"],
    {"rootfs": 5},
]


def junk(rng: random.Random, depth: int = 0) -> object:
    """A pod in which something is not as it should be."""
    value: object = json.loads(json.dumps(WEB)) if depth == 0 else rng.choice(JUNK)
    if isinstance(value, dict) and depth == 0:
        for _ in range(rng.randint(1, 4)):
            field = rng.choice(
                ["name", "containers", "network", "volumes", "restart", "backoff", "labels", "grace", "hosts", "x"]
            )
            value[field] = junk(rng, 1)
        container = {
            "name": "app",
            "image": "x",
            rng.choice(["env", "mounts", "limits", "security", "ulimits", "user"]): junk(rng, 1),
        }
        if rng.random() < 0.5:
            value["containers"] = [container]
    return value


def body(rng: random.Random) -> bytes:
    match rng.randint(0, 4):
        case 0:
            return rng.randbytes(rng.randint(0, 60))
        case 1:
            return json.dumps(junk(rng)).encode()[: rng.randint(0, 400)]
        case 2:
            return json.dumps(
                {
                    "documents": [
                        {"source": "a", "format": rng.choice(["yaml", "toml", "json", "x", 5]), "text": str(junk(rng))}
                    ]
                }
            ).encode()
        case 3:
            return rng.choice(
                [
                    b"&a [*a, *a]",
                    b"a: &b [*b]",
                    b"? ",
                    b"\t",
                    b"[[pods]]\n[[pods]]",
                    b"!!python/object:os.system {}",
                    b"- " * 5000,
                ]
            )
        case _:
            return json.dumps([junk(rng), junk(rng)]).encode()


@pytest.mark.parametrize("seed", range(4))
async def test_no_request_is_an_internal_error(http: aiohttp.ClientSession, node: FakeNode, seed: int) -> None:
    rng = random.Random(seed)
    table = [each for each in routes() if each.path != "/v1/wait"]
    await http.post("/v1/apply", json=WEB)
    for _ in range(250):
        route = rng.choice(table)
        names = [
            each.name for each in route.parameters if each.where == "query" and each.name not in ("follow", "watch")
        ]
        query = "&".join(f"{name}={rng.choice(VALUES)}" for name in names if rng.random() < 0.4 and name != "timeout")
        wait = "&timeout=0.01" if "timeout" in [each.name for each in route.parameters] else ""
        url = URL(f"http://tank{route.path.replace('{name}', rng.choice(NAMES))}?{query}{wait}", encoded=True)
        heads = {"Content-Type": rng.choice(KINDS), "If-Match": rng.choice(VALUES)}
        async with http.request(route.method, url, data=body(rng), headers=heads) as answer:
            text = await answer.text(errors="replace")  # an archive is none
        assert answer.status < 500 or answer.status == 504, (route, url, heads, text)
        assert answer.status < 400 or "error" in json.loads(text), (route, url, text)
