"""Pods over HTTP: codes, bodies, revisions, watches."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import aiohttp
import pytest
from yarl import URL

from tank.errors import Conflict, Denied, Failed, Unavailable
from tank.model.status import Status
from tests.api.conftest import WEB
from tests.api.node import FakeNode
from tests.waiting import wait_until


async def test_an_applied_pod_is_listed_and_its_spec_comes_back(http: aiohttp.ClientSession) -> None:
    applied = await http.post("/v1/apply", json=WEB)
    listed = await (await http.get("/v1/pods")).json()
    desired = await http.get("/v1/pods/web")

    assert applied.status == 200
    assert [pod["name"] for pod in listed] == ["web"]
    assert desired.headers["ETag"] == '"1"'
    spec = (await desired.json())["spec"]
    assert spec["containers"][0]["pull"] == "if_missing"


async def test_the_status_has_the_documented_shape(http: aiohttp.ClientSession) -> None:
    await http.post("/v1/apply", json=WEB)

    body = await (await http.get("/v1/pods/web/status")).json()

    assert body["phase"] == "running"
    assert body["addresses"] == [{"nic": "eth0", "ip": "10.0.0.5/24", "mac": "02:00:00:00:00:01", "source": ""}]
    assert body["containers"][0]["exit_code"] is None
    assert body["containers"][0]["last"][0]["reason"] == "Error"


@pytest.mark.parametrize("path", ["", "/status", "/why", "/history", "/logs", "/wait"])
async def test_a_pod_that_is_not_there_is_not_found(http: aiohttp.ClientSession, path: str) -> None:
    answer = await http.get(f"/v1/pods/nope{path}")

    assert answer.status == 404
    assert (await answer.json())["error"]["kind"] == "NotFound"


@pytest.mark.parametrize("name", ["Web", "-a", "a_b", "a" * 64, "..%2fweb", "a%00", "%2e%2e", "%c3%a4", "web%0a"])
async def test_what_no_pod_can_be_called_is_refused(http: aiohttp.ClientSession, name: str) -> None:
    answer = await http.get(URL(f"http://tank/v1/pods/{name}/status", encoded=True))

    assert answer.status in (400, 404)
    assert "error" in await answer.json()


async def test_put_takes_one_pod_of_the_same_name(http: aiohttp.ClientSession) -> None:
    wrong = await http.put("/v1/pods/other", json=WEB)
    right = await http.put("/v1/pods/web", json=WEB)

    assert (wrong.status, right.status) == (400, 200)
    assert (await right.json())["name"] == "web"


async def test_if_match_is_the_expected_revision(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.put("/v1/pods/web", json=WEB, headers={"If-None-Match": "*"})
    stale = await http.put("/v1/pods/web", json=WEB | {"grace": 5}, headers={"If-Match": '"9"'})
    fresh = await http.put("/v1/pods/web", json=WEB | {"grace": 5}, headers={"If-Match": '"1"'})
    taken = await http.put("/v1/pods/web", json=WEB, headers={"If-None-Match": "*"})
    broken = await http.put("/v1/pods/web", json=WEB, headers={"If-Match": "abc"})

    assert [each.status for each in (stale, fresh, taken, broken)] == [409, 200, 409, 400]


async def test_put_as_a_dry_run_answers_the_plan_and_changes_nothing(
    http: aiohttp.ClientSession, node: FakeNode
) -> None:
    body = await (await http.put("/v1/pods/web?dry_run=1", json=WEB)).json()

    assert body["steps"][0]["action"] == "create"
    assert node.pods == {}


async def test_delete_takes_a_grace_and_a_revision(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    stale = await http.delete("/v1/pods/web", headers={"If-Match": "7"})
    done = await http.delete("/v1/pods/web?grace=2.5")

    assert (stale.status, done.status) == (409, 202)
    assert ("delete", 2.5) in node.calls
    assert (await done.json())["phase"] == "terminating"


async def test_restart_and_rollback_pass_their_parameters_on(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    await http.post("/v1/apply", json=WEB | {"grace": 3})
    restarted = await http.post("/v1/pods/web/restart?container=app&pull=1")
    back = await http.post("/v1/pods/web/rollback?to=1")
    history = await (await http.get("/v1/pods/web/history")).json()

    assert (restarted.status, back.status) == (202, 200)
    assert ("restart", ("app", True)) in node.calls
    assert [each["origin"] for each in history] == ["rollback", "apply", "apply"]
    assert history[0]["at"] == "2023-11-14T22:13:20.000Z"


async def test_a_wait_tells_what_was_waited_for(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=WEB)
    ready = await http.get("/v1/pods/web/wait?for=ready&timeout=5")
    late = await http.get("/v1/pods/web/wait?for=gone&timeout=0.1")
    odd = await http.get("/v1/pods/web/wait?for=pretty")

    assert [each.status for each in (ready, late, odd)] == [200, 504, 400]
    assert ("wait", ("web", "ready", 5.0)) in node.calls


async def test_waiting_for_many_ends_with_the_first_that_cannot(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=[WEB, WEB | {"name": "db"}])
    node.statuses["db"] = Status(name="db", phase="failed")

    answer = await http.get("/v1/wait?pod=web&pod=db&for=settled")

    assert (await answer.json())["error"] == {"kind": "Failed", "message": "pod db has failed", "problems": []}


async def test_a_pod_that_fails_after_it_was_ready_ends_the_wait_for_another(
    http: aiohttp.ClientSession, node: FakeNode
) -> None:
    await http.post("/v1/apply", json=[WEB, WEB | {"name": "db"}])
    node.statuses["db"] = replace(node.statuses["db"], phase="pending", ready=False)
    waiting = asyncio.create_task(http.get("/v1/wait?pod=web&pod=db&for=ready&timeout=30"))
    await wait_until(lambda: ("wait", ("web", "failed", 30.0)) in node.calls)
    node.statuses["web"] = replace(node.statuses["web"], phase="failed", ready=False, reason="Error")
    answer = await waiting

    assert (await answer.json())["error"]["message"] == "pod web has failed: Error"


@pytest.mark.parametrize("query", ["l=", "l=a=b=c", "watch=maybe", "watch=1&since=x", "watch=1&since=-1"])
async def test_a_query_that_makes_no_sense_is_refused(http: aiohttp.ClientSession, query: str) -> None:
    answer = await http.get(f"/v1/pods?{query}")

    assert (answer.status, (await answer.json())["error"]["kind"]) == (400, "InvalidSpec")


async def test_a_selector_chooses(http: aiohttp.ClientSession) -> None:
    await http.post("/v1/apply", json=[WEB, WEB | {"name": "db", "labels": {"app": "db"}}])

    answer = await (await http.get("/v1/pods?l=app!%3Dweb")).json()

    assert [pod["name"] for pod in answer] == ["db"]


async def test_a_watch_tells_every_pod_and_then_each_change(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=[WEB, WEB | {"name": "db", "labels": {"app": "db"}}])
    async with http.get("/v1/pods?watch=1&l=app%3Dweb") as answer:
        first = json.loads(await answer.content.readline())
        await node.changes.put(node.statuses["db"])
        await node.changes.put(Status(name="db", phase="gone"))
        await node.changes.put(Status(name="web", phase="gone"))
        second = json.loads(await answer.content.readline())

    assert (first["status"]["name"], second) == ("web", {"gone": "web"})


async def test_a_watch_since_a_revision_leaves_out_what_is_older(http: aiohttp.ClientSession, node: FakeNode) -> None:
    await http.post("/v1/apply", json=[WEB, WEB | {"name": "db"}])
    async with http.get("/v1/pods?watch=1&since=1") as answer:
        first = json.loads(await answer.content.readline())

    assert first["status"]["name"] == "db"


@pytest.mark.parametrize(
    ("error", "status"),
    [(Conflict("c"), 409), (Denied("d"), 403), (Failed("f"), 500), (Unavailable("u"), 503)],
)
async def test_every_kind_of_error_has_its_code(
    http: aiohttp.ClientSession, node: FakeNode, error: Exception, status: int
) -> None:
    node.fails = error

    answer = await http.get("/v1/pods")

    assert answer.status == status
    assert (await answer.json())["error"]["message"] == str(error)


async def test_an_unforeseen_error_leaks_nothing(
    http: aiohttp.ClientSession, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    node.fails = ZeroDivisionError("the secret is 42")

    answer = await http.get("/v1/pods")
    text = await answer.text()

    assert answer.status == 500
    assert "42" not in text
    assert "Traceback" not in text
    assert "the secret is 42" in caplog.text
