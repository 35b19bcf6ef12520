"""The daemon may be killed at any moment: containers do not notice, and nothing is forgotten."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system

KILLS = int(os.environ.get("TANK_KILLS", "4"))  # of each operation; `./dev sweep-kill` takes more
CONVERGED = 5.0  # seconds, once the daemon answers again (P2)


def spec(name: str, image: str, *command: str, **more: Any) -> dict[str, Any]:
    container = {"name": "app", "image": image, "command": list(command or ("sleep", "999"))}
    return {"name": name, "grace": 1, "containers": [container]} | more


def pids(daemon: Daemon) -> dict[str, int | None]:
    return {each.name: each.containers[0].pid for each in daemon.client.list()}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_daemon_that_comes_back_finds_every_container_as_it_was(
    daemon: Daemon, busybox: str, how: signal.Signals
) -> None:
    daemon.client.apply([spec(f"p{number}", busybox) for number in range(5)])
    for number in range(5):
        daemon.client.wait(f"p{number}", "ready", timeout=60)
    before, told = pids(daemon), len(list(daemon.client.events()))
    daemon.end(how)
    assert all(os.path.exists(f"/proc/{pid}") for pid in before.values())
    daemon.start()
    wait_for(lambda: pids(daemon) == before)
    assert len(list(daemon.client.events())) == told


def test_what_died_meanwhile_is_known_with_its_exit_code(daemon: Daemon, busybox: str) -> None:
    daemon.client.apply(
        spec("once", busybox, "sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 7", restart="never")
    )
    pid = daemon.client.wait("once", "running", timeout=60).containers[0].pid
    root = f"/proc/{pid}/root/go"
    daemon.kill()
    open(root, "w").close()
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    daemon.start()
    status = daemon.client.wait("once", "failed", timeout=10)
    assert (status.containers[0].exit_code, status.containers[0].restarts) == (7, 0)


def test_a_finished_run_once_pod_is_not_run_again(daemon: Daemon, busybox: str) -> None:
    daemon.client.apply(spec("once", busybox, "true", restart="never"))
    daemon.client.wait("once", "succeeded", timeout=60)
    daemon.kill()
    daemon.start()
    status = daemon.client.wait("once", "succeeded")
    assert (status.containers[0].restarts, len(status.containers[0].last)) == (0, 1)


def test_back_off_goes_on_where_it_was(daemon: Daemon, busybox: str) -> None:
    daemon.client.apply(spec("loop", busybox, "sh", "-c", "exit 1"))
    before = wait_for(
        lambda: each if (each := daemon.client.status("loop").containers[0]).reason == "CrashLoopBackOff" else None
    )
    daemon.kill()
    daemon.start()
    after = daemon.client.status("loop").containers[0]
    assert (after.restarts, after.reason) == (before.restarts, before.reason)
    assert after.retry_at is not None
    assert before.retry_at is not None
    assert abs(seconds(after.retry_at) - seconds(before.retry_at)) < 1.0


def seconds(moment: str) -> float:
    return float(moment[17:].rstrip("Z")) + 60 * float(moment[14:16])


def killed_during(daemon: Daemon, work: Any, moment: float) -> None:
    """Begin the work, kill the daemon after `moment` seconds, and start another."""
    failure: list[BaseException] = []

    def begin() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the daemon dies under it: what it then says is not the point
            failure.append(error)

    worker = threading.Thread(target=begin)
    worker.start()
    end = time.monotonic() + moment
    wait_for(lambda: time.monotonic() >= end, 10)
    daemon.kill()
    worker.join()
    daemon.start()


def settles(daemon: Daemon, name: str, wanted: str) -> None:
    """The pod is as wanted within the promised time, or was never accepted."""
    began = time.monotonic()
    daemon.client.wait(name, wanted, timeout=30)
    took = time.monotonic() - began
    assert took < CONVERGED + 2.0, f"{name} took {took:.1f} s to become {wanted}"


def test_killed_in_the_middle_of_a_start(daemon: Daemon, busybox: str) -> None:
    dice = random.Random(1)
    daemon.client.apply(spec("first", busybox))
    daemon.client.wait("first", "ready", timeout=60)
    for number in range(KILLS):
        name = f"s{number}"
        killed_during(daemon, lambda name=name: daemon.client.apply(spec(name, busybox)), dice.uniform(0, 0.08))
        daemon.client.apply(spec(name, busybox))
        settles(daemon, name, "ready")
        assert daemon.client.status(name).containers[0].restarts == 0
        daemon.client.delete(name, grace=0)
        daemon.client.wait(name, "gone")


def test_killed_in_the_middle_of_a_stop(daemon: Daemon, busybox: str) -> None:
    dice = random.Random(2)
    daemon.client.apply(spec("web", busybox))
    daemon.client.wait("web", "ready", timeout=60)
    for number in range(KILLS):
        before = daemon.client.get("web")
        changed = spec("web", busybox, "sleep", str(1000 + number), grace=0.2)
        killed_during(daemon, lambda changed=changed: daemon.client.apply(changed), dice.uniform(0, 0.4))
        assert before.name == "web"
        daemon.client.apply(changed)
        settles(daemon, "web", "ready")
        assert daemon.client.exec("web", ["cat", "/proc/1/cmdline"]).stdout == f"sleep\0{1000 + number}\0".encode()


def test_killed_in_the_middle_of_a_delete(daemon: Daemon, busybox: str) -> None:
    dice = random.Random(3)
    for number in range(KILLS):
        name = f"d{number}"
        daemon.client.apply(spec(name, busybox))
        daemon.client.wait(name, "ready", timeout=60)
        killed_during(daemon, lambda name=name: daemon.client.delete(name, grace=0.1), dice.uniform(0, 0.3))
        if name in {each.name for each in daemon.client.list()}:
            if any(each.phase != "terminating" for each in daemon.client.list() if each.name == name):
                daemon.client.delete(name, grace=0)
            settles(daemon, name, "gone")
        assert daemon.leftovers() == []


def test_killed_in_the_middle_of_a_pull(daemon: Daemon, debian: str) -> None:
    dice = random.Random(4)
    daemon.client.apply(spec("web", debian, "sleep", "999"))
    for _ in range(KILLS):
        killed_during(daemon, lambda: None, dice.uniform(0, 0.6))
    settles_after_pull(daemon)
    assert daemon.client.exec("web", ["python3", "-c", "print(1)"]).stdout == b"1\n"


def settles_after_pull(daemon: Daemon) -> None:
    status = daemon.client.wait("web", "ready", timeout=60)
    assert status.containers[0].restarts == 0
