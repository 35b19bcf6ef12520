"""Names in layers: 40 of them that look like whiteouts, and the paths that must not lead out."""

from __future__ import annotations

import pytest

from tank.errors import PullFailed
from tank.image.names import Meaning, linked, meant

FILE, WHITEOUT, OPAQUE, NOTHING, ROOT = (
    Meaning.FILE,
    Meaning.WHITEOUT,
    Meaning.OPAQUE,
    Meaning.NOTHING,
    Meaning.ROOT,
)

TAKEN = [
    (b".wh.a", WHITEOUT, b"", b"a"),
    (b"./.wh.a", WHITEOUT, b"", b"a"),
    (b"/.wh.a", WHITEOUT, b"", b"a"),
    (b"d/.wh.a", WHITEOUT, b"d", b"a"),
    (b"d//.wh.a", WHITEOUT, b"d", b"a"),
    (b"d/.wh.a/", WHITEOUT, b"d", b"a"),
    (b"d/.wh.a.b", WHITEOUT, b"d", b"a.b"),
    (b"d/.wh....", WHITEOUT, b"d", b"..."),
    (b"d/.wh..a", WHITEOUT, b"d", b".a"),
    (b"d/.wh..wh", WHITEOUT, b"d", b".wh"),
    (b"d/.wh.wh.a", WHITEOUT, b"d", b"wh.a"),
    (b"d/.wh. ", WHITEOUT, b"d", b" "),
    (b"d/.wh.\xff", WHITEOUT, b"d", b"\xff"),
    (b".wh.proc", WHITEOUT, b"", b"proc"),
    (b".wh..wh..opq", OPAQUE, b"", b""),
    (b"d/e/.wh..wh..opq", OPAQUE, b"d/e", b""),
    (b"./d/./.wh..wh..opq", OPAQUE, b"d", b""),
    (b".wh..wh.aufs", NOTHING, b"", b""),
    (b".wh..wh.plnk/12.34", NOTHING, b"", b""),
    (b".wh..wh.orph/", NOTHING, b"", b""),
    (b".wha", FILE, b"", b".wha"),
    (b".wh", FILE, b"", b".wh"),
    (b"a.wh.b", FILE, b"", b"a.wh.b"),
    (b"d/x.wh..wh..opq", FILE, b"d", b"x.wh..wh..opq"),
    (b".WH.a", FILE, b"", b".WH.a"),
    (b"wh.a", FILE, b"", b"wh.a"),
]

REFUSED = [
    b".wh.",
    b"d/.wh.",
    b".wh..",
    b".wh...",
    b"d/.wh..",
    b"d/.wh...",
    b".wh..wh.",
    b".wh..wh.a",
    b".wh..wh..opq2",
    b".wh..wh..opq/a",
    b".wh.a/b",
    b"d/.wh.a/.wh.b",
    b".wh.a/.wh..wh..opq",
    b".wh..wh..wh..opq",
]


def test_there_are_forty_names() -> None:
    assert len(TAKEN) + len(REFUSED) == 40


@pytest.mark.parametrize(("name", "meaning", "parent", "base"), TAKEN)
def test_a_name_means_what_the_specification_says(name: bytes, meaning: Meaning, parent: bytes, base: bytes) -> None:
    assert meant(name) == (meaning, parent, base)


@pytest.mark.parametrize("name", REFUSED)
def test_a_whiteout_of_nothing_is_refused(name: bytes) -> None:
    with pytest.raises(PullFailed, match="whiteout"):
        meant(name)


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/..", b"a/../b", b"/../a", b"./../a", b"a/b/../../.."])
def test_a_name_that_climbs_is_refused(name: bytes) -> None:
    with pytest.raises(PullFailed, match="lead out"):
        meant(name)


@pytest.mark.parametrize("name", [b"/", b".", b"./", b"//", b"/./"])
def test_the_root_is_the_root_however_it_is_spelt(name: bytes) -> None:
    assert meant(name).meaning is ROOT


@pytest.mark.parametrize(
    "name", [b"a" * 256, b"d/" + b"a" * 256, b"/".join([b"d"] * 256), b"/".join([b"d" * 200] * 21)]
)
def test_a_name_beyond_what_the_kernel_takes_is_refused(name: bytes) -> None:
    with pytest.raises(PullFailed, match="too long or too deep"):
        meant(name)


def test_a_file_without_a_name_is_refused() -> None:
    with pytest.raises(PullFailed, match="without a name"):
        meant(b"")


@pytest.mark.parametrize("name", [b".wh.a", b".wh..wh..opq", b"/", b"..", b"", b".wh..wh.plnk/1"])
def test_a_hard_link_leads_to_a_file_of_the_layer_only(name: bytes) -> None:
    with pytest.raises(PullFailed):
        linked(name)


def test_names_are_the_same_with_and_without_a_leading_slash() -> None:
    assert meant(b"/usr//bin/./sh").path == meant(b"usr/bin/sh").path == b"usr/bin/sh"
