"""Volumes in real containers: parts, propagation, what is taken back and what is not, and paths of the host."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Failed, Waiting
from tank.host import mounts
from tank.model.pod import Empty, HostPath, Managed, Mount, Rootfs, Security, Tmpfs, Volume
from tests.runtime_rig import Rig, opened
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


@pytest.fixture
def host(short_tmp: Path) -> Iterator[Path]:
    """A directory of the host that is a mount, shared with its peers, with another mount in it."""
    made = short_tmp / "host"
    (made / "inner").mkdir(parents=True)
    mounts.bind(made, made)
    subprocess.run(["mount", "--make-shared", made], check=True)
    mounts.tmpfs(made / "inner", size=4096, mode=0o755, noexec=False)
    yield made
    mounts.unmount_below(made)


def volume(path: Path | str, **fields: Any) -> Volume:
    return Volume(name="v", source=HostPath(path=str(path), **fields))


def mount(**fields: Any) -> tuple[Mount, ...]:
    return (Mount(volume="v", path="/data", **fields),)


async def refused(rig: Rig, made: Volume, *, check: bool = True, **fields: Any) -> str:
    """Why the container cannot be: told by the check that comes before the old one is stopped, and by create."""
    await rig.sandbox(rig.container("true", mounts=mount(**fields)), volumes=(made,))
    if check:
        with pytest.raises(Waiting):
            await rig.runtime.check(rig.launch())
    with pytest.raises(Waiting) as caught:
        await rig.create()
    assert caught.value.reason == "CreateContainerConfigError"
    await rig.runtime.discard(rig.uid, "app", 1)
    return caught.value.message


@pytest.mark.parametrize("source", [Managed(), Empty(), Tmpfs(size=2**20)])
async def test_a_part_of_a_volume_is_made_and_is_all_that_is_seen(rig: Rig, source: Any) -> None:
    made = Volume(name="v", source=source)
    script = "ls -a /data | tr '\\n' ' '; touch /data/f; stat -c %a:%u:%g /data"
    said = await rig.said("sh", "-c", script, mounts=mount(sub_path="a/b"), pod_volumes=(made,))
    assert said.split() == [".", "..", "1777:0:0" if isinstance(source, Tmpfs) else "755:0:0"]


async def test_a_part_takes_mode_and_owner_of_the_root_of_its_volume(rig: Rig) -> None:
    made = Volume(name="v", mode="0710", owner=1000, group=50)
    said = await rig.said(
        "sh", "-c", "touch /data/f && stat -c %a:%u:%g /data", user="app", mounts=mount(sub_path="a"),
        pod_volumes=(made,),
    )  # fmt: skip
    assert said == "710:1000:50\n"
    assert (rig.settings.data_dir / "volumes/v/a/f").stat().st_uid == 1000


async def test_a_part_that_is_a_file_is_a_file(rig: Rig, short_tmp: Path) -> None:
    (short_tmp / "conf").mkdir()
    (short_tmp / "conf/one").write_text("one\n")
    (short_tmp / "conf/link").symlink_to("one")
    made = volume(short_tmp / "conf")
    mounted = (Mount(volume="v", path="/etc/one", sub_path="link", read_only=True),)
    assert await rig.said("cat", "/etc/one", mounts=mounted, pod_volumes=(made,)) == "one\n"


@pytest.mark.parametrize("kind", ["host", "managed"])
async def test_a_part_that_leads_out_of_its_volume_is_refused(rig: Rig, short_tmp: Path, kind: str) -> None:
    top = short_tmp / "host" if kind == "host" else rig.settings.data_dir / "volumes/v"
    top.mkdir(parents=True)
    (top / "out").symlink_to("../../root")
    (top / "far").symlink_to("/etc")
    made = volume(top) if kind == "host" else Volume(name="v")
    for path in ("out", "far", "far/passwd"):
        assert "leads out of the volume" in await refused(rig, made, sub_path=path)


async def test_a_container_that_swaps_its_directory_never_leads_the_next_one_out(rig: Rig, short_tmp: Path) -> None:
    top = rig.settings.data_dir / "volumes/v"
    (top / "p/q").mkdir(parents=True)
    (top / "trap").symlink_to("../../../root")
    (top / "p/q/mine").touch()
    stop = threading.Event()

    def racer() -> None:
        while not stop.is_set():
            for old, new in (("p/q", "kept"), ("trap", "p/q"), ("p/q", "trap"), ("kept", "p/q")):
                with suppress(OSError):
                    os.rename(top / old, top / new)

    await rig.sandbox(rig.container("ls", "/data", mounts=mount(sub_path="p/q")), volumes=(Volume(name="v"),))
    thread = threading.Thread(target=racer)
    thread.start()
    try:
        for attempt in range(1, 25):
            try:
                await rig.run(attempt=attempt)
                await rig.ended()
            except Failed:  # also when what was opened is removed before it is mounted
                continue
            finally:
                await rig.runtime.discard(rig.uid, "app", attempt)
    finally:
        stop.set()
        thread.join()
    assert set((await rig.output()).split()) <= {"mine"}


async def test_read_only_holds_for_what_is_mounted_below_too(rig: Rig, host: Path) -> None:
    script = "touch /data/f; touch /data/inner/f; echo $?; grep -c ' /data.* ro,nosuid,nodev' /proc/self/mountinfo"
    said = await rig.said("sh", "-c", script, mounts=mount(read_only=True), pod_volumes=(volume(host),))
    assert [line for line in said.splitlines() if line.isdigit()] == ["1", "2"]
    assert os.listdir(host / "inner") == []


async def test_set_uid_and_devices_are_taken_back_only_where_asked_for(rig: Rig, host: Path) -> None:
    flags = "sed -n 's/.* \\/data\\(\\/inner\\)\\? \\([^ ]*\\) .*/\\2/p' /proc/self/mountinfo"
    for allow, wanted in (((), {"nosuid", "nodev"}), (("suid",), {"nodev"}), (("suid", "dev"), set())):
        await rig.sandbox(rig.container("sh", "-c", flags, mounts=mount(allow=allow)), volumes=(volume(host),))
        number = 3 - len(wanted)
        await rig.run(attempt=number)
        await rig.ended()
        lines = (await rig.output(tail=2)).splitlines()
        await rig.runtime.discard(rig.uid, "app", number)
        # The mount below is a tmpfs that the host itself mounted without either: that is the host's word.
        assert {"nosuid", "nodev"} & set(lines[0].split(",")) == wanted
        assert {"nosuid", "nodev"} <= set(lines[1].split(","))


async def test_a_flag_of_the_hosts_own_mount_stays(rig: Rig, short_tmp: Path) -> None:
    (short_tmp / "host").mkdir()
    mounts.tmpfs(short_tmp / "host", size=4096, mode=0o755, noexec=True)
    try:
        said = await rig.said(
            "grep", " /data ", "/proc/mounts", mounts=mount(allow=("suid", "dev")),
            pod_volumes=(volume(short_tmp / "host"),),
        )  # fmt: skip
    finally:
        mounts.unmount(short_tmp / "host")
    assert "noexec" in said


@pytest.mark.parametrize(("propagation", "seen"), [("private", False), ("slave", True), ("shared", True)])
async def test_mounts_of_the_host_appear_as_asked_for(rig: Rig, host: Path, propagation: Any, seen: bool) -> None:
    (host / "later").mkdir()
    script = "echo ready; while [ ! -e /data/go ]; do sleep 0.01; done; grep -c ' /data/later ' /proc/mounts"
    await rig.run_one(
        "sh", "-c", script, mounts=mount(propagation=propagation), security=Security(privileged=True),
        pod_volumes=(volume(host),),
    )  # fmt: skip
    await wait_until(rig.output)
    mounts.tmpfs(host / "later", size=4096, mode=0o755, noexec=True)
    (host / "go").touch()
    await rig.ended()
    assert (await rig.output()).split() == ["ready", "1" if seen else "0"]
    await rig.runtime.discard(rig.uid, "app", 1)
    assert {each.target for each in mounts.mounts(host)} == {str(host), str(host / "inner"), str(host / "later")}


async def test_a_privileged_container_can_mount_for_the_host(rig: Rig, host: Path) -> None:
    (host / "theirs").mkdir()
    await rig.said(
        "mount", "-t", "tmpfs", "none", "/data/theirs", mounts=mount(propagation="shared"),
        security=Security(privileged=True), pod_volumes=(volume(host),),
    )  # fmt: skip
    assert mounts.is_mounted(host / "theirs")
    await rig.runtime.discard(rig.uid, "app", 1)
    assert mounts.is_mounted(host / "inner")


async def test_propagation_that_cannot_be_is_refused(rig: Rig, short_tmp: Path, host: Path) -> None:
    assert "only for privileged" in await refused(rig, volume(host), propagation="shared")
    subprocess.run(["mount", "--make-private", host], check=True)
    assert "private" in await refused(rig, volume(host), propagation="slave")


HOST_KINDS = ["directory", "file", "socket", "directory_or_create", "file_or_create"]


@pytest.mark.parametrize("kind", HOST_KINDS)
async def test_a_path_of_the_host_must_be_what_it_is_said_to_be(rig: Rig, short_tmp: Path, kind: Any) -> None:
    wrong = short_tmp / "wrong"
    if kind.startswith("directory"):
        wrong.touch()
    else:
        wrong.mkdir()
    assert "is not a" in await refused(rig, volume(wrong, kind=kind))


@pytest.mark.parametrize(("kind", "mode"), [("directory_or_create", 0o40755), ("file_or_create", 0o100644)])
async def test_what_is_missing_is_made_with_its_parents(rig: Rig, short_tmp: Path, kind: Any, mode: int) -> None:
    made, mounted = volume(short_tmp / "new/er/thing", kind=kind), (Mount(volume="v", path="/srv/v"),)
    await rig.sandbox(rig.container("true", mounts=mounted), volumes=(made,))
    await rig.runtime.check(rig.launch())
    assert not (short_tmp / "new").exists()
    await rig.run()
    await rig.ended()
    assert (short_tmp / "new/er/thing").stat().st_mode == mode


async def test_nothing_is_ever_made_in_tanks_own_directories(rig: Rig, short_tmp: Path) -> None:
    (short_tmp / "way").symlink_to(rig.settings.data_dir / "pods")
    made = volume(short_tmp / "way/new", kind="directory_or_create")
    await refused(rig, made, check=False)
    assert not (rig.settings.data_dir / "pods/new").exists()


@pytest.mark.parametrize(
    "which", ["bind of a part", "bind below", "link", "sub_path", "sub_path over a link", "file", "own tmpfs"]
)
async def test_no_name_reaches_tanks_own_directories(rig: Rig, short_tmp: Path, which: str) -> None:
    data, side = rig.settings.data_dir, short_tmp / "side"
    (side / "in").mkdir(parents=True)
    (side / "link").symlink_to(data)
    (data / "file").touch()
    fields: dict[str, Any] = {}
    path = side / "in"
    if which == "bind of a part":
        mounts.bind(data / "pods", side / "in")
    elif which == "bind below":
        mounts.bind(data, side / "in")
        path = side
    elif which == "own tmpfs":
        mounts.bind(rig.settings.run_dir / "exits", side / "in")
    elif which == "link":
        path = side / "link"
    elif which == "file":
        path = side / "one"
        path.touch()
        mounts.bind(data / "file", path)
    else:
        mounts.bind(side, side / "in")
        mounts.bind(data / "volumes", side / "in/in")
        fields["sub_path"] = "in" if which == "sub_path" else "way/in"
        (side / "way").symlink_to(".")
        path = side / "in"
    try:
        said = await refused(rig, volume(path), check="sub" not in which, **fields)
    finally:
        mounts.unmount_below(side)
    assert "Tank's own" in said


async def test_a_root_that_shows_tanks_own_directories_is_refused(rig: Rig) -> None:
    for path in ("/", str(rig.settings.data_dir)):
        await rig.sandbox(rig.container("true", image=Rootfs(rootfs=path)))
        with pytest.raises(Waiting, match="Tank's own"):
            await rig.create()
        await rig.runtime.discard(rig.uid, "app", 1)
