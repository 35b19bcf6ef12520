"""`import tank`, `tank.Client` and `tank.aio.Client` against a node in memory."""

from __future__ import annotations

import hashlib
import importlib
import random
from dataclasses import replace

import pytest

import tank as package
from tank import Container, Pod, aio
from tank.errors import by_kind
from tests.api.node import FakeNode, Line
from tests.cli.conftest import Daemon

WEB = {
    "name": "web",
    "restart": "always",
    "network": {
        "nics": [{"name": "eth0", "parent": "eth0", "ip": ("10.0.0.5", 24), "gateway": "10.0.0.1"}],
        "dns": ["10.0.0.1"],
    },
    "containers": [{"name": "app", "image": "nginx:1.27"}],
}


@pytest.fixture
def client(daemon: Daemon) -> package.Client:
    return package.Client(daemon.url)


@pytest.fixture
def web(client: package.Client, daemon: Daemon) -> FakeNode:
    client.apply(WEB)
    return daemon.node


def test_the_first_example_of_all(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANK_HOST", daemon.url)

    [applied] = package.apply(WEB)
    [listed] = package.list()
    result = package.exec("web", ["sh", "-c", "cat; exit 3"], stdin="hi")
    package.delete("web")

    assert (applied.name, listed.phase, listed.addresses[0].ip) == ("web", "running", "10.0.0.5/24")
    assert result == package.ExecResult(exit_code=3, stdout=b"hi")
    assert package.list() == []


def test_plan_is_a_function_though_the_engine_has_a_package_of_that_name(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANK_HOST", daemon.url)
    phase = importlib.import_module("tank.plan.phase")

    assert package.plan(WEB).token == "token1"
    assert phase.Phase


def test_every_public_name_is_there() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError):
        _ = package.nothing  # type: ignore[attr-defined]


def test_a_pod_comes_back_as_it_was_applied(client: package.Client) -> None:
    pod = Pod(name="web", containers=(Container(name="app", image="nginx:1.27", command=("sleep", "1")),))

    client.apply([pod])

    assert client.get("web") == pod


def test_faults_of_a_mapping_have_paths_and_no_lines(client: package.Client) -> None:
    with pytest.raises(package.InvalidSpec) as caught:
        client.apply({"name": "web", "containers": [{"name": "app", "imagee": "x"}, {"name": "app"}]})

    assert len(caught.value.problems) >= 2
    assert {each.line for each in caught.value.problems} == {None}
    assert any("imagee" in each.path for each in caught.value.problems)


@pytest.mark.parametrize("pods", ["name: web", 5, [object()], {"name": {1, 2}}])
def test_what_is_no_pod_is_refused_before_it_is_sent(client: package.Client, pods: object) -> None:
    with pytest.raises(package.InvalidSpec):
        client.apply(pods)  # type: ignore[arg-type]


def test_errors_arrive_as_the_classes_they_left_as(client: package.Client, daemon: Daemon) -> None:
    for cls in {
        package.NotFound,
        package.Conflict,
        package.Denied,
        package.Unavailable,
        package.Timeout,
        package.Failed,
    }:
        daemon.node.fails = cls("because")
        with pytest.raises(cls, match=r"^because$"):
            client.list()
    assert by_kind()["Failed"] is package.Failed


def test_nobody_listening_is_unavailable(tmp_path: object) -> None:
    with pytest.raises(package.Unavailable, match="is `tank serve` running"):
        package.Client(f"unix://{tmp_path}/none").list()
    with pytest.raises(package.Unsupported):
        package.Client("http://localhost:80")


def test_a_conflict_over_a_plan_brings_the_new_one(client: package.Client) -> None:
    with pytest.raises(package.Conflict) as caught:
        client.apply(WEB, plan="stale")

    assert caught.value.preview.token == "token1"  # type: ignore[attr-defined]


def test_the_rest_of_the_methods(client: package.Client, web: FakeNode) -> None:
    client.apply(WEB | {"grace": 5})
    web.log = [Line(text=b"one"), Line(text=b"\xff", stream="stderr", attempt=1)]

    assert client.status("web").containers[0].last[0].exit_code == 1
    assert client.why("web").because == ("app ended with exit code 1: Error",)
    assert [each.revision for each in client.history("web")] == [2, 1]
    assert client.rollback("web").revision == 3
    assert client.restart("web", container="app").name == "web"
    assert client.wait("web", "ready", timeout=5).ready
    assert [(each.text, each.attempt) for each in client.logs("web")] == [("one", 0), ("\udcff", 1)]
    assert list(client.events()) == []
    assert client.info()["pods"] == 1
    assert client.plan(WEB).steps == ()
    assert client.delete("web", grace=1).phase == "terminating"


def test_a_command_that_is_not_there_is_a_result(client: package.Client, web: FakeNode) -> None:
    assert client.exec("web", ["/nope"]) == package.ExecResult(exit_code=127, stderr=b"/nope: no such program\n")
    with pytest.raises(package.NotFound):
        client.exec("web", ["true"], container="nope")
    with pytest.raises(package.InvalidSpec):
        client.exec("web", "ls -l")


def test_exec_is_binary_safe_both_ways(client: package.Client, web: FakeNode) -> None:
    data = random.Random(3).randbytes(5 * 2**20)

    result = client.exec("web", ["sh", "-c", "tee /dev/stderr"], stdin=data)

    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()
    assert result.stderr == result.stdout


async def test_the_asynchronous_client_has_the_same_methods(daemon: Daemon) -> None:
    async with aio.Client(daemon.url) as client:
        await client.apply(WEB)
        daemon.node.log = [Line(text=b"one")]
        pod = await client.get("web")
        lines = [line.text async for line in client.logs("web")]
        result = await client.exec("web", ["sh", "-c", "cat; echo err >&2; exit 4"], stdin=b"x" * 2_000_000)
        missing = await client.exec("web", ["/nope"])
        with pytest.raises(package.NotFound, match="no pod is called nope"):
            await client.status("nope")
        with pytest.raises(package.NotFound, match="no pod is called nope"):
            await client.exec("nope", ["true"])
        with pytest.raises(package.InvalidSpec):
            await client.apply({"name": "web"})
        await client.delete("web")

    assert (pod.name, lines) == ("web", ["one"])
    assert (result.exit_code, len(result.stdout), result.stderr) == (4, 2_000_000, b"err\n")
    assert (missing.exit_code, missing.stderr) == (127, b"/nope: no such program\n")


async def test_nobody_listening_is_unavailable_for_the_asynchronous_client_too(tmp_path: object) -> None:
    async with aio.Client(f"unix://{tmp_path}/none") as client:
        with pytest.raises(package.Unavailable, match="is `tank serve` running"):
            await client.list()
        with pytest.raises(package.Unavailable):
            [line async for line in client.events()]


def test_both_clients_offer_the_same() -> None:
    ours = {name for name in dir(package.Client) if not name.startswith("_")} - {"attach"}

    assert ours <= {name for name in dir(aio.Client) if not name.startswith("_")}


def test_a_status_of_a_newer_daemon_is_read(web: FakeNode, client: package.Client) -> None:
    web.statuses["web"] = replace(web.statuses["web"], labels=None)

    assert client.status("web").labels is None
