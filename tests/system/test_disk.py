"""A disk that fills up: new work waits, running work does not notice, and all goes on by itself when there is space.

The data directory lies on a small ext4 of its own, without blocks kept for root: full is full.
"""

from __future__ import annotations

import errno
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tank.errors import TankError
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


def age_copies(daemon: Daemon) -> None:
    for each in files_in(daemon, "packed"):
        os.utime(each, (time.time() - 3600,) * 2)


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


@contextmanager
def lowest(directory: Path) -> Iterator[list[int]]:
    """The fewest bytes and inodes that were free at any moment meanwhile."""
    found, over = [2**62, 2**62], threading.Event()

    def watch() -> None:
        while not over.wait(0.0005):
            seen = os.statvfs(directory)
            found[:] = min(found[0], seen.f_bavail * seen.f_frsize), min(found[1], seen.f_favail)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join()


def files_in(daemon: Daemon, name: str) -> list[Path]:
    return list((daemon.data / "images" / name).iterdir())


def waiting_for_space(daemon: Daemon, name: str) -> bool:
    containers = daemon.client.status(name).containers
    return bool(containers) and containers[0].reason == "DiskPressure"


def image(registry: Registry, directory: Path, name: str, *layers: bytes) -> str:
    return registry.push(images.layout(directory / name, layers, {"Cmd": ["sh"]}), f"{name}:1")


def fresh_image(registry: Registry, directory: Path, name: str, extra: int = 0) -> str:
    """An image with a layer that no other has, of about `extra` bytes that do not compress."""
    content = {f"data/{name}": os.urandom(extra + 64)}
    return image(registry, directory, name, images.layer(content, ("data",)))


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
    # What is wanted is more than the copies of all their layers, which go first.
    kept = [fresh_image(registry, short_tmp, name, 24 * 2**20) for name in ("old", "young")]
    digests = [client.images.pull(each).digest for each in kept]
    client.apply(pod("web", busybox), wait=True, timeout=60)
    small.end()
    for age, digest in zip((7200, 3600), digests, strict=True):
        path = small.data / "images" / "blobs" / "sha256" / digest[7:]
        os.utime(path, (time.time() - age,) * 2)
    age_copies(small)
    used = os.statvfs(small.data)
    per_cent = 100 * (used.f_blocks - used.f_bfree) // used.f_blocks
    small.config = f'[images]\nreserve = "16MiB"\nhigh = {per_cent - 2}\nlow = {per_cent - 24}\n'
    small.start()
    wait_for(lambda: digests[0] not in {each.digest for each in client.images.list()}, 20, "the collection")
    assert digests[1] in {each.digest for each in client.images.list()}
    assert files_in(small, "packed") == []
    assert client.images.inspect(busybox).image.used_by == ("web",)
    assert client.status("web").ready


def test_layers_that_unpack_to_more_than_was_thought_leave_what_is_kept_free(
    small: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    client = small.client
    client.apply(pod("web", busybox), wait=True, timeout=60)
    bombs = [images.layer({f"{name}{part}": bytes(8 * 2**20) for part in range(12)}, ()) for name in "abc"]
    with lowest(small.data) as free:
        client.apply(pod("big", image(registry, short_tmp, "bombs", *bombs)))
        wait_for(lambda: waiting_for_space(small, "big"), 60, "the refusal")
    assert free[0] >= 16 * 2**20
    assert "kept free" in client.status("big").containers[0].message
    assert client.status("web").ready
    client.delete("big", grace=0)
    wait_for(lambda: files_in(small, "scratch") + files_in(small, "parts") == [], 20, "the end of what was begun")


@pytest.mark.parametrize("small", [2400], indirect=True)
def test_inodes_that_would_run_out_in_a_pull_end_it(
    small: Daemon, registry: Registry, busybox: str, short_tmp: Path
) -> None:
    client = small.client
    client.apply(pod("web", busybox), wait=True, timeout=60)
    many = [images.layer({f"{name}{number}": b"" for number in range(1500)}, ()) for name in "ab"]
    with lowest(small.data) as free:
        client.apply(pod("many", image(registry, short_tmp, "many", *many)))
        wait_for(lambda: waiting_for_space(small, "many"), 60, "the refusal")
    assert free[1] >= 2400 // 10
    assert "inodes" in client.status("many").containers[0].message
    assert client.exec("web", ["echo", "alive"]).stdout == b"alive\n"


def test_a_download_that_nobody_goes_on_with_makes_room(small: Daemon, registry: Registry, short_tmp: Path) -> None:
    left = small.data / "images" / "parts" / ("1" * 64)
    left.write_bytes(os.urandom(100 * 2**20))
    small.client.images.pull(fresh_image(registry, short_tmp, "fits", 46 * 2**20))
    assert not left.exists()


def test_layers_as_they_came_make_room_for_others(small: Daemon, registry: Registry, short_tmp: Path) -> None:
    client = small.client
    first = fresh_image(registry, short_tmp, "first", 50 * 2**20)
    needed = client.images.pull(first).digest
    client.apply(pod("web", first))
    age_copies(small)
    client.images.pull(fresh_image(registry, short_tmp, "next", 40 * 2**20))
    assert needed in {each.digest for each in client.images.list()}
    with pytest.raises(TankError, match="here unpacked only; pull it again"):
        client.images.save([first], short_tmp / "first.tar")


def test_an_image_is_saved_from_a_full_disk(small: Daemon, busybox: str, short_tmp: Path) -> None:
    client = small.client
    client.apply(pod("web", busybox), wait=True, timeout=60)
    fill(small.data / "filler")
    client.images.save([busybox], short_tmp / "saved.tar")
    with tarfile.open(short_tmp / "saved.tar") as tar:
        assert "index.json" in tar.getnames()
