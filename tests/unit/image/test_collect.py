"""Which images go: never a needed or a young one, the least recently used first, no more than is wanted."""

from __future__ import annotations

import pytest

from tank.image.collect import Goal, Kept, Level, Weight, choose, goal

NOW = 100_000.0


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
