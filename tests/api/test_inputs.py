"""Secrets and configs over HTTP."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import aiohttp
import pytest

CANARY = "canary-6d1f"
KINDS = pytest.mark.parametrize("path", ["/v1/secrets", "/v1/configs"])


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


async def put(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, dict[str, Any], str]:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.put(path, data=io.BytesIO(sent)) as answer:
        text = await answer.text()
        return answer.status, json.loads(text), text


@KINDS
async def test_what_was_put_is_listed_without_values(http: aiohttp.ClientSession, path: str) -> None:
    status, body, text = await put(http, f"{path}/db", {"data": {"b": b64(b"\x00\xff")}, "text": {"a": CANARY}})
    listed = await (await http.get(path)).text()

    assert (status, body["name"], body["keys"]) == (200, "db", {"a": 11, "b": 2})
    assert [each["name"] for each in json.loads(listed)] == ["db"]
    assert CANARY not in text + listed
    assert b64(CANARY.encode()) not in text + listed


async def test_a_config_is_shown_and_a_secret_is_not(http: aiohttp.ClientSession) -> None:
    for path in ("/v1/secrets/db", "/v1/configs/db"):
        await put(http, path, {"text": {"a": CANARY}})

    secret = await (await http.get("/v1/secrets/db")).json()
    config = await (await http.get("/v1/configs/db")).json()

    assert "data" not in secret
    assert config["data"] == {"a": b64(CANARY.encode())}


@KINDS
async def test_it_holds_what_was_put_last_and_no_more(http: aiohttp.ClientSession, path: str) -> None:
    await put(http, f"{path}/db", {"text": {"a": "1", "b": "2"}})
    first = await (await http.get(f"{path}/db")).json()

    await put(http, f"{path}/db", {"text": {"b": "2"}})

    second = await (await http.get(f"{path}/db")).json()
    assert second["keys"] == {"b": 1}
    assert first["version"] != second["version"]


@KINDS
async def test_deleted_it_is_not_found(http: aiohttp.ClientSession, path: str) -> None:
    await put(http, f"{path}/db", {"text": {"a": "1"}})

    codes = [(await http.delete(f"{path}/db")).status for _ in range(2)]

    assert codes == [200, 404]
    assert (await http.get(f"{path}/db")).status == 404


BAD = {
    "no JSON": b"a=" + CANARY.encode(),
    "no mapping": [CANARY],
    "an unknown field": {"values": {"a": CANARY}},
    "nothing": {},
    "no base64": {"data": {"a": f"!{CANARY}!"}},
    "no text": {"text": {"a": [CANARY]}},
    "a key twice": {"data": {"a": "eA=="}, "text": {"a": CANARY}},
    "a key that is a path": {"text": {"../../etc/passwd": CANARY}},
    "a key that is hidden machinery": {"text": {"..data": CANARY}},
    "a lone surrogate": json.dumps({"text": {"a": CANARY + "\ud800"}}).encode(),
    "too large": {"text": {"a": CANARY * 100_000}},
    "far too large": b"x" * (3 * 2**20),
    "too many keys": {"text": {f"k{n}": CANARY for n in range(1001)}},
}


@KINDS
@pytest.mark.parametrize("why", BAD)
async def test_what_is_bad_is_refused_and_not_quoted(http: aiohttp.ClientSession, path: str, why: str) -> None:
    status, body, text = await put(http, f"{path}/db", BAD[why])

    assert (status, body["error"]["kind"]) == (400, "InvalidSpec")
    assert CANARY not in text


@pytest.mark.parametrize("name", ["DB", "-db", "a" * 254, "db..x", "%2e%2e", "d%20b"])
async def test_a_bad_name_is_refused(http: aiohttp.ClientSession, name: str) -> None:
    status, _, _ = await put(http, f"/v1/secrets/{name}", {"text": {"a": "1"}})

    assert status in (400, 404)


async def test_names_of_several_labels_are_taken(http: aiohttp.ClientSession) -> None:
    status, body, _ = await put(http, "/v1/configs/game.config", {"text": {"game.properties": "lives=3"}})

    assert (status, body["keys"]) == (200, {"game.properties": 7})


async def test_a_large_one_is_taken(http: aiohttp.ClientSession) -> None:
    status, body, _ = await put(http, "/v1/secrets/big", {"data": {"a": b64(bytes(2**20))}})

    assert (status, body["keys"]) == (200, {"a": 2**20})


async def test_the_document_tells_of_them(http: aiohttp.ClientSession) -> None:
    document = await (await http.get("/v1/openapi.json")).json()

    operations = [document["paths"]["/v1/secrets/{name}"][each]["operationId"] for each in ("get", "put", "delete")]
    assert operations == ["get_get_secret", "put_put_secret", "delete_delete_secret"]
    assert "InputStatus" in document["components"]["schemas"]
