"""Volumes as archives, there and back; deletion; what hostile archives and crashes leave."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tank.config import Settings
from tank.errors import Conflict, Failed, InvalidSpec, NotFound
from tank.host import clock, mounts
from tank.image.room import Room
from tank.model.pod import Container, Managed, Pod, Volume
from tank.node.observe import Machine
from tank.node.records import Records
from tank.node.volumes import VolumeVerbs
from tank.store.base import Put
from tank.store.memory import MemoryStore

pytestmark = pytest.mark.system
ANY: Any = None  # no driver is asked


class Volumes:
    """The verbs over a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.settings = Settings(data_dir=directory / "d", run_dir=directory / "r")
        self.top = self.settings.data_dir / "volumes"
        self.top.mkdir(parents=True)
        self.store = MemoryStore()
        records = Records(self.settings)
        machine = Machine(
            settings=self.settings, installation="abcdef", runtime=ANY, images=ANY, net=ANY, records=records
        )
        self.verbs = VolumeVerbs(machine, self.store, Room(directory=directory, reserve=0))

    async def exported(self, name: str) -> bytes:
        return b"".join([piece async for piece in self.verbs.export(name)])

    async def imported(self, name: str, data: bytes) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 100_000):
                yield data[at : at + 100_000]

        await self.verbs.import_(name, pieces())


@pytest.fixture
def volumes(short_tmp: Path) -> Volumes:
    return Volumes(short_tmp)


def tree(top: Path) -> dict[str, tuple[object, ...]]:
    """All that an archive is to keep."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in [top, *sorted(top.rglob("*"))]:
        status, name = path.lstat(), str(path.relative_to(top))
        kind = stat.S_IFMT(status.st_mode)
        data: object = None
        if kind == stat.S_IFLNK:
            data = os.readlink(path)
        elif kind == stat.S_IFREG:
            data = (hashlib.sha256(path.read_bytes()).hexdigest(), status.st_blocks)
        xattrs = {
            key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
        }
        same = first.setdefault(status.st_ino, name)
        found[name] = (
            status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev, data, str(xattrs), same,
        )  # fmt: skip
    return found


def fill(top: Path) -> None:
    """Everything that is hard about files."""
    (top / "deep" / ("d" * 120) / ("e" * 120)).mkdir(parents=True)
    (top / "deep" / ("d" * 120) / ("e" * 120) / "file").write_bytes(os.urandom(700_000))
    (top / ".wh.not-a-whiteout").write_text("plain")
    (top / ".wh..wh..opq").write_text("plain")
    os.link(top / ".wh.not-a-whiteout", top / "second name")
    (top / "ümlaut\n").write_text("x")
    Path(os.fsdecode(os.fsencode(top) + b"/\xff\xfe")).write_text("bytes")
    (top / "link").symlink_to("../../etc/passwd")
    (top / "long link").symlink_to("/" + "l" * 200)
    with (top / "sparse").open("wb") as file:
        file.seek(30 * 2**20)
        file.write(b"in the middle")
        file.truncate(90 * 2**20)
    with (top / "hole").open("wb") as file:
        file.truncate(2**33)
    (top / "empty").touch()
    os.mkfifo(top / "pipe")
    (top / "owned").write_text("x")
    os.chown(top / "owned", 3_000_000, 4_000_000_000)
    (top / "owned").chmod(0o4751)
    os.setxattr(top / "owned", "user.note", b"\x00\xff bytes\n")
    os.setxattr(top / "owned", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.setxattr(top / "deep", "user.dir", b"1")
    os.utime(top / "empty", ns=(1, 1_234_567_890_123_456_789))
    os.utime(top / "link", ns=(1, 987_654_321), follow_symlinks=False)
    os.utime(top / "deep", ns=(1, 77))
    top.chmod(0o2770)
    os.chown(top, 999, 999)


async def test_there_and_back_is_the_same(volumes: Volumes) -> None:
    (volumes.top / "one").mkdir()
    fill(volumes.top / "one")
    (volumes.top / "one" / "hole").unlink()  # eight gigabytes of zeros are too many to compare
    before = tree(volumes.top / "one")

    archive = await volumes.exported("one")
    await volumes.imported("two", archive)

    assert tree(volumes.top / "two") == before
    assert len(archive) < 3 * 2**20


async def test_gnu_tar_reads_what_is_written(volumes: Volumes, short_tmp: Path) -> None:
    (volumes.top / "one").mkdir()
    fill(volumes.top / "one")
    (short_tmp / "archive").write_bytes(await volumes.exported("one"))
    (short_tmp / "out").mkdir()
    subprocess.run(
        ["tar", "-xpf", short_tmp / "archive", "-C", short_tmp / "out", "--xattrs", "--xattrs-include=*",
         "--numeric-owner"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert (short_tmp / "out/hole").stat().st_size == 2**33
    assert (short_tmp / "out/hole").stat().st_blocks == 0
    (volumes.top / "one" / "hole").unlink()
    (short_tmp / "out" / "hole").unlink()
    before, after = tree(volumes.top / "one"), tree(short_tmp / "out")
    assert {name: each for name, each in after.items() if name != "."} == {
        name: each for name, each in before.items() if name != "."
    }


async def test_archives_of_others_are_taken_compressed_too(volumes: Volumes, short_tmp: Path) -> None:
    source = short_tmp / "source"
    source.mkdir()
    fill(source)
    (source / "hole").unlink()
    made = subprocess.run(
        ["tar", "-czSf", "-", "-C", source, "--xattrs", "--xattrs-include=*", "--format=pax", "."],
        check=True, capture_output=True,
    )  # fmt: skip
    await volumes.imported("two", made.stdout)
    assert {name: each[:3] for name, each in tree(volumes.top / "two").items()} == {
        name: each[:3] for name, each in tree(source).items()
    }


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """(name, type, target or content) each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, more in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(more)
            else:
                info.linkname = more
            tar.addfile(info, io.BytesIO(more.encode()) if kind == tarfile.REGTYPE else None)
    return out.getvalue()


HOSTILE = {
    "above": archive(("../escaped", tarfile.REGTYPE, "x")),
    "above in the middle": archive(("a/../../escaped", tarfile.REGTYPE, "x")),
    "hard link out": archive(("a", tarfile.LNKTYPE, "../../../etc/passwd")),
    "no archive": b"x" * 2000,
    "cut off": archive(("a", tarfile.REGTYPE, "x" * 5000))[:1500],
    "nothing": b"\x1f\x8b",
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_or_broken_archive_leaves_nothing(volumes: Volumes, case: str) -> None:
    with pytest.raises(Failed, match="cannot import volume bad"):
        await volumes.imported("bad", HOSTILE[case])
    assert os.listdir(volumes.top) == []
    assert not list(volumes.settings.data_dir.rglob("escaped"))


async def test_links_of_an_archive_end_inside(volumes: Volumes) -> None:
    made = archive(("way", tarfile.SYMTYPE, "/"), ("way/escaped", tarfile.REGTYPE, "x"), ("up", tarfile.SYMTYPE, ".."))
    await volumes.imported("v", made)
    assert (volumes.top / "v/escaped").read_text() == "x"
    assert not (volumes.top / "escaped").exists()


async def test_what_is_there_is_never_imported_over(volumes: Volumes) -> None:
    (volumes.top / "v").mkdir()
    with pytest.raises(Conflict):
        await volumes.imported("v", archive(("a", tarfile.REGTYPE, "x")))
    assert os.listdir(volumes.top / "v") == []


async def test_a_volume_that_appears_meanwhile_is_not_replaced(volumes: Volumes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield archive(("a", tarfile.REGTYPE, "x"))
        (volumes.top / "v").mkdir()

    with pytest.raises(Conflict):
        await volumes.verbs.import_("v", pieces())
    assert os.listdir(volumes.top) == ["v"]
    assert os.listdir(volumes.top / "v") == []


def pod(name: str, volume: str) -> Pod:
    container = Container(name="app", image="x")
    return Pod(name=name, containers=(container,), volumes=(Volume(name=volume, source=Managed()),))


async def test_a_volume_goes_only_when_nobody_names_it(volumes: Volumes) -> None:
    (volumes.top / "v").mkdir()
    (volumes.top / "v/file").touch()
    at = clock.now().wall
    await volumes.store.put([Put(spec=pod("web", "v"), uid="0" * 12, origin="apply")], at)
    with pytest.raises(Conflict, match="pod web names it"):
        await volumes.verbs.delete("v")
    assert (await volumes.verbs.list())[0].used_by == ("web",)
    await volumes.store.delete("web", None, at)
    assert (await volumes.verbs.delete("v")).entries == 1
    assert os.listdir(volumes.top) == []


async def test_what_is_mounted_anywhere_stays(volumes: Volumes, short_tmp: Path) -> None:
    (volumes.top / "v/part").mkdir(parents=True)
    (short_tmp / "m").mkdir()
    mounts.bind(volumes.top / "v/part", short_tmp / "m")
    try:
        with pytest.raises(Conflict, match="mounted"):
            await volumes.verbs.delete("v")
    finally:
        mounts.unmount(short_tmp / "m")
    await volumes.verbs.delete("v")


async def test_what_a_crash_left_is_swept_and_volumes_are_not(volumes: Volumes) -> None:
    for name in ("kept", ".v.0123abcd.deleted/x", ".v.0123abcd.import/y", ".v.new"):
        (volumes.top / name).mkdir(parents=True)
    await volumes.verbs.sweep()
    assert sorted(os.listdir(volumes.top)) == [".v.new", "kept"]
    assert [each.name for each in await volumes.verbs.list()] == ["kept"]


@pytest.mark.parametrize("name", ["..", ".", ".v.0123abcd.deleted", "a/b", "A", "", "-x", "x" * 64])
async def test_a_name_that_no_volume_can_have_is_refused(volumes: Volumes, name: str) -> None:
    for deed in (volumes.verbs.inspect(name), volumes.verbs.delete(name)):
        with pytest.raises((InvalidSpec, NotFound)):
            await deed
    with pytest.raises(InvalidSpec):
        await volumes.exported(name)
