"""Which images go: never a needed or a young one, the least recently used first, no more than is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.image.collect import OLDEST, Copy, Goal, Kept, Level, Weight, choose, goal, spare

NOW = 100_000.0


def copy(name: str, *, idle: float = 3600.0, part: bool = False) -> Copy:
    return Copy(path=Path(name), size=100, at=NOW - idle, part=part)


def spared(copies: list[Copy], wanted: Goal) -> list[str]:
    return [str(each.path) for each in spare(copies, NOW, wanted)]


def kept(name: str, layers: str, *, idle: float = 3600.0) -> Kept:
    return Kept(digest=name, layers=frozenset(layers), used_at=NOW - idle)


WEIGHTS = {name: Weight(size=100, entries=10) for name in "abcdef"}


@pytest.mark.parametrize(
    ("used", "wanted"), [(0, 0), (850, 0), (851, 51), (1000, 200)], ids=["empty", "at the mark", "above", "full"]
)
def test_above_the_high_mark_the_disk_is_brought_down_to_the_low_one(used: int, wanted: int) -> None:
    assert goal(used, 1000, Level()) == wanted


def test_a_file_system_that_counts_no_inodes_wants_none_back() -> None:
    assert goal(0, 0, Level()) == 0


def test_without_a_goal_nothing_goes() -> None:
    assert choose([kept("x", "a", idle=1e6)], WEIGHTS, (), NOW, Goal()) == ()


def test_the_least_recently_used_goes_first_and_no_more_than_is_wanted() -> None:
    images = [kept("young", "a", idle=200), kept("old", "b", idle=9000), kept("middle", "c", idle=5000)]

    assert choose(images, WEIGHTS, (), NOW, Goal(size=150)) == ("old", "middle")


def test_what_is_needed_and_what_was_used_just_now_stays() -> None:
    images = [kept("needed", "a"), kept("new", "b", idle=119), kept("ahead", "c", idle=-50), kept("free", "d")]

    assert choose(images, WEIGHTS, {"needed"}, NOW, Goal(size=10**9)) == ("free",)


def test_a_shared_layer_frees_nothing_until_the_last_image_that_has_it_goes() -> None:
    images = [kept("one", "ab", idle=9000), kept("two", "a", idle=8000), kept("three", "c", idle=7000)]

    assert choose(images, WEIGHTS, (), NOW, Goal(size=200)) == ("one", "two")
    assert choose(images, WEIGHTS, (), NOW, Goal(size=100)) == ("one",)


def test_inodes_are_a_goal_of_their_own() -> None:
    images = [kept("one", "a", idle=9000), kept("two", "b", idle=8000), kept("three", "c", idle=7000)]

    assert choose(images, WEIGHTS, (), NOW, Goal(entries=15)) == ("one", "two")


def test_of_layers_as_they_came_only_parts_that_nobody_came_back_for_go_unless_space_is_wanted() -> None:
    copies = [copy("whole", idle=1e6), copy("part", part=True), copy("forgotten", part=True, idle=OLDEST)]
    assert spared(copies, Goal()) == ["forgotten"]


def test_parts_go_first_then_the_oldest_copies_and_no_more_than_is_wanted() -> None:
    copies = [copy("young", idle=200), copy("old", idle=9000), copy("part", idle=601, part=True), copy("new", idle=119)]
    assert spared(copies, Goal(size=150)) == ["part", "old"]
    assert spared(copies, Goal(size=10**9)) == ["part", "old", "young"]
    assert spared(copies, Goal(entries=1)) == ["part"]


def test_a_part_that_a_pull_is_about_to_go_on_with_goes_only_after_whole_copies() -> None:
    copies = [copy("whole", idle=200), copy("resumed", idle=599, part=True), copy("left", idle=600, part=True)]
    assert spared(copies, Goal(size=200)) == ["left", "whole"]
    assert spared(copies, Goal(size=10**9)) == ["left", "whole", "resumed"]
