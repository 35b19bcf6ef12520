"""Control groups on trees of plain files: which hierarchies there are, what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.host.cgroup import Groups, Hierarchies


def group(tree: Path, name: str, **content: str) -> Path:
    directory = tree / "tank-abcdef" / name
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in content.items():
        (directory / file.replace("__", ".")).write_text(text)
    return directory


@pytest.fixture
def unified(tmp_path: Path) -> Groups:
    return Groups(Hierarchies(v2=tmp_path, v1={}, controllers=frozenset({"memory", "pids", "cpu"})), "/tank-abcdef")


@pytest.fixture
def legacy(tmp_path: Path) -> Groups:
    trees = {name: tmp_path / name for name in ("memory", "pids", "cpu", "freezer")}
    return Groups(Hierarchies(v2=tmp_path / "unified", v1=trees, controllers=frozenset()), "/tank-abcdef")


def test_names_are_those_of_every_hierarchy(legacy: Groups) -> None:
    for tree, name in (("memory", "u1"), ("pids", "u2"), ("unified", "u2")):
        group(legacy.hierarchies.v1.get(tree) or (legacy.hierarchies.v2 or Path()), name)
    assert legacy.names() == {"u1", "u2"}


def test_the_sleeper_that_holds_the_delegated_group_is_no_pod(unified: Groups, tmp_path: Path) -> None:
    group(tmp_path, "holder")
    group(tmp_path, "u1/holder")
    assert (unified.names(), unified.names("u1")) == (frozenset({"u1"}), frozenset({"holder"}))


def test_a_group_is_populated_when_version_2_says_so(unified: Groups, tmp_path: Path) -> None:
    group(tmp_path, "u/app", cgroup__events="populated 1\nfrozen 0\n", cgroup__procs="1\n2\n")
    assert unified.populated("u/app")
    assert not unified.populated("u/none")
    assert unified.processes("u") == {1, 2}


def test_oom_kills_are_counted_by_either_version(unified: Groups, legacy: Groups, tmp_path: Path) -> None:
    group(tmp_path, "u/app", memory__events__local="low 0\noom_kill 2\n", memory__events="oom_kill 9\n")
    group(tmp_path / "memory", "u/app", memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    assert (unified.oom_kills("u/app"), legacy.oom_kills("u/app")) == (2, 3)
    assert unified.oom_kills("u/none") is None
