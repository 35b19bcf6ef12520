"""Probes and hooks of a whole daemon: what a user sees, and what outlives the daemon (C2, C3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.runtime_rig import make_root
from tests.waiting import wait_for

pytestmark = pytest.mark.system

OFTEN = {"period": 1, "failures": 1}


@pytest.fixture
def root(short_tmp: Path) -> str:
    return str(make_root(short_tmp / "root"))


LIVING = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def pod(root: str, script: str = LIVING, **container: Any) -> dict[str, Any]:
    """A program that hears its stop signal; its volume is what it shares with the test."""
    return {
        "name": "web",
        "grace": "10s",
        "volumes": [{"name": "shared"}],
        "containers": [
            {
                "name": "app",
                "image": {"rootfs": root},
                "command": ["sh", "-c", script],
                "mounts": ["shared:/shared"],
                **container,
            }
        ],
    }


def exists(path: str, **timing: Any) -> dict[str, Any]:
    return {"exec": ["test", "-e", path], **OFTEN, **timing}


def app(daemon: Daemon) -> Any:
    return daemon.client.status("web").containers[0]


def run(daemon: Daemon, script: str) -> bytes:
    done = daemon.client.exec("web", ["sh", "-c", script])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def reasons(daemon: Daemon) -> list[str]:
    return [each.reason for each in daemon.client.events("web")]


def test_readiness_follows_its_probe_and_is_kept_over_a_killed_daemon(daemon: Daemon, root: str) -> None:
    daemon.client.apply(pod(root, probes={"ready": exists("/shared/ready")}))
    daemon.client.wait("web", "running")
    assert not daemon.client.status("web").ready
    run(daemon, "touch /shared/ready")
    daemon.client.wait("web", "ready")
    pid = app(daemon).pid
    daemon.kill()
    daemon.start()
    assert daemon.client.status("web").ready
    run(daemon, "rm /shared/ready")
    wait_for(lambda: not daemon.client.status("web").ready, what="the probe's answer")
    assert (app(daemon).pid, app(daemon).restarts) == (pid, 0)


def test_a_failing_live_probe_restarts_the_container_and_says_why(daemon: Daemon, root: str) -> None:
    daemon.client.apply(pod(root, f"touch /shared/alive; {LIVING}", probes={"live": exists("/shared/alive", grace=5)}))
    daemon.client.wait("web", "ready")
    first = app(daemon).pid
    run(daemon, "rm /shared/alive")
    wait_for(lambda: app(daemon).restarts == 1 and app(daemon).state == "running", what="the restart")
    assert app(daemon).pid != first
    assert {"Unhealthy", "Killing"} <= set(reasons(daemon))


def test_a_startup_probe_holds_back_the_live_one(daemon: Daemon, root: str) -> None:
    probes = {"startup": exists("/shared/up", failures=100), "live": exists("/shared/alive", failures=1)}
    daemon.client.apply(pod(root, probes=probes))
    daemon.client.wait("web", "running")
    wait_for(lambda: "Unhealthy" in reasons(daemon))
    assert (app(daemon).started, app(daemon).restarts) == (False, 0)
    run(daemon, "touch /shared/alive /shared/up")
    wait_for(lambda: app(daemon).started, what="the startup probe")
    daemon.client.wait("web", "ready")
    run(daemon, "rm /shared/alive")
    wait_for(lambda: app(daemon).restarts == 1, what="the live probe")


def test_post_start_holds_back_and_its_failure_ends_the_container(daemon: Daemon, root: str) -> None:
    hook = "until test -e /shared/go; do sleep 0.1; done; exit $(cat /shared/go)"
    daemon.client.apply(pod(root, hooks={"post_start": {"exec": ["sh", "-c", hook]}}))
    wait_for(lambda: app(daemon).state == "running")
    assert not daemon.client.status("web").ready
    run(daemon, "echo 0 >/shared/go")
    daemon.client.wait("web", "ready")
    run(daemon, "echo 1 >/shared/go")
    daemon.client.restart("web")
    wait_for(lambda: "FailedPostStartHook" in reasons(daemon), what="the failure of the hook")
    wait_for(lambda: app(daemon).restarts >= 2, seconds=20, what="the restart")


def test_pre_stop_runs_before_the_signal_and_a_killed_daemon_finishes_the_rest(daemon: Daemon, root: str) -> None:
    script = "trap 'date +%s.%N >/shared/stopped; exit 0' TERM; while :; do sleep 0.1; done"
    hook = "echo begun >>/shared/hooked; until test -e /shared/go; do sleep 0.1; done; echo done >>/shared/hooked"
    daemon.client.apply(pod(root, script, hooks={"pre_stop": {"exec": ["sh", "-c", hook]}}))
    daemon.client.wait("web", "ready")
    shared = daemon.data / "volumes/shared"
    found = next(path for path in (shared / "data", shared) if path.is_dir())
    daemon.client.delete("web", grace=60)
    wait_for(lambda: (found / "hooked").exists(), what="the hook")
    assert not (found / "stopped").exists()
    daemon.kill()
    daemon.start()
    wait_for(lambda: (found / "hooked").read_text().count("begun") == 2, what="the hook again: at least once")
    (found / "go").touch()
    daemon.client.wait("web", "gone", timeout=20)
    assert (found / "stopped").exists()
    assert "done" in (found / "hooked").read_text()
