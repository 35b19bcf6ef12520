"""Roots and volumes of images: an image as a volume, and the size of a container's writable layer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tank.errors import Unsupported
from tank.host import mounts, quota
from tests import images, leaks, registry
from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system


def with_data(image: str, data: str, **fields: object) -> dict[str, object]:
    container = {"name": "app", "image": image, "command": ["sleep", "1000"], "mounts": ["data:/data"]}
    return {
        "name": "web",
        "grace": 0,
        "containers": [container | fields],
        "volumes": [{"name": "data", "source": {"image": data}}],
    }


def data_image(directory: Path) -> Path:
    """Two layers, the upper of which hides a file of the lower."""
    lower = images.layer({"d/a": b"lower\n", "d/b": b"hidden\n"}, ("d",))
    return images.layout(directory, [lower, images.layer({"d/c": b"upper\n", "d/.wh.b": b""}, ("d",))], {})


def said(daemon: Daemon, *command: str) -> tuple[int, str]:
    done = daemon.tank("exec", "web", "--", *command)
    return done.returncode, done.stdout.decode()


def test_an_image_is_a_volume_that_is_read_only_pinned_and_gone_with_its_container(
    daemon: Daemon, short_tmp: Path
) -> None:
    port = registry.free_port()
    with registry.plain(short_tmp / "registry", port) as running:
        busybox = running.push(images.busybox(short_tmp / "busybox"), "busybox:1")
        data = running.push(data_image(short_tmp / "data"), "data:1")
        daemon.client.apply(with_data(busybox, data), wait=True, timeout=60)
        assert said(daemon, "ls", "/data/d") == (0, "a\nc\n")
        assert said(daemon, "sh", "-c", "touch /data/x 2>&1") == (1, "touch: /data/x: Read-only file system\n")
        volumes = [each for each in leaks.mounts() if str(daemon.run) in each and "/images/" in each]
        assert len(volumes) == 1
    # The registry is gone: what was resolved once is enough for a restart and a new daemon.
    daemon.kill()
    daemon.start()
    daemon.client.restart("web")
    daemon.client.wait("web", "ready", timeout=60)
    assert said(daemon, "cat", "/data/d/a") == (0, "lower\n")
    daemon.client.delete("web", grace=0)
    daemon.client.wait("web", "gone", timeout=30)
    assert [each for each in leaks.mounts() if str(daemon.run) in each and "/images/" in each] == []


def test_a_volume_whose_image_cannot_be_had_keeps_its_container_waiting(daemon: Daemon, busybox: str) -> None:
    absent = busybox.rpartition("/")[0] + "/absent:1"
    daemon.client.apply(with_data(busybox, absent))

    def waits() -> bool:
        return daemon.client.status("web").containers[0].reason in ("ErrImagePull", "ImagePullBackOff")

    wait_for(waits, what="the refusal", seconds=20)
    assert "absent" in daemon.client.status("web").containers[0].message


def test_one_layer_and_many_are_mounted_read_only(tmp_path: Path) -> None:
    target, empty = tmp_path / "target", tmp_path / "empty"
    layers = []
    for number in range(500):  # as many as an overlay takes (R37)
        layers.append(tmp_path / f"layer-{number}")
        layers[-1].mkdir()
        (layers[-1] / f"f{number}").touch()
    for each in (target, empty):
        each.mkdir()
    for count in (1, 2, 70, 500):
        mounts.read_only(layers[:count], empty, target)
        try:
            assert len(list(target.iterdir())) == count
            with pytest.raises(OSError, match="Read-only"):
                (target / "x").touch()
        finally:
            mounts.unmount(target)


def test_a_size_is_refused_at_apply_where_there_are_no_project_quotas(daemon: Daemon, busybox: str) -> None:
    why = quota.refusal(daemon.data)
    assert why, "this test wants a disk without project quotas"
    pod = {"name": "web", "containers": [{"name": "app", "image": busybox, "size": "64MiB"}]}

    with pytest.raises(Unsupported, match="size cannot be limited") as error:
        daemon.client.apply(pod)

    assert why in str(error.value)
    assert daemon.client.list() == []


@contextmanager
def disk(directory: Path, kind: str, *options: str) -> Iterator[Path | None]:
    """A file system with project quotas in a file; None where this kernel was built without."""
    image, point = directory / "disk", directory / "point"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run([f"mkfs.{kind}", *options, str(image)], check=True, capture_output=True)
    point.mkdir()
    done = subprocess.run(["mount", "-o", "loop,prjquota", str(image), str(point)], check=False, capture_output=True)
    if done.returncode:
        yield None
        return
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def test_a_root_holds_no_more_than_its_size_where_the_file_system_counts(tmp_path: Path) -> None:
    with disk(tmp_path, "ext4", "-qF", "-O", "quota,project") as point:
        if point is None:  # a kernel that cannot count has nothing to show but its refusal
            assert "no project quotas" in quota.refusal(Path("/dev")) or quota.refusal(tmp_path)
            return
        assert quota.refusal(point) == ""
        writable = point / "writable"
        for each in ("lower", "writable", "target"):
            (point / each).mkdir()
        quota.limit(writable, 8 << 20)
        for each in ("upper", "work"):
            (writable / each).mkdir()
        mounts.overlay([point / "lower"], writable / "upper", writable / "work", point / "target")
        try:
            with pytest.raises(OSError, match=r"quota|space"):
                (point / "target/file").write_bytes(bytes(20 << 20))
        finally:
            mounts.unmount(point / "target")
        used, most = quota.used(writable) or (0, 0)
        assert used <= most == 8 << 20
        quota.release(writable)
        assert quota.used(writable) == (used, 0)
