"""Kubernetes documents over HTTP: one request for all of a file, what is lost, and the way back."""

from __future__ import annotations

import aiohttp
import pytest

from tests.api.node import FakeNode

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  tolerations: [{key: x}]
  containers:
  - {name: app, image: "nginx:1.27", envFrom: [{configMapRef: {name: settings}}]}
"""
BOTH = f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{COLOR: blue}}
---
apiVersion: v1
kind: Secret
metadata: {{name: login}}
stringData: {{password: hidden}}
---
{POD}"""
YAML = {"Content-Type": "application/yaml"}


async def test_what_pods_take_is_stored_with_them(http: aiohttp.ClientSession, node: FakeNode) -> None:
    answer = await http.post("/v1/apply?losses=1", data=BOTH, headers=YAML)
    said = await answer.json()

    assert ([pod["name"] for pod in said["pods"]], said["inputs"]) == (["web"], ["config/settings", "secret/login"])
    assert (await node.inputs.get("config", "settings")).data == {"COLOR": b"blue"}
    assert (await node.inputs.get("secret", "login")).keys == {"password": 6}


async def test_what_is_lost_is_told_with_its_place(http: aiohttp.ClientSession) -> None:
    said = await (await http.post("/v1/apply?losses=1", data=POD, headers=YAML)).json()
    lost = said["losses"][1]

    assert (lost["path"], lost["line"], lost["column"]) == ("spec.tolerations", 5, 3)


async def test_without_being_asked_the_answer_is_the_statuses(http: aiohttp.ClientSession) -> None:
    assert [pod["name"] for pod in await (await http.post("/v1/apply", data=POD, headers=YAML)).json()] == ["web"]


async def test_nothing_is_stored_beside_a_pod_at_fault(http: aiohttp.ClientSession, node: FakeNode) -> None:
    answer = await http.post("/v1/apply", data=BOTH.replace("tolerations", "toleration"), headers=YAML)
    [problem] = (await answer.json())["error"]["problems"]

    assert (answer.status, problem["suggestion"]) == (400, "did you mean 'tolerations'?")
    assert "hidden" not in await answer.text()
    assert await node.inputs.list("config") == await node.inputs.list("secret") == []


async def test_a_token_that_no_longer_holds_stores_nothing(http: aiohttp.ClientSession, node: FakeNode) -> None:
    answer = await http.post("/v1/apply?plan=another", data=BOTH, headers=YAML)

    assert (answer.status, node.pods, await node.inputs.list("config")) == (409, {}, [])


async def test_a_token_that_holds_is_taken(http: aiohttp.ClientSession, node: FakeNode) -> None:
    token = (await (await http.post("/v1/plan", data=BOTH, headers=YAML)).json())["token"]

    answer = await http.post(f"/v1/apply?plan={token}", data=BOTH, headers=YAML)

    assert (answer.status, list(node.pods)) == (200, ["web"])


async def test_a_plan_stores_nothing(http: aiohttp.ClientSession, node: FakeNode) -> None:
    said = await (await http.post("/v1/plan?losses=1", data=BOTH, headers=YAML)).json()

    assert (said["inputs"], len(said["losses"]), len(said["steps"])) == (["config/settings", "secret/login"], 2, 1)
    assert await node.inputs.list("config") == []


async def test_one_pod_is_put_as_a_kubernetes_document(http: aiohttp.ClientSession) -> None:
    assert (await http.put("/v1/pods/web", data=POD, headers=YAML)).status == 200


async def test_only_a_pod_can_be_put(http: aiohttp.ClientSession) -> None:
    answer = await http.put("/v1/pods/web", data=BOTH, headers=YAML)

    assert (answer.status, "only pods" in await answer.text()) == (400, True)


async def test_an_object_is_stated_once(http: aiohttp.ClientSession) -> None:
    answer = await http.post("/v1/apply", data=f"{BOTH}---\n{BOTH}", headers=YAML)

    assert (answer.status, "config/settings" in await answer.text()) == (400, True)


async def test_an_import_changes_nothing(http: aiohttp.ClientSession, node: FakeNode) -> None:
    said = await (await http.post("/v1/import", data=BOTH, headers=YAML)).json()

    assert (said["pods"][0]["name"], said["inputs"], node.pods) == ("web", ["config/settings", "secret/login"], {})
    assert "hidden" not in str(said)


@pytest.mark.parametrize("path", ["/v1/import", "/v1/apply"])
async def test_a_pod_comes_back_as_it_went(http: aiohttp.ClientSession, node: FakeNode, path: str) -> None:
    await http.post("/v1/apply", data=POD, headers=YAML)
    before = node.pods["web"].spec
    document = (await (await http.get("/v1/pods/web/kube")).json())["document"]

    answer = await http.post(path, json=document)

    assert (answer.status, node.pods["web"].spec, document["kind"]) == (200, before, "Pod")


async def test_what_kubernetes_has_no_words_for_is_told(http: aiohttp.ClientSession) -> None:
    spec = {"name": "web", "containers": [{"name": "app", "image": "nginx", "limits": {"pids": 7}}]}
    await http.post("/v1/apply", json=spec)

    said = await (await http.get("/v1/pods/web/kube")).json()

    assert [each["path"] for each in said["losses"]] == ["containers.app.limits.pids"]
