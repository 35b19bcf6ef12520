"""Who could become root by changing what root runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tank.ops import trust

SAFE = Path("/usr/bin/env")  # on every machine root's alone, and every directory above it


def test_what_only_root_can_write_is_safe() -> None:
    assert trust.writable_by_others([SAFE]) == ()


def test_a_place_that_is_not_there_is_no_danger() -> None:
    assert trust.writable_by_others([Path("/nowhere/at/all")]) == ()


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_place_that_all_may_write_is_named(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)

    assert tmp_path in trust.writable_by_others([tmp_path / "missing", tmp_path])


def test_a_directory_far_above_is_named_too(tmp_path: Path) -> None:
    program = tmp_path / "loose/lib/python"
    program.mkdir(parents=True)
    (tmp_path / "loose").chmod(0o777)

    assert tmp_path / "loose" in trust.writable_by_others([program])


def test_the_place_where_a_link_leads_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real").chmod(0o777)
    (tmp_path / "link").symlink_to("real")

    assert tmp_path / "real" in trust.writable_by_others([tmp_path / "link"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_user_or_group_is_named(tmp_path: Path) -> None:
    theirs, groups = tmp_path / "theirs", tmp_path / "groups"
    for path in (theirs, groups):
        path.touch()
    os.chown(theirs, 1000, 0)
    os.chown(groups, 0, 1000)
    groups.chmod(0o664)

    assert {theirs, groups} <= set(trust.writable_by_others([theirs, groups]))


def test_every_part_of_this_program_is_looked_at() -> None:
    assert {Path(sys.prefix), Path(sys.executable), trust.PACKAGE} <= set(trust.places())


def test_everything_below_a_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/c").touch()

    assert set(trust.inside(tmp_path)) == {tmp_path, tmp_path / "a", tmp_path / "a/b", tmp_path / "a/c"}
