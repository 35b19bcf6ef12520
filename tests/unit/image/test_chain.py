"""What lies below the directories that a layer leaves unsaid is found without looking everywhere again (S03)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.image import chain
from tank.image.blobs import Blobs, LayerRecord

TOP = f"sha256:{'f' * 64}"
WAY = "/".join("abcdefghijklmnopqrst")
MANY = [f"{WAY}/{number}" for number in range(100)]


def layer(blobs: Blobs, diff_id: str, directories: Sequence[str], implicit: Sequence[str] = ()) -> Path:
    stage = blobs.stage()
    for each in directories:
        (stage / each).mkdir(parents=True, exist_ok=True)
    blobs.name_layer(stage, LayerRecord(size=1, entries=1, implicit=tuple(implicit)), (), diff_id)
    return blobs.place(diff_id)


def stacked(blobs: Blobs, directories: Sequence[str]) -> list[Path]:
    """Fifty layers that have these."""
    return [layer(blobs, f"sha256:{number:064x}", directories) for number in range(50)]


def test_a_way_in_common_is_gone_once(blobs: Blobs) -> None:
    layer(blobs, TOP, MANY, [WAY, *MANY])
    found = chain.skeleton(blobs, TOP, stacked(blobs, [WAY]), most=7_000)

    assert [node.path.decode() for node in found] == [WAY[:length] for length in range(1, len(WAY) + 1, 2)]


def test_a_layer_that_nothing_below_can_mean_anything_to_costs_one_look_for_each_directory(blobs: Blobs) -> None:
    layer(blobs, TOP, MANY, [WAY, *MANY])

    assert chain.skeleton(blobs, TOP, stacked(blobs, ["z"]), most=100) == ()


def test_a_search_without_end_is_refused(blobs: Blobs) -> None:
    layer(blobs, TOP, MANY, [WAY, *MANY])

    with pytest.raises(PullFailed, match="too many directories without entry"):
        chain.skeleton(blobs, TOP, stacked(blobs, [WAY]), most=1_000)
