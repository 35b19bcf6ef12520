"""The keys that detach, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.client.terminal import DetachKeys, detach_keys
from tank.errors import InvalidSpec


def test_keys_are_written_as_people_say_them() -> None:
    assert detach_keys("ctrl-p,ctrl-q") == b"\x10\x11"
    assert detach_keys("Ctrl-A, x, ctrl-[") == b"\x01x\x1b"
    assert detach_keys("") == b""
    for wrong in ("ctrl-", "ctrl-pp", "esc", "ä", "ctrl-1"):
        with pytest.raises(InvalidSpec):
            detach_keys(wrong)


@given(st.lists(st.binary(max_size=6)), st.sampled_from([b"\x10\x11", b"aab", b"a"]))
def test_the_keys_detach_wherever_they_are_cut_and_nothing_else_is_lost(pieces: list[bytes], wanted: bytes) -> None:
    keys, typed, through = DetachKeys(wanted), b"".join(pieces), b""
    for piece in pieces:
        if not keys.pressed:
            through += keys.feed(piece)
    before, found, _ = typed.partition(wanted)

    assert keys.pressed == bool(found)
    assert before.startswith(through)
    assert not found or through == before
    assert len(before) - len(through) < len(wanted) or found


def test_a_part_of_the_keys_is_passed_on_once_it_is_clear() -> None:
    keys = DetachKeys(b"\x10\x11")

    assert (keys.feed(b"a\x10"), keys.feed(b"b"), keys.feed(b"\x10\x10"), keys.feed(b"\x11x")) == (
        b"a",
        b"\x10b",
        b"\x10",
        b"",
    )
    assert keys.pressed


def test_without_keys_everything_passes() -> None:
    assert DetachKeys(b"").feed(b"\x10\x11") == b"\x10\x11"
