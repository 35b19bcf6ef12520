"""What differs between two specs."""

from __future__ import annotations

from tank.model.differences import differences

OLD = {"name": "web", "containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}], "labels": {"k": "v"}}


def test_equal_specs_do_not_differ() -> None:
    assert differences(OLD, OLD) == []


def test_named_things_are_compared_by_name_wherever_they_stand() -> None:
    new = {**OLD, "containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x:2"}]}

    assert differences(OLD, new) == [("containers[a].image", "x:1", "x:2")]


def test_what_comes_and_goes_is_told_leaf_by_leaf() -> None:
    new = {"name": "web", "containers": [{"name": "a", "image": "x:1", "env": {"A": "1"}}], "grace": 5}

    assert differences(OLD, new) == [
        ("containers[a].env.A", None, "1"),
        ("containers[b].image", "y", None),
        ("labels.k", "v", None),
        ("grace", None, 5),
    ]


def test_an_order_alone_is_a_difference_of_the_whole() -> None:
    old = {"containers": [{"name": "a", "x": 1}, {"name": "b", "x": 1}]}
    new = {"containers": [{"name": "b", "x": 1}, {"name": "a", "x": 1}]}

    assert differences(old, new) == [("containers", old["containers"], new["containers"])]


def test_other_lists_are_leaves() -> None:
    assert differences({"args": ["a"]}, {"args": ["a", "b"]}) == [("args", ["a"], ["a", "b"])]
