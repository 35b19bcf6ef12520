"""`tank image` and `tank df`, and the same in Python, against a daemon with images in memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

import tank as python
from tank.cli.doctor import about_daemon
from tank.cli.pulling import bar
from tank.errors import Conflict, Denied, Failed, NotFound
from tank.ops.doctor import Verdict
from tests.cli.conftest import Daemon, Tank


def test_the_list_says_who_uses_what(tank: Tank) -> None:
    code, out, _ = tank.says("image", "list")

    assert code == 0
    assert out.splitlines()[0].split() == ["REFERENCE", "DIGEST", "SIZE", "DISK", "USED", "USED", "BY"]
    assert out.splitlines()[1].endswith("web, (old)")
    assert json.loads(tank("image", "list", "-o", "json").stdout)[0]["used_by"] == ["web"]


def test_what_a_pod_needs_is_not_deleted(tank: Tank) -> None:
    assert tank.says("image", "delete", "nginx:1.27")[::2] == (4, "tank: cannot delete nginx:1.27: pod web needs it\n")
    assert tank.says("image", "pull", "mine:1")[0] == 0
    assert "removed mine:1" in tank.says("image", "delete", "mine:1")[1]


def test_a_pull_says_why_it_fails(tank: Tank) -> None:
    assert tank.says("image", "pull", "nope")[::2] == (1, "tank: there is no nope\n")


def test_names_too_few_or_too_many_are_bad_usage(tank: Tank) -> None:
    assert [tank("image", *words).returncode for words in (["pull"], ["list", "x"], ["tag", "x"], ["fly"])] == [2] * 4


def test_a_password_comes_from_a_pipe_and_is_tried(tank: Tank, daemon: Daemon) -> None:
    login = ("image", "login", "reg.example.org", "-u", "me", "--password-stdin")

    assert tank(*login, stdin=b"wrong\n").returncode == 1
    assert tank(*login, stdin=b"right\n").returncode == 0
    assert daemon.node.images.logins == {"reg.example.org": "me"}
    assert tank("image", "login", "reg.example.org", "-u", "me", stdin=b"right\n").returncode == 2
    assert [tank("image", "logout", "reg.example.org").returncode for _ in range(2)] == [0, 3]


def test_an_image_that_is_not_fresh_comes_with_a_warning(tank: Tank) -> None:
    code, out, err = tank.says("image", "pull", "--policy", "prefer_fresh", "mine:1")

    assert (code, err) == (0, "warning: mine:1 is taken as it is here: nobody answers\n")
    assert out.startswith("sha256:")
    assert tank.says("image", "pull", "mine:1")[2] == ""


def test_without_a_user_standard_input_is_no_password(tank: Tank, daemon: Daemon) -> None:
    login = ("image", "login", "reg.example.org")

    for more, stdin in ((("--password-stdin",), b"right\n"), ((), b"")):
        code, _, err = tank.says(*login, *more, stdin=stdin)
        assert (code, "Traceback" in err, "-u USER" in err) == (2, False, True)
    assert daemon.node.images.logins == {}


def test_input_that_ends_at_a_terminal_is_no_login(tank: Tank) -> None:
    ours, theirs = os.openpty()
    try:
        os.write(ours, b"\x04")
        done = subprocess.run(
            tank.argv("image", "login", "reg.example.org"), env=tank.env, stdin=theirs, capture_output=True, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)

    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)
    assert b"the input ended before user and password" in done.stderr


def test_archives_go_through_files_and_pipes(tank: Tank, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from-a-file")

    assert tank.says("image", "load", "-f", str(tmp_path / "in"))[1] == "loaded from-a-file\n"
    assert tank.says("image", "load", stdin=b"from-a-pipe")[1] == "loaded from-a-pipe\n"
    assert tank("image", "save", "nginx:1.27").stdout == b"nginx:1.27"
    assert tank("image", "save", "-f", str(tmp_path / "out"), "--format", "docker", "nginx:1.27").returncode == 0
    assert (tmp_path / "out").read_bytes() == b"nginx:1.27"
    assert tank("image", "load", "-f", str(tmp_path / "none")).returncode == 3


def test_a_directory_becomes_an_archive_on_the_way(tank: Tank, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256/ab").write_bytes(b"x" * 700_001)
    (tmp_path / "index.json").symlink_to("blobs/sha256/ab")

    assert tank.says("image", "load", "-f", f"oci:{tmp_path}:1.2")[:2] == (0, "loaded 1.2\n")
    with tarfile.open(fileobj=io.BytesIO(daemon.node.images.loaded)) as archive:
        found = {each.name: each.size for each in archive if each.isreg()}
    assert found == {"index.json": 700_001, "blobs/sha256/ab": 700_001}
    assert tank.says("image", "load", "-f", str(tmp_path))[0] == 0
    assert python.Client(daemon.url).images.load(f"oci:{tmp_path}:mine")[0].references == ("mine",)
    assert "no such file" in tank.says("image", "load", "-f", "docker-archive:none.tar:x:1")[2].lower()


async def test_a_directory_becomes_an_archive_when_awaited(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_bytes(b"{}")
    async with python.aio.Client(daemon.url) as client:
        assert (await client.images.load(f"oci:{tmp_path}:1.2"))[0].references == ("1.2",)
    with tarfile.open(fileobj=io.BytesIO(daemon.node.images.loaded)) as archive:
        assert archive.getnames() == ["oci-layout"]


async def test_what_of_a_directory_cannot_be_read_is_told_as_that(tank: Tank, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "blob").symlink_to("/proc/sys/vm/compact_memory")  # nobody may read it, root neither
    told = f"cannot read {tmp_path}/blob: Permission denied"

    assert tank.says("image", "load", "-f", f"oci:{tmp_path}")[::2] == (1, f"tank: {told}\n")
    async with python.aio.Client(daemon.url) as client:
        with pytest.raises(Failed, match=told):
            await client.images.load(tmp_path)


def test_an_archive_that_fails_on_its_way_is_not_taken_for_whole(tank: Tank) -> None:
    answer = tank("image", "save", "nginx:1.27", "nope:1")
    assert (answer.returncode, answer.stdout) == (5, b"nginx:1.27")
    assert b"in the middle of its answer" in answer.stderr


def test_what_is_nobodys_is_named(tank: Tank) -> None:
    code, out, err = tank.says("df")

    assert (code, err) == (0, "of nobody, below /data: stray\n")
    assert [line.split() for line in out.splitlines() if line.startswith("unowned")] == [["unowned", "4.1", "kB", "-"]]
    assert json.loads(tank("df", "-o", "json").stdout)["unowned"] == 4096
    assert "nginx:1.27" in tank.says("df", "-o", "wide")[1]


def test_the_bar_of_a_pull() -> None:
    layers = [{"done": 5, "total": 5}, {"done": 0, "total": 5}]
    shown = bar({"reference": "x:1", "done": 5_000_000, "total": 10_000_000, "layers": layers})

    assert shown == f"[{'#' * 15}{'.' * 15}] 5.0 MB of 10.0 MB, 1 of 2 layers  x:1"


def test_images_in_python(daemon: Daemon, tmp_path: Path) -> None:
    images = python.Client(daemon.url).images

    assert images.pull("mine:1").references == ("mine:1",)
    assert images.inspect("mine:1").layers[0].entries == 2
    assert images.tag("mine:1", "mine:2").digest == images.delete("mine:2").images[0]
    assert images.prune(everything=True).images
    with pytest.raises(Conflict):
        images.delete("nginx:1.27")
    with pytest.raises(Denied):
        images.login("r.example.org", "me", "wrong")
    with pytest.raises(Failed):
        images.pull("nope")
    images.save(["mine:1"], tmp_path / "archive")
    assert [each.references for each in images.load(tmp_path / "archive")] == [("mine:1",)]
    assert python.Client(daemon.url).df().strays == ("stray",)


def test_the_doctor_tells_what_the_daemon_says_of_itself(daemon: Daemon) -> None:
    assert [each.message for each in about_daemon(daemon.url)] == ["version 0.1.0 answers"]
    daemon.node.conditions.append({"type": "DiskPressure", "message": "1 MB is free, and 5 MB are kept free"})
    *_, found = about_daemon(daemon.url)

    assert (found.verdict, found.message) == (Verdict.WARN, "DiskPressure: 1 MB is free, and 5 MB are kept free")
    assert "tank image prune" in found.cure


def test_the_doctor_tells_that_no_daemon_answers(tmp_path: Path) -> None:
    [found] = about_daemon(f"unix://{tmp_path}/none.sock")

    assert (found.verdict, found.cure) == (Verdict.WARN, "systemctl start tank, or: tank serve")


async def test_archives_in_python_awaited(daemon: Daemon, tmp_path: Path) -> None:
    async with python.aio.Client(daemon.url) as client:
        await client.images.save(["nginx:1.27"], tmp_path / "archive", format="docker")
        assert (tmp_path / "archive").read_bytes() == b"nginx:1.27"
        (tmp_path / "in").write_bytes(b"mine:1")
        assert [each.references for each in await client.images.load(tmp_path / "in")] == [("mine:1",)]
        with pytest.raises(NotFound):
            await client.images.save(["nope:1"], tmp_path / "none")
        assert not (tmp_path / "none").exists()
        with pytest.raises(FileNotFoundError):
            await client.images.load(tmp_path / "none")


async def test_images_in_python_awaited(daemon: Daemon) -> None:
    async with python.aio.Client(daemon.url) as client:
        assert (await client.images.pull("mine:1")).references == ("mine:1",)
        assert len(await client.images.list()) == 2
        assert (await client.images.delete("mine:1")).freed == 4100
        assert (await client.df()).unowned == 4096
