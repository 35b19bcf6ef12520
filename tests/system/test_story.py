"""The story every reader sees first, whole: four lines of Python, a real Debian, an address on the LAN."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tank
from tank.errors import NotFound
from tests import images
from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.registry import Registry
from tests.waiting import wait_for

pytestmark = pytest.mark.system


def web(neighbour: Neighbour, image: str) -> dict[str, object]:
    nic = {
        "name": "eth0",
        "parent": neighbour.parent,
        "ip": (f"{neighbour.prefix}.5", 24),
        "gateway": neighbour.address,
    }
    return {
        "name": "web",
        "restart": "always",
        "grace": "5s",
        "network": {"nics": [nic], "dns": [neighbour.address]},
        "containers": [{"name": "app", "image": image}],
    }


def test_the_example_of_the_spec_with_a_real_nginx(daemon: Daemon, neighbour: Neighbour, debian: str) -> None:
    client = daemon.client
    client.apply(web(neighbour, debian))
    client.wait("web", "ready", timeout=60)
    assert [(each.name, each.phase) for each in client.list()] == [("web", "running")]
    page = wait_for(lambda: neighbour.fetch(f"http://{neighbour.prefix}.5/"), what="the page")
    assert page == "hello from a real Debian\n"
    done = client.exec("web", ["/bin/sh", "-c", "cat /etc/debian_version; hostname; cat /etc/resolv.conf"])
    assert done.exit_code == 0
    assert b"web\n" in done.stdout
    assert f"nameserver {neighbour.address}".encode() in done.stdout
    assert client.exec("web", ["python3", "-c", "print(6 * 7)"]).stdout == b"42\n"
    client.delete("web")
    client.wait("web", "gone", timeout=30)
    assert neighbour.fetch(f"http://{neighbour.prefix}.5/") is None
    assert client.list() == []


def test_the_module_itself_speaks_to_the_default_daemon(
    daemon: Daemon, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANK_HOST", daemon.url)
    tank.apply(
        {"name": "web", "grace": 0, "containers": [{"name": "app", "image": busybox, "command": ["sleep", "99"]}]}
    )
    assert tank.wait("web", "ready").ready
    assert tank.list()[0].name == "web"
    assert tank.get("web").containers[0].image == busybox
    assert tank.exec("web", ["/bin/sh", "-c", "exit 3"]).exit_code == 3
    tank.delete("web")
    tank.wait("web", "gone")
    with pytest.raises(NotFound):
        tank.get("web")


def test_from_a_registry_with_tls_and_a_password(
    daemon: Daemon, private_registry: Registry, run_dir_of_tests: Path, short_tmp: Path
) -> None:
    image = private_registry.push(images.busybox(short_tmp / "busybox"), "secret/busybox:1")
    spec = {"name": "web", "grace": 0, "containers": [{"name": "app", "image": image, "command": ["sleep", "99"]}]}
    daemon.client.apply(spec)
    refused = wait_for(
        lambda: next((each for each in daemon.client.list() if each.reason == "ImagePullBackOff"), None),
        what="a refusal without credentials",
    )
    assert "certificate" in refused.message
    daemon.end()
    daemon.config = f'[registries."{private_registry.address}"]\nca = "{private_registry.ca}"\n'
    daemon.extra["DOCKER_CONFIG"] = str(private_registry.log_in(short_tmp / "docker").parent)
    daemon.start()
    daemon.client.restart("web")
    assert daemon.client.wait("web", "ready", timeout=60).containers[0].image_digest.startswith("sha256:")


def test_the_first_minute_at_the_command_line(daemon: Daemon, busybox: str, short_tmp: Path) -> None:
    spec = short_tmp / "pod.yaml"
    spec.write_text(
        f"name: web\ngrace: 1s\ncontainers:\n- name: app\n  image: {busybox}\n"
        "  command: [sh, -c, 'echo hello; exec sleep 999']\n"
    )
    planned = daemon.tank("plan", "-f", str(spec))
    assert planned.returncode == 10
    assert b"pull" in planned.stdout
    applied = daemon.tank("apply", "-f", str(spec), "--wait")
    assert applied.returncode == 0, applied.stderr.decode()
    assert daemon.tank("exec", "web", "--", "sh", "-c", "exit 3").returncode == 3
    assert daemon.tank("plan", "-f", str(spec)).returncode == 0
    assert daemon.tank("logs", "web").stdout == b"hello\n"
    assert daemon.json("status", "web")["phase"] == "running"
    assert daemon.tank("list", "-o", "name").stdout == b"web\n"
    assert daemon.tank("delete", "web", "--wait").returncode == 0
    assert daemon.tank("status", "web").returncode == 3


def test_exec_is_binary_safe_in_both_directions(daemon: Daemon, busybox: str) -> None:
    spec = {"name": "web", "grace": 0, "containers": [{"name": "app", "image": busybox, "command": ["sleep", "99"]}]}
    daemon.client.apply(spec)
    daemon.client.wait("web", "ready", timeout=60)
    data = bytes(range(256)) * 4096
    done = daemon.tank("exec", "-i", "web", "--", "cat", stdin=data)
    assert (done.returncode, done.stdout == data) == (0, True)
    split = daemon.tank("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (split.stdout, split.stderr, split.returncode) == (b"out\n", b"err\n", 7)
    assert daemon.tank("exec", "web", "--", "no-such-program").returncode == 127


def test_twenty_pods_at_once(daemon: Daemon, busybox: str) -> None:
    pods = [
        {
            "name": f"p{number}",
            "grace": 0,
            "containers": [{"name": "app", "image": busybox, "command": ["sleep", "99"]}],
        }
        for number in range(20)
    ]
    daemon.client.apply(pods)
    for each in pods:
        daemon.client.wait(str(each["name"]), "ready", timeout=60)
    statuses = daemon.client.list()
    assert sum(each.ready for each in statuses) == 20
    assert len({each.containers[0].pid for each in statuses}) == 20


def test_logs_are_followed_through_a_restart(daemon: Daemon, busybox: str) -> None:
    script = "echo alive; exec sleep 999"
    container = {"name": "app", "image": busybox, "command": ["sh", "-c", script]}
    daemon.client.apply({"name": "web", "grace": 0, "containers": [container]})
    pid = daemon.client.wait("web", "ready", timeout=60).containers[0].pid
    assert pid is not None
    command = [sys.executable, "-m", "tank", "logs", "-f", "web"]
    with subprocess.Popen(
        command, env=daemon.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as follower:
        try:
            assert follower.stdout is not None
            assert follower.stdout.readline() == b"alive\n"
            os.kill(pid, signal.SIGKILL)
            assert follower.stdout.readline() == b"alive\n"
        finally:
            follower.kill()


def test_a_registry_that_is_down_is_named_by_status_and_why(daemon: Daemon) -> None:
    image = "127.0.0.1:1/nothing:1"
    daemon.client.apply({"name": "web", "grace": 0, "containers": [{"name": "app", "image": image}]})
    status = wait_for(lambda: each if (each := daemon.client.status("web")).reason == "ImagePullBackOff" else None)
    assert status.phase == "pending"
    assert status.containers[0].retry_at is not None
    assert status.containers[0].restarts == 0
    answer = daemon.tank("why", "web").stdout.decode()
    assert "cannot connect to 127.0.0.1: connection refused" in answer
    assert "tried again" in answer
