"""A pod with everything: an init container that writes, a sidecar that logs, apps with probes, through its life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tank.model.status import ContainerStatus
from tests import images
from tests.daemon import Daemon
from tests.registry import Registry
from tests.waiting import wait_for

pytestmark = pytest.mark.system

EATER = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"


def shop(image: str, app_image: str) -> dict[str, Any]:
    """The pod, as a person would write it."""
    site = ["site:/site"]
    http = {"http": {"port": 8080, "path": "/index.html"}, "period": "1s", "failures": 1}
    return {
        "name": "shop",
        "grace": "5s",
        "volumes": [{"name": "site", "source": {"empty": {}}}],
        "init": [
            {"name": "fill", "image": image, "command": ["sh", "-c", "echo hello >/site/index.html"], "mounts": site},
            {
                "name": "log",
                "image": image,
                "restart": "always",
                "command": ["sh", "-c", "test -s /site/index.html && touch /site/up && exec sleep 999"],
                "probes": {"startup": {"exec": ["test", "-e", "/site/up"], "period": "1s"}},
                "mounts": site,
            },
        ],
        "containers": [
            {
                "name": "web",
                "image": app_image,
                "command": ["httpd", "-f", "-p", "8080", "-h", "/site"],
                "mounts": site,
                "probes": {"startup": {"tcp": 8080, "period": "1s"}, "ready": http},
                "hooks": {"pre_stop": {"exec": ["sh", "-c", "echo stopping >>/site/stops"]}},
                "reaper": True,
            },
            {
                "name": "work",
                "image": image,
                "command": ["sh", "-c", "echo out of luck >/dev/termination-log; exec sleep 999"],
                "limits": {"memory": "24MiB", "pids": 20},
                "reaper": True,
            },
        ],
    }


def part(daemon: Daemon, name: str) -> ContainerStatus:
    status = daemon.client.status("shop")
    return next(each for each in (*status.init, *status.containers) if each.name == name)


def told(daemon: Daemon, name: str, script: str) -> str:
    done = daemon.client.exec("shop", ["sh", "-c", script], container=name)
    assert done.exit_code == 0, done.stderr
    return done.stdout.decode()


def test_a_pod_with_everything_lives_and_goes(
    daemon: Daemon, busybox: str, registry: Registry, run_dir_of_tests: Path, short_tmp: Path
) -> None:
    client, spec = daemon.client, shop(busybox, busybox)
    written = short_tmp / "shop.yaml"
    written.write_text(yaml.safe_dump(spec))
    applied = daemon.tank("apply", "-f", str(written), "--wait", "--timeout", "60s")
    assert applied.returncode == 0, applied.stderr.decode()

    fill, log, web = (part(daemon, name) for name in ("fill", "log", "web"))
    assert (fill.state, fill.last[0].exit_code) == ("terminated", 0)
    assert (fill.last[0].finished_at or "") <= (log.started_at or "") < (web.started_at or "")

    told(daemon, "web", "mv /site/index.html /site/away")
    wait_for(lambda: not client.status("shop").ready, what="the failing ready probe")
    told(daemon, "web", "mv /site/away /site/index.html")
    client.wait("shop", "ready", timeout=20)
    assert part(daemon, "web").restarts == 0

    work = part(daemon, "work").pid
    client.exec("shop", ["sh", "-c", EATER], container="work")
    wait_for(lambda: part(daemon, "work").last, seconds=20, what="the end of what ate too much")
    killed = part(daemon, "work").last[0]
    assert (killed.exit_code, killed.reason, killed.message) == (137, "OOMKilled", "out of luck")
    client.wait("shop", "ready", timeout=20)
    assert part(daemon, "work").pid != work

    kept = {name: part(daemon, name).pid for name in ("log", "work")}
    other = registry.push(images.busybox(run_dir_of_tests / "busybox"), "busybox:whole-pod")
    spec["containers"][0]["image"] = other
    planned = client.plan(spec)
    assert [(each.path, each.after, each.impact) for each in planned.changes] == [
        ("containers[web].image", other, "container_restart")
    ]
    client.apply(spec, plan=planned.token, wait=True, timeout=60)
    wait_for(lambda: part(daemon, "web").image == other, what="the other image")
    client.wait("shop", "ready", timeout=30)
    assert {name: part(daemon, name).pid for name in ("log", "work")} == kept
    assert told(daemon, "web", "cat /site/stops") == "stopping\n"

    client.rollback("shop")
    wait_for(lambda: part(daemon, "web").image == busybox and client.status("shop").ready, seconds=30)
    assert {name: part(daemon, name).pid for name in ("log", "work")} == kept

    daemon.kill()
    daemon.start()
    assert {name: part(daemon, name).pid for name in ("log", "work")} == kept
    assert daemon.tank("delete", "shop", "--wait", "--timeout", "30s").returncode == 0
