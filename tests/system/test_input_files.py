"""Files and variables from secrets and configs in real containers: memory, owner, mode, change at one stroke (C10)."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.host import mounts
from tank.model.inputs import ConfigFiles, EnvSource, KeyOf, SecretFiles
from tank.model.pod import EnvVar, Mount, Volume
from tank.runtime import inputs
from tests.runtime_rig import Rig, everything, opened

pytestmark = pytest.mark.system
CANARY = "canary-77aa"
Values = Mapping[str, Mapping[str, bytes]]


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def running(rig: Rig, values: Values, *volumes: Volume, name: str = "app", **fields: Any) -> None:
    """A container that sleeps, with these volumes below /in."""
    found = tuple(Mount(volume=each.name, path=f"/in/{each.name}") for each in volumes)
    fields.setdefault("mounts", found)
    await rig.sandbox(rig.container("/bin/sleep", "1000", name=name, **fields), volumes=volumes)
    await create(rig, values, name)


async def create(rig: Rig, values: Values, name: str = "app") -> None:
    launch = replace(rig.launch(name), inputs=values)
    await rig.runtime.create(launch)
    await rig.runtime.start(rig.uid, name, 1)


async def sh(rig: Rig, script: str) -> str:
    session = await rig.exec("/bin/sh", "-c", script)
    try:
        out, err = await everything(session)
        return (out + err).decode()
    finally:
        await session.close()


def shown(rig: Rig, volume: str = "cfg") -> dict[str, bytes]:
    top = inputs.place(rig.settings, rig.uid, volume)
    return {each.name: each.read_bytes() for each in top.iterdir() if each.is_file()}


async def test_a_config_is_files_that_nobody_can_write(rig: Rig) -> None:
    volume = Volume(name="cfg", source=ConfigFiles(name="app"))
    await running(rig, {"config/app": {"a.conf": b"one", "b.conf": b"two"}}, volume)

    assert await sh(rig, "cd /in/cfg; cat a.conf b.conf; stat -c %a:%u:%g /in/cfg/..data/a.conf") == "onetwo644:0:0\n"
    assert "Read-only" in await sh(rig, "echo x > /in/cfg/a.conf")
    (found,) = mounts.mounts(rig.settings.pod_run_dir(rig.uid) / "inputs")[:1]
    assert (found.kind, {"nosuid", "nodev"} <= set(found.options.split(","))) == ("tmpfs", True)


async def test_owner_mode_and_chosen_keys(rig: Rig) -> None:
    source = SecretFiles(name="db", keys={"pw": "etc/deep/password"}, mode="0400", owner=1000, group=50)
    await running(rig, {"secret/db": {"pw": b"x", "other": b"y"}}, Volume(name="cfg", source=source))

    assert await sh(rig, "cd /in/cfg; find . -type f; stat -c %a:%u:%g etc/deep/password; ls") == (
        f"./{generation(rig)}/etc/deep/password\n400:1000:50\netc\n"
    )


def generation(rig: Rig, volume: str = "cfg") -> str:
    return os.readlink(inputs.place(rig.settings, rig.uid, volume) / "..data")


async def test_an_optional_one_that_is_not_there_is_an_empty_volume(rig: Rig) -> None:
    volume = Volume(name="cfg", source=ConfigFiles(name="app", optional=True))
    await running(rig, {}, volume)

    assert await sh(rig, "ls /in/cfg") == ""
    await rig.runtime.refill(rig.uid, rig.pod, {"config/app": {"a": b"1"}})
    assert await sh(rig, "cat /in/cfg/a") == "1"


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        (ConfigFiles(name="app"), {}, "there is no config app"),
        (SecretFiles(name="db", keys={"k": "k"}), {"secret/db": {"x": b""}}, "secret db has no key 'k'"),
    ],
)
async def test_what_is_missing_is_waited_for(rig: Rig, source: Any, values: Values, message: str) -> None:
    with pytest.raises(Waiting, match=message):
        await running(rig, values, Volume(name="cfg", source=source))


async def test_a_change_replaces_adds_and_removes_at_one_stroke(rig: Rig) -> None:
    await running(rig, {"config/app": {"a": b"1", "b": b"1"}}, Volume(name="cfg", source=ConfigFiles(name="app")))
    await rig.runtime.refill(rig.uid, rig.pod, {"config/app": {"b": b"2", "c": b"2"}})

    assert shown(rig) == {"b": b"2", "c": b"2"}
    assert await sh(rig, "cd /in/cfg; ls; cat b c") == "b\nc\n22"


async def test_the_same_again_changes_nothing(rig: Rig) -> None:
    values = {"config/app": {"a": b"1"}}
    await running(rig, values, Volume(name="cfg", source=ConfigFiles(name="app")))
    before = os.lstat(inputs.place(rig.settings, rig.uid, "cfg") / "..data").st_ino

    await rig.runtime.refill(rig.uid, rig.pod, values)

    assert os.lstat(inputs.place(rig.settings, rig.uid, "cfg") / "..data").st_ino == before


@pytest.mark.parametrize("held", [{}, {"config/app": {"other": b"1"}}])
async def test_what_is_gone_leaves_what_runs_as_it_is(rig: Rig, held: Values) -> None:
    source = ConfigFiles(name="app", keys={"a": "a"})
    await running(rig, {"config/app": {"a": b"1"}}, Volume(name="cfg", source=source))

    await rig.runtime.refill(rig.uid, rig.pod, held)

    assert shown(rig) == {"a": b"1"}


async def test_no_reader_sees_a_mix(rig: Rig) -> None:
    await running(rig, {"config/app": content(0)}, Volume(name="cfg", source=ConfigFiles(name="app")))
    top, stop, seen = inputs.place(rig.settings, rig.uid, "cfg"), threading.Event(), set()

    def reader() -> None:
        while not stop.is_set():
            fd = os.open(top / "..data", os.O_RDONLY | os.O_DIRECTORY)
            try:
                seen.add(len({Path(f"/proc/self/fd/{fd}/{name}").read_bytes() for name in ("a", "b", "c")}))
            except FileNotFoundError:  # two changes went by meanwhile: he begins anew, and has seen no mix
                continue
            finally:
                os.close(fd)

    readers = [threading.Thread(target=reader) for _ in range(2)]
    for each in readers:
        each.start()
    try:
        for number in range(1, 40):
            await rig.runtime.refill(rig.uid, rig.pod, {"config/app": content(number)})
            await asyncio.sleep(0)
    finally:
        stop.set()
        for each in readers:
            each.join()
    assert seen == {1}
    assert len([each for each in os.listdir(top) if each.startswith("..")]) == 3  # ..data, this and the one before


def content(number: int) -> dict[str, bytes]:
    return dict.fromkeys(("a", "b", "c"), b"%d" % number * 5000)


async def test_a_part_never_changes_and_outlives_its_generation(rig: Rig) -> None:
    volume = Volume(name="cfg", source=ConfigFiles(name="app"))
    mounts_ = (Mount(volume="cfg", path="/in/cfg"), Mount(volume="cfg", path="/etc/app.conf", sub_path="a"))
    await running(rig, {"config/app": {"a": b"1"}}, volume, mounts=mounts_)

    for value in (b"2", b"3", b"4"):
        await rig.runtime.refill(rig.uid, rig.pod, {"config/app": {"a": value}})

    assert await sh(rig, "cat /in/cfg/a /etc/app.conf") == "41"


async def test_what_a_crash_left_half_made_is_cleared(rig: Rig) -> None:
    values = {"config/app": {"a": b"1"}}
    await running(rig, values, Volume(name="cfg", source=ConfigFiles(name="app")))
    top = inputs.place(rig.settings, rig.uid, "cfg")
    (top / "..new-0").mkdir()
    (top / "..new-0/a").write_bytes(b"half")
    (top / "a").unlink()
    (top / "gone").symlink_to("..data/gone")

    await rig.runtime.refill(rig.uid, rig.pod, values)

    assert sorted(os.listdir(top)) == sorted(["..data", generation(rig), "a"])


async def test_nothing_is_left_of_it_with_the_pod(rig: Rig) -> None:
    await running(rig, {"secret/db": {"a": b"1"}}, Volume(name="cfg", source=SecretFiles(name="db")))

    await rig.runtime.remove_sandbox(rig.uid)

    assert not rig.settings.pod_run_dir(rig.uid).exists()


async def test_a_new_sandbox_has_the_files_again(rig: Rig) -> None:
    values = {"secret/db": {"a": b"1"}}
    await running(rig, values, Volume(name="cfg", source=SecretFiles(name="db")))
    await rig.runtime.remove_sandbox(rig.uid)  # what a reboot leaves: nothing

    await rig.runtime.make_sandbox(rig.uid, rig.pod)
    await create(rig, values)

    assert await sh(rig, "cat /in/cfg/a") == "1"


async def test_containers_made_side_by_side_share_the_files(rig: Rig) -> None:
    volume = Volume(name="cfg", source=ConfigFiles(name="app"))
    each = Mount(volume="cfg", path="/in")
    names = ("a", "b", "c")
    containers = [rig.container("/bin/sleep", "1000", name=name, mounts=(each,)) for name in names]
    await rig.sandbox(*containers, volumes=(volume,))

    await asyncio.gather(*(create(rig, {"config/app": content(1)}, name) for name in names))

    assert len(shown(rig)) == 3


async def test_a_variable_from_a_secret_reaches_the_program_and_no_argument_list(rig: Rig) -> None:
    source = EnvSource(secret=KeyOf(name="db", key="pw"))
    sampled, stop = set[str](), threading.Event()
    watcher = threading.Thread(target=sample, args=(sampled, stop))
    watcher.start()
    try:
        env = (EnvVar(name="PW", source=source),)
        await running(rig, {"secret/db": {"pw": CANARY.encode()}}, env=env)
        assert (await sh(rig, "echo $PW")).strip() == CANARY
    finally:
        stop.set()
        watcher.join()

    assert sampled
    assert [each for each in sampled if CANARY in each] == []
    config = rig.attempt().config
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def sample(found: set[str], stop: threading.Event) -> None:
    """The argument lists of all processes, again and again."""
    while not stop.is_set():
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found.add(each.read_text(errors="replace"))
            except OSError:
                continue
