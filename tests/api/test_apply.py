"""Apply and plan over HTTP: formats, limits, faults, tokens."""

from __future__ import annotations

import asyncio
import io
import json

import aiohttp
import pytest

from tank.api.documents import ENVELOPE
from tests.api.conftest import WEB
from tests.api.node import FakeNode
from tests.waiting import wait_until

YAML = "name: web\ncontainers:\n  - {name: app, image: nginx}\n"
TOML = 'name = "web"\n[[containers]]\nname = "app"\nimage = "nginx"\n'


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/yaml", YAML),
        ("text/yaml; charset=utf-8", YAML),
        ("application/toml", TOML),
        ("application/json", json.dumps(WEB)),
    ],
)
async def test_a_body_is_read_as_its_type_says(http: aiohttp.ClientSession, kind: str, text: str) -> None:
    answer = await http.post("/v1/apply", data=text.encode(), headers={"Content-Type": kind})

    assert (answer.status, [pod["name"] for pod in await answer.json()]) == (200, ["web"])


async def test_the_format_may_stand_in_the_query(http: aiohttp.ClientSession) -> None:
    answer = await http.post("/v1/apply?format=toml", data=TOML.encode())

    assert answer.status == 200


async def test_a_form_is_no_pod(http: aiohttp.ClientSession) -> None:
    answer = await http.post("/v1/apply", data={"name": "web"})

    assert (answer.status, "format" in (await answer.json())["error"]["message"]) == (400, True)


async def test_faults_of_all_documents_come_with_their_places(http: aiohttp.ClientSession, node: FakeNode) -> None:
    documents = [
        {"source": "a.yaml", "format": "yaml", "text": YAML.replace("image", "imagee")},
        {"source": "b.toml", "format": "toml", "text": TOML.replace("nginx", "NGINX!")},
        {"source": "c.yaml", "format": "yaml", "text": YAML},
    ]

    answer = await http.post("/v1/apply", data=json.dumps({"documents": documents}), headers={"Content-Type": ENVELOPE})
    problems = (await answer.json())["error"]["problems"]

    assert answer.status == 400
    assert {problem["source"] for problem in problems} == {"a.yaml", "b.toml"}
    assert next(each["line"] for each in problems if each["source"] == "a.yaml") == 3
    assert node.pods == {}


async def test_a_pod_stated_by_two_documents_is_a_fault(http: aiohttp.ClientSession) -> None:
    documents = [{"source": name, "format": "yaml", "text": YAML} for name in ("a", "b")]

    answer = await http.post("/v1/apply", data=json.dumps({"documents": documents}), headers={"Content-Type": ENVELOPE})

    assert "twice" in (await answer.json())["error"]["problems"][0]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"{}",
        b"[]",
        b'{"name": "web", "name": "web"}',
        b'{"a": "\xff"}',
        b"null",
        b"[" * 100_000,
        b'{"name": "web", "containers": [{"name": "app", "image": "nginx", "limits": {"memory": -1}}]}',
        b'{"name": "web", "containers": [{"name": "app", "image": "nginx", "limits": {"pids": 1e999}}]}',
        json.dumps(WEB | {"grace": float("nan")}).encode(),
        json.dumps(WEB | {"labels": {"a": "\0"}}).encode(),
    ],
)
async def test_a_broken_body_is_the_senders_fault(http: aiohttp.ClientSession, body: bytes) -> None:
    plain = await http.post("/v1/apply", data=body, headers={"Content-Type": "application/json"})
    enveloped = await http.post("/v1/apply", data=body, headers={"Content-Type": ENVELOPE})

    assert [plain.status, enveloped.status] == [400, 400]
    assert (await plain.json())["error"]["problems"]


async def test_a_body_above_one_mebibyte_is_refused(http: aiohttp.ClientSession, node: FakeNode) -> None:
    async with http.post(
        "/v1/apply", data=io.BytesIO(b" " * (2**20 + 1)), headers={"Content-Type": "application/json"}
    ) as answer:
        body = await answer.json()

    assert (answer.status, body["error"]["kind"]) == (413, "InvalidSpec")
    assert node.calls == []


async def test_a_plan_has_a_token_that_apply_holds_to(http: aiohttp.ClientSession) -> None:
    plan = await (await http.post("/v1/plan", json=WEB)).json()
    wrong = await http.post("/v1/apply?plan=other", json=WEB)
    right = await http.post(f"/v1/apply?plan={plan['token']}", json=WEB)

    assert plan["steps"][0]["impact"] == "none"
    assert (wrong.status, (await wrong.json())["plan"]) == (409, plan)
    assert right.status == 200


async def test_a_dry_run_changes_nothing(http: aiohttp.ClientSession, node: FakeNode) -> None:
    body = await (await http.post("/v1/apply?dry_run", json=WEB)).json()

    assert (body["token"], node.pods) == ("token1", {})


async def test_prune_passes_its_selector_and_none_that_is_empty(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply?prune=app%3Dweb", json=WEB)
    empty = await http.post("/v1/apply?prune=", json=WEB)

    assert ("apply", {"prune": "app=web", "expected": None}) in node.calls
    assert empty.status == 400


async def test_wait_answers_when_all_are_settled(http: aiohttp.ClientSession, node: FakeNode) -> None:
    answer = await http.post("/v1/apply?wait=1&timeout=9", json=WEB)

    assert answer.status == 200
    assert ("wait", ("web", "settled", 9.0)) in node.calls


async def test_an_apply_is_finished_though_the_client_hangs_up(http: aiohttp.ClientSession, node: FakeNode) -> None:
    node.slow = asyncio.Event()
    with pytest.raises(TimeoutError):
        await http.post("/v1/apply", json=WEB, timeout=aiohttp.ClientTimeout(total=0.2))
    node.slow.set()

    await wait_until(lambda: "web" in node.pods)
