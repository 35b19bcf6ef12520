"""Probes of every kind against real containers, at the runtime driver: what is asked, from where, and what is left."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tank.model.health import GrpcAction, HttpAction, Probe
from tank.model.launch import Answer, Target
from tank.model.record import Address
from tests.asked import Grpc, Http, serving
from tests.runtime_rig import Rig, opened
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def asked(rig: Rig, addresses: tuple[Address, ...] = (), **fields: Any) -> Answer:
    """The answer to one probe of the rig's container, with time enough on a busy machine; our own lag left out."""
    answer = await rig.runtime.probe(target(rig, addresses), Probe(**{"timeout": 10.0, **fields}))
    return replace(answer, lag=0.0)


def target(rig: Rig, addresses: tuple[Address, ...] = ()) -> Target:
    return Target(uid=rig.uid, pod=rig.pod, container=rig.pod.containers[0], attempt=1, addresses=addresses)


def inside(rig: Rig) -> frozenset[int]:
    return rig.runtime._groups.processes(f"{rig.uid}/app")


# exec


async def test_exec_is_good_when_the_program_ends_with_zero(rig: Rig) -> None:
    await rig.run_one("sleep", "1000", user="app")
    assert await asked(rig, exec=("sh", "-c", "test $(id -u) = 1000 && test -d /proc/1")) == Answer(good=True)


async def test_exec_tells_the_exit_code_and_what_the_program_said(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    answer = await asked(rig, exec=("sh", "-c", "echo not yet; echo at all >&2; exit 3"))
    assert (answer.good, answer.message) == (False, "sh ended with exit code 3: not yet\nat all")


async def test_exec_tells_what_is_not_there_from_what_cannot_be_run(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    missing = await asked(rig, exec=("/no/such",))
    directory = await asked(rig, exec=("/etc/passwd",))
    assert (missing.good, missing.message[-15:]) == (False, "(exit code 127)")
    assert (directory.good, directory.message[-15:]) == (False, "(exit code 126)")


async def test_exec_of_a_program_that_goes_away_later_is_told_as_well(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    await asked(rig, exec=("sh", "-c", "cp /bin/busybox /tmp/true"))
    assert (await asked(rig, exec=("/tmp/true",))).good is True
    await asked(rig, exec=("rm", "/tmp/true"))
    assert (await asked(rig, exec=("/tmp/true",))).message.endswith("(exit code 127)")


async def test_exec_keeps_ten_kibibytes_of_what_is_said(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    answer = await asked(rig, exec=("sh", "-c", "yes | head -c 3000000; exit 1"), timeout=10.0)
    assert (answer.good, 10_000 < len(answer.message) < 10_400) == (False, True)


async def test_exec_that_never_stops_talking_is_not_read_for_ever(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    answer = await asked(rig, exec=("yes",), timeout=1.0)
    assert (answer.good, answer.message.splitlines()[0]) == (False, "yes did not end within 1 s: y")


async def test_exec_is_killed_at_its_timeout_with_all_it_started(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    before = inside(rig)
    script = "sleep 1001 & setsid sleep 1002 & sh -c 'sleep 1003; true' & sleep 1004"
    answer = await asked(rig, exec=("sh", "-c", script), timeout=0.5)
    assert (answer.good, answer.message) == (False, "sh did not end within 0.5 s")
    await wait_until(lambda: not left(rig, before), what="the end of the probe's family")
    await wait_until(lambda: not rig.runtime._errands._dying, what="the end of its runtime")
    assert [name for name in os.listdir(rig.attempt().bundle / "errands") if name.endswith(".pid")] == []


def left(rig: Rig, before: frozenset[int]) -> list[int]:
    """Who lives in the container beside those who did; the dead that its first process does not reap are not alive."""
    return [pid for pid in inside(rig) - before if b"State:\tZ" not in status(pid)]


def status(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return b"State:\tZ"


async def test_a_background_child_does_not_hold_up_the_answer(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    assert await asked(rig, exec=("sh", "-c", "sleep 1000 &"), timeout=5.0) == Answer(good=True)


async def test_a_slow_probe_leaves_no_dead_process_behind(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    before = inside(rig)
    await asked(rig, exec=("sleep", "1000"), timeout=0.2)
    await wait_until(lambda: inside(rig) == before)


async def test_a_program_that_cannot_die_holds_up_nobody_and_is_not_run_twice(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    assert (await asked(rig, exec=("sleep", "999"), timeout=0.2)).good is False
    again = asked(rig, exec=("sleep", "999"), timeout=0.2)
    assert await again == Answer(good=False, message="sleep was killed a while ago and hangs still")
    assert await asked(rig, exec=("true",)) == Answer(good=True)
    await wait_until(lambda: not rig.runtime._errands._dying)


async def test_a_paused_container_is_not_judged(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    await asked(rig, exec=("true",))
    crun = rig.runtime._crun
    subprocess.run([*crun.command, "pause", rig.attempt().id], check=True)
    answer = await asked(rig, exec=("true",), timeout=0.3)
    subprocess.run([*crun.command, "resume", rig.attempt().id], check=True)
    assert (answer.good, answer.message) == (None, f"cannot run in {rig.attempt().id}: it is paused")


async def test_a_container_that_does_not_run_is_not_judged(rig: Rig) -> None:
    await rig.run_one("true")
    await rig.ended()
    assert (await asked(rig, exec=("true",))).good is None


async def test_what_a_killed_daemon_left_running_is_ended_by_the_next_one(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    before = inside(rig)
    hanging = asyncio.create_task(asked(rig, exec=("sh", "-c", "sleep 1000; true"), timeout=60.0))
    await wait_until(lambda: len(inside(rig) - before) == 2)
    errands, rig.runtime.__dict__["_errands"] = (
        rig.runtime._errands,
        type(rig.runtime._errands)(rig.runtime._crun, rig.runtime._groups),
    )
    assert (await asked(rig, exec=("true",))).good is True
    await wait_until(lambda: not left(rig, before))
    assert (await hanging).good is False
    await errands.close()


async def test_many_probes_leave_no_descriptor_and_no_process(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    await asked(rig, exec=("true",))
    before, descriptors = inside(rig), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        answers = await asyncio.gather(
            *(asked(rig, exec=("true",)) for _ in range(10)),
            *(asked(rig, exec=("no-such",)) for _ in range(3)),
            *(asked(rig, tcp=9) for _ in range(10)),
            *(asked(rig, http=HttpAction(port=9)) for _ in range(10)),
        )
        assert [each.good for each in answers] == [True] * 10 + [False] * 23
    await wait_until(lambda: inside(rig) == before)
    assert len(os.listdir("/proc/self/fd")) == descriptors


# http


async def test_http_asks_the_containers_own_server_from_inside(rig: Rig) -> None:
    (rig.root / "www").mkdir()
    (rig.root / "www/index.html").write_text("hello")
    await rig.run_one("httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/www")
    await wait_until(lambda: answered(rig, http=HttpAction(port=8080)))
    missing = await asked(rig, http=HttpAction(port=8080, path="/no"))
    assert (missing.good, missing.message) == (False, "GET http://127.0.0.1:8080/no: status 404")


async def answered(rig: Rig, **fields: Any) -> bool:
    return (await asked(rig, **fields)).good is True


async def test_http_judges_by_the_status_and_follows_only_the_same_host(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    server = Http(
        {
            "/ok": (200, ""), "/odd": (399, ""), "/bad": (400, ""), "/broken": (503, ""),
            "/on": (302, "/ok"), "/on-bad": (301, "/bad"), "/round": (307, "/round"), "/nowhere": (302, ""),
            "/away": (302, "http://example.org/x"),
        }
    )  # fmt: skip
    async with serving(rig, server, 8080):
        found = {path: await asked(rig, http=HttpAction(port=8080, path=path)) for path in server.answers}
    assert {path: answer.good for path, answer in found.items()} == {
        "/ok": True, "/odd": True, "/bad": False, "/broken": False, "/on": True, "/on-bad": False, "/round": False,
        "/nowhere": True, "/away": True,
    }  # fmt: skip
    assert found["/round"].message == "GET http://127.0.0.1:8080/round: more than 10 redirects"
    assert "another host" in found["/away"].message


async def test_http_says_who_asks_and_takes_headers(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    server = Http({"/a?b=%20c": (200, "")})
    headers = {"Host": "shop.example", "X-Why": "probe"}
    async with serving(rig, server, 8080):
        answer = await asked(rig, http=HttpAction(port="8080", path="a?b=%20c", headers=headers))
    lines = server.heads[0].splitlines()
    assert (answer.good, lines[0]) == (True, "GET /a?b=%20c HTTP/1.1")
    assert {"Host: shop.example", "X-Why: probe", "User-Agent: tank-probe"} <= set(lines)


async def test_https_is_asked_without_a_check_of_the_certificate(rig: Rig, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
         "/CN=nobody", "-days", "1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await rig.run_one("sleep", "1000")
    async with serving(rig, Http({"/": (200, "")}), 8443, context):
        secure = await asked(rig, http=HttpAction(port=8443, scheme="https"))
        plain = await asked(rig, http=HttpAction(port=8443))
    assert (secure.good, plain.good) == (True, False)


async def test_http_to_a_name_of_the_pods_hosts(rig: Rig) -> None:
    await rig.run_one("sleep", "1000", pod_hosts={"shop.example": "127.0.0.1"})
    server = Http({"/": (200, "")})
    async with serving(rig, server, 8080):
        assert (await asked(rig, http=HttpAction(port=8080, host="shop.example"))).good is True
    assert "Host: shop.example:8080" in server.heads[0]


async def test_a_server_that_says_nothing_is_a_failure_in_time(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(rig, silent, 8080):
        http = await asked(rig, http=HttpAction(port=8080), timeout=0.2)
        grpc = await asked(rig, grpc=GrpcAction(port=8080), timeout=0.2)
        tcp = await asked(rig, tcp=8080)
    assert [(each.good, each.message) for each in (http, grpc)] == [(False, "no answer within 0.2 s")] * 2
    assert tcp.good is True


# tcp and grpc


async def test_tcp_is_good_when_somebody_listens(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    closed = await asked(rig, tcp=8080)

    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serving(rig, slam, 8080):
        assert await asked(rig, tcp=8080) == Answer(good=True)
    assert (closed.good, closed.message) == (False, "connection refused")


async def test_a_port_with_an_unknown_name_is_not_judged(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    assert await asked(rig, tcp="web") == Answer(good=None, message="no port of the pod is called web")


async def test_grpc_is_good_when_the_service_is_serving(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    async with serving(rig, Grpc({"": "SERVING", "shop": "NOT_SERVING", "new": "UNKNOWN"}), 9000):
        found = [
            await asked(rig, grpc=GrpcAction(port=9000, service=service)) for service in ("", "shop", "new", "other")
        ]
    async with serving(rig, Http({}), 9001):
        other = await asked(rig, grpc=GrpcAction(port=9001))
    assert [each.good for each in (*found, other)] == [True, False, False, False, False]
    assert [each.message for each in found] == ["", "it is NOT_SERVING", "it is UNKNOWN", "it knows no such service"]


async def test_the_pods_first_address_is_asked(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    async with serving(rig, Http({"/": (200, "")}), 8080):
        first = (Address(nic="eth0", ip="127.0.0.7/8", mac=""),)
        elsewhere = await asked(rig, first, http=HttpAction(port=8080))
        named = await asked(rig, first, http=HttpAction(port=8080, host="127.0.0.1"))
    assert (elsewhere.good, elsewhere.message, named.good) == (
        False, "GET http://127.0.0.7:8080/: connection refused", True,
    )  # fmt: skip


async def test_a_pod_on_the_hosts_network_is_asked_from_there(rig: Rig) -> None:
    await rig.run_one("sleep", "1000", pod_network="host")
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await asked(rig, tcp=port) == Answer(good=True)
