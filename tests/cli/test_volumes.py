"""`tank volume`, and the same in Python, against a daemon with volumes in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tank as python
from tank.errors import Conflict, NotFound
from tests.cli.conftest import Daemon, Tank


def test_the_list_says_who_uses_what(tank: Tank) -> None:
    code, out, _ = tank.says("volume", "list")

    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["NAME", "SIZE", "FILES", "USED", "BY"],
        ["data", "31.0MB", "3", "web,", "(gone)"],
    ] or "web, (gone)" in out
    assert "/data/volumes/data" in tank.says("volume", "list", "-o", "wide")[1]
    assert tank.says("volume", "list", "-o", "name")[1] == "data\n"
    assert json.loads(tank("volume", "list", "-o", "json").stdout)[0]["used_by"] == ["web"]


def test_a_volume_is_told_of_in_full(tank: Tank) -> None:
    assert 'mode: "0750"' in tank.says("volume", "inspect", "data")[1]
    assert json.loads(tank("volume", "inspect", "data", "-o", "json").stdout)["owner"] == 999
    assert tank("volume", "inspect", "none").returncode == 3


def test_what_a_pod_names_is_not_deleted(tank: Tank, daemon: Daemon) -> None:
    said = tank.says("volume", "delete", "data")

    assert said[::2] == (4, "tank: cannot delete volume data: pod web names it\n")
    assert tank.says("volume", "import", "mine", stdin=b"from-a-pipe")[1] == "imported mine\n"
    assert tank.says("volume", "delete", "mine")[1] == "removed mine\n"
    assert list(daemon.node.volumes.held) == ["data"]


def test_archives_go_through_files_and_pipes(tank: Tank, daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from-a-file")

    assert tank("volume", "import", "one", "-f", str(tmp_path / "in")).returncode == 0
    assert daemon.node.volumes.archives["one"] == b"from-a-file"
    assert tank("volume", "export", "one").stdout == b"from-a-file"
    assert tank("volume", "export", "-f", str(tmp_path / "out"), "data").returncode == 0
    assert (tmp_path / "out").read_bytes() == b"an archive"
    assert tank("volume", "import", "one", stdin=b"").returncode == 4
    assert tank("volume", "import", "two", "-f", str(tmp_path / "none")).returncode == 3


def test_names_too_few_or_too_many_are_bad_usage(tank: Tank) -> None:
    wrong = (["delete"], ["list", "x"], ["export", "a", "b"], ["fly"], ["import"], ["inspect", ""])

    assert [tank("volume", *words).returncode for words in wrong] == [2] * len(wrong)


def test_python_has_the_same(daemon: Daemon, tmp_path: Path) -> None:
    volumes = python.Client(daemon.url).volumes
    volumes.export_to("data", tmp_path / "archive")

    assert [each.used_by for each in volumes.list()] == [("web",)]
    assert volumes.import_from("copy", tmp_path / "archive").name == "copy"
    assert volumes.delete("copy").name == "copy"
    with pytest.raises(Conflict):
        volumes.delete("data")
    with pytest.raises(NotFound):
        volumes.inspect("none")


async def test_python_has_the_same_awaited(daemon: Daemon) -> None:
    async with python.aio.Client(daemon.url) as client:
        assert [each.name for each in await client.volumes.list()] == ["data"]
        assert (await client.volumes.inspect("data")).mode == "0750"
        with pytest.raises(Conflict):
            await client.volumes.delete("data")
