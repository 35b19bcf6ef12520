"""A whole daemon and its volumes: data outlives its pod, goes through archives, and is removed by people only."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tank.client import volume_calls
from tank.client.wire import endpoint
from tank.errors import Conflict, TankError
from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system


def pod(image: str, script: str, **fields: Any) -> dict[str, Any]:
    """A pod that mounts the volume data and runs a script in it."""
    container = {"name": "app", "image": image, "command": ["sh", "-c", script], "mounts": ["data:/data"]}
    return {"name": "web", "containers": [container], "volumes": [{"name": "data"}], "grace": 20, **fields}


def test_data_goes_through_an_archive_and_back_into_a_pod(daemon: Daemon, busybox: str, short_tmp: Path) -> None:
    client = daemon.client
    client.apply(pod(busybox, "echo kept >/data/file; chown 7:8 /data/file; exec sleep 1000"), wait=True, timeout=60)
    wait_for(lambda: (daemon.data / "volumes/data/file").exists())

    assert daemon.tank("volume", "export", "data", "-f", str(short_tmp / "archive")).returncode == 0
    refused = daemon.tank("volume", "delete", "data")
    assert (refused.returncode, refused.stderr) == (4, b"tank: cannot delete volume data: pod web names it\n")
    assert [each.used_by for each in client.volumes.list()] == [("web",)]

    client.delete("web", grace=0)
    client.wait("web", "gone", timeout=60)
    assert daemon.tank("volume", "delete", "data").returncode == 0
    assert os.listdir(daemon.data / "volumes") == []

    assert daemon.tank("volume", "import", "data", "-f", str(short_tmp / "archive")).returncode == 0
    script = "stat -c %u:%g /data/file >>/data/file; exec sleep 1000"
    client.apply(pod(busybox, script, users="auto"), wait=True, timeout=60)
    wait_for(lambda: (daemon.data / "volumes/data/file").read_text() == "kept\n7:8\n")
    assert daemon.json("df")["unowned"] == 0


def test_what_still_ends_keeps_its_volume(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    client.apply(pod(busybox, "trap '' TERM; echo up; while :; do sleep 0.1; done"), wait=True, timeout=60)
    client.delete("web")
    with pytest.raises(Conflict, match="pod web has it mounted"):
        client.volumes.delete("data")
    client.delete("web", grace=0)
    client.wait("web", "gone", timeout=60)
    assert client.volumes.delete("data").name == "data"


def test_a_daemon_killed_in_the_middle_of_an_import_leaves_no_half(daemon: Daemon, busybox: str) -> None:
    sent, ended = threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield os.urandom(512)  # nothing that could be read as an archive yet
        sent.set()
        ended.wait(30)

    def upload() -> None:
        with suppress(TankError, OSError):
            endpoint(daemon.url).upload(volume_calls.path("half", "import"), {}, pieces())

    thread = threading.Thread(target=upload)
    thread.start()
    assert sent.wait(10)
    wait_for(lambda: any(name.endswith(".import") for name in os.listdir(daemon.data / "volumes")))
    daemon.kill()
    ended.set()
    thread.join()
    daemon.start()
    wait_for(lambda: os.listdir(daemon.data / "volumes") == [])
    assert daemon.client.volumes.list() == []
