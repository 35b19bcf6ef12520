"""What of a pod's network changes under its running program, and that a plan says so."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

ECHO = """
import socket, threading
def serve(port):
    s = socket.create_server(("", port))
    while True:
        c, _ = s.accept()
        threading.Thread(target=echo, args=(c,)).start()
def echo(c):
    while data := c.recv(99):
        c.sendall(data)
for port in (80, 81):
    threading.Thread(target=serve, args=(port,)).start()
"""


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two ports of the host that nobody has."""
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as two:
        return int(one.getsockname()[1]), int(two.getsockname()[1])


def pod(image: str, nic: dict[str, Any], **network: Any) -> dict[str, Any]:
    nics = [{"name": "eth0", "ip": {"pool": "default"}, **nic}]
    serve = {"name": "app", "image": image, "command": ["python3", "-c", ECHO]}
    return {"name": "web", "grace": 0, "network": {"nics": nics, **network}, "containers": [serve]}


def said(opened: socket.socket, text: bytes) -> bytes:
    opened.sendall(text)
    return opened.recv(99)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as opened:
            return said(opened, b"x") == b"x"
    except OSError:
        return False


def test_ports_names_rules_and_addresses_change_under_a_running_program(
    daemon: Daemon, debian: str, ports: tuple[int, int]
) -> None:
    first, second = ports
    daemon.client.apply(pod(debian, {}, ports=[f"{first}:80"]))
    daemon.client.wait("web", "ready", timeout=60)
    wait_for(lambda: answers(first), what="the first port")
    before = daemon.client.status("web").containers[0]
    with socket.create_connection(("127.0.0.1", first), timeout=5) as opened:
        assert said(opened, b"one") == b"one"
        more: dict[str, Any] = {"ip": [{"pool": "default"}, "198.51.100.77/24"], "rate": {"out": "100M"}, "mtu": 1400}
        more |= {"routes": [{"to": "203.0.113.0/24", "via": "198.51.100.1"}]}
        allow = [{"from": "0.0.0.0/0", "ports": [80, 81]}]
        changed = pod(debian, more, ports=[f"{first}:80", f"{second}:81"], dns=["192.0.2.53"], allow=allow)

        plan = daemon.client.plan(changed)
        assert {each.impact for each in plan.changes} == {"live"}
        assert {each.path.split(".")[-1] for each in plan.changes} >= {
            "ports",
            "dns",
            "allow",
            "ip",
            "mtu",
            "routes",
            "out",
        }
        assert {step.impact for step in plan.steps} <= {"live", "none"}
        assert "configure network" in {step.action for step in plan.steps}

        daemon.client.apply(changed, plan=plan.token)
        wait_for(lambda: answers(second), what="the second port")
        assert said(opened, b"two") == b"two"
    inside = daemon.client.exec("web", ["cat", "/etc/resolv.conf"]).stdout
    assert b"192.0.2.53" in inside
    seen = [each.ip for each in wait_for(lambda: _addresses(daemon, 3))]
    assert "198.51.100.77/24" in seen
    assert answers(first)
    after = daemon.client.status("web").containers[0]
    assert (after.pid, after.restarts) == (before.pid, before.restarts)

    daemon.client.apply(pod(debian, more, ports=[f"{second}:81"], allow=[]))
    wait_for(lambda: not answers(first), what="the first port to be closed")
    wait_for(lambda: not answers(second), what="the rules to let nobody in")
    assert daemon.client.status("web").containers[0].pid == before.pid
    assert {each.reason for each in daemon.client.events()} >= {"NetworkChanged"}


def _addresses(daemon: Daemon, least: int) -> Any:
    found = daemon.client.status("web").addresses
    return found if len(found) >= least else None


def test_another_mac_restarts_the_pod_and_the_plan_says_so(daemon: Daemon, debian: str) -> None:
    daemon.client.apply(pod(debian, {}), wait=True, timeout=60)
    before = daemon.client.status("web").containers[0].pid
    changed = pod(debian, {"mac": "02:00:5e:00:53:01"})
    plan = daemon.client.plan(changed)
    assert [(each.path, each.impact) for each in plan.changes] == [("network.nics[eth0].mac", "pod_restart")]
    assert "pod_restart" in {step.impact for step in plan.steps}
    daemon.client.apply(changed, wait=True, timeout=30)
    wait_for(lambda: (now := daemon.client.status("web").containers[0].pid) and now != before, 20)
