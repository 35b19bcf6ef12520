"""A disk that fills up: new work waits, running work does not notice, and all goes on by itself when there is space.

The data directory lies on a small ext4 of its own, without blocks kept for root: full is full.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import images, sweeping
from tests.daemon import Daemon
from tests.registry import Registry
from tests.system.conftest import tended
from tests.waiting import wait_for

pytestmark = pytest.mark.system
CONFIG = '[images]\nreserve = "16MiB"\n'
RECOVERY = 10.0  # seconds (P8)


@pytest.fixture
def small(short_tmp: Path, installation: str, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon whose data lies on a disk of 256 MiB; `inodes` marks how many of them there are."""
    made = Daemon(short_tmp, installation, config=CONFIG)
    disk = short_tmp / "disk"
    with disk.open("wb") as file:
        file.truncate(256 * 2**20)
    inodes = getattr(request, "param", 16_384)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), disk], check=True)
    made.data.mkdir(mode=0o700)
    subprocess.run(["mount", "-o", "loop", disk, made.data], check=True)
    try:
        (made.data / "lost+found").rmdir()
        yield from tended(made)
    finally:
        sweeping.unmount(short_tmp)


def pod(name: str, image: str) -> dict[str, object]:
    return {"name": name, "grace": 0, "containers": [{"name": "app", "image": image, "command": ["sleep", "999"]}]}


def pid(daemon: Daemon, name: str) -> int | None:
    return daemon.client.status(name).containers[0].pid


def conditions(daemon: Daemon) -> set[str]:
    return {each["type"] for each in daemon.client.info()["conditions"]}


def fill(path: Path) -> None:
    """Write until there is no space left."""
    with path.open("wb", buffering=0) as file:
        for piece in (2**20, 4096):
            try:
                while True:
                    file.write(bytes(piece))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017


def use_up_inodes(directory: Path) -> None:
    """Make empty files until there is no inode left."""
    directory.mkdir()
    number = 0
    try:
        while True:
            (directory / str(number)).touch()
            number += 1
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017


def waiting_for_space(daemon: Daemon, name: str) -> bool:
    containers = daemon.client.status(name).containers
    return bool(containers) and containers[0].reason == "DiskPressure"


def fresh_image(registry: Registry, directory: Path, name: str, extra: int = 0) -> str:
    """An image with a layer that no other has, of about `extra` bytes that do not compress."""
    content = {f"data/{name}": os.urandom(extra + 64)}
    layers = [images.layer(content, ("data",))]
    return registry.push(images.layout(directory / name, layers, {"Cmd": ["sh"]}), f"{name}:1")


def test_a_full_disk_stops_new_work_and_nothing_else(
    small: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    client = small.client
    client.apply([pod("web", busybox), pod("going", busybox)], wait=True, timeout=60)
    before = pid(small, "web")
    other = registry.push(images.busybox(short_tmp / "other", Labels={"other": "yes"}), "other:1")
    fill(small.data / "filler")
    wait_for(lambda: "DiskPressure" in conditions(small), 10, "the condition")
    assert {each.name for each in client.list()} == {"web", "going"}
    assert client.get("web").name == "web"
    assert client.df().used > 200 * 2**20
    client.delete("going", grace=0)
    client.wait("going", "gone", timeout=30)
    client.apply(pod("next", other))
    wait_for(lambda: waiting_for_space(small, "next"), 10, "the reason of the pod that waits")
    assert "kept free" in client.status("next").containers[0].message
    assert (pid(small, "web"), client.exec("web", ["echo", "alive"]).stdout) == (before, b"alive\n")
    (small.data / "filler").unlink()
    freed = time.monotonic()
    client.wait("next", "ready", timeout=RECOVERY)
    assert time.monotonic() - freed <= RECOVERY
    wait_for(lambda: "DiskPressure" not in conditions(small), RECOVERY, "the end of the condition")
    assert (pid(small, "web"), client.status("web").containers[0].restarts) == (before, 0)
    wait_for(lambda: (small.data / "reserve" / "space").exists(), 10, "the reserve")
    assert client.df().unowned == 0


@pytest.mark.parametrize("small", [1200], indirect=True)
def test_inodes_that_run_out_are_a_full_disk(small: Daemon, registry: Registry, busybox: str, short_tmp: Path) -> None:
    client = small.client
    client.apply([pod("web", busybox), pod("going", busybox)], wait=True, timeout=60)
    before = pid(small, "web")
    other = registry.push(images.busybox(short_tmp / "other", Labels={"other": "inodes"}), "other:2")
    use_up_inodes(small.data / "filler")
    wait_for(lambda: "DiskPressure" in conditions(small), 10, "the condition")
    assert "inodes" in str(client.info()["conditions"])
    client.delete("going", grace=0)
    client.wait("going", "gone", timeout=30)
    client.apply(pod("next", other))
    wait_for(lambda: waiting_for_space(small, "next"), 10, "the reason of the pod that waits")
    assert pid(small, "web") == before
    subprocess.run(["rm", "-r", small.data / "filler"], check=True)
    client.wait("next", "ready", timeout=RECOVERY)
    assert pid(small, "web") == before


def test_a_pull_that_cannot_fit_is_refused_before_it_begins(small: Daemon, registry: Registry, short_tmp: Path) -> None:
    big = fresh_image(registry, short_tmp, "big", 90 * 2**20)
    small.client.apply(pod("web", big))
    wait_for(lambda: waiting_for_space(small, "web"), 20, "the refusal")
    assert "it takes about" in small.client.status("web").containers[0].message
    assert "DiskPressure" not in conditions(small)
    assert list((small.data / "images" / "layers").iterdir()) == []


def test_above_the_high_mark_the_least_recently_used_goes_first(
    small: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    client = small.client
    kept = [fresh_image(registry, short_tmp, name, 24 * 2**20) for name in ("old", "young")]
    digests = [client.images.pull(each).digest for each in kept]
    client.apply(pod("web", busybox), wait=True, timeout=60)
    small.end()
    for age, digest in zip((7200, 3600), digests, strict=True):
        path = small.data / "images" / "blobs" / "sha256" / digest[7:]
        os.utime(path, (time.time() - age,) * 2)
    used = os.statvfs(small.data)
    per_cent = 100 * (used.f_blocks - used.f_bfree) // used.f_blocks
    small.config = f'[images]\nreserve = "16MiB"\nhigh = {per_cent - 2}\nlow = {per_cent - 4}\n'
    small.start()
    wait_for(lambda: digests[0] not in {each.digest for each in client.images.list()}, 20, "the collection")
    assert digests[1] in {each.digest for each in client.images.list()}
    assert client.images.inspect(busybox).image.used_by == ("web",)
    assert client.status("web").ready
