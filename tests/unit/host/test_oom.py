"""Whose memory was used up, by the counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.host import oom
from tank.host.cgroup import Groups, Hierarchies
from tests.unit.host.test_limits import group

MIB = 2**20


@pytest.mark.parametrize(
    ("own", "own_ooms", "above", "above_ooms", "words"),
    [
        (16 * MIB, 1, "max", 0, "its memory limit of 16MiB was used up"),
        (16 * MIB, 0, "max", 0, "the machine ran out of memory; its own limit was not reached"),
        ("max", 0, "max", 0, "the machine ran out of memory"),
        ("max", 0, 64 * MIB, 1, "the memory limit of the control group /tank-abcdef/u, 64MiB, was used up"),
        (16 * MIB, 0, 64 * MIB, 0, "the machine ran out of memory; its own limit was not reached"),
    ],
)
def test_version_2_tells_whose_limit_it_was(
    tmp_path: Path, own: int | str, own_ooms: int, above: int | str, above_ooms: int, words: str
) -> None:
    groups = Groups(Hierarchies(v2=tmp_path, v1={}, controllers=frozenset({"memory"})), "/tank-abcdef")
    group(tmp_path, "u", {"memory.max": str(above), "memory.events.local": f"oom {above_ooms}\n"})
    group(tmp_path, "u/app", {"memory.max": str(own), "memory.events.local": f"oom {own_ooms}\noom_kill 1\n"})
    assert oom.cause(groups, "u/app") == words


@pytest.mark.parametrize(
    ("limit", "most", "words"),
    [
        (16 * MIB, 16 * MIB, "its memory limit of 16MiB was used up"),
        (16 * MIB, 3 * MIB, "the machine ran out of memory; its own limit was not reached"),
        (2**63 - 4096, 3 * MIB, "the machine ran out of memory"),
    ],
)
def test_version_1_tells_by_the_most_that_was_used(tmp_path: Path, limit: int, most: int, words: str) -> None:
    groups = Groups(Hierarchies(v2=None, v1={"memory": tmp_path}, controllers=frozenset()), "/tank-abcdef")
    group(tmp_path, "u/app", {"memory.limit_in_bytes": str(limit), "memory.max_usage_in_bytes": str(most)})
    assert oom.cause(groups, "u/app") == words


def test_of_a_group_that_is_gone_nothing_is_told(tmp_path: Path) -> None:
    groups = Groups(Hierarchies(v2=tmp_path, v1={}, controllers=frozenset({"memory"})), "/tank-abcdef")
    assert oom.cause(groups, "u/gone") == ""
