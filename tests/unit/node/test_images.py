"""The verbs of images: what they say when the keeper keeps an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from tank.errors import Conflict
from tank.image.collect import Kept
from tank.image.inventory import Inventory
from tank.node.images import ImageVerbs
from tank.node.needs import Needs

DIGEST = "sha256:" + "a" * 64


class Keeping:
    """A collector that removes nothing: the image was looked up or brought since."""

    async def choose_and_remove(self, may_go: Callable[[Needs, Inventory], list[str]]) -> tuple[str, ...]:
        image = Kept(digest=DIGEST, layers=frozenset(), used_at=0.0, references=("docker.io/library/app:1",))
        assert may_go(Needs(), Inventory(images=(image,), layers={}, written={})) == [DIGEST]
        return ()


async def test_an_image_that_stays_because_it_was_just_used_is_told_as_that() -> None:
    verbs = ImageVerbs(cast(Any, None), cast(Any, Keeping()), cast(Any, None))

    with pytest.raises(Conflict, match="cannot delete app:1: it has just been used or is being pulled; try again"):
        await verbs.delete("app:1")
